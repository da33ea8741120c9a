// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {MerkleTree} from "../src/libraries/MerkleTree.sol";
import {TestBase} from "./support/TestBase.sol";

contract MerkleTreeTest is TestBase {
    /// @dev The definition: pad to a power of two, hash pairs, level by level.
    function naiveRoot(bytes32[] memory leaves) internal pure returns (bytes32) {
        uint256 size = 1;
        while (size < leaves.length) size *= 2;
        bytes32[] memory level = new bytes32[](size);
        for (uint256 i; i < leaves.length; ++i) level[i] = leaves[i];
        for (; size > 1; size /= 2) {
            for (uint256 i; i < size / 2; ++i) level[i] = keccak256(abi.encodePacked(level[2 * i], level[2 * i + 1]));
        }
        return level[0];
    }

    function naiveProof(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory proof) {
        uint256 levels;
        while ((uint256(1) << levels) < leaves.length) ++levels;
        bytes32[] memory level = new bytes32[](uint256(1) << levels);
        for (uint256 i; i < leaves.length; ++i) level[i] = leaves[i];
        proof = new bytes32[](levels);
        for (uint256 l; l < levels; ++l) {
            proof[l] = level[index ^ 1];
            index >>= 1;
            for (uint256 i; i < (uint256(1) << (levels - l - 1)); ++i) {
                level[i] = keccak256(abi.encodePacked(level[2 * i], level[2 * i + 1]));
            }
        }
    }

    function leavesOf(uint256 count, uint256 seed) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](count);
        for (uint256 i; i < count; ++i) leaves[i] = keccak256(abi.encode(seed, i));
    }

    function rootFromProof(bytes32 leaf, uint256 index, uint256 count, bytes32[] calldata proof)
        external
        pure
        returns (bytes32)
    {
        return MerkleTree.rootFromProof(leaf, index, count, proof);
    }

    function rootInPlace(bytes32[] memory leaves) external pure returns (bytes32) {
        return MerkleTree.rootInPlace(leaves);
    }

    function testFuzz_root_and_proofs_agree_with_the_definition(uint256 count, uint256 index, uint256 seed) public view {
        count = bound(count, 1, 130);
        index = bound(index, 0, count - 1);
        bytes32[] memory leaves = leavesOf(count, seed);
        bytes32 root = naiveRoot(leaves);
        assertEq(this.rootInPlace(leaves), root, "root");
        assertEq(this.rootFromProof(leaves[index], index, count, naiveProof(leaves, index)), root, "proof");
    }

    function testFuzz_a_proof_serves_no_other_leaf_or_index(uint256 count, uint256 index, uint256 other, bytes32 leaf)
        public
        view
    {
        count = bound(count, 2, 64);
        index = bound(index, 0, count - 1);
        other = bound(other, 0, count - 1);
        bytes32[] memory leaves = leavesOf(count, 7);
        bytes32[] memory proof = naiveProof(leaves, index);
        bytes32 root = naiveRoot(leaves);
        if (leaf != leaves[index]) {
            assertTrue(this.rootFromProof(leaf, index, count, proof) != root, "another leaf");
        }
        if (other != index) {
            assertTrue(this.rootFromProof(leaves[index], other, count, proof) != root, "another index");
        }
    }

    function test_index_and_length_of_proof_are_checked() public {
        bytes32[] memory leaves = leavesOf(5, 1);
        bytes32[] memory proof = naiveProof(leaves, 4);
        vm.expectRevert(abi.encodeWithSelector(MerkleTree.IndexOutOfRange.selector, 5, 5));
        this.rootFromProof(leaves[4], 5, 5, proof);
        // A shorter tree of the same leaves, such as an inner node given as a leaf.
        vm.expectRevert(abi.encodeWithSelector(MerkleTree.WrongProofLength.selector, 3, 2));
        this.rootFromProof(leaves[0], 0, 4, proof);
        vm.expectRevert(abi.encodeWithSelector(MerkleTree.WrongProofLength.selector, 0, 3));
        this.rootFromProof(leaves[0], 0, 5, new bytes32[](0));
        vm.expectRevert(MerkleTree.EmptyTree.selector);
        this.rootInPlace(new bytes32[](0));
    }

    function test_a_tree_of_one_leaf_is_the_leaf() public view {
        bytes32[] memory leaves = leavesOf(1, 1);
        assertEq(this.rootFromProof(leaves[0], 0, 1, new bytes32[](0)), leaves[0], "leaf");
    }
}
