// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BabyBear4} from "./BabyBear4.sol";
import {Context, Memory} from "./Context.sol";
import {VerifyingKey} from "./generated/VerifyingKey.sol";
import {MerkleMultiproof} from "./MerkleMultiproof.sol";
import {OpeningState} from "./OpeningState.sol";
import {Polynomials} from "./Polynomials.sol";
import {Transcript} from "./Transcript.sol";

/// @title The openings of committed columns, by WHIR (openvm-stark-backend, whir.rs).
library Whir {
    using BabyBear4 for uint256;

    error WrongRoot(uint256 round, uint256 commitment);
    error WrongLastPolynomial();

    uint256 private constant P_LANES = BabyBear4.P_LANES;
    uint256 private constant COSET = 1 << VerifyingKey.FOLDING;
    /// @dev Powers of the domain's generator are looked up by this many bits of the exponent at a time.
    uint256 private constant WINDOW = 6;
    uint256 private constant WINDOWS = (VerifyingKey.LOG_DOMAIN + WINDOW - 1) / WINDOW;

    /// @dev What the queries of one round share.
    struct Round {
        uint256 index;
        /// Queries, and pairs of position and query in the order of positions, as position * 256 + query.
        uint256 queries;
        uint256 sorted;
        /// Powers of the domain's generator and of the coset's inverted one.
        uint256 powers;
        uint256 cosetPowers;
        /// The coset's values of one query.
        uint256 values;
        /// Nodes of each commitment's tree, and how many each has.
        uint256 nodes;
        uint256 leaves;
        /// Scratch for hashing pairs, and hashes of a leaf's left parts.
        uint256 scratch;
        uint256 pending;
        /// By query: the point and the folded value there.
        uint256 points;
        uint256 folded;
    }

    /// @notice Batches the stacked openings into one claim.
    function begin(Context memory context) internal pure {
        unchecked {
            Transcript.requireWork(context, VerifyingKey.BATCHING_WORK);
            uint256 mu = Transcript.sample(context);
            (uint256 low, uint256 high) = mu.split();
            uint256 width = context.totalWidth;
            context.batching = Memory.allocate(width);
            uint256 power = 1;
            uint256 claim;
            for (uint256 i; i < width; ++i) {
                Memory.store(context.batching, i, power);
                claim += BabyBear4.load(context.stackedOpenings + 16 * i).mul(power);
                power = power.mulSplit(low, high);
            }
            context.claim = claim.reduce();
            context.gammas = Memory.allocate(VerifyingKey.ROUNDS);
            context.outside = Memory.allocate(VerifyingKey.ROUNDS);
            context.queried = Memory.allocate(VerifyingKey.ROUNDS);
            context.alphas = Memory.allocate(VerifyingKey.ROUNDS * VerifyingKey.FOLDING);
        }
    }

    /// @notice One round of folding and queries; the last reads the last polynomial, whose offset it returns.
    function round(Context memory context, uint256 index) internal pure returns (uint256 last) {
        unchecked {
            readSumcheck(context, index);
            uint256 root = context.root;
            uint256 outside;
            if (index + 1 == VerifyingKey.ROUNDS) {
                last = Transcript.observe(context, 16 << VerifyingKey.LOG_FINAL);
            } else {
                uint256 place = Transcript.observeBytes(context, 32);
                assembly ("memory-safe") {
                    place := calldataload(place)
                }
                context.root = place;
                Memory.store(context.outside, index, Transcript.sample(context));
                outside = BabyBear4.load(Transcript.observe(context, 16));
            }
            Transcript.requireWork(context, VerifyingKey.QUERY_WORK);
            Round memory queries = prepare(context, index);
            if (index == 0) {
                openRows(context, queries);
            } else {
                openCodeword(context, queries, root);
            }
            uint256 gamma = Transcript.sample(context);
            Memory.store(context.gammas, index, gamma);
            uint256 sum;
            (uint256 low, uint256 high) = gamma.split();
            for (uint256 i = queries.queries; i-- > 0;) {
                sum = (sum + Memory.load(queries.folded, i)).mulSplit(low, high);
            }
            context.claim = ((sum + outside).mulSplit(low, high) + context.claim).reduce();
        }
    }

    function readSumcheck(Context memory context, uint256 index) private pure {
        unchecked {
            uint256 claim = context.claim;
            uint256 first = VerifyingKey.FOLDING * index;
            for (uint256 i = first; i < first + VerifyingKey.FOLDING; ++i) {
                uint256 place = Transcript.observe(context, 32);
                Transcript.requireWork(context, VerifyingKey.FOLDING_WORK);
                uint256 alpha = Transcript.sample(context);
                Memory.store(context.alphas, i, alpha);
                claim = Polynomials.quadratic(claim, BabyBear4.load(place), BabyBear4.load(place + 16), alpha);
            }
            context.claim = claim;
        }
    }

    /// @dev Draws the queries and sorts them.
    function prepare(Context memory context, uint256 index) private pure returns (Round memory queries) {
        unchecked {
            uint256 count = uint8(VerifyingKey.QUERIES[index]);
            queries.index = index;
            queries.queries = count;
            queries.sorted = Memory.allocate(count);
            queries.folded = Memory.allocate(count);
            queries.points = Memory.allocate(count);
            Memory.store(context.queried, index, queries.points);
            uint256 mask = (1 << (VerifyingKey.LOG_DOMAIN - VerifyingKey.FOLDING - index)) - 1;
            uint256 state;
            for (uint256 i; i < count; ++i) {
                if (i % 4 == 0) state = Transcript.advance(context);
                uint256 key = ((((state >> (192 - 64 * (i % 4))) & BabyBear4.LANE) % BabyBear4.P) & mask) << 8 | i;
                uint256 place = queries.sorted + 32 * i;
                uint256 first = queries.sorted;
                assembly ("memory-safe") {
                    for {} gt(place, first) {} {
                        let before := mload(sub(place, 0x20))
                        if lt(before, key) { break }
                        mstore(place, before)
                        place := sub(place, 0x20)
                    }
                    mstore(place, key)
                }
            }
            queries.powers = powersOfRoot();
            queries.cosetPowers = Memory.allocate(COSET / 2);
            uint256 power = 1;
            for (uint256 i; i < COSET / 2; ++i) {
                Memory.store(queries.cosetPowers, i, power);
                power = mulmod(power, VerifyingKey.FOLDING_ROOT_INVERSE, BabyBear4.P);
            }
            queries.values = Memory.allocate(COSET);
            queries.scratch = MerkleMultiproof.scratch();
            queries.pending = Memory.allocate(VerifyingKey.FOLDING + 1);
            queries.nodes = Memory.allocate(2 * count * context.commitmentCount);
        }
    }

    /// @dev For each window of bits its 2^WINDOW powers.
    function powersOfRoot() private pure returns (uint256 table) {
        unchecked {
            table = Memory.allocate(WINDOWS << WINDOW);
            uint256 root = VerifyingKey.DOMAIN_ROOT;
            for (uint256 window; window < WINDOWS; ++window) {
                uint256 power = 1;
                for (uint256 i; i < 1 << WINDOW; ++i) {
                    Memory.store(table, (window << WINDOW) + i, power);
                    power = mulmod(power, root, BabyBear4.P);
                }
                root = power;
            }
        }
    }

    /// @dev The domain's generator to a power modulo its order.
    function rootToThe(uint256 table, uint256 exponent) private pure returns (uint256 power) {
        unchecked {
            exponent &= (1 << VerifyingKey.LOG_DOMAIN) - 1;
            power = 1;
            for (uint256 window; window < WINDOWS; ++window) {
                power = mulmod(
                    power,
                    Memory.load(table, (window << WINDOW) + (exponent & ((1 << WINDOW) - 1))),
                    BabyBear4.P
                );
                exponent >>= WINDOW;
            }
        }
    }

    /// @dev The first round: rows of all commitments, in leaves in the order of positions, then siblings.
    function openRows(Context memory context, Round memory queries) private pure {
        unchecked {
            uint256 commitments = context.commitmentCount;
            uint256 length = 4 * COSET * context.totalWidth;
            uint256 row = Memory.allocate(context.totalWidth + 2);
            uint256 previous = type(uint256).max;
            uint256 point;
            uint256 value;
            for (uint256 i; i < queries.queries; ++i) {
                uint256 key = Memory.load(queries.sorted, i);
                uint256 position = key >> 8;
                if (position != previous) {
                    previous = position;
                    uint256 place = context.offset;
                    Transcript.requireCanonical(place, length);
                    for (uint256 j; j < COSET; ++j) {
                        Memory.store(queries.values, j, 0);
                    }
                    uint256 powers = context.batching;
                    for (uint256 j; j < commitments; ++j) {
                        uint256 width = Memory.load(context.widths, j);
                        uint256 hash = hashRows(queries, place, width, powers, row);
                        uint256 node = queries.nodes + 64 * (queries.queries * j + queries.leaves);
                        Memory.store(node, 0, position);
                        Memory.store(node, 1, hash);
                        place += 4 * COSET * width;
                        powers += 32 * width;
                    }
                    context.offset = place;
                    ++queries.leaves;
                    for (uint256 j; j < COSET; ++j) {
                        Memory.store(queries.values, j, Memory.load(queries.values, j).reduce());
                    }
                    (point, value) = foldAt(context, queries, position);
                }
                Memory.store(queries.points, key & 0xff, point);
                Memory.store(queries.folded, key & 0xff, value);
            }
            uint256 depth = VerifyingKey.LOG_DOMAIN - VerifyingKey.FOLDING;
            for (uint256 j; j < commitments; ++j) {
                (uint256 root, uint256 end) = MerkleMultiproof.rootOf(
                    queries.scratch, queries.nodes + 64 * queries.queries * j, queries.leaves, depth, context.offset
                );
                if (root != Memory.load(context.commitments, j)) revert WrongRoot(0, j);
                context.offset = end;
            }
        }
    }

    /// @dev The hash of a leaf's rows, which are added to the values, times the powers of mu.
    function hashRows(Round memory queries, uint256 place, uint256 width, uint256 powers, uint256 row)
        private
        pure
        returns (uint256 hash)
    {
        unchecked {
            uint256 length = 4 * width;
            for (uint256 j; j < COSET; ++j) {
                uint256 value = Memory.load(queries.values, j);
                assembly ("memory-safe") {
                    calldatacopy(row, place, length)
                    mstore8(add(row, length), 0)
                    hash := keccak256(row, add(length, 1))
                }
                // A value is below 2^60 before and after; four products below p^2 < 2^61.82 bring it to below 2^64.
                uint256 power = powers;
                uint256 end = place + length;
                assembly ("memory-safe") {
                    function folded(x) -> y {
                        y := add(
                            mul(and(shr(32, x), 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff), 0xffffffe),
                            and(x, 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff)
                        )
                    }
                    for {} gt(sub(end, place), 15) { place := add(place, 16) } {
                        let elements := calldataload(place)
                        value := add(value, mul(mload(power), shr(224, elements)))
                        value := add(value, mul(mload(add(power, 0x20)), and(shr(192, elements), 0xffffffff)))
                        value := add(value, mul(mload(add(power, 0x40)), and(shr(160, elements), 0xffffffff)))
                        value := folded(add(value, mul(mload(add(power, 0x60)), and(shr(128, elements), 0xffffffff))))
                        power := add(power, 0x80)
                    }
                    if sub(end, place) {
                        for {} lt(place, end) { place := add(place, 4) } {
                            value := add(value, mul(mload(power), shr(224, calldataload(place))))
                            power := add(power, 0x20)
                        }
                        value := folded(value)
                    }
                }
                Memory.store(queries.values, j, value);
                hash = climb(queries, j, hash);
            }
        }
    }

    /// @dev Joins the hash of part j of a leaf with those to its left of the same height. That of the last part is the leaf's.
    function climb(Round memory queries, uint256 j, uint256 hash) private pure returns (uint256) {
        unchecked {
            uint256 pending = queries.pending;
            uint256 scratch = queries.scratch;
            assembly ("memory-safe") {
                for {} and(j, 1) { j := shr(1, j) } {
                    mstore(scratch, mload(pending))
                    mstore(add(scratch, 0x20), hash)
                    hash := keccak256(scratch, 0x41)
                    pending := add(pending, 0x20)
                }
                mstore(pending, hash)
            }
            return hash;
        }
    }

    /// @dev The other rounds: values of one codeword.
    function openCodeword(Context memory context, Round memory queries, uint256 expected) private pure {
        unchecked {
            uint256 previous = type(uint256).max;
            uint256 point;
            uint256 value;
            uint256 index = queries.index;
            for (uint256 i; i < queries.queries; ++i) {
                uint256 key = Memory.load(queries.sorted, i);
                uint256 position = key >> 8;
                if (position != previous) {
                    previous = position;
                    uint256 place = context.offset;
                    Transcript.requireCanonical(place, 16 * COSET);
                    uint256 hash;
                    for (uint256 j; j < COSET; ++j) {
                        uint256 scratch = queries.scratch;
                        uint256 word;
                        assembly ("memory-safe") {
                            // Sixteen bytes and the tag, which is zero.
                            word := shr(128, calldataload(place))
                            mstore(scratch, shl(128, word))
                            hash := keccak256(scratch, 17)
                        }
                        Memory.store(queries.values, j, BabyBear4.fromWord(word));
                        hash = climb(queries, j, hash);
                        place += 16;
                    }
                    uint256 node = queries.nodes + 64 * queries.leaves++;
                    Memory.store(node, 0, position);
                    Memory.store(node, 1, hash);
                    context.offset = place;
                    (point, value) = foldAt(context, queries, position);
                }
                Memory.store(queries.points, key & 0xff, point);
                Memory.store(queries.folded, key & 0xff, value);
            }
            uint256 depth = VerifyingKey.LOG_DOMAIN - VerifyingKey.FOLDING - index;
            (uint256 root, uint256 end) =
                MerkleMultiproof.rootOf(queries.scratch, queries.nodes, queries.leaves, depth, context.offset);
            if (root != expected) revert WrongRoot(index, 0);
            context.offset = end;
        }
    }

    /// @dev Folds the values on the coset of a position by the round's challenges: with x the coset's first point and w its
    /// generator, h'(x^2) = (h(x) + h(-x) + (h(x) - h(-x)) alpha / x) / 2, FOLDING times. All divisions by 2 come last.
    /// @return point x^(2^FOLDING), where the folded word has the value.
    function foldAt(Context memory context, Round memory queries, uint256 position)
        private
        pure
        returns (uint256 point, uint256 value)
    {
        unchecked {
            uint256 exponent = position << queries.index;
            point = rootToThe(queries.powers, exponent << VerifyingKey.FOLDING);
            uint256 inverse = rootToThe(queries.powers, (1 << VerifyingKey.LOG_DOMAIN) - exponent);
            uint256 values = queries.values;
            uint256 alphas = context.alphas + 32 * VerifyingKey.FOLDING * queries.index;
            uint256 half = COSET / 2;
            uint256 stride = 1;
            // Lanes of values are at most (2 stride - 1) p: p at first, then twice that and p more.
            uint256 bound = P_LANES;
            for (uint256 level; level < VerifyingKey.FOLDING; ++level) {
                uint256 alpha = Memory.load(alphas, level);
                for (uint256 i; i < half; ++i) {
                    uint256 factor =
                        alpha.scale(mulmod(inverse, Memory.load(queries.cosetPowers, i * stride), BabyBear4.P));
                    uint256 low = Memory.load(values, i);
                    uint256 high = Memory.load(values, i + half);
                    Memory.store(values, i, (low + bound - high).mul(factor) + low + high);
                }
                inverse = mulmod(inverse, inverse, BabyBear4.P);
                half >>= 1;
                stride <<= 1;
                bound = 2 * bound + P_LANES;
            }
            value = Memory.load(values, 0).reduce().scale(VerifyingKey.FOLDING_INVERSE);
        }
    }

    /// @notice Checks the claim that all rounds left against the last polynomial, at an offset of the calldata.
    function finish(Context memory context, uint256 last) internal pure {
        unchecked {
            uint256 size = 1 << VerifyingKey.LOG_FINAL;
            uint256 rounds = VerifyingKey.ROUNDS;
            uint256 coefficients = Memory.allocate(size);
            for (uint256 i; i < size; ++i) {
                Memory.store(coefficients, i, BabyBear4.load(last + 16 * i));
            }
            uint256 kernels = roundKernels(context);
            uint256 sum = openingKernel(context, coefficients);
            for (uint256 i; i < rounds; ++i) {
                uint256 inner;
                (uint256 low, uint256 high) = Memory.load(context.gammas, i).split();
                uint256 points = Memory.load(context.queried, i);
                for (uint256 query = uint8(VerifyingKey.QUERIES[i]); query-- > 0;) {
                    uint256 x = Memory.load(points, query);
                    uint256 kernel = 1;
                    for (uint256 later = i + 1; later < rounds; ++later) {
                        kernel = evaluate(kernels + 32 * COSET * later, COSET, x).mul(kernel);
                        x = BabyBear4.power2(x, VerifyingKey.FOLDING);
                    }
                    inner = (evaluate(coefficients, size, x).mul(kernel) + inner).mulSplit(low, high);
                }
                if (i + 1 < rounds) {
                    uint256 x = Memory.load(context.outside, i);
                    uint256 kernel = 1;
                    for (uint256 j = VerifyingKey.FOLDING * (i + 1); j < VerifyingKey.FOLDING * rounds; ++j) {
                        kernel = Polynomials.equal(Memory.load(context.alphas, j), x).mul(kernel);
                        x = x.mul(x);
                    }
                    inner += Polynomials.horner(last, size, x).mul(kernel);
                }
                sum += inner.mulSplit(low, high);
            }
            if (sum.reduce() != context.claim) revert WrongLastPolynomial();
        }
    }

    /// @dev For each round but the first the coefficients of the product of 1 - alpha_k + (2 alpha_k - 1) x^(2^k) over its
    /// challenges: the equality kernel of these and the powers x, x^2, x^4, ... as a polynomial in x.
    function roundKernels(Context memory context) private pure returns (uint256 kernels) {
        unchecked {
            kernels = Memory.allocate(COSET * VerifyingKey.ROUNDS);
            for (uint256 i = 1; i < VerifyingKey.ROUNDS; ++i) {
                uint256 kernel = kernels + 32 * COSET * i;
                Memory.store(kernel, 0, 1);
                for (uint256 k; k < VerifyingKey.FOLDING; ++k) {
                    uint256 alpha = Memory.load(context.alphas, VerifyingKey.FOLDING * i + k);
                    for (uint256 j; j < 1 << k; ++j) {
                        uint256 both = Memory.load(kernel, j);
                        uint256 product = both.mul(alpha);
                        Memory.store(kernel, (1 << k) + j, (2 * product + P_LANES - both).reduce());
                        Memory.store(kernel, j, (both + P_LANES - product).reduce());
                    }
                }
            }
        }
    }

    /// @dev The share of the opening itself: with c the last polynomial's coefficients, the multilinear polynomial of values
    /// c at the last coordinates of the point, times the product of 1 - alpha - 2 u + 3 u alpha over the others. The point
    /// is u_0, u_0^2, u_0^4, ..., u_1, u_2, ....
    function openingKernel(Context memory context, uint256 coefficients) private pure returns (uint256 kernel) {
        unchecked {
            uint256 count = VerifyingKey.SKIP + VerifyingKey.N_STACK;
            uint256 point = Memory.allocate(count);
            uint256 x = Memory.load(context.u, 0);
            for (uint256 i; i < VerifyingKey.SKIP; ++i) {
                Memory.store(point, i, x);
                x = x.mul(x);
            }
            for (uint256 i; i < VerifyingKey.N_STACK; ++i) {
                Memory.store(point, VerifyingKey.SKIP + i, Memory.load(context.u, i + 1));
            }
            kernel = 1;
            uint256 folded = VerifyingKey.ROUNDS * VerifyingKey.FOLDING;
            for (uint256 i; i < folded; ++i) {
                uint256 alpha = Memory.load(context.alphas, i);
                uint256 u = Memory.load(point, i);
                kernel = (3 * u.mul(alpha) + 3 * P_LANES + 1 - alpha - 2 * u).mul(kernel);
            }
            uint256 values = Memory.allocate(1 << VerifyingKey.LOG_FINAL);
            for (uint256 i; i < 1 << VerifyingKey.LOG_FINAL; ++i) {
                Memory.store(values, i, Memory.load(coefficients, i));
            }
            uint256 half = 1 << VerifyingKey.LOG_FINAL;
            for (uint256 i = count; i-- > folded;) {
                half >>= 1;
                x = Memory.load(point, i);
                for (uint256 j; j < half; ++j) {
                    uint256 low = Memory.load(values, j);
                    uint256 high = Memory.load(values, j + half);
                    Memory.store(values, j, ((high + P_LANES - low).mul(x) + low).reduce());
                }
            }
            kernel = kernel.mul(Memory.load(values, 0));
        }
    }

    /// @dev The polynomial with coefficients in memory at a point of the base field, reduced. `count` is a multiple of four.
    function evaluate(uint256 coefficients, uint256 count, uint256 x) private pure returns (uint256 sum) {
        uint256 prime = BabyBear4.P;
        uint256 low32 = BabyBear4.LOW_32;
        assembly ("memory-safe") {
            let power := 1
            let square := mulmod(x, x, prime)
            let cube := mulmod(square, x, prime)
            let fourth := mulmod(square, square, prime)
            // Four products with powers are below 4 p^2 < 2^63.82. The sum before is below 2^60.
            for { let end := add(coefficients, shl(5, count)) } lt(coefficients, end) {
                coefficients := add(coefficients, 0x80)
            } {
                sum := add(sum, mul(mload(coefficients), power))
                sum := add(sum, mul(mload(add(coefficients, 0x20)), mulmod(power, x, prime)))
                sum := add(sum, mul(mload(add(coefficients, 0x40)), mulmod(power, square, prime)))
                sum := add(sum, mul(mload(add(coefficients, 0x60)), mulmod(power, cube, prime)))
                sum := add(mul(and(shr(32, sum), low32), 0xffffffe), and(sum, low32))
                power := mulmod(power, fourth, prime)
            }
        }
        return BabyBear4.reduce(sum);
    }
}
