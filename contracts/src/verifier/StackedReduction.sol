// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BabyBear4} from "./BabyBear4.sol";
import {Context, Memory} from "./Context.sol";
import {EqualityTree, EqualityTrees} from "./EqualityTree.sol";
import {VerifyingKey} from "./generated/VerifyingKey.sol";
import {Polynomials} from "./Polynomials.sol";
import {Trace} from "./ProofShape.sol";
import {Transcript} from "./Transcript.sol";

/// @title From openings of columns to openings of the columns in which they are stacked
/// (openvm-stark-backend, stacked_reduction.rs).
library StackedReduction {
    using BabyBear4 for uint256;
    using Trace for uint256;
    using EqualityTrees for EqualityTree;

    error WrongOpeningSum();
    error WrongStackedSum();

    uint256 private constant P_LANES = BabyBear4.P_LANES;
    uint256 private constant ROWS = 1 << VerifyingKey.N_STACK;

    /// @dev A walk over all columns, in the order in which they are stacked.
    struct Walk {
        uint256 lambda;
        /// Powers of lambda^2, in halves, from the next column's on.
        uint256 powers;
        uint256 openings;
        EqualityTree tree;
        /// Height and rotation of the kernel that is known, and the kernel.
        uint256 shape;
        uint256 kernel;
    }

    /// @notice Reads the sumcheck and the stacked openings and checks one against the other.
    function verify(Context memory context) internal pure {
        unchecked {
            Walk memory walk;
            walk.lambda = Transcript.sample(context);
            uint256 powers = storePowers(walk.lambda.mul(walk.lambda), columnsOf(context));
            walk.powers = powers;
            walk.openings = context.commonOpenings;
            uint256 claim = sumOpenings(context, walk);

            uint256 count = 2 * ((1 << VerifyingKey.SKIP) - 1) + 1;
            uint256 place = Transcript.observe(context, 16 * count);
            if (Polynomials.sumOverSkip(place, count) != claim) revert WrongOpeningSum();
            uint256 u = Memory.allocate(VerifyingKey.N_STACK + 1);
            context.u = u;
            uint256 x = Transcript.sample(context);
            Memory.store(u, 0, x);
            claim = Polynomials.horner(place, count, x);
            for (uint256 i = 1; i <= VerifyingKey.N_STACK; ++i) {
                place = Transcript.observe(context, 32);
                x = Transcript.sample(context);
                Memory.store(u, i, x);
                claim = Polynomials.quadratic(claim, BabyBear4.load(place), BabyBear4.load(place + 16), x);
            }

            context.stackedOpenings = Transcript.observe(context, 16 * context.totalWidth);
            walk.powers = powers;
            walk.tree = EqualityTrees.create(VerifyingKey.N_STACK, u + 32);
            walk.shape = type(uint256).max;
            if (sumStacked(context, walk) != claim) revert WrongStackedSum();
        }
    }

    /// @notice Batches the stacked openings into one claim, by powers of a challenge.
    function batch(Context memory context) internal pure {
        unchecked {
            Transcript.requireWork(context, VerifyingKey.BATCHING_WORK);
            context.mu = Transcript.sample(context);
            context.claim = Polynomials.horner(context.stackedOpenings, context.totalWidth, context.mu);
        }
    }

    function columnsOf(Context memory context) private pure returns (uint256 columns) {
        unchecked {
            for (uint256 i; i < context.traceCount; ++i) {
                uint256 trace = Memory.load(context.traces, i);
                columns += trace.commonWidth();
                for (uint256 part; part < trace.otherParts(); ++part) {
                    columns += trace.otherWidth(part);
                }
            }
        }
    }

    function storePowers(uint256 x, uint256 count) private pure returns (uint256 target) {
        unchecked {
            target = Memory.allocate(2 * count);
            (uint256 low, uint256 high) = x.split();
            uint256 power = 1;
            for (uint256 place = target; count > 0; --count) {
                (uint256 powerLow, uint256 powerHigh) = power.split();
                Memory.store(place, 0, powerLow);
                Memory.store(place, 1, powerHigh);
                place += 64;
                power = power.mulSplit(low, high);
            }
        }
    }

    /// @dev The sum of opening_i lambda^(2i) + rotation_i lambda^(2i + 1).
    function sumOpenings(Context memory context, Walk memory walk) private pure returns (uint256 sum) {
        unchecked {
            for (uint256 i; i < context.traceCount; ++i) {
                uint256 trace = Memory.load(context.traces, i);
                sum += sumPart(walk, trace.commonWidth(), trace.isRotated());
            }
            for (uint256 i; i < context.traceCount; ++i) {
                uint256 trace = Memory.load(context.traces, i);
                for (uint256 part; part < trace.otherParts(); ++part) {
                    sum += sumPart(walk, trace.otherWidth(part), trace.isRotated());
                }
            }
            return sum.reduce();
        }
    }

    /// @dev Widths are at most 1,000 (checked when the verifying key was generated), so that the openings' lanes add up to
    /// less than 1,000 p < 2^41 as `finish` asks for.
    function sumPart(Walk memory walk, uint256 width, bool rotated) private pure returns (uint256 sum) {
        unchecked {
            uint256 powers = walk.powers;
            uint256 openings = walk.openings;
            uint256 low;
            uint256 high;
            if (rotated) {
                uint256 rotatedLow;
                uint256 rotatedHigh;
                assembly ("memory-safe") {
                    for { let end := add(powers, shl(6, width)) } lt(powers, end) { powers := add(powers, 0x40) } {
                        let powerLow := mload(powers)
                        let powerHigh := mload(add(powers, 0x20))
                        let opening := mload(openings)
                        low := add(low, mulmod(opening, powerLow, not(10)))
                        high := add(high, mulmod(opening, powerHigh, not(10)))
                        opening := mload(add(openings, 0x20))
                        rotatedLow := add(rotatedLow, mulmod(opening, powerLow, not(10)))
                        rotatedHigh := add(rotatedHigh, mulmod(opening, powerHigh, not(10)))
                        openings := add(openings, 0x40)
                    }
                }
                sum = BabyBear4.finish(rotatedLow, rotatedHigh).mul(walk.lambda);
            } else {
                assembly ("memory-safe") {
                    for { let end := add(powers, shl(6, width)) } lt(powers, end) { powers := add(powers, 0x40) } {
                        let opening := mload(openings)
                        low := add(low, mulmod(opening, mload(powers), not(10)))
                        high := add(high, mulmod(opening, mload(add(powers, 0x20)), not(10)))
                        openings := add(openings, 0x20)
                    }
                }
            }
            walk.powers = powers;
            walk.openings = openings;
            sum += BabyBear4.finish(low, high);
        }
    }

    /// @dev The sum over stacked columns of opening times the sum over the columns within of lambda^(2i) times the kernel
    /// of the place where the column starts times that of the column's own points.
    function sumStacked(Context memory context, Walk memory walk) private pure returns (uint256 sum) {
        unchecked {
            uint256 place = context.stackedOpenings;
            uint256 row;
            uint256 coefficient;
            for (uint256 i; i < context.traceCount; ++i) {
                uint256 trace = Memory.load(context.traces, i);
                (uint256 part, uint256 newRow, uint256 newCoefficient, uint256 newPlace) =
                    stackPart(context, walk, trace, trace.commonWidth(), row, coefficient, place);
                (row, coefficient, place) = (newRow, newCoefficient, newPlace);
                sum += part;
            }
            if (row != 0) (sum, place) = (sum + coefficient.reduce().mul(BabyBear4.load(place)), place + 16);
            for (uint256 i; i < context.traceCount; ++i) {
                uint256 trace = Memory.load(context.traces, i);
                for (uint256 j; j < trace.otherParts(); ++j) {
                    walk.tree.restart();
                    (uint256 part, uint256 endRow, uint256 endCoefficient, uint256 newPlace) =
                        stackPart(context, walk, trace, trace.otherWidth(j), 0, 0, place);
                    place = newPlace;
                    sum += part;
                    if (endRow != 0) (sum, place) = (sum + endCoefficient.reduce().mul(BabyBear4.load(place)), place + 16);
                }
            }
            return sum.reduce();
        }
    }

    /// @dev Adds `width` columns of a trace from `row` on of the stacked column whose opening is at `place`.
    /// @return sum What stacked columns contribute that were filled.
    function stackPart(
        Context memory context,
        Walk memory walk,
        uint256 trace,
        uint256 width,
        uint256 row,
        uint256 coefficient,
        uint256 place
    ) private pure returns (uint256 sum, uint256, uint256, uint256) {
        unchecked {
            if (width == 0) return (0, row, coefficient, place);
            uint256 kernel = kernelOf(context, walk, trace);
            uint256 variables = trace.variables();
            uint256 powers = walk.powers;
            uint256 low;
            uint256 high;
            uint256 bound;
            for (; width > 0; --width) {
                uint256 equal = walk.tree.productAt(row, variables);
                (uint256 powerLow, uint256 powerHigh) = (Memory.load(powers, 0), Memory.load(powers, 1));
                powers += 64;
                low += mulmod(equal, powerLow, BabyBear4.RING);
                high += mulmod(equal, powerHigh, BabyBear4.RING);
                row += 1 << variables;
                // Of at most N_STACK + 1 times p each: fifty are below 2^41.
                if (++bound == 50 || row == ROWS || width == 1) {
                    coefficient += BabyBear4.finish(low, high).mul(kernel);
                    (low, high, bound) = (0, 0, 0);
                    if (row == ROWS) {
                        sum += coefficient.reduce().mul(BabyBear4.load(place));
                        (row, coefficient, place) = (0, 0, place + 16);
                        walk.tree.restart();
                    }
                }
            }
            walk.powers = powers;
            return (sum.reduce(), row, coefficient, place);
        }
    }

    /// @dev The kernel of a trace's points: of u and r, and times lambda that of u and the row after r if it is rotated.
    function kernelOf(Context memory context, Walk memory walk, uint256 trace) private pure returns (uint256 kernel) {
        unchecked {
            uint256 shape = trace.height() * 2 + (trace.isRotated() ? 1 : 0);
            if (shape == walk.shape) return walk.kernel;
            uint256 missing = trace.missing();
            uint256 log = VerifyingKey.SKIP - missing;
            uint256 u0 = Memory.load(context.u, 0);
            uint256 r0 = Polynomials.power2(Memory.load(context.r, 0), missing);
            uint256 equal = 1;
            uint256 rotated = 1;
            for (uint256 i = trace.variables(); i > 0; --i) {
                uint256 x = Memory.load(context.u, i);
                uint256 y = Memory.load(context.r, i);
                uint256 both = x.mul(y);
                // x (1 - y) and (1 - x) y.
                rotated = (x + P_LANES - both).mul(equal) + (y + P_LANES - both).mul(rotated);
                rotated = rotated.reduce();
                equal = (2 * both + 2 * P_LANES + 1 - x - y).mul(equal);
            }
            kernel = Polynomials.equalInDomain(log, u0, r0).mul(equal);
            if (trace.isRotated()) {
                uint256 next = r0.scale(BabyBear4.power2(VerifyingKey.SKIP_ROOT, missing));
                uint256 atBorder = Polynomials.equalToOne(log, u0).mul(Polynomials.equalToOne(log, next));
                uint256 inside = Polynomials.equalInDomain(log, u0, next).mul(equal);
                kernel += (inside + (rotated + P_LANES - equal).mul(atBorder)).mul(walk.lambda);
                kernel = kernel.reduce();
            }
            if (missing != 0) kernel = kernel.mul(Polynomials.equalToOne(missing, Polynomials.power2(u0, log)));
            walk.shape = shape;
            walk.kernel = kernel;
        }
    }
}
