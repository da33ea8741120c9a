// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Binary Merkle trees with positions: leaves padded with zero words to a power of two (docs/protocol.md, section 8).
library MerkleTree {
    error EmptyTree();
    error IndexOutOfRange(uint256 index, uint256 count);
    error WrongProofLength(uint256 given, uint256 expected);

    /// @notice Levels of a tree of `count` leaves: log2 of the padded size.
    function depth(uint256 count) internal pure returns (uint256 levels) {
        if (count == 0) revert EmptyTree();
        while ((uint256(1) << levels) < count) ++levels;
    }

    /// @notice The root that `leaf` at `index` of `count` leaves gives with the siblings `proof`, from the leaf up.
    function rootFromProof(bytes32 leaf, uint256 index, uint256 count, bytes32[] calldata proof)
        internal
        pure
        returns (bytes32 node)
    {
        if (index >= count) revert IndexOutOfRange(index, count);
        uint256 levels = depth(count);
        if (proof.length != levels) revert WrongProofLength(proof.length, levels);
        node = leaf;
        for (uint256 level; level < levels; ++level) {
            node = (index >> level) & 1 == 0 ? hashPair(node, proof[level]) : hashPair(proof[level], node);
        }
    }

    /// @notice The root over `leaves`. Overwrites them.
    function rootInPlace(bytes32[] memory leaves) internal pure returns (bytes32) {
        uint256 size = leaves.length;
        uint256 levels = depth(size);
        bytes32 padding; // the root of an all-zero subtree of the level
        for (uint256 level; level < levels; ++level) {
            uint256 pairs = size / 2;
            // Reads 2i and 2i + 1 < size and writes i, which has been read: within the array, unchecked for its cost.
            assembly ("memory-safe") {
                let target := add(leaves, 0x20)
                let source := target
                for { let end := add(source, shl(6, pairs)) } lt(source, end) { source := add(source, 0x40) } {
                    mstore(target, keccak256(source, 0x40))
                    target := add(target, 0x20)
                }
            }
            if (size % 2 == 1) leaves[pairs] = hashPair(leaves[size - 1], padding);
            padding = hashPair(padding, padding);
            size = (size + 1) / 2;
        }
        return leaves[0];
    }

    function hashPair(bytes32 left, bytes32 right) internal pure returns (bytes32 node) {
        assembly ("memory-safe") {
            mstore(0x00, left)
            mstore(0x20, right)
            node := keccak256(0x00, 0x40)
        }
    }
}
