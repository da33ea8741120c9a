// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @notice What the first part of a verification knows at some point. All lists are pointers to words in memory.
struct Context {
    /// Calldata offset of the next byte of the proof.
    uint256 offset;
    /// Pointer to the transcript's state, which the bytes observed since follow, and their number.
    uint256 transcript;
    uint256 observed;
    /// The contract that evaluates each unit of constraints.
    uint256 evaluators;
    /// Hash of the head: of commitments, heights and public values.
    uint256 head;
    /// Present traces, highest first: descriptors as ProofShape.sol completes them.
    uint256 traces;
    uint256 traceCount;
    /// log2 of all interactions' rows, rounded up: layers of the fractional sumcheck.
    uint256 layers;
    /// Variables of the highest trace above the skip.
    uint256 maxVariables;
    /// Commitments to stacked columns, the common one first, and how many columns each has.
    uint256 commitments;
    uint256 widths;
    uint256 commitmentCount;
    uint256 totalWidth;
    /// Challenge that starts the interactions' denominators, and the one that batches their messages.
    uint256 alpha;
    uint256 beta;
    /// Claims of the fractional sumcheck, at the point `xi`.
    uint256 numerator;
    uint256 denominator;
    uint256 xi;
    /// The point at which columns are opened.
    uint256 r;
    /// Openings: of the common parts of all traces, then of all other parts.
    uint256 commonOpenings;
    uint256 otherOpenings;
    /// The point at which stacked columns are opened, and calldata offset of these openings. The challenge that batches
    /// them, and what they batch to.
    uint256 u;
    uint256 stackedOpenings;
    uint256 mu;
    uint256 claim;
}

/// @title Words in memory.
library Memory {
    /// @notice A pointer to `words` words, whose content is arbitrary.
    function allocate(uint256 words) internal pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := mload(0x40)
            mstore(0x40, add(pointer, shl(5, words)))
        }
    }

    function load(uint256 list, uint256 index) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(list, shl(5, index)))
        }
    }

    function store(uint256 list, uint256 index, uint256 value) internal pure {
        assembly ("memory-safe") {
            mstore(add(list, shl(5, index)), value)
        }
    }

    function pointerOf(bytes memory data) internal pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := add(data, 0x20)
        }
    }
}
