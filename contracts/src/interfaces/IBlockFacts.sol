// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Opening} from "./DisputeTypes.sol";
import {SessionConfig} from "./Types.sol";

/// @title What L1 knows of sessions' blocks without a proof, and the hashes of its own blocks, from which sessions have their seeds.
interface IBlockFacts {
    event BlockHashRecorded(uint256 indexed number, bytes32 blockHash);

    error WrongHeader(uint64 number);
    error WrongTransactions(uint64 number);

    /// @notice Keeps the hash of one of the last 8,191 blocks of L1 (EIP-2935), for the seed of sessions that last longer. Anyone.
    function recordBlockHash(uint256 number) external;

    /// @notice Keeps the hash of an older block, by a proof from the state after the block `later`, at most 8,191 blocks after it, whose hash is known
    /// or recorded. Repeated, this reaches any block. Anyone.
    /// @param laterHeader RLP of that block's header.
    /// @param accountProof Of EIP-2935's contract in that state (`eth_getProof`).
    /// @param storageProof Of its slot `number % 8191`.
    function recordOlderBlockHash(
        uint256 number,
        uint256 later,
        bytes calldata laterHeader,
        bytes[] calldata accountProof,
        bytes[] calldata storageProof
    ) external;

    /// @return Zero if it wasn't recorded.
    function recordedBlockHash(uint256 number) external view returns (bytes32);

    /// @notice The seed of a session (docs/protocol.md, section 3).
    /// @param l1Header RLP of the header of L1's block `openedBlock + 1`, whose hash is known or recorded.
    function seedOf(uint64 sessionId, uint64 openedBlock, bytes calldata l1Header) external view returns (bytes32);

    /// @notice The hash of a session's block 0 (docs/protocol.md, section 5).
    function genesisOf(
        SessionConfig calldata config,
        bytes32 configHash,
        uint64 chainId,
        Opening calldata opening,
        bytes32 seed
    ) external pure returns (bytes32);

    /// @notice Reverts unless header and transactions are those of the block with this hash, number and parent.
    /// @return bytes_ How many there are of both, which the hash fixes.
    function checkBlock(
        uint64 number,
        bytes32 blockHash,
        bytes32 parentHash,
        bytes calldata header,
        bytes[] calldata transactions
    ) external pure returns (uint256 bytes_);
}
