// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @notice A signature on which a proof depends: `ecrecover(hash, v, r, s)` gives `signer`, zero if it fails.
struct Recovery {
    bytes32 hash;
    uint256 v; // 27 or 28
    bytes32 r;
    bytes32 s;
    address signer;
}

/// @title Checks the recoveries that a proof leaves to L1 (docs/protocol.md, section 9).
library RecoveryList {
    error TooManyRecoveries(uint256 count, uint256 limit);
    error InvalidV(uint256 index, uint256 v);
    error WrongSigner(uint256 index, address claimed, address actual);

    /// @dev As many as the guest makes public at most. 256 cost about 0.9 million gas to check, and 40,960 bytes to bring.
    uint256 internal constant LIMIT = 256;

    uint256 private constant WORDS = 5;
    uint256 private constant WORD = 32;

    /// @notice Checks each recovery; returns the list's hash, the statement's `recoveriesHash`.
    /// @dev A precompile that runs out of gas makes the call revert, so that little gas can't turn a signer into zero.
    function check(Recovery[] calldata list) internal pure returns (bytes32) {
        if (list.length > LIMIT) revert TooManyRecoveries(list.length, LIMIT);
        for (uint256 index; index < list.length; ++index) {
            Recovery calldata item = list[index];
            if (item.v != 27 && item.v != 28) revert InvalidV(index, item.v);
            address signer = ecrecover(item.hash, uint8(item.v), item.r, item.s);
            if (signer != item.signer) revert WrongSigner(index, item.signer, signer);
        }
        return hash(list);
    }

    /// @notice keccak256 of the list's words, one recovery after the other.
    function hash(Recovery[] calldata list) internal pure returns (bytes32 result) {
        uint256 size = list.length * WORDS * WORD;
        // The members are words of calldata in their order. The memory used isn't allocated.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            calldatacopy(buffer, list.offset, size)
            result := keccak256(buffer, size)
        }
    }
}
