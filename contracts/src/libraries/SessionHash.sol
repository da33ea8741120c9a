// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ClaimedChain, SessionClaim, SessionConfig, SessionStatus, Settlement, Terms} from "../interfaces/Types.sol";

/// @title The hashes of docs/protocol.md, and the word that L1 keeps of a session.
library SessionHash {
    /// @dev Set in a session's word when it has forced messages, so that a session without any costs no storage read at settlement.
    uint256 internal constant HAS_MESSAGES = 0x80;
    uint256 private constant STATUS_MASK = 0x7f;
    uint256 private constant FLAGS_MASK = 0xff;

    function template(bytes32 stateRoot, bytes32 dataHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(stateRoot, dataHash));
    }

    function terms(Terms calldata value) internal pure returns (bytes32) {
        return keccak256(abi.encode(value));
    }

    function players(address[] calldata value) internal pure returns (bytes32) {
        return keccak256(abi.encode(value));
    }

    /// @notice The part of a configuration that settlement takes as one word.
    function setup(
        uint64 openedBlock,
        uint64 deadline,
        bytes32 templateId,
        bytes32 playersHash,
        bytes32 initDataHash
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(openedBlock, deadline, templateId, playersHash, initDataHash));
    }

    function config(uint64 chainId, SessionConfig memory value) internal view returns (bytes32) {
        return config(
            chainId,
            value.termsHash,
            value.sessionId,
            value.openedAt,
            value.game,
            setup(value.openedBlock, value.deadline, value.templateId, value.playersHash, value.initDataHash)
        );
    }

    function config(
        uint64 chainId,
        bytes32 termsHash,
        uint64 sessionId,
        uint64 openedAt,
        address game,
        bytes32 setupHash
    ) internal view returns (bytes32) {
        return keccak256(
            abi.encode(block.chainid, address(this), chainId, termsHash, sessionId, openedAt, game, setupHash)
        );
    }

    /// @notice The hash of the configuration that `item` names.
    function configOf(uint64 chainId, Settlement calldata item, bytes32 termsHash) internal view returns (bytes32 hash) {
        // `config` without decoding and encoding the members, for their cost in a batch: item's words 0 to 3 are the last four of the preimage. Bits
        // beyond a member's type make another hash, which no open session has. The memory used isn't allocated.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, chainid())
            mstore(add(buffer, 0x20), address())
            mstore(add(buffer, 0x40), chainId)
            mstore(add(buffer, 0x60), termsHash)
            calldatacopy(add(buffer, 0x80), item, 0x80)
            hash := keccak256(buffer, 0x100)
        }
    }

    function chain(ClaimedChain memory value) internal pure returns (bytes32) {
        return keccak256(abi.encode(value));
    }

    function leaf(SessionClaim memory value) internal pure returns (bytes32) {
        return hashAgain(
            keccak256(
                abi.encode(
                    value.configHash,
                    value.resultHash,
                    value.inboxHash,
                    value.firstNumber,
                    value.lastTimestamp,
                    value.inboxCount,
                    chain(value.chain)
                )
            )
        );
    }

    /// @notice The leaf that `item` settles. Its numbers must have been read before, which refuses bits beyond their types.
    function leafOf(Settlement calldata item, bytes32 configHash, bytes32 resultHash, bytes32 inboxHash)
        internal
        pure
        returns (bytes32 hash)
    {
        // `leaf` without decoding and encoding the members, for their cost in a batch: item's words 4 to 7 are the last four of the preimage. The memory
        // used isn't allocated.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, configHash)
            mstore(add(buffer, 0x20), resultHash)
            mstore(add(buffer, 0x40), inboxHash)
            calldatacopy(add(buffer, 0x60), add(item, 0x80), 0x80)
            hash := keccak256(buffer, 0xe0)
        }
        return hashAgain(hash);
    }

    /// @dev A block's hash as a leaf under `blockHashesRoot`.
    function blockHashLeaf(bytes32 blockHash) internal pure returns (bytes32) {
        return hashAgain(hashAgain(blockHash));
    }

    /// @dev Leaves are hashed twice, so that no inner node of a tree can pass for a leaf.
    function hashAgain(bytes32 value) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            mstore(0x00, value)
            hash := keccak256(0x00, 0x20)
        }
    }

    function checkpoint(uint64 sessionId, uint64 number, bytes32 blockHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(sessionId, number, blockHash));
    }

    function message(
        uint64 chainId,
        uint64 index,
        address from,
        address to,
        uint64 gasLimit,
        uint64 dueAt,
        bytes calldata data
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(chainId, index, from, to, gasLimit, dueAt, keccak256(data)));
    }

    /// @notice A session's word: 248 bits of its configHash, one flag, seven bits of status.
    /// @dev 124 bits against collisions, 248 against a second configuration for an open session; one storage word per session instead of two.
    function word(bytes32 configHash, SessionStatus status) internal pure returns (bytes32) {
        return bytes32((uint256(configHash) & ~FLAGS_MASK) | uint256(status));
    }

    function withStatus(bytes32 word_, SessionStatus status) internal pure returns (bytes32) {
        return bytes32((uint256(word_) & ~STATUS_MASK) | uint256(status));
    }

    function withMessages(bytes32 word_) internal pure returns (bytes32) {
        return bytes32(uint256(word_) | HAS_MESSAGES);
    }

    function statusOf(bytes32 word_) internal pure returns (SessionStatus) {
        return SessionStatus(uint256(word_) & STATUS_MASK);
    }

    function hasMessages(bytes32 word_) internal pure returns (bool) {
        return uint256(word_) & HAS_MESSAGES != 0;
    }

    function isConfig(bytes32 word_, bytes32 configHash) internal pure returns (bool) {
        return (uint256(word_) ^ uint256(configHash)) & ~FLAGS_MASK == 0;
    }
}
