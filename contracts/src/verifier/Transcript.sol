// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BabyBear4} from "./BabyBear4.sol";
import {Context} from "./Context.sol";

/// @title The transcript of crates/prover/src/keccak/transcript.rs, and the reading of the proof that it observes.
library Transcript {
    error NotCanonical();
    error WorkMissing();

    /// @dev keccak256("Exclave SWIRL BabyBear4 Keccak-256 v1")
    uint256 internal constant DOMAIN = uint256(keccak256("Exclave SWIRL BabyBear4 Keccak-256 v1"));
    /// @dev 2^31 - p in each of eight numbers of 32 bits.
    uint256 private constant GAP = 0x07ffffff07ffffff07ffffff07ffffff07ffffff07ffffff07ffffff07ffffff;
    uint256 private constant TOP_BITS = 0x8000000080000000800000008000000080000000800000008000000080000000;

    /// @notice Observes a word.
    function observeWord(Context memory context, uint256 word) internal pure {
        uint256 target = context.transcript + 32 + context.observed;
        assembly ("memory-safe") {
            mstore(target, word)
        }
        context.observed += 32;
    }

    /// @notice Observes the proof's next bytes as they are.
    function observeBytes(Context memory context, uint256 length) internal pure returns (uint256 offset) {
        offset = context.offset;
        uint256 target = context.transcript + 32 + context.observed;
        assembly ("memory-safe") {
            calldatacopy(target, offset, length)
        }
        unchecked {
            context.observed += length;
            context.offset = offset + length;
        }
    }

    /// @notice Observes the proof's next bytes, which must be elements of the field, and returns their offset.
    function observe(Context memory context, uint256 length) internal pure returns (uint256 offset) {
        offset = observeBytes(context, length);
        requireCanonical(offset, length);
    }

    /// @notice Reverts unless all numbers of four bytes of a part of the calldata are below p.
    /// @dev x >= p if and only if x or x + 2^31 - p has the highest of 32 bits. A number can carry into its neighbour only
    /// when its own highest bit is set.
    function requireCanonical(uint256 offset, uint256 length) internal pure {
        uint256 bits;
        assembly ("memory-safe") {
            let end := add(offset, length)
            for {} gt(sub(end, offset), 31) { offset := add(offset, 32) } {
                let word := calldataload(offset)
                bits := or(bits, or(word, add(word, GAP)))
            }
            if sub(end, offset) {
                let word := shr(sub(256, shl(3, sub(end, offset))), calldataload(offset))
                bits := or(bits, or(word, add(word, GAP)))
            }
            bits := and(bits, TOP_BITS)
        }
        if (bits != 0) revert NotCanonical();
    }

    /// @notice The next state, which covers all that was observed.
    function advance(Context memory context) internal pure returns (uint256 state) {
        uint256 pointer = context.transcript;
        uint256 observed = context.observed;
        assembly ("memory-safe") {
            state := keccak256(pointer, add(observed, 32))
            mstore(pointer, state)
        }
        context.observed = 0;
    }

    /// @notice A challenge, reduced.
    function sample(Context memory context) internal pure returns (uint256) {
        return elementOf(advance(context));
    }

    /// @notice The element whose coefficients are the four numbers of eight bytes of a hash, modulo p.
    function elementOf(uint256 state) internal pure returns (uint256) {
        unchecked {
            return (state >> 192) % BabyBear4.P | ((((state >> 128) & BabyBear4.LANE) % BabyBear4.P) << 64)
                | ((((state >> 64) & BabyBear4.LANE) % BabyBear4.P) << 128) | (((state & BabyBear4.LANE) % BabyBear4.P) << 192);
        }
    }

    /// @notice Observes a witness of work and reverts unless the hash that follows begins with so many zero bits.
    function requireWork(Context memory context, uint256 bits) internal pure {
        if (bits == 0) {
            requireCanonical(context.offset, 4);
            context.offset += 4;
            return;
        }
        observe(context, 4);
        if (advance(context) >> (256 - bits) != 0) revert WorkMissing();
    }
}
