// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ShownHash, ShownLeaf} from "../interfaces/DisputeTypes.sol";
import {IDisputeGame} from "../interfaces/IDisputeGame.sol";
import {ClaimHeader, ClaimedChain, SessionClaim} from "../interfaces/Types.sol";
import {MerkleTree} from "./MerkleTree.sol";
import {SessionHash} from "./SessionHash.sol";

/// @title What is shown of a claim: its leaves, and the hashes of their blocks (docs/protocol.md, section 8).
library LeafProof {
    /// @notice Checks that the leaf is under the claim's root.
    function checkLeaf(ShownLeaf calldata leaf) internal pure {
        uint32 index = leaf.name.index;
        if (
            MerkleTree.rootFromProof(hashOf(leaf.content), index, leaf.name.header.count, leaf.proof)
                != leaf.name.header.root
        ) {
            revert IDisputeGame.WrongLeaf(leaf.name.claimId, index);
        }
    }

    /// @notice The leaf with this content: `SessionHash.leaf`, as it stands in calldata.
    function hashOf(SessionClaim calldata content) internal pure returns (bytes32 hash) {
        // Bits beyond a number's type are hashed too; such a leaf can't settle (ZkRelayer reads the numbers). The last four words are the chain. The
        // memory used isn't allocated.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            calldatacopy(buffer, content, 0x140)
            mstore(add(buffer, 0xc0), keccak256(add(buffer, 0xc0), 0x80))
            hash := keccak256(buffer, 0xe0)
        }
        return SessionHash.hashAgain(hash);
    }

    /// @notice `keccak256(abi.encode(header))`, as it stands in calldata. Bits beyond a type make another hash than any claim has.
    function hashOf(ClaimHeader calldata header) internal pure returns (bytes32 hash) {
        // The memory used isn't allocated.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            calldatacopy(buffer, header, 0x100)
            hash := keccak256(buffer, 0x100)
        }
    }

    /// @notice Checks that a transition, a block after the range's first, is the leaf's.
    function checkTransition(SessionClaim calldata content, uint64 number) internal pure {
        if (number <= content.firstNumber || number > content.chain.lastNumber) {
            revert IDisputeGame.WrongNumber(number);
        }
    }

    /// @notice Checks that the hash is under the leaf's blockHashesRoot, at its number.
    function checkHash(SessionClaim calldata content, ShownHash calldata shown) internal pure {
        uint64 number = shown.number;
        uint256 count = countOf(content);
        if (number < content.firstNumber || number - content.firstNumber >= count) {
            revert IDisputeGame.WrongNumber(number);
        }
        bytes32 hash = SessionHash.blockHashLeaf(shown.blockHash);
        bytes32 root = MerkleTree.rootFromProof(hash, number - content.firstNumber, count, shown.proof);
        if (root != content.chain.blockHashesRoot) revert IDisputeGame.WrongHash(number);
    }

    /// @notice Checks a block's hash and its parent's, both under the leaf's blockHashesRoot.
    function checkPair(SessionClaim calldata content, ShownHash calldata parent, ShownHash calldata target)
        internal
        pure
    {
        if (parent.number >= target.number || target.number - parent.number != 1) {
            revert IDisputeGame.WrongRange(parent.number, target.number);
        }
        checkHash(content, parent);
        checkHash(content, target);
    }

    /// @notice Checks that these are all the block hashes at `position` of the tree's nodes that have `2 ** levels` leaves.
    function checkHashes(
        SessionClaim calldata content,
        uint64 position,
        bytes32[] calldata hashes,
        bytes32[] calldata proof,
        uint256 levels
    ) internal pure {
        uint256 count = countOf(content);
        uint256 depth = MerkleTree.depth(count);
        if (depth < levels) levels = depth;
        uint256 size = uint256(1) << levels;
        uint256 rest = count - position * size;
        if (hashes.length != (rest < size ? rest : size)) revert IDisputeGame.WrongNumber(position);
        bytes32[] memory leaves = new bytes32[](size);
        for (uint256 i; i < hashes.length; ++i) {
            leaves[i] = SessionHash.blockHashLeaf(hashes[i]);
        }
        bytes32 node = MerkleTree.rootInPlace(leaves);
        bytes32 root = MerkleTree.rootFromProof(node, position, uint256(1) << (depth - levels), proof);
        if (root != content.chain.blockHashesRoot) revert IDisputeGame.WrongHash(position);
        // Who claims another last hash than the tree has can't show the tree.
        if (rest <= size && hashes[hashes.length - 1] != content.chain.lastHash) {
            revert IDisputeGame.WrongHash(content.chain.lastNumber);
        }
    }

    /// @notice How many nodes with `2 ** levels` leaves the hashes take.
    function nodesOf(SessionClaim calldata content, uint256 levels) internal pure returns (uint256) {
        return ((countOf(content) - 1) >> levels) + 1;
    }

    /// @notice How many hashes are claimed; reverts if none can be.
    function countOf(SessionClaim calldata content) internal pure returns (uint256) {
        ClaimedChain calldata chain = content.chain;
        if (chain.lastNumber < content.firstNumber) {
            revert IDisputeGame.WrongRange(content.firstNumber, chain.lastNumber);
        }
        return uint256(chain.lastNumber - content.firstNumber) + 1;
    }
}
