// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";
import {Memory} from "@openzeppelin/contracts/utils/Memory.sol";

import {Opening} from "../interfaces/DisputeTypes.sol";
import {IBlockFacts} from "../interfaces/IBlockFacts.sol";
import {SessionConfig} from "../interfaces/Types.sol";
import {Genesis} from "../libraries/Genesis.sol";
import {L1History} from "../libraries/L1History.sol";
import {TransactionTrie} from "../libraries/TransactionTrie.sol";

/// @title What L1 knows of blocks without a proof.
contract BlockFacts is IBlockFacts {
    /// @inheritdoc IBlockFacts
    mapping(uint256 number => bytes32) public recordedBlockHash;

    /// @inheritdoc IBlockFacts
    function recordBlockHash(uint256 number) external {
        _record(number, Blockhash.blockHash(number));
    }

    /// @inheritdoc IBlockFacts
    function recordOlderBlockHash(
        uint256 number,
        uint256 later,
        bytes calldata laterHeader,
        bytes[] calldata accountProof,
        bytes[] calldata storageProof
    ) external {
        _record(number, L1History.hashBefore(number, laterHeader, later, _blockHash(later), accountProof, storageProof));
    }

    /// @inheritdoc IBlockFacts
    function seedOf(uint64 sessionId, uint64 openedBlock, bytes calldata l1Header) external view returns (bytes32) {
        uint256 number = uint256(openedBlock) + 1;
        return Genesis.seedOf(L1History.prevRandaoOf(l1Header, number, _blockHash(number)), sessionId);
    }

    /// @inheritdoc IBlockFacts
    function genesisOf(
        SessionConfig calldata config,
        bytes32 configHash,
        uint64 chainId,
        Opening calldata opening,
        bytes32 seed
    ) external pure returns (bytes32) {
        return Genesis.blockHash(config, configHash, chainId, opening, seed);
    }

    /// @inheritdoc IBlockFacts
    function checkBlock(
        uint64 number,
        bytes32 blockHash,
        bytes32 parentHash,
        bytes calldata header,
        bytes[] calldata transactions
    ) external pure returns (uint256 bytes_) {
        if (keccak256(header) != blockHash) revert WrongHeader(number);
        Memory.Slice[] memory fields = BlockHeader.parseHeader(header);
        if (BlockHeader.getParentHash(fields) != parentHash || BlockHeader.getNumber(fields) != number) {
            revert WrongHeader(number);
        }
        if (BlockHeader.getTransactionsRoot(fields) != TransactionTrie.root(transactions)) {
            revert WrongTransactions(number);
        }
        bytes_ = header.length;
        for (uint256 i; i < transactions.length; ++i) {
            bytes_ += transactions[i].length;
        }
    }

    function _blockHash(uint256 number) private view returns (bytes32 hash) {
        hash = recordedBlockHash[number];
        if (hash == 0) hash = Blockhash.blockHash(number);
    }

    function _record(uint256 number, bytes32 hash) private {
        if (hash == 0) revert L1History.UnknownBlockHash(number);
        recordedBlockHash[number] = hash;
        emit BlockHashRecorded(number, hash);
    }
}
