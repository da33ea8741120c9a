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

    /// @dev What is needed within one round. Lists are pointers.
    struct Round {
        uint256 index;
        /// Words that outlive the round (OpeningState.sol).
        uint256 state;
        /// Commitments and widths of the first round, and how many there are; powers of mu, one for each column.
        uint256 commitments;
        uint256 widths;
        uint256 commitmentCount;
        uint256 totalWidth;
        uint256 batching;
        /// Queries, and positions ascending, each as position * 256 + query.
        uint256 queries;
        uint256 sorted;
        /// Powers of the domain's generator and of the coset's inverted one.
        uint256 powers;
        uint256 cosetPowers;
        /// The coset's values of one leaf.
        uint256 values;
        /// Nodes of each commitment's tree, and how many leaves each has.
        uint256 nodes;
        uint256 leaves;
        /// Scratch for hashing rows, for hashing pairs, and hashes of a leaf's parts.
        uint256 row;
        uint256 scratch;
        uint256 hashes;
        /// By query: the point and the folded value there. Those of the leaf that was opened last.
        uint256 points;
        uint256 folded;
        uint256 point;
        uint256 value;
    }

    /// @notice One round: the first opens rows of all commitments, the last checks the last polynomial.
    function verify(Context memory context, uint256 state, uint256 index) internal pure {
        unchecked {
            Round memory round;
            round.index = index;
            round.state = state;
            if (index == 0) begin(round);
            readSumcheck(context, round);
            uint256 root = Memory.load(state, OpeningState.ROOT);
            uint256 outside;
            uint256 last;
            if (index + 1 == VerifyingKey.ROUNDS) {
                last = Transcript.observe(context, 16 << VerifyingKey.LOG_FINAL);
            } else {
                uint256 place = Transcript.observeBytes(context, 32);
                assembly ("memory-safe") {
                    place := calldataload(place)
                }
                Memory.store(state, OpeningState.ROOT, place);
                Memory.store(state, OpeningState.OUTSIDE + index, Transcript.sample(context));
                outside = BabyBear4.load(Transcript.observe(context, 16));
            }
            Transcript.requireWork(context, VerifyingKey.QUERY_WORK);
            prepare(context, round);
            open(context, round);
            if (index == 0) {
                requireRoots(context, round);
            } else {
                requireRoot(context, round, 0, root);
            }
            closeRound(context, round, outside);
            if (last != 0) finish(state, last);
            Memory.store(state, OpeningState.ROUND, index + 1);
        }
    }

    /// @dev What is needed to open rows of all commitments: these, and the powers of mu.
    function begin(Round memory round) private pure {
        unchecked {
            uint256 list = round.state + 32 * OpeningState.VARIABLE;
            uint256 count = Memory.load(list, 1);
            round.commitmentCount = count;
            round.commitments = list + 64;
            round.widths = list + 64 + 32 * count;
            uint256 width;
            for (uint256 i; i < count; ++i) {
                width += Memory.load(round.widths, i);
            }
            round.totalWidth = width;
            round.batching = Memory.allocate(width);
            (uint256 low, uint256 high) = Memory.load(list, 0).split();
            uint256 power = 1;
            for (uint256 i; i < width; ++i) {
                Memory.store(round.batching, i, power);
                power = power.mulSplit(low, high);
            }
        }
    }

    function readSumcheck(Context memory context, Round memory round) private pure {
        unchecked {
            uint256 claim = Memory.load(round.state, OpeningState.CLAIM);
            uint256 alphas = OpeningState.ALPHAS + VerifyingKey.FOLDING * round.index;
            for (uint256 i; i < VerifyingKey.FOLDING; ++i) {
                uint256 place = Transcript.observe(context, 32);
                Transcript.requireWork(context, VerifyingKey.FOLDING_WORK);
                uint256 alpha = Transcript.sample(context);
                Memory.store(round.state, alphas + i, alpha);
                claim = Polynomials.quadratic(claim, BabyBear4.load(place), BabyBear4.load(place + 16), alpha);
            }
            Memory.store(round.state, OpeningState.CLAIM, claim);
        }
    }

    /// @dev Queries of a round, and of all rounds before it.
    function queriesOf(uint256 index) private pure returns (uint256 count, uint256 before) {
        unchecked {
            bytes memory queries = VerifyingKey.QUERIES;
            for (uint256 i; i < index; ++i) {
                before += uint8(queries[i]);
            }
            count = uint8(queries[index]);
        }
    }

    /// @dev Draws the queries and sorts them.
    function prepare(Context memory context, Round memory round) private pure {
        unchecked {
            (uint256 count, uint256 before) = queriesOf(round.index);
            round.queries = count;
            round.points = round.state + 32 * (OpeningState.POINTS + before);
            uint256 first = Memory.allocate(count);
            round.sorted = first;
            round.folded = Memory.allocate(count);
            uint256 mask = (1 << (VerifyingKey.LOG_DOMAIN - VerifyingKey.FOLDING - round.index)) - 1;
            uint256 drawn;
            for (uint256 i; i < count; ++i) {
                // One hash gives four numbers of eight bytes, of which the low bits modulo p are a position.
                if (i % 4 == 0) drawn = Transcript.advance(context);
                uint256 key = ((drawn >> 192) % BabyBear4.P & mask) << 8 | i;
                drawn <<= 64;
                uint256 place = first + 32 * i;
                assembly ("memory-safe") {
                    for {} gt(place, first) {} {
                        let smaller := mload(sub(place, 0x20))
                        if lt(smaller, key) { break }
                        mstore(place, smaller)
                        place := sub(place, 0x20)
                    }
                    mstore(place, key)
                }
            }
            round.powers = powersOfRoot();
            round.cosetPowers = Memory.allocate(COSET / 2);
            uint256 power = 1;
            for (uint256 i; i < COSET / 2; ++i) {
                Memory.store(round.cosetPowers, i, power);
                power = mulmod(power, VerifyingKey.FOLDING_ROOT_INVERSE, BabyBear4.P);
            }
            round.values = Memory.allocate(COSET);
            round.row = Memory.allocate(round.totalWidth / 8 + 2);
            round.scratch = MerkleMultiproof.scratch();
            round.hashes = Memory.allocate(COSET);
            round.nodes = Memory.allocate(2 * count * (round.index == 0 ? round.commitmentCount : 1));
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

    /// @dev Opens each position once, in ascending order. All queries of one position have the same value.
    function open(Context memory context, Round memory round) private pure {
        unchecked {
            uint256 previous = type(uint256).max;
            for (uint256 i; i < round.queries; ++i) {
                uint256 key = Memory.load(round.sorted, i);
                uint256 position = key >> 8;
                if (position != previous) {
                    previous = position;
                    if (round.index == 0) {
                        openRows(context, round, position);
                    } else {
                        openValues(context, round, position);
                    }
                    ++round.leaves;
                    foldAt(round, position);
                }
                Memory.store(round.points, key & 0xff, round.point);
                Memory.store(round.folded, key & 0xff, round.value);
            }
        }
    }

    /// @dev A leaf of the first round: rows of all commitments.
    function openRows(Context memory context, Round memory round, uint256 position) private pure {
        unchecked {
            uint256 place = context.offset;
            Transcript.requireCanonical(place, 4 * COSET * round.totalWidth);
            for (uint256 i; i < COSET; ++i) {
                Memory.store(round.values, i, 0);
            }
            uint256 powers = round.batching;
            uint256 node = round.nodes + 64 * round.leaves;
            for (uint256 i; i < round.commitmentCount; ++i) {
                uint256 width = Memory.load(round.widths, i);
                Memory.store(node, 0, position);
                Memory.store(node, 1, hashRows(round, place, width, powers));
                node += 64 * round.queries;
                place += 4 * COSET * width;
                powers += 32 * width;
            }
            context.offset = place;
            for (uint256 i; i < COSET; ++i) {
                Memory.store(round.values, i, Memory.load(round.values, i).reduce());
            }
        }
    }

    function requireRoots(Context memory context, Round memory round) private pure {
        unchecked {
            for (uint256 i; i < round.commitmentCount; ++i) {
                requireRoot(context, round, i, Memory.load(round.commitments, i));
            }
        }
    }

    function requireRoot(Context memory context, Round memory round, uint256 commitment, uint256 expected) private pure {
        unchecked {
            (uint256 root, uint256 end) = MerkleMultiproof.rootOf(
                round.scratch,
                round.nodes + 64 * round.queries * commitment,
                round.leaves,
                VerifyingKey.LOG_DOMAIN - VerifyingKey.FOLDING - round.index,
                context.offset
            );
            if (root != expected) revert WrongRoot(round.index, commitment);
            context.offset = end;
        }
    }

    /// @dev The hash of a leaf's rows, which are added to the values, times the powers of mu.
    function hashRows(Round memory round, uint256 place, uint256 width, uint256 powers) private pure returns (uint256) {
        uint256 length = 4 * width;
        uint256 row = round.row;
        uint256 values = round.values;
        uint256 hashes = round.hashes;
        uint256 low32 = BabyBear4.LOW_32;
        uint256 end = values + 32 * COSET;
        assembly ("memory-safe") {
            // The tag of a row, behind it.
            mstore8(add(row, length), 0)
            for {} lt(values, end) { values := add(values, 0x20) } {
                calldatacopy(row, place, length)
                mstore(hashes, keccak256(row, add(length, 1)))
                hashes := add(hashes, 0x20)
                place := add(place, length)
                // x = 2^32 h + l is congruent to h (2^32 modulo p) + l, below 2^32 2^28: so a value is at most that before
                // four products, each below p^2 < 2^61.82, which bring it to below 2^64, and after.
                let value := mload(values)
                let power := powers
                let left := width
                for { let elements := row } left {} {
                    let word := mload(elements)
                    elements := add(elements, 0x10)
                    value := add(value, mul(mload(power), shr(224, word)))
                    if gt(left, 1) {
                        value := add(value, mul(mload(add(power, 0x20)), and(shr(192, word), 0xffffffff)))
                        if gt(left, 2) {
                            value := add(value, mul(mload(add(power, 0x40)), and(shr(160, word), 0xffffffff)))
                        }
                    }
                    switch gt(left, 3)
                    case 0 { left := 0 }
                    default {
                        value := add(value, mul(mload(add(power, 0x60)), and(shr(128, word), 0xffffffff)))
                        power := add(power, 0x80)
                        left := sub(left, 4)
                    }
                    value := add(mul(and(shr(32, value), low32), 0xffffffe), and(value, low32))
                }
                mstore(values, value)
            }
        }
        return joinParts(round);
    }

    /// @dev The root over the hashes of a leaf's parts, which are overwritten.
    function joinParts(Round memory round) private pure returns (uint256 root) {
        uint256 hashes = round.hashes;
        uint256 scratch = round.scratch;
        uint256 parts = COSET;
        assembly ("memory-safe") {
            for { let size := shl(5, parts) } gt(size, 32) { size := shr(1, size) } {
                let target := hashes
                for { let source := hashes } lt(source, add(hashes, size)) { source := add(source, 0x40) } {
                    mcopy(scratch, source, 0x40)
                    mstore(target, keccak256(scratch, 0x41))
                    target := add(target, 0x20)
                }
            }
            root := mload(hashes)
        }
    }

    /// @dev A leaf of another round: values of one codeword.
    function openValues(Context memory context, Round memory round, uint256 position) private pure {
        unchecked {
            uint256 place = context.offset;
            Transcript.requireCanonical(place, 16 * COSET);
            for (uint256 i; i < COSET; ++i) {
                uint256 row = round.row;
                uint256 word;
                uint256 hash;
                assembly ("memory-safe") {
                    // Sixteen bytes and the tag, which is zero.
                    word := shr(128, calldataload(place))
                    mstore(row, shl(128, word))
                    hash := keccak256(row, 17)
                }
                Memory.store(round.values, i, BabyBear4.fromWord(word));
                Memory.store(round.hashes, i, hash);
                place += 16;
            }
            uint256 node = round.nodes + 64 * round.leaves;
            Memory.store(node, 0, position);
            Memory.store(node, 1, joinParts(round));
            context.offset = place;
        }
    }

    /// @dev Folds the values on the coset of a position by the round's challenges: with x the coset's first point and w its
    /// generator, h'(x^2) = (h(x) + h(-x) + (h(x) - h(-x)) alpha / x) / 2, FOLDING times. All divisions by 2 come last.
    /// The point is x^(2^FOLDING).
    function foldAt(Round memory round, uint256 position) private pure {
        unchecked {
            uint256 exponent = position << round.index;
            round.point = rootToThe(round.powers, exponent << VerifyingKey.FOLDING);
            uint256 inverse = rootToThe(round.powers, (1 << VerifyingKey.LOG_DOMAIN) - exponent);
            uint256 values = round.values;
            uint256 alphas = round.state + 32 * (OpeningState.ALPHAS + VerifyingKey.FOLDING * round.index);
            uint256 half = 32 * (COSET / 2);
            uint256 stride = 32;
            // Lanes of values are at most p at first, then at each level twice as much and p more: loose at the end as well.
            uint256 bound = P_LANES;
            for (uint256 level; level < VerifyingKey.FOLDING; ++level) {
                foldLevel(values, half, round.cosetPowers, stride, Memory.load(alphas, level), inverse, bound);
                inverse = mulmod(inverse, inverse, BabyBear4.P);
                half >>= 1;
                stride <<= 1;
                bound = 2 * bound + P_LANES;
            }
            round.value = Memory.load(values, 0).reduce().scale(VerifyingKey.FOLDING_INVERSE);
        }
    }

    /// @dev One level of `foldAt` on values of which each half has `half` bytes. The arithmetic is BabyBear4's `scale` and
    /// `mul`, written out because most of a verification's multiplications are here.
    function foldLevel(
        uint256 values,
        uint256 half,
        uint256 powers,
        uint256 stride,
        uint256 alpha,
        uint256 inverse,
        uint256 bound
    ) private pure {
        uint256 prime = BabyBear4.P;
        uint256 lane = BabyBear4.LANE;
        uint256 low16 = BabyBear4.LOW_16;
        uint256 low43 = BabyBear4.LOW_43;
        uint256 low21 = BabyBear4.LOW_21;
        assembly ("memory-safe") {
            for { let end := add(values, half) } lt(values, end) { values := add(values, 0x20) } {
                // alpha / x for this pair of points.
                let factor := mul(alpha, mulmod(inverse, mload(powers), prime))
                factor := or(
                    or(mod(and(factor, lane), prime), shl(64, mod(and(shr(64, factor), lane), prime))),
                    or(shl(128, mod(and(shr(128, factor), lane), prime)), shl(192, mod(shr(192, factor), prime)))
                )
                powers := add(powers, stride)
                let low := mload(values)
                let high := mload(add(values, half))
                let difference := sub(add(low, bound), high)
                let product := mulmod(difference, and(shr(16, factor), low16), not(10))
                product := add(
                    mulmod(difference, and(factor, low16), not(10)),
                    shl(16, add(mul(and(shr(43, product), low21), 0x7ffeeef), and(product, low43)))
                )
                product := or(
                    or(mod(and(product, lane), prime), shl(64, mod(and(shr(64, product), lane), prime))),
                    or(shl(128, mod(and(shr(128, product), lane), prime)), shl(192, mod(shr(192, product), prime)))
                )
                mstore(values, add(add(low, high), product))
            }
        }
    }

    /// @dev Adds the claims about the new word to the running one, by powers of gamma.
    function closeRound(Context memory context, Round memory round, uint256 outside) private pure {
        unchecked {
            uint256 gamma = Transcript.sample(context);
            Memory.store(round.state, OpeningState.GAMMAS + round.index, gamma);
            uint256 sum;
            (uint256 low, uint256 high) = gamma.split();
            for (uint256 i = round.queries; i-- > 0;) {
                sum = (sum + Memory.load(round.folded, i)).mulSplit(low, high);
            }
            sum = (sum + outside).mulSplit(low, high) + Memory.load(round.state, OpeningState.CLAIM);
            Memory.store(round.state, OpeningState.CLAIM, sum.reduce());
        }
    }

    /// @dev Checks the claim that all rounds left against the last polynomial, at an offset of the calldata.
    function finish(uint256 state, uint256 last) private pure {
        unchecked {
            uint256 size = 1 << VerifyingKey.LOG_FINAL;
            uint256 rounds = VerifyingKey.ROUNDS;
            uint256 coefficients = Memory.allocate(size);
            for (uint256 i; i < size; ++i) {
                Memory.store(coefficients, i, BabyBear4.load(last + 16 * i));
            }
            uint256 kernels = roundKernels(state);
            uint256 sum = openingKernel(state, coefficients);
            for (uint256 i; i < rounds; ++i) {
                uint256 inner;
                (uint256 low, uint256 high) = Memory.load(state, OpeningState.GAMMAS + i).split();
                (uint256 query, uint256 before) = queriesOf(i);
                uint256 points = state + 32 * (OpeningState.POINTS + before);
                while (query-- > 0) {
                    uint256 x = Memory.load(points, query);
                    uint256 kernel = 1;
                    for (uint256 later = i + 1; later < rounds; ++later) {
                        kernel = evaluate(kernels + 32 * COSET * later, COSET, x).mul(kernel);
                        x = BabyBear4.power2(x, VerifyingKey.FOLDING);
                    }
                    inner = (evaluate(coefficients, size, x).mul(kernel) + inner).mulSplit(low, high);
                }
                if (i + 1 < rounds) {
                    uint256 x = Memory.load(state, OpeningState.OUTSIDE + i);
                    uint256 kernel = 1;
                    for (uint256 j = VerifyingKey.FOLDING * (i + 1); j < VerifyingKey.FOLDING * rounds; ++j) {
                        kernel = Polynomials.equal(Memory.load(state, OpeningState.ALPHAS + j), x).mul(kernel);
                        x = x.mul(x);
                    }
                    inner += Polynomials.horner(last, size, x).mul(kernel);
                }
                sum += inner.mulSplit(low, high);
            }
            if (sum.reduce() != Memory.load(state, OpeningState.CLAIM)) revert WrongLastPolynomial();
        }
    }

    /// @dev For each round but the first the coefficients of the product of 1 - alpha_k + (2 alpha_k - 1) x^(2^k) over its
    /// challenges: the equality kernel of these and the powers x, x^2, x^4, ... as a polynomial in x.
    function roundKernels(uint256 state) private pure returns (uint256 kernels) {
        unchecked {
            kernels = Memory.allocate(COSET * VerifyingKey.ROUNDS);
            for (uint256 i = 1; i < VerifyingKey.ROUNDS; ++i) {
                uint256 kernel = kernels + 32 * COSET * i;
                Memory.store(kernel, 0, 1);
                for (uint256 k; k < VerifyingKey.FOLDING; ++k) {
                    uint256 alpha = Memory.load(state, OpeningState.ALPHAS + VerifyingKey.FOLDING * i + k);
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
    function openingKernel(uint256 state, uint256 coefficients) private pure returns (uint256 kernel) {
        unchecked {
            uint256 count = VerifyingKey.SKIP + VerifyingKey.N_STACK;
            uint256 point = Memory.allocate(count);
            uint256 x = Memory.load(state, OpeningState.U);
            for (uint256 i; i < VerifyingKey.SKIP; ++i) {
                Memory.store(point, i, x);
                x = x.mul(x);
            }
            for (uint256 i; i < VerifyingKey.N_STACK; ++i) {
                Memory.store(point, VerifyingKey.SKIP + i, Memory.load(state, OpeningState.U + i + 1));
            }
            kernel = 1;
            uint256 folded = VerifyingKey.ROUNDS * VerifyingKey.FOLDING;
            for (uint256 i; i < folded; ++i) {
                uint256 alpha = Memory.load(state, OpeningState.ALPHAS + i);
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
            // Four products are below 4 p^2; with a sum that was folded as in `hashRows` they are below 2^64.
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
