// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IBondAccounts} from "./IBondAccounts.sol";
import {
    Anchor,
    ClaimHeader,
    ClaimedChain,
    DataMode,
    SessionConfig,
    SessionStatus,
    Settlement,
    Terms
} from "./Types.sol";

/// @title Sessions' registry on L1: opening, inbox, claims, settlement, abort. docs/protocol.md is its specification.
interface IZkRelayer is IBondAccounts {
    event TemplateRegistered(bytes32 indexed templateId, bytes32 stateRoot, bytes32 dataHash, string uri);
    event TermsRegistered(bytes32 indexed templateId, bytes32 indexed termsHash, Terms terms);
    /// @dev The configuration's other members are the log's block and its timestamp, and hashes of what is here. The terms are in TermsRegistered.
    event SessionOpened(
        uint64 indexed sessionId,
        address indexed game,
        bytes32 indexed templateId,
        uint64 deadline,
        bytes32 termsHash,
        address[] players,
        bytes initData
    );
    event MessageEnqueued(
        uint64 indexed sessionId,
        uint64 indexed index,
        address indexed from,
        address to,
        uint64 gasLimit,
        uint64 dueAt,
        bytes data,
        bytes32 inboxHash
    );
    event ClaimPosted(
        uint64 indexed claimId,
        address indexed claimant,
        ClaimHeader header,
        DataMode dataMode,
        bytes32 dataHash,
        bytes32[] blobHashes
    );
    event ClaimReleased(uint64 indexed claimId, uint256 bond);
    /// @dev Its first open dispute. Further ones are the dispute contract's to tell.
    event LeafHeld(uint64 indexed claimId, uint32 indexed index);
    event LeafBound(uint64 indexed claimId, uint32 indexed index, uint64 indexed sessionId);
    /// @dev Its last open dispute ended in the claim's favour.
    event LeafReleased(uint64 indexed claimId, uint32 indexed index);
    event LeafKilled(uint64 indexed claimId, uint32 indexed index);
    event CheckpointConfirmed(uint64 indexed sessionId, uint64 indexed claimId, uint64 number, bytes32 blockHash);
    event SessionSettled(uint64 indexed sessionId, uint64 indexed claimId, bytes32 resultHash);
    event SessionAborted(uint64 indexed sessionId);
    event CallbackFailed(uint64 indexed sessionId);
    event CallbackDelivered(uint64 indexed sessionId);

    error UnknownTemplate(bytes32 templateId);
    error UnknownTerms(bytes32 templateId, bytes32 termsHash);
    error WrongPlayers();
    error InitDataTooLarge(uint256 length);
    error WrongDeadline(uint64 deadline);
    error WrongTerms();
    error WrongConfig(uint64 sessionId);
    error NotOpen(uint64 sessionId, SessionStatus status);
    error NotParticipant(address caller);
    error WrongMessageGas(uint64 gasLimit);
    error MessageTooLarge(uint256 length);
    error AfterDeadline(uint64 deadline);
    error NotOperator(address claimant);
    error WrongCount(uint256 count);
    error NoBlob();
    error NoData();
    error WrongClaim(uint64 claimId);
    error WindowOpen(uint64 claimId, uint256 until);
    error WindowOver(uint64 claimId, uint256 since);
    error AlreadyReleased(uint64 claimId);
    error NotDisputeGame(address caller);
    error LeafNotLive(uint64 claimId, uint32 index);
    error LeafNotHeld(uint64 claimId, uint32 index);
    error ClaimHeld(uint64 claimId);
    error SessionHeld(uint64 sessionId);
    error WrongLeaf(uint64 claimId, uint32 index);
    error TooFewSettled(uint256 settled, uint256 least);
    error WrongChain(uint64 sessionId);
    error NotAnchored(uint64 sessionId, uint64 firstNumber);
    error WrongTimestamp(uint64 sessionId, uint64 timestamp);
    error WrongInboxCount(uint64 sessionId, uint64 claimed, uint256 enqueued);
    error MessageLeftOut(uint64 sessionId, uint64 index);
    error WrongSignature(address player);
    error SignaturesExpired(uint64 validUntil);
    error BeforeAbort(uint64 sessionId, uint256 from);
    error NoFailedCallback(uint64 sessionId);
    error CallbackReverted(uint64 sessionId);

    function registerTemplate(bytes32 stateRoot, bytes32 dataHash, string calldata uri) external returns (bytes32 templateId);

    /// @notice Makes it possible to open sessions of a template with these terms. Anyone, once for all sessions: so their openings needn't carry the terms.
    /// Terms with a dispute contract must be right to it too (IDisputeRules).
    function registerTerms(bytes32 templateId, Terms calldata terms) external returns (bytes32 termsHash);

    /// @notice Opens a session for the calling game contract.
    /// @param termsHash Of terms that are registered with the template.
    /// @param deadline Seconds since 1970; from this session timestamp on anyone may stop the game.
    function openSession(
        bytes32 templateId,
        bytes32 termsHash,
        address[] calldata players,
        bytes calldata initData,
        uint64 deadline
    ) external returns (uint64 sessionId);

    /// @notice Puts a call into the session that it must execute within the terms' inclusionDelay: no block takes it whose parent's timestamp is later.
    /// Players and the game contract only.
    function forceTransaction(
        SessionConfig calldata config,
        Terms calldata terms,
        address[] calldata players,
        address to,
        uint64 gasLimit,
        bytes calldata data
    ) external returns (uint64 index);

    /// @notice Claims the results of `count` sessions; locks `claimBond * count` wei of the caller's deposit, to which the value sent is added first.
    /// @param dataHash For DataMode.OnDemand only: the hash of the data that the claimant keeps.
    /// @param data For DataMode.Calldata only.
    /// @param operatorSignature Where the terms name no dispute contract, nobody could oppose a claim: it is then the operator's, or has his EIP-712
    /// signature over Claim(claimant, root, count, termsHash). Ignored where there are disputes: then anybody may claim.
    function claim(
        bytes32 root,
        uint32 count,
        Terms calldata terms,
        bytes32 dataHash,
        bytes calldata data,
        bytes calldata operatorSignature
    ) external payable returns (uint64 claimId);

    /// @notice Settles one session under a claim whose window is over. Its range starts at block 0.
    function settle(
        uint64 claimId,
        ClaimHeader calldata header,
        Settlement calldata item,
        uint32 index,
        bytes32[] calldata proof
    ) external;

    /// @notice Confirms a checkpoint (a leaf without result) whose window is over, so that later ranges can start at its last block.
    /// @param anchor Ignored when the range starts at block 0.
    function confirmCheckpoint(
        uint64 claimId,
        ClaimHeader calldata header,
        Settlement calldata item,
        uint32 index,
        bytes32[] calldata proof,
        ClaimedChain calldata chain,
        Anchor calldata anchor
    ) external;

    /// @notice Settles one session by a range that starts at the last block of a confirmed checkpoint.
    function settleFromCheckpoint(
        uint64 claimId,
        ClaimHeader calldata header,
        Settlement calldata item,
        uint32 index,
        bytes32[] calldata proof,
        ClaimedChain calldata chain,
        Anchor calldata anchor
    ) external;

    /// @notice Settles all sessions of a claim, given in the order of its leaves. Those already decided, in dispute, or in need of an anchor are passed over.
    /// Stops where the gas that callbacks left isn't enough for the next one; the rest can be settled later.
    /// @param least Reverts if it settles fewer. Estimators of gas look for the least gas that a call succeeds with: asked for all sessions, they find the gas
    /// for all; sent with 1, no callback that burns more than it did then can undo the others.
    function settleAll(uint64 claimId, ClaimHeader calldata header, Settlement[] calldata items, uint256 least) external;

    /// @notice Unlocks the claimant's bond once the window is over and nothing is held.
    function releaseBond(uint64 claimId, ClaimHeader calldata header) external;

    /// @notice Settles at any time by the EIP-712 signatures of all players, in their order, over SessionResult(configHash, resultHash, validUntil).
    /// @param validUntil The last L1 timestamp at which the signatures count, so that an offer that was not taken up doesn't bind its signers for ever.
    function settleUnanimously(
        SessionConfig calldata config,
        Terms calldata terms,
        address[] calldata players,
        bytes calldata result,
        uint64 validUntil,
        bytes[] calldata signatures
    ) external;

    /// @notice Settles a session at once by what was proven from block 0 on. The settler of its terms' dispute contract only.
    /// @dev Of `item`, chainHash is not read.
    function settleByProof(Settlement calldata item, Terms calldata terms) external;

    /// @notice Ends a session without result, from `deadline + abortDelay` on; later if a leaf bound to it is in dispute or won its dispute less than an hour ago.
    function abort(SessionConfig calldata config, Terms calldata terms) external;

    /// @notice Calls the game contract again after a failed callback, with all the gas that the caller gives, at least the terms' `callbackGas`.
    /// @param result The settled result; ignored for an aborted session.
    function retryCallback(SessionConfig calldata config, bytes calldata result) external;

    /// @notice Opens a dispute about a claim's leaf, which can't settle until all of its disputes are over. The terms' dispute contract only, within the window.
    /// @dev By its index alone: of a leaf whose preimage the claimant keeps secret nobody could show more. Disputes are counted, so that a friendly one
    /// keeps no other out.
    function holdLeaf(uint64 claimId, ClaimHeader calldata header, uint32 index) external;

    /// @notice Shows which session a leaf in dispute is of, so that the session isn't aborted before the leaf can settle. Anyone: it is in the claimant's interest.
    /// @dev Only a leaf that would settle, or be confirmed, if it weren't in dispute: another one must not put an abort off.
    /// @param item Its result is not read.
    /// @param resultHash Zero for a checkpoint.
    /// @param anchor Ignored when the range starts at block 0.
    function bindLeaf(
        uint64 claimId,
        ClaimHeader calldata header,
        Settlement calldata item,
        bytes32 resultHash,
        uint32 index,
        bytes32[] calldata proof,
        ClaimedChain calldata chain,
        Anchor calldata anchor
    ) external;

    /// @notice Ends one dispute about a leaf in the claim's favour.
    function releaseLeaf(uint64 claimId, ClaimHeader calldata header, uint32 index) external;

    /// @notice Ends all disputes about a leaf against the claim: the leaf never settles; its bond goes to `recipients` by `shares`, the rest is burnt.
    function killLeaf(
        uint64 claimId,
        ClaimHeader calldata header,
        uint32 index,
        address[] calldata recipients,
        uint256[] calldata shares
    ) external;

    /// @notice The least challenge window that terms may have, in seconds. One hour in production; test networks take less.
    function minChallengeWindow() external view returns (uint32);

    /// @notice The least inclusion delay that terms may have, in seconds: a sixth of the least window.
    function minInclusionDelay() external view returns (uint32);

    /// @notice The EIP-712 domain separator of preconfirmations, claims and session results.
    function domainSeparator() external view returns (bytes32);

    function chainIdBase() external view returns (uint64);
    function sessionStatus(uint64 sessionId) external view returns (SessionStatus);
    function lastSessionId() external view returns (uint64);
    function lastClaimId() external view returns (uint64);
    function inboxCount(uint64 sessionId) external view returns (uint64);

    /// @return The accumulator after the first `count` forced messages.
    function inboxHash(uint64 sessionId, uint64 count) external view returns (bytes32);

    function claimRecord(uint64 claimId)
        external
        view
        returns (address claimant, uint32 held, uint32 killed, bool released, bytes32 headerHash);

    /// @return disputes How many are open.
    /// @return killed Whether one was won against the claim.
    /// @return sessionId The session, once the leaf was bound to it; else 0.
    function leafRecord(uint64 claimId, uint32 index)
        external
        view
        returns (uint32 disputes, bool killed, uint64 sessionId);
    function callbackFailed(uint64 sessionId) external view returns (bool);

    /// @return True if a range of the session may start at this block.
    function checkpointConfirmed(uint64 sessionId, uint64 number, bytes32 blockHash) external view returns (bool);
    function configHash(SessionConfig calldata config) external view returns (bytes32);
    function templateExists(bytes32 templateId) external view returns (bool);
    function termsRegistered(bytes32 templateId, bytes32 termsHash) external view returns (bool);
}
