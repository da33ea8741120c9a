// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Context, Memory} from "./Context.sol";
import {VerifyingKey} from "./generated/VerifyingKey.sol";
import {Transcript} from "./Transcript.sol";

/// @title An AIR in one word: what VerifyingKey.DESCRIPTORS says of it, and of a proof its number, height and public values.
library Trace {
    function commonWidth(uint256 trace) internal pure returns (uint256) {
        return trace & 0xffff;
    }

    function preprocessedWidth(uint256 trace) internal pure returns (uint256) {
        return (trace >> 16) & 0xffff;
    }

    function cachedWidth(uint256 trace, uint256 part) internal pure returns (uint256) {
        unchecked {
            return (trace >> (32 + 16 * part)) & 0xffff;
        }
    }

    function cachedParts(uint256 trace) internal pure returns (uint256) {
        return (trace >> 96) & 0xff;
    }

    function isRotated(uint256 trace) internal pure returns (bool) {
        return (trace >> 104) & 1 != 0;
    }

    function isRequired(uint256 trace) internal pure returns (bool) {
        return (trace >> 105) & 1 != 0;
    }

    function hasPreprocessed(uint256 trace) internal pure returns (bool) {
        return (trace >> 106) & 1 != 0;
    }

    function preprocessedHeight(uint256 trace) internal pure returns (uint256) {
        return (trace >> 112) & 0xff;
    }

    function interactions(uint256 trace) internal pure returns (uint256) {
        return (trace >> 120) & 0xffff;
    }

    function publicValues(uint256 trace) internal pure returns (uint256) {
        return (trace >> 136) & 0xffff;
    }

    function firstUnit(uint256 trace) internal pure returns (uint256) {
        return (trace >> 152) & 0xffff;
    }

    function units(uint256 trace) internal pure returns (uint256) {
        return (trace >> 168) & 0xff;
    }

    /// @notice Number of the AIR.
    function air(uint256 trace) internal pure returns (uint256) {
        return (trace >> 176) & 0xffff;
    }

    /// @notice Calldata offset of the public values.
    function publicValuesAt(uint256 trace) internal pure returns (uint256) {
        return (trace >> 192) & 0xffffffff;
    }

    /// @notice Log2 of the rows.
    function height(uint256 trace) internal pure returns (uint256) {
        return (trace >> 248) & 0xff;
    }

    /// @notice Variables above the skip: 0 for a trace that has fewer rows than the skip takes together.
    function variables(uint256 trace) internal pure returns (uint256) {
        unchecked {
            uint256 rows = height(trace);
            return rows > VerifyingKey.SKIP ? rows - VerifyingKey.SKIP : 0;
        }
    }

    /// @notice Log2 of how often the skip repeats a trace that has fewer rows than it takes together.
    function missing(uint256 trace) internal pure returns (uint256) {
        unchecked {
            uint256 rows = height(trace);
            return rows < VerifyingKey.SKIP ? VerifyingKey.SKIP - rows : 0;
        }
    }

    /// @notice Parts of the trace other than the common one, and the width of one.
    function otherParts(uint256 trace) internal pure returns (uint256) {
        unchecked {
            return cachedParts(trace) + (hasPreprocessed(trace) ? 1 : 0);
        }
    }

    function otherWidth(uint256 trace, uint256 part) internal pure returns (uint256) {
        unchecked {
            if (!hasPreprocessed(trace)) return cachedWidth(trace, part);
            return part == 0 ? preprocessedWidth(trace) : cachedWidth(trace, part - 1);
        }
    }
}

/// @title The head of a proof, and what follows from it about the lengths of all parts
/// (openvm-stark-backend, verifier/mod.rs and proof_shape.rs).
library ProofShape {
    using Trace for uint256;

    error NotABoolean(uint256 value);
    error HeightOutOfRange(uint256 air, uint256 height);
    error TraceHeightsTooLarge();
    error TooManyColumns(uint256 width);

    /// @notice Observes the head and fills in what depends on it.
    function read(Context memory context) internal pure {
        unchecked {
            Transcript.observeWord(context, VerifyingKey.PRE_HASH);
            uint256 start = context.offset;
            uint256 commitments = Memory.allocate(1 + 5 * VerifyingKey.AIRS);
            context.commitments = commitments;
            Memory.store(commitments, 0, word(Transcript.observeBytes(context, 32)));
            readTraces(context);
            context.head = hash(start, context.offset - start);
            sort(context.traces, context.traceCount);
            requireHeights(context);
            stack(context);
        }
    }

    function word(uint256 offset) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(offset)
        }
    }

    /// @dev Of a part of the calldata. The memory after the allocated one serves as scratch.
    function hash(uint256 offset, uint256 length) private pure returns (uint256 digest) {
        assembly ("memory-safe") {
            let scratch := mload(0x40)
            calldatacopy(scratch, offset, length)
            digest := keccak256(scratch, length)
        }
    }

    function element(uint256 offset) private pure returns (uint256) {
        return word(offset) >> 224;
    }

    /// @dev Which traces are there, their heights, commitments of cached parts and public values. Commitments are read
    /// again in `stack`, in the order of heights.
    function readTraces(Context memory context) private pure {
        unchecked {
            uint256 descriptors = Memory.pointerOf(VerifyingKey.DESCRIPTORS);
            uint256 preprocessed = Memory.pointerOf(VerifyingKey.PREPROCESSED);
            context.traces = Memory.allocate(VerifyingKey.AIRS);
            uint256 count;
            for (uint256 air; air < VerifyingKey.AIRS; ++air) {
                uint256 trace = Memory.load(descriptors, air) | (air << 176);
                if (!trace.isRequired()) {
                    uint256 present = element(Transcript.observeBytes(context, 4));
                    if (present > 1) revert NotABoolean(present);
                    if (present == 0) continue;
                }
                uint256 height = trace.preprocessedHeight();
                if (trace.hasPreprocessed()) {
                    Transcript.observeWord(context, Memory.load(preprocessed, air));
                } else {
                    height = element(Transcript.observeBytes(context, 4));
                }
                if (height > VerifyingKey.SKIP + VerifyingKey.N_STACK) revert HeightOutOfRange(air, height);
                Transcript.observeBytes(context, 32 * trace.cachedParts());
                uint256 values = Transcript.observe(context, 4 * trace.publicValues());
                Memory.store(context.traces, count++, trace | (values << 192) | (height << 248));
            }
            context.traceCount = count;
        }
    }

    /// @dev Descending by height; traces of one height stay in the order of AIRs.
    function sort(uint256 traces, uint256 count) private pure {
        unchecked {
            for (uint256 i = 1; i < count; ++i) {
                uint256 trace = Memory.load(traces, i);
                uint256 j = i;
                for (; j > 0; --j) {
                    uint256 before = Memory.load(traces, j - 1);
                    if (before.height() >= trace.height()) break;
                    Memory.store(traces, j, before);
                }
                Memory.store(traces, j, trace);
            }
        }
    }

    /// @dev Linear constraints on the heights, under which no bus can have as many messages as the field has elements.
    function requireHeights(Context memory context) private pure {
        unchecked {
            uint256 table = Memory.pointerOf(VerifyingKey.HEIGHTS);
            uint256 interactions;
            for (uint256 row; row < VerifyingKey.HEIGHT_CONSTRAINTS; ++row) {
                uint256 sum;
                uint256 numbers = table + 4 * (VerifyingKey.AIRS + 1) * row;
                for (uint256 i; i < context.traceCount; ++i) {
                    uint256 trace = Memory.load(context.traces, i);
                    sum += number(numbers, trace.air()) << (VerifyingKey.SKIP + trace.variables());
                }
                if (sum >= number(numbers, VerifyingKey.AIRS)) revert TraceHeightsTooLarge();
            }
            for (uint256 i; i < context.traceCount; ++i) {
                uint256 trace = Memory.load(context.traces, i);
                interactions += trace.interactions() << (VerifyingKey.SKIP + trace.variables());
            }
            // A required AIR interacts (checked when the verifying key was generated): there are interactions.
            uint256 layers;
            assembly ("memory-safe") {
                layers := sub(256, clz(interactions))
            }
            context.layers = layers;
            context.maxVariables = Memory.load(context.traces, 0).variables();
        }
    }

    function number(uint256 numbers, uint256 index) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(224, mload(add(numbers, shl(2, index))))
        }
    }

    /// @dev Columns are stacked in columns of 2^(SKIP + N_STACK) rows. As they come by descending height and all heights
    /// are powers of two, none is divided between two.
    function stack(Context memory context) private pure {
        unchecked {
            context.widths = Memory.allocate(1 + 5 * VerifyingKey.AIRS);
            uint256 count = 1;
            uint256 rows;
            uint256 total;
            uint256 preprocessed = Memory.pointerOf(VerifyingKey.PREPROCESSED);
            for (uint256 i; i < context.traceCount; ++i) {
                uint256 trace = Memory.load(context.traces, i);
                rows += trace.commonWidth() << trace.variables();
                // Commitments of cached parts come right before the public values.
                uint256 cached = trace.publicValuesAt() - 32 * trace.cachedParts();
                for (uint256 part; part < trace.otherParts(); ++part) {
                    uint256 width = columns(trace.otherWidth(part) << trace.variables());
                    Memory.store(context.widths, count, width);
                    total += width;
                    uint256 commitment;
                    if (trace.hasPreprocessed() && part == 0) {
                        commitment = Memory.load(preprocessed, trace.air());
                    } else {
                        commitment = word(cached);
                        cached += 32;
                    }
                    Memory.store(context.commitments, count++, commitment);
                }
            }
            uint256 common = columns(rows);
            Memory.store(context.widths, 0, common);
            total += common;
            if (total > VerifyingKey.MAX_WIDTH) revert TooManyColumns(total);
            context.commitmentCount = count;
            context.totalWidth = total;
        }
    }

    function columns(uint256 rows) private pure returns (uint256) {
        unchecked {
            return (rows + (1 << VerifyingKey.N_STACK) - 1) >> VerifyingKey.N_STACK;
        }
    }
}
