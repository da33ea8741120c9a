// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Hashing of Merkle trees (crates/prover/src/keccak/merkle.rs), and many leaves proven at once.
library MerkleMultiproof {
    /// @dev Last bytes of what is hashed: of a row 0, of a pair 1.
    uint256 private constant NODE_TAG = 1;

    /// @notice Memory for hashing pairs: two words and the tag.
    function scratch() internal pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := mload(0x40)
            mstore(0x40, add(pointer, 0x60))
            mstore8(add(pointer, 0x40), NODE_TAG)
        }
    }

    /// @notice The root that opened leaves and siblings give.
    /// @param nodes Pointer to pairs of words, the leaves' positions, ascending and each once, and hashes. Overwritten.
    /// @param count How many, at least one; positions are below 2^depth.
    /// @param offset Calldata offset of the siblings that no leaf gives, level by level from the leaves, ascending.
    /// @return root The root.
    /// @return end Calldata offset of what follows the siblings.
    function rootOf(uint256 scratch_, uint256 nodes, uint256 count, uint256 depth, uint256 offset)
        internal
        pure
        returns (uint256 root, uint256 end)
    {
        assembly ("memory-safe") {
            let last := add(nodes, shl(6, count))
            for {} depth { depth := sub(depth, 1) } {
                let target := nodes
                for { let source := nodes } lt(source, last) {} {
                    let position := mload(source)
                    let hash := mload(add(source, 0x20))
                    source := add(source, 0x40)
                    switch and(position, 1)
                    case 0 {
                        mstore(scratch_, hash)
                        switch and(lt(source, last), eq(mload(source), add(position, 1)))
                        case 0 {
                            mstore(add(scratch_, 0x20), calldataload(offset))
                            offset := add(offset, 0x20)
                        }
                        default {
                            mstore(add(scratch_, 0x20), mload(add(source, 0x20)))
                            source := add(source, 0x40)
                        }
                    }
                    default {
                        mstore(scratch_, calldataload(offset))
                        offset := add(offset, 0x20)
                        mstore(add(scratch_, 0x20), hash)
                    }
                    mstore(target, shr(1, position))
                    mstore(add(target, 0x20), keccak256(scratch_, 0x41))
                    target := add(target, 0x40)
                }
                last := target
            }
            root := mload(add(nodes, 0x20))
        }
        return (root, offset);
    }
}
