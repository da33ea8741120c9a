// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ClaimedChain, SessionClaim, SessionConfig, Settlement, Terms} from "../../src/interfaces/Types.sol";
import {MerkleTree} from "../../src/libraries/MerkleTree.sol";
import {SessionHash} from "../../src/libraries/SessionHash.sol";

/// @dev The hashes that ZkRelayer computes, for other implementations to be compared with (tests/contracts).
contract ProtocolHashes {
    function template(bytes32 stateRoot, bytes32 dataHash) external pure returns (bytes32) {
        return SessionHash.template(stateRoot, dataHash);
    }

    function terms(Terms calldata value) external pure returns (bytes32) {
        return SessionHash.terms(value);
    }

    function players(address[] calldata value) external pure returns (bytes32) {
        return SessionHash.players(value);
    }

    function leaf(SessionClaim calldata value) external pure returns (bytes32) {
        return SessionHash.leaf(value);
    }

    /// @dev The shortcuts that settlement takes.
    function leafOf(Settlement calldata item, bytes32 configHash, bytes32 inboxHash) external pure returns (bytes32) {
        return SessionHash.leafOf(item, configHash, keccak256(item.result), inboxHash);
    }

    function configOf(uint64 chainId, Settlement calldata item, bytes32 termsHash) external view returns (bytes32) {
        return SessionHash.configOf(chainId, item, termsHash);
    }

    function config(uint64 chainId, SessionConfig calldata value) external view returns (bytes32) {
        return SessionHash.config(chainId, value);
    }

    function message(
        uint64 chainId,
        uint64 index,
        address from,
        address to,
        uint64 gasLimit,
        uint64 dueAt,
        bytes calldata data
    ) external pure returns (bytes32) {
        return SessionHash.message(chainId, index, from, to, gasLimit, dueAt, data);
    }

    function chain(ClaimedChain calldata value) external pure returns (bytes32) {
        return SessionHash.chain(value);
    }

    function blockHashLeaf(bytes32 blockHash) external pure returns (bytes32) {
        return SessionHash.blockHashLeaf(blockHash);
    }

    function root(bytes32[] memory leaves) external pure returns (bytes32) {
        return MerkleTree.rootInPlace(leaves);
    }

    function rootFromProof(bytes32 leaf_, uint256 index, uint256 count, bytes32[] calldata proof)
        external
        pure
        returns (bytes32)
    {
        return MerkleTree.rootFromProof(leaf_, index, count, proof);
    }
}
