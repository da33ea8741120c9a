// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BabyBear4} from "../src/verifier/BabyBear4.sol";
import {EqualityTree, EqualityTrees} from "../src/verifier/EqualityTree.sol";
import {MerkleMultiproof} from "../src/verifier/MerkleMultiproof.sol";
import {Memory} from "../src/verifier/Context.sol";
import {Polynomials} from "../src/verifier/Polynomials.sol";
import {Transcript} from "../src/verifier/Transcript.sol";
import {TestBase} from "./support/TestBase.sol";

/// @dev The verifier's arithmetic against one that is slow and obviously right.
contract BabyBear4Test is TestBase {
    using BabyBear4 for uint256;
    using EqualityTrees for EqualityTree;

    uint256 private constant P = 0x78000001;

    // --------------------------------------------------------------------------------------- slow and obviously right

    function lanes(uint256 x) private pure returns (uint256[4] memory c) {
        for (uint256 i; i < 4; ++i) {
            c[i] = (x >> (64 * i)) & type(uint64).max;
        }
    }

    function packed(uint256[4] memory c) private pure returns (uint256 x) {
        for (uint256 i; i < 4; ++i) {
            x |= (c[i] % P) << (64 * i);
        }
    }

    function product(uint256 x, uint256 y) private pure returns (uint256) {
        (uint256[4] memory a, uint256[4] memory b) = (lanes(x), lanes(y));
        uint256[4] memory c;
        for (uint256 i; i < 4; ++i) {
            for (uint256 j; j < 4; ++j) {
                uint256 term = (a[i] % P) * (b[j] % P);
                if (i + j < 4) c[i + j] += term;
                else c[i + j - 4] += 11 * term;
            }
        }
        return packed(c);
    }

    function sum(uint256 x, uint256 y) private pure returns (uint256) {
        (uint256[4] memory a, uint256[4] memory b) = (lanes(x), lanes(y));
        uint256[4] memory c;
        for (uint256 i; i < 4; ++i) {
            c[i] = a[i] + b[i];
        }
        return packed(c);
    }

    function negative(uint256 x) private pure returns (uint256) {
        return product(x, P - 1);
    }

    /// @dev Lanes up to a bound, which is taken itself now and then.
    function limited(uint256 x, uint256 most) private pure returns (uint256 y) {
        uint256[4] memory c = lanes(x);
        for (uint256 i; i < 4; ++i) {
            y |= (c[i] % 5 == 0 ? most : c[i] % (most + 1)) << (64 * i);
        }
    }

    function reduced(uint256 x) private pure returns (uint256) {
        return limited(x, P - 1);
    }

    // ------------------------------------------------------------------------------------------------------ elements

    function test_fuzz_mul(uint256 x, uint256 y) public pure {
        (x, y) = (limited(x, (1 << 41) - 1), limited(y, (1 << 32) - 1));
        assertEq(x.mul(y), product(x, y), "mul");
        (uint256 low, uint256 high) = y.split();
        assertEq(x.mulSplit(low, high), product(x, y), "mulSplit");
    }

    function test_mul_at_the_bounds() public pure {
        uint256 x = limited(0, (1 << 41) - 1);
        uint256 y = limited(0, (1 << 32) - 1);
        assertEq(x.mul(y), product(x, y), "all lanes at their bounds");
    }

    /// @dev A thousand products of reduced elements may be added before they are reduced.
    function test_sum_of_products_at_the_bounds() public pure {
        uint256 x = limited(0, P - 1);
        (uint256 low, uint256 high) = x.split();
        (uint256 sumLow, uint256 sumHigh) = (0, 0);
        for (uint256 i; i < 1000; ++i) {
            sumLow += mulmod(x, low, BabyBear4.RING);
            sumHigh += mulmod(x, high, BabyBear4.RING);
        }
        assertEq(BabyBear4.finish(sumLow, sumHigh), product(product(x, x), 1000), "a thousand squares");
    }

    function test_fuzz_sum_of_products(uint256 seed) public pure {
        uint256 low;
        uint256 high;
        uint256 expected;
        for (uint256 i; i < 30; ++i) {
            uint256 x = reduced(uint256(keccak256(abi.encode(seed, i))));
            uint256 y = reduced(uint256(keccak256(abi.encode(i, seed))));
            (uint256 yLow, uint256 yHigh) = y.split();
            low += mulmod(x, yLow, BabyBear4.RING);
            high += mulmod(x, yHigh, BabyBear4.RING);
            expected = sum(expected, product(x, y));
        }
        assertEq(BabyBear4.finish(low, high), expected, "sum of products");
    }

    function test_fuzz_scale(uint256 x, uint256 base) public pure {
        (x, base) = (limited(x, (1 << 32) - 1), bound(base, 0, P - 1));
        assertEq(x.scale(base), product(x, base), "scale");
    }

    function test_fuzz_reduce(uint256 x) public pure {
        assertEq(x.reduce(), packed(lanes(x)), "reduce");
    }

    function test_fuzz_one_minus(uint256 x) public pure {
        x = reduced(x);
        assertEq(x.oneMinus().reduce(), sum(1, negative(x)), "oneMinus");
    }

    function test_fuzz_from_word(uint32 a, uint32 b, uint32 c, uint32 d) public pure {
        uint256 word = uint128(bytes16(abi.encodePacked(a, b, c, d)));
        uint256 expected = uint256(a) | (uint256(b) << 64) | (uint256(c) << 128) | (uint256(d) << 192);
        assertEq(BabyBear4.fromWord(word), expected, "fromWord");
    }

    function test_fuzz_power(uint256 base, uint8 exponent) public pure {
        base = bound(base, 0, P - 1);
        uint256 expected = 1;
        for (uint256 i; i < exponent; ++i) {
            expected = expected * base % P;
        }
        assertEq(BabyBear4.power(base, exponent), expected, "power");
        assertEq(BabyBear4.power2(base, 3), BabyBear4.power(base, 8), "power2");
    }

    // --------------------------------------------------------------------------------------------------- polynomials

    /// @dev The polynomial through given values is found by its values: c0 + c1 x + c2 x^2 + c3 x^3.
    function test_fuzz_interpolation(uint256 c0, uint256 c1, uint256 c2, uint256 c3, uint256 x) public pure {
        (c0, c1, c2, c3, x) = (reduced(c0), reduced(c1), reduced(c2), reduced(c3), reduced(x));
        uint256[4] memory c = [c0, c1, c2, c3];
        uint256 total = sum(value(c, 0), value(c, 1));
        assertEq(Polynomials.cubic(total, value(c, 1), value(c, 2), value(c, 3), x), value(c, x), "cubic");
        c[3] = 0;
        total = sum(value(c, 0), value(c, 1));
        assertEq(Polynomials.quadratic(total, value(c, 1), value(c, 2), x), value(c, x), "quadratic");
    }

    function value(uint256[4] memory c, uint256 x) private pure returns (uint256 y) {
        for (uint256 i = 4; i > 0; --i) {
            y = sum(product(y, x), c[i - 1]);
        }
    }

    function test_fuzz_equal(uint256 x, uint256 y) public pure {
        (x, y) = (reduced(x), reduced(y));
        uint256 expected = sum(product(x, y), product(sum(1, negative(x)), sum(1, negative(y))));
        assertEq(Polynomials.equal(x, y).reduce(), expected, "equal");
    }

    function test_fuzz_progression(uint256 x, uint256 log) public pure {
        (x, log) = (reduced(x), bound(log, 0, 4));
        uint256 expected;
        uint256 power = 1;
        for (uint256 i; i < 1 << log; ++i) {
            expected = sum(expected, power);
            power = product(power, x);
        }
        assertEq(Polynomials.progression(x, log), expected, "progression");
    }

    /// @dev On the domain of order 2^log the kernel is 1 where points are equal and 0 elsewhere.
    function test_kernel_of_a_domain() public pure {
        uint256 root = 196396260; // of order 16
        for (uint256 i; i < 16; ++i) {
            for (uint256 j; j < 16; ++j) {
                uint256 kernel =
                    Polynomials.equalInDomain(4, BabyBear4.power(root, i), BabyBear4.power(root, j));
                assertEq(kernel, i == j ? 1 : 0, "kernel");
            }
            assertEq(Polynomials.equalToOne(4, BabyBear4.power(root, i)), i == 0 ? 1 : 0, "kernel at one");
        }
    }

    /// @dev Indices as stacked columns have them: runs of ever smaller steps.
    function test_fuzz_equality_tree(uint256 seed) public pure {
        uint256 bits = 6;
        uint256 points = Memory.allocate(bits);
        for (uint256 i; i < bits; ++i) {
            Memory.store(points, i, reduced(uint256(keccak256(abi.encode(seed, i)))));
        }
        EqualityTree memory tree = EqualityTrees.create(bits, points);
        for (uint256 again; again < 2; ++again) {
            uint256 index;
            uint256 lowest = 4;
            while (index < 1 << bits) {
                uint256 expected = 1;
                for (uint256 bit = lowest; bit < bits; ++bit) {
                    uint256 x = Memory.load(points, bit);
                    expected = product(expected, (index >> bit) & 1 == 1 ? x : sum(1, negative(x)));
                }
                assertEq(tree.productAt(index, lowest).reduce(), expected, "product");
                index += 1 << lowest;
                seed = uint256(keccak256(abi.encode(seed)));
                if (seed % 3 == 0 && lowest > 0) --lowest;
            }
            tree.restart();
        }
    }

    // ----------------------------------------------------------------------------------------- bytes of the calldata

    function requireCanonical(bytes calldata data) external pure {
        uint256 offset;
        assembly {
            offset := data.offset
        }
        Transcript.requireCanonical(offset, data.length);
    }

    function test_fuzz_canonical(uint32[] memory numbers, uint256 which) public view {
        bytes memory data;
        for (uint256 i; i < numbers.length; ++i) {
            data = abi.encodePacked(data, uint32(numbers[i] % P));
        }
        this.requireCanonical(data);
        if (numbers.length == 0) return;
        which = which % numbers.length;
        uint32[3] memory wrong = [uint32(P), type(uint32).max, uint32(bound(numbers[which], P, type(uint32).max))];
        for (uint256 i; i < 3; ++i) {
            for (uint256 j; j < 4; ++j) {
                data[4 * which + j] = bytes4(wrong[i])[j];
            }
            try this.requireCanonical(data) {
                revert AssertionFailed("not canonical, and accepted");
            } catch {}
        }
    }

    // -------------------------------------------------------------------------------------------------- Merkle trees

    /// @dev A tree of eight leaves: any set of them, with the siblings that they don't give, has the tree's root.
    function test_fuzz_multiproof(uint8 set, bytes32 seed) public view {
        if (set == 0) set = 1;
        bytes32[16] memory tree; // the node over tree[2i] and tree[2i + 1] is tree[i]
        bool[16] memory known;
        bytes memory leaves;
        for (uint256 i; i < 8; ++i) {
            tree[8 + i] = keccak256(abi.encode(seed, i));
            known[8 + i] = (set >> i) & 1 == 1;
            if (known[8 + i]) leaves = abi.encodePacked(leaves, i, tree[8 + i]);
        }
        bytes memory siblings;
        for (uint256 i = 8; i-- > 1;) {
            tree[i] = keccak256(abi.encodePacked(tree[2 * i], tree[2 * i + 1], uint8(1)));
            known[i] = known[2 * i] || known[2 * i + 1];
        }
        for (uint256 first = 8; first > 1; first >>= 1) {
            for (uint256 i = first; i < 2 * first; ++i) {
                if (!known[i] && known[i ^ 1]) siblings = abi.encodePacked(siblings, tree[i]);
            }
        }
        (bytes32 root, uint256 read) = this.rootOf(leaves, siblings);
        assertEq(root, tree[1], "root");
        assertEq(read, siblings.length, "read");
    }

    function rootOf(bytes memory leaves, bytes calldata siblings) external pure returns (bytes32, uint256) {
        uint256 offset;
        assembly {
            offset := siblings.offset
        }
        (uint256 root, uint256 end) = MerkleMultiproof.rootOf(
            MerkleMultiproof.scratch(), Memory.pointerOf(leaves), leaves.length / 64, 3, offset
        );
        return (bytes32(root), end - offset);
    }
}
