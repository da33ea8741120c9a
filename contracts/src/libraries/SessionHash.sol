// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {SessionClaim, SessionConfig, SessionStatus, Settlement, Terms} from "../interfaces/Types.sol";

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

    function config(uint64 chainId, SessionConfig memory value) internal view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), chainId, value));
    }

    /// @notice The hash of the configuration of a session that is opened by the caller in this block, without building the struct.
    function newConfig(
        uint64 chainId,
        uint64 sessionId,
        uint64 deadline,
        bytes32 templateId,
        bytes32 playersHash,
        bytes32 initDataHash,
        bytes32 termsHash
    ) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                block.chainid,
                address(this),
                chainId,
                sessionId,
                block.timestamp,
                block.number,
                deadline,
                msg.sender,
                templateId,
                playersHash,
                initDataHash,
                termsHash
            )
        );
    }

    /// @notice The hash of the configuration that `item` names, without building the struct.
    function configOf(uint64 chainId, Settlement calldata item, bytes32 termsHash) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                block.chainid,
                address(this),
                chainId,
                item.sessionId,
                item.openedAt,
                item.openedBlock,
                item.deadline,
                item.game,
                item.templateId,
                item.playersHash,
                item.initDataHash,
                termsHash
            )
        );
    }

    function leaf(SessionClaim memory value) internal pure returns (bytes32) {
        return hashAgain(keccak256(abi.encode(value)));
    }

    /// @notice The leaf that `item` settles, without building the struct.
    function leafOf(Settlement calldata item, bytes32 configHash, bytes32 resultHash, bytes32 inboxHash)
        internal
        pure
        returns (bytes32)
    {
        return hashAgain(
            keccak256(
                abi.encode(
                    item.sessionId,
                    configHash,
                    item.seed,
                    item.firstNumber,
                    item.lastNumber,
                    item.lastTimestamp,
                    item.lastHash,
                    item.blockHashesRoot,
                    resultHash,
                    item.inboxCount,
                    inboxHash
                )
            )
        );
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
