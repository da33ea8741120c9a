// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Recovery} from "../libraries/RecoveryList.sol";
import {ClaimHeader, SessionClaim} from "./Types.sol";

/// @notice What a dispute contract is built with; docs/disputes.md says why each has its default.
struct DisputeRules {
    uint96 gasPrice; // wei for a gas, for which bonds are reckoned
    uint96 provingCost; // wei that a proof costs its maker off-chain
    uint96 challengeBond; // wei for a challenge
    uint96 operatorStake; // wei that an offence costs an operator
    uint16 burntShare; // of each lost bond, in basis points
    uint32 proofWindow; // seconds in which a challenge is answered by a proof
    uint32 answerWindow; // seconds in which a demand is answered
    uint32 responseTime; // seconds after an answer in which it can be acted upon
    uint32 stakeDelay; // seconds that a stake can still be slashed after its owner wants it back
}

/// @notice What is asked of a claim. Each has one kind of answer.
enum Kind {
    Leaf, // its content
    Hashes, // up to 1,024 of its block hashes
    Block, // a block's header and transactions
    Challenge // a proof that a block is a valid child of the one before
}

enum DisputeStatus {
    None,
    Open,
    Closed // answered, or its bond was given back
}

/// @notice Names a leaf of a claim.
struct LeafName {
    uint64 claimId;
    uint32 index;
    ClaimHeader header;
}

/// @notice A leaf of a claim with its content, and the proof that it is under the claim's root.
struct ShownLeaf {
    LeafName name;
    SessionClaim content;
    bytes32[] proof;
}

/// @notice The hash of a claimed block, and the proof that it is under the leaf's blockHashesRoot.
struct ShownHash {
    uint64 number;
    bytes32 blockHash;
    bytes32[] proof;
}

/// @notice What a proof says beyond what the claim gives, and the proof's head (docs/proof-verifier.md). The proof was verified before.
struct Evidence {
    address prover;
    bytes32 resultHash; // these four are zero in a fault proof
    bytes32 inboxHash;
    uint64 toNumber;
    uint64 toTimestamp;
    Recovery[] recoveries;
    bytes head;
}

/// @notice The open disputes about a leaf that a proof answers, by their numbers.
struct Answered {
    uint64[] challenges;
    uint64[] blocks;
    uint64[] hashes;
}

/// @notice What block 0 of a session is made of besides its configuration.
struct Opening {
    bytes32 stateRoot; // of the template
    bytes32 dataHash; // of the template
    address[] players;
    bytes initData;
}

/// @notice An operator's signature of a block (docs/protocol.md, section 7).
struct Preconfirmation {
    uint64 sessionId;
    uint64 number;
    bytes32 blockHash;
    bytes signature; // r, s, v
}
