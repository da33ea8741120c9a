// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BabyBear4} from "./BabyBear4.sol";
import {Context, Memory} from "./Context.sol";
import {EqualityTree, EqualityTrees} from "./EqualityTree.sol";
import {VerifyingKey} from "./generated/VerifyingKey.sol";
import {Polynomials} from "./Polynomials.sol";
import {Trace} from "./ProofShape.sol";
import {Transcript} from "./Transcript.sol";

/// @title Sumcheck over all AIRs' constraints and interactions (openvm-stark-backend, batch_constraints.rs).
library BatchConstraints {
    using BabyBear4 for uint256;
    using Trace for uint256;
    using EqualityTrees for EqualityTree;

    error WrongNumerator();
    error WrongDenominatorSum();
    error WrongSum();
    error WrongClaim();
    error EvaluatorFailed(uint256 unit);

    uint256 private constant P_LANES = BabyBear4.P_LANES;

    /// @dev An evaluator's calldata in words: unit, first row, last row, transition; powers for constraints and for
    /// messages, two words each; for each interaction two words; public values; openings. See docs/proof-verifier.md.
    uint256 private constant FRAME_HEAD = 4;
    uint256 private constant FRAME_TRACE =
        FRAME_HEAD + 2 * VerifyingKey.MAX_CONSTRAINTS + 2 * VerifyingKey.MAX_MESSAGE;

    /// @dev What the evaluation of a trace needs.
    struct Kernels {
        uint256 lambda;
        /// For each number of variables: kernels of constraints and of interactions at xi and r.
        uint256 constraints;
        uint256 interactions;
        /// For each number of variables the products of 1 - r_i and of r_i.
        uint256 first;
        uint256 last;
        uint256 frame;
    }

    /// @notice Reads the sumcheck and the openings and checks one against the other.
    function verify(Context memory context) internal view {
        unchecked {
            Kernels memory kernels;
            kernels.lambda = Transcript.sample(context);
            uint256 terms = 2 * context.traceCount;
            uint256 place = Transcript.observe(context, 16 * terms);
            uint256 mu = readTerms(context, place, terms);
            uint256 claim = readSumcheck(context, Polynomials.horner(place, terms, mu));
            prepare(context, kernels);
            readOpenings(context);
            if (evaluate(context, kernels, mu) != claim) revert WrongClaim();
        }
    }

    /// @dev The traces' shares of the fractional sum, which add up to its claims.
    function readTerms(Context memory context, uint256 place, uint256 terms) private pure returns (uint256 mu) {
        unchecked {
            uint256 numerator;
            uint256 denominator = context.alpha;
            for (uint256 end = place + 16 * terms; place < end; place += 32) {
                numerator += BabyBear4.load(place);
                denominator += BabyBear4.load(place + 16);
            }
            if (numerator.reduce() != context.numerator) revert WrongNumerator();
            if (denominator.reduce() != context.denominator) revert WrongDenominatorSum();
            return Transcript.sample(context);
        }
    }

    function readSumcheck(Context memory context, uint256 claim) private pure returns (uint256) {
        unchecked {
            uint256 count = VerifyingKey.DEGREE * ((1 << VerifyingKey.SKIP) - 1) + 1;
            uint256 place = Transcript.observe(context, 16 * count);
            if (Polynomials.sumOverSkip(place, count) != claim) revert WrongSum();
            uint256 r = Memory.allocate(context.maxVariables + 1);
            context.r = r;
            uint256 x = Transcript.sample(context);
            Memory.store(r, 0, x);
            claim = Polynomials.horner(place, count, x);
            uint256 weights = Memory.pointerOf(VerifyingKey.WEIGHTS);
            uint256 above = Memory.allocate(VerifyingKey.DEGREE + 1);
            for (uint256 round = 1; round <= context.maxVariables; ++round) {
                place = Transcript.observe(context, 16 * VerifyingKey.DEGREE);
                x = Transcript.sample(context);
                Memory.store(r, round, x);
                claim = interpolate(claim, place, x, weights, above);
            }
            return claim;
        }
    }

    /// @dev The value at `x` of the polynomial of degree DEGREE whose values at 1, 2, ... are in the calldata and that at 0
    /// is the claim less that at 1 (Lagrange).
    function interpolate(uint256 claim, uint256 place, uint256 x, uint256 weights, uint256 above)
        private
        pure
        returns (uint256 result)
    {
        unchecked {
            // above[i] is the product of (j - x) for all j > i.
            uint256 product = 1;
            for (uint256 i = VerifyingKey.DEGREE + 1; i-- > 0;) {
                Memory.store(above, i, product);
                product = (P_LANES + i - x).mul(product);
            }
            uint256 below = 1;
            uint256 value = (claim + P_LANES - BabyBear4.load(place)).reduce();
            for (uint256 i; i <= VerifyingKey.DEGREE; ++i) {
                uint256 weight;
                assembly ("memory-safe") {
                    weight := shr(224, mload(add(weights, shl(2, i))))
                }
                result += below.mul(Memory.load(above, i)).mul(value.scale(weight));
                below = (x + P_LANES - i).mul(below);
                value = BabyBear4.load(place);
                place += 16;
            }
            return result.reduce();
        }
    }

    /// @dev Kernels for each number of variables. A trace with fewer than the highest counts where the rest of r is 1.
    function prepare(Context memory context, Kernels memory kernels) private pure {
        unchecked {
            uint256 count = context.maxVariables;
            uint256 r = context.r;
            uint256 x = Memory.load(r, 0);
            kernels.constraints = Memory.allocate(count + 1);
            kernels.interactions = Memory.allocate(count + 1);
            kernels.first = Memory.allocate(count + 1);
            kernels.last = Memory.allocate(count + 1);
            uint256 constraint = Polynomials.equalInDomain(VerifyingKey.SKIP, Memory.load(context.xi, 0), x);
            uint256 interaction = skipKernel(context.xi, x);
            uint256 first = 1;
            uint256 last = 1;
            for (uint256 i;; ++i) {
                Memory.store(kernels.constraints, i, constraint);
                Memory.store(kernels.interactions, i, interaction);
                Memory.store(kernels.first, i, first);
                Memory.store(kernels.last, i, last);
                if (i == count) break;
                x = Memory.load(r, i + 1);
                uint256 kernel = Polynomials.equal(Memory.load(context.xi, VerifyingKey.SKIP + i), x);
                constraint = kernel.mul(constraint);
                interaction = kernel.mul(interaction);
                first = x.oneMinus().mul(first);
                last = x.mul(last);
            }
            uint256 rest = Memory.load(r, count);
            for (uint256 i = count; i-- > 0;) {
                Memory.store(kernels.constraints, i, Memory.load(kernels.constraints, i).mul(rest));
                Memory.store(kernels.interactions, i, Memory.load(kernels.interactions, i).mul(rest));
                rest = rest.mul(Memory.load(r, i));
            }
            uint256 frame = Memory.allocate(FRAME_TRACE + 2 * VerifyingKey.MAX_INTERACTIONS + VerifyingKey.MAX_OPENINGS);
            kernels.frame = frame;
            storePowers(frame + 32 * FRAME_HEAD, kernels.lambda, VerifyingKey.MAX_CONSTRAINTS);
            storePowers(
                frame + 32 * (FRAME_HEAD + 2 * VerifyingKey.MAX_CONSTRAINTS), context.beta, VerifyingKey.MAX_MESSAGE
            );
        }
    }

    /// @dev Powers 0 to count - 1, in halves.
    function storePowers(uint256 target, uint256 x, uint256 count) private pure {
        unchecked {
            (uint256 low, uint256 high) = x.split();
            uint256 power = 1;
            for (uint256 i; i < count; ++i) {
                (uint256 powerLow, uint256 powerHigh) = power.split();
                Memory.store(target, 2 * i, powerLow);
                Memory.store(target, 2 * i + 1, powerHigh);
                power = power.mulSplit(low, high);
            }
        }
    }

    /// @dev The sum over all points z_k of the skip domain of their Lagrange polynomial at x times the equality kernel of
    /// the bits of k and the first coordinates of xi. The Lagrange polynomial is the product over i of
    /// 1 + (x / z_k)^(2^i), over the domain's order.
    function skipKernel(uint256 xi, uint256 x) private pure returns (uint256 sum) {
        unchecked {
            uint256 size = 1 << VerifyingKey.SKIP;
            uint256 root = 1;
            for (uint256 k; k < size; ++k) {
                uint256 ratio = x.scale(root);
                uint256 product = 1;
                for (uint256 i; i < VerifyingKey.SKIP; ++i) {
                    product = (ratio + 1).mul(product);
                    if (i + 1 < VerifyingKey.SKIP) ratio = ratio.mul(ratio);
                    uint256 coordinate = Memory.load(xi, i);
                    product = ((k >> i) & 1 == 1 ? coordinate : coordinate.oneMinus()).mul(product);
                }
                sum += product;
                root = mulmod(root, VerifyingKey.SKIP_ROOT_INVERSE, BabyBear4.P);
            }
            return sum.reduce().scale(VerifyingKey.SKIP_INVERSE);
        }
    }

    /// @dev Openings of all common parts, then of the others, as words. An opening without a rotation is observed with zero.
    function readOpenings(Context memory context) private pure {
        unchecked {
            uint256 target = Memory.allocate(VerifyingKey.OPENINGS);
            context.commonOpenings = target;
            for (uint256 i; i < context.traceCount; ++i) {
                uint256 trace = Memory.load(context.traces, i);
                target = readPart(context, target, trace.commonWidth(), trace.isRotated());
            }
            context.otherOpenings = target;
            for (uint256 i; i < context.traceCount; ++i) {
                uint256 trace = Memory.load(context.traces, i);
                for (uint256 part; part < trace.otherParts(); ++part) {
                    target = readPart(context, target, trace.otherWidth(part), trace.isRotated());
                }
            }
        }
    }

    function readPart(Context memory context, uint256 target, uint256 width, bool rotated) private pure returns (uint256) {
        unchecked {
            uint256 place = context.offset;
            uint256 count = width;
            if (rotated) {
                count *= 2;
                Transcript.observe(context, 16 * count);
            } else {
                Transcript.requireCanonical(place, 16 * count);
                uint256 observed = context.transcript + 32 + context.observed;
                assembly ("memory-safe") {
                    let end := add(place, shl(4, count))
                    for { let from := place } lt(from, end) { from := add(from, 16) } {
                        mstore(observed, shl(128, shr(128, calldataload(from))))
                        observed := add(observed, 32)
                    }
                }
                context.observed += 32 * count;
                context.offset = place + 16 * count;
            }
            for (uint256 i; i < count; ++i) {
                Memory.store(target, i, BabyBear4.load(place + 16 * i));
            }
            return target + 32 * count;
        }
    }

    /// @dev What the sumcheck's claim must be by the openings: per trace numerators and denominators of interactions, then
    /// constraints, batched by powers of mu.
    function evaluate(Context memory context, Kernels memory kernels, uint256 mu) private view returns (uint256 result) {
        unchecked {
            uint256 count = context.traceCount;
            uint256 values = Memory.allocate(3 * count);
            EqualityTree memory tree = EqualityTrees.create(
                context.layers - VerifyingKey.SKIP, context.xi + 32 * VerifyingKey.SKIP
            );
            uint256 rows;
            uint256 common = context.commonOpenings;
            uint256 other = context.otherOpenings;
            for (uint256 i; i < count; ++i) {
                uint256 trace = Memory.load(context.traces, i);
                uint256 target = kernels.frame + 32 * FRAME_TRACE;
                uint256 variables = trace.variables();
                for (uint256 j = trace.interactions(); j > 0; --j) {
                    // The kernel is loose, and only halves of tight elements are what evaluators multiply by.
                    (uint256 low, uint256 high) = tree.productAt(rows, variables).reduce().split();
                    Memory.store(target, 0, low);
                    Memory.store(target, 1, high);
                    target += 64;
                    rows += 1 << variables;
                }
                uint256 publicValue = trace.publicValuesAt();
                for (uint256 j = trace.publicValues(); j > 0; --j) {
                    uint256 value;
                    assembly ("memory-safe") {
                        value := shr(224, calldataload(publicValue))
                    }
                    Memory.store(target, 0, value);
                    target += 32;
                    publicValue += 4;
                }
                uint256 perColumn = trace.isRotated() ? 64 : 32;
                uint256 length = trace.commonWidth() * perColumn;
                copy(target, common, length);
                common += length;
                target += length;
                length = 0;
                for (uint256 part; part < trace.otherParts(); ++part) {
                    length += trace.otherWidth(part) * perColumn;
                }
                copy(target, other, length);
                other += length;
                target += length;
                evaluateTrace(context, kernels, trace, target);
                uint256 kernel = Memory.load(kernels.interactions, variables);
                uint256 numerator = Memory.load(kernels.frame, 1);
                if (trace.missing() != 0) numerator = numerator.scale(Polynomials.halves(trace.missing()));
                Memory.store(values, 2 * i, numerator.mul(kernel));
                Memory.store(values, 2 * i + 1, Memory.load(kernels.frame, 2).mul(kernel));
                Memory.store(
                    values,
                    2 * count + i,
                    Memory.load(kernels.frame, 0).mul(Memory.load(kernels.constraints, variables))
                );
            }
            for (uint256 i = 3 * count; i-- > 0;) {
                result = result.mul(mu) + Memory.load(values, i);
            }
            return result.reduce();
        }
    }

    function copy(uint256 target, uint256 source, uint256 length) private pure {
        assembly ("memory-safe") {
            mcopy(target, source, length)
        }
    }

    /// @dev Has the trace's units evaluated. Their sums (constraints, numerators, denominators) are left in the frame's
    /// first three words.
    function evaluateTrace(Context memory context, Kernels memory kernels, uint256 trace, uint256 frameEnd) private view {
        unchecked {
            uint256 frame = kernels.frame;
            uint256 last;
            {
                uint256 variables = trace.variables();
                uint256 missing = trace.missing();
                uint256 log = VerifyingKey.SKIP - missing;
                uint256 x = Polynomials.power2(Memory.load(context.r, 0), missing);
                uint256 inverse = Polynomials.halves(log);
                uint256 first = Polynomials.progression(x, log).scale(inverse);
                x = x.scale(BabyBear4.power2(VerifyingKey.SKIP_ROOT, missing));
                last = Polynomials.progression(x, log).scale(inverse).mul(Memory.load(kernels.last, variables));
                Memory.store(frame, 1, first.mul(Memory.load(kernels.first, variables)));
                Memory.store(frame, 2, last);
                Memory.store(frame, 3, last.oneMinus().reduce());
            }
            uint256 constraints;
            uint256 numerator;
            uint256 denominator;
            uint256 end = trace.firstUnit() + trace.units();
            uint256 result = Memory.allocate(3);
            for (uint256 unit = trace.firstUnit(); unit < end; ++unit) {
                Memory.store(frame, 0, unit);
                uint256 evaluator = Memory.load(context.evaluators, unit);
                bool success;
                assembly ("memory-safe") {
                    success := staticcall(gas(), evaluator, frame, sub(frameEnd, frame), result, 0x60)
                    success := and(success, eq(returndatasize(), 0x60))
                }
                if (!success) revert EvaluatorFailed(unit);
                constraints += Memory.load(result, 0);
                numerator += Memory.load(result, 1);
                denominator += Memory.load(result, 2);
            }
            Memory.store(frame, 0, constraints.reduce());
            Memory.store(frame, 1, numerator.reduce());
            Memory.store(frame, 2, denominator.reduce());
        }
    }
}
