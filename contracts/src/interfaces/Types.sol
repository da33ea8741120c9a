// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @notice How the data of a claim is made available (docs/protocol.md, section 8).
enum DataMode {
    Blob,
    Calldata,
    OnDemand
}

/// @notice The states of a session on L1. The status is the low byte of the session's storage word.
enum SessionStatus {
    None,
    Open,
    Settled,
    Aborted
}

/// @notice What the game contract fixes for a session at its opening.
struct Terms {
    address operator; // signs preconfirmations, and claims where there are no disputes
    address disputeGame; // may hold and kill claims of these sessions; zero: no disputes, and only the operator claims
    address verifier; // IZkVerifier
    bytes32 programId; // the guest program
    uint96 claimBond; // wei per session in a claim
    uint32 challengeWindow; // seconds
    uint32 inclusionDelay; // seconds
    uint32 abortDelay; // seconds after the deadline
    uint32 callbackGas; // gas for each call into the game contract
    DataMode dataMode;
}

/// @notice The configuration of a session; its hash never changes.
struct SessionConfig {
    uint64 sessionId;
    uint64 openedAt;
    uint64 openedBlock;
    uint64 deadline;
    address game;
    bytes32 templateId;
    bytes32 playersHash;
    bytes32 initDataHash;
    bytes32 termsHash;
}

/// @notice The blocks that a claim is about.
struct ClaimedChain {
    bytes32 seed;
    uint64 lastNumber;
    bytes32 lastHash;
    bytes32 blockHashesRoot;
}

/// @notice What a claim says of one session, which `configHash` names: a leaf of its Merkle tree.
struct SessionClaim {
    bytes32 configHash;
    bytes32 resultHash; // zero for a checkpoint
    bytes32 inboxHash;
    uint64 firstNumber;
    uint64 lastTimestamp;
    uint64 inboxCount;
    ClaimedChain chain; // its hash in the leaf
}

/// @notice A claim's parameters. L1 keeps their hash only; callers bring them again.
struct ClaimHeader {
    bytes32 root; // Merkle root over the leaves
    bytes32 termsHash;
    address disputeGame; // from here on the terms' values
    uint96 claimBond;
    uint32 challengeWindow;
    uint32 callbackGas;
    uint32 count; // leaves
    uint64 claimedAt; // L1 timestamp
}

/// @notice One session to settle, or a checkpoint to confirm (its result is empty). What L1 can derive (configHash, resultHash, inboxHash) is not sent.
/// @dev SessionHash copies the first four members into the preimage of configHash and the next four into that of the leaf, as they stand here.
struct Settlement {
    uint64 sessionId;
    uint64 openedAt;
    address game;
    bytes32 setupHash;
    uint64 firstNumber;
    uint64 lastTimestamp;
    uint64 inboxCount;
    bytes32 chainHash;
    bytes result;
}

/// @notice Shows where a range starts that doesn't start at block 0: its first block's hash, and the proof that it is the first under the range's blockHashesRoot.
struct Anchor {
    bytes32 blockHash;
    bytes32[] proof;
}
