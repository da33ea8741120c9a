// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {BondAccounts} from "./BondAccounts.sol";
import {IDisputeRules} from "./interfaces/IDisputeRules.sol";
import {IExclaveGame} from "./interfaces/IExclaveGame.sol";
import {IZkRelayer} from "./interfaces/IZkRelayer.sol";
import {
    Anchor,
    ClaimHeader,
    ClaimedChain,
    DataMode,
    SessionConfig,
    SessionStatus,
    Settlement,
    Terms
} from "./interfaces/Types.sol";
import {IsolatedCall} from "./libraries/IsolatedCall.sol";
import {MerkleTree} from "./libraries/MerkleTree.sol";
import {SessionHash} from "./libraries/SessionHash.sol";

/// @title Sessions' registry on L1. It has no owner, can't be paused and can't be upgraded.
contract ZkRelayer is IZkRelayer, BondAccounts, EIP712 {
    using SessionHash for bytes32;

    struct InboxEntry {
        bytes32 inboxHash; // after this message
        uint64 dueAt; // session timestamp
    }

    struct ClaimRecord {
        address claimant;
        uint32 held; // leaves in dispute
        uint32 killed; // leaves found wrong or unproven
        bool released;
        bytes32 headerHash;
    }

    /// @dev Written only when a leaf is disputed.
    struct LeafRecord {
        uint32 disputes; // open
        bool killed; // a dispute was won against it
        uint64 sessionId; // once it is bound
    }

    /// @dev The disputes about leaves that are bound to a session, over all claims of it.
    struct SessionHold {
        uint64 leaves; // in dispute now
        uint64 releasedAt; // when one of them last came out of its disputes
    }

    /// @dev A callback to be made again.
    struct FailedCallback {
        uint224 mark; // of the result, or ABORTED_MARK
        uint32 gas;
    }

    uint256 public constant MAX_PLAYERS = 16;
    uint256 public constant MAX_INIT_DATA = 4096;
    uint256 public constant MAX_MESSAGE_DATA = 32768;
    uint64 public constant MIN_MESSAGE_GAS = 21_000;
    uint64 public constant MAX_MESSAGE_GAS = 500_000;
    uint64 public constant MAX_DURATION = 30 days;
    uint32 public constant MAX_CLAIM_COUNT = 4096;
    /// @dev Blobs are kept for about 18 days; a window must end well before.
    uint32 public constant MAX_CHALLENGE_WINDOW = 7 days;
    uint32 public constant MAX_INCLUSION_DELAY = 1 days;
    /// @notice `minChallengeWindow` over this is the least inclusion delay that terms may have: ten minutes in production.
    uint32 public constant INCLUSION_FRACTION = 6;
    uint32 public constant MAX_ABORT_DELAY = 60 days;
    uint32 public constant MIN_CALLBACK_GAS = 50_000;
    uint32 public constant MAX_CALLBACK_GAS = 2_000_000;
    /// @notice What terms must leave between a window from the deadline on and the first abort: half for posting the claim, half for settling it.
    uint32 public constant ABORT_SLACK = 1 hours;
    /// @notice For so long after a dispute that a claim won, its session can be settled but not aborted.
    uint32 public constant SETTLE_TIME = 1 hours;
    /// @notice So long after `deadline + abortDelay`, no dispute prevents an abort any more.
    uint32 public constant MAX_DISPUTE_TIME = 30 days;

    bytes32 public constant CLAIM_TYPEHASH =
        keccak256("Claim(address claimant,bytes32 root,uint32 count,bytes32 termsHash)");
    bytes32 public constant SESSION_RESULT_TYPEHASH =
        keccak256("SessionResult(bytes32 configHash,bytes32 resultHash,uint64 validUntil)");

    /// @dev Optimism's alias: an L1 contract can't pass for a session contract of the same address.
    uint160 private constant ALIAS_OFFSET = uint160(0x1111000000000000000000000000000000001111);
    uint224 private constant ABORTED_MARK = 1;
    /// @dev More than a session's new word and its log take, before its callback.
    uint256 private constant DECISION_GAS = 10_000;

    /// @inheritdoc IZkRelayer
    uint32 public immutable minChallengeWindow;
    /// @inheritdoc IZkRelayer
    uint32 public immutable minInclusionDelay;
    /// @inheritdoc IZkRelayer
    uint64 public immutable chainIdBase;

    /// @inheritdoc IZkRelayer
    uint64 public lastSessionId;
    /// @inheritdoc IZkRelayer
    uint64 public lastClaimId;

    /// @inheritdoc IZkRelayer
    mapping(bytes32 templateId => bool) public templateExists;
    /// @inheritdoc IZkRelayer
    mapping(bytes32 templateId => mapping(bytes32 termsHash => bool)) public termsRegistered;
    mapping(uint64 sessionId => bytes32 word) private _sessions;
    mapping(uint64 sessionId => InboxEntry[]) private _inboxes;
    mapping(uint64 claimId => ClaimRecord) private _claims;
    mapping(uint64 claimId => mapping(uint32 index => LeafRecord)) private _leaves;
    mapping(uint64 sessionId => SessionHold) private _holds;
    /// @dev When it was claimed, the first time if it was more than once; 0: it isn't confirmed.
    mapping(bytes32 checkpointId => uint64 claimedAt) private _checkpoints;
    mapping(uint64 sessionId => FailedCallback) private _failedCallbacks;

    constructor(uint32 minChallengeWindow_) EIP712("Exclave", "1") {
        minChallengeWindow = minChallengeWindow_;
        minInclusionDelay = minChallengeWindow_ / INCLUSION_FRACTION;
        chainIdBase = uint64(uint256(keccak256(abi.encode(block.chainid, address(this)))) & 0x7ffff) << 32;
    }

    // ---- templates and opening

    /// @inheritdoc IZkRelayer
    function registerTemplate(bytes32 stateRoot, bytes32 dataHash, string calldata uri)
        external
        returns (bytes32 templateId)
    {
        templateId = SessionHash.template(stateRoot, dataHash);
        templateExists[templateId] = true;
        emit TemplateRegistered(templateId, stateRoot, dataHash, uri);
    }

    /// @inheritdoc IZkRelayer
    function registerTerms(bytes32 templateId, Terms calldata terms) external returns (bytes32 termsHash) {
        if (!templateExists[templateId]) revert UnknownTemplate(templateId);
        _checkTerms(terms);
        // INVARIANT I1, I2: its rules fit these terms.
        if (terms.disputeGame != address(0)) IDisputeRules(terms.disputeGame).checkTerms(terms);
        termsHash = SessionHash.terms(terms);
        termsRegistered[templateId][termsHash] = true;
        emit TermsRegistered(templateId, termsHash, terms);
    }

    /// @inheritdoc IZkRelayer
    function openSession(
        bytes32 templateId,
        bytes32 termsHash,
        address[] calldata players,
        bytes calldata initData,
        uint64 deadline
    ) external returns (uint64 sessionId) {
        if (!termsRegistered[templateId][termsHash]) {
            revert UnknownTerms(templateId, termsHash);
        }
        _checkPlayers(players);
        if (initData.length > MAX_INIT_DATA) revert InitDataTooLarge(initData.length);
        if (deadline <= block.timestamp || deadline > block.timestamp + MAX_DURATION) revert WrongDeadline(deadline);

        sessionId = ++lastSessionId;
        bytes32 setupHash = SessionHash.setup(
            uint64(block.number), deadline, templateId, SessionHash.players(players), keccak256(initData)
        );
        bytes32 hash = SessionHash.config(
            chainIdBase + sessionId, termsHash, sessionId, uint64(block.timestamp), msg.sender, setupHash
        );
        _sessions[sessionId] = SessionHash.word(hash, SessionStatus.Open);
        emit SessionOpened(sessionId, msg.sender, templateId, deadline, termsHash, players, initData);
    }

    // ---- inbox

    /// @inheritdoc IZkRelayer
    function forceTransaction(
        SessionConfig calldata config,
        Terms calldata terms,
        address[] calldata players,
        address to,
        uint64 gasLimit,
        bytes calldata data
    ) external returns (uint64 index) {
        uint64 sessionId = config.sessionId;
        bytes32 word = _openWord(config);
        if (block.timestamp >= config.deadline) revert AfterDeadline(config.deadline);
        if (gasLimit < MIN_MESSAGE_GAS || gasLimit > MAX_MESSAGE_GAS) revert WrongMessageGas(gasLimit);
        if (data.length > MAX_MESSAGE_DATA) revert MessageTooLarge(data.length);
        if (SessionHash.terms(terms) != config.termsHash) revert WrongTerms();
        _checkParticipant(config, players);

        InboxEntry[] storage inbox = _inboxes[sessionId];
        index = uint64(inbox.length);
        address from = _sessionSender();
        bytes32 previous = index == 0 ? bytes32(0) : inbox[index - 1].inboxHash;
        // INVARIANT I4: part of the message, so that every block, not the last one alone, is held to it.
        uint64 dueAt = uint64(block.timestamp) + terms.inclusionDelay;
        bytes32 message = SessionHash.message(chainIdBase + sessionId, index, from, to, gasLimit, dueAt, data);
        bytes32 accumulated = keccak256(abi.encode(previous, message));
        inbox.push(InboxEntry(accumulated, dueAt));
        if (index == 0) _sessions[sessionId] = word.withMessages();
        emit MessageEnqueued(sessionId, index, from, to, gasLimit, dueAt, data, accumulated);
    }

    // ---- claims

    /// @inheritdoc IZkRelayer
    function claim(
        bytes32 root,
        uint32 count,
        Terms calldata terms,
        bytes32 dataHash,
        bytes calldata data,
        bytes calldata operatorSignature
    ) external payable returns (uint64 claimId) {
        if (count == 0 || count > MAX_CLAIM_COUNT) revert WrongCount(count);
        bytes32 termsHash = SessionHash.terms(terms);
        // INVARIANT I1: what nobody can dispute is taken from nobody but the operator.
        if (terms.disputeGame == address(0) && msg.sender != terms.operator) {
            bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(CLAIM_TYPEHASH, msg.sender, root, count, termsHash)));
            if (!_signed(terms.operator, digest, operatorSignature)) revert NotOperator(msg.sender);
        }
        if (msg.value > 0) _deposit(msg.sender);
        _lock(msg.sender, uint256(terms.claimBond) * count);

        ClaimHeader memory header = ClaimHeader({
            root: root,
            termsHash: termsHash,
            disputeGame: terms.disputeGame,
            claimBond: terms.claimBond,
            challengeWindow: terms.challengeWindow,
            callbackGas: terms.callbackGas,
            count: count,
            claimedAt: uint64(block.timestamp)
        });
        bytes32[] memory blobs = new bytes32[](0);
        if (terms.dataMode == DataMode.Blob) {
            blobs = _blobHashes();
            dataHash = keccak256(abi.encodePacked(blobs));
        } else if (terms.dataMode == DataMode.Calldata) {
            if (data.length == 0) revert NoData();
            dataHash = keccak256(data);
        } else if (dataHash == 0) {
            revert NoData();
        }
        claimId = ++lastClaimId;
        ClaimRecord storage record = _claims[claimId];
        record.claimant = msg.sender;
        record.headerHash = keccak256(abi.encode(header));
        emit ClaimPosted(claimId, msg.sender, header, terms.dataMode, dataHash, blobs);
    }

    /// @inheritdoc IZkRelayer
    function releaseBond(uint64 claimId, ClaimHeader calldata header) external {
        ClaimRecord storage record = _checkedClaim(claimId, header);
        _checkWindowOver(claimId, header);
        if (record.held != 0) revert ClaimHeld(claimId);
        if (record.released) revert AlreadyReleased(claimId);
        record.released = true;
        // The bonds of killed leaves are gone already.
        uint256 bond = uint256(header.claimBond) * (header.count - record.killed);
        _release(record.claimant, bond);
        emit ClaimReleased(claimId, bond);
    }

    // ---- settlement

    /// @inheritdoc IZkRelayer
    function settle(
        uint64 claimId,
        ClaimHeader calldata header,
        Settlement calldata item,
        uint32 index,
        bytes32[] calldata proof
    ) external {
        if (item.firstNumber != 0) revert NotAnchored(item.sessionId, item.firstNumber);
        bytes32 resultHash = keccak256(item.result);
        bytes32 word = _checkedLeaf(claimId, header, item, resultHash, index, proof);
        _settle(claimId, header.callbackGas, item, resultHash, word, _callbackOf(item));
    }

    /// @inheritdoc IZkRelayer
    function confirmCheckpoint(
        uint64 claimId,
        ClaimHeader calldata header,
        Settlement calldata item,
        uint32 index,
        bytes32[] calldata proof,
        ClaimedChain calldata chain,
        Anchor calldata anchor
    ) external {
        _checkedLeaf(claimId, header, item, 0, index, proof);
        _checkAnchor(header.claimedAt, item, chain, anchor);
        bytes32 id = SessionHash.checkpoint(item.sessionId, chain.lastNumber, chain.lastHash);
        uint64 known = _checkpoints[id];
        if (known == 0 || header.claimedAt < known) _checkpoints[id] = header.claimedAt;
        emit CheckpointConfirmed(item.sessionId, claimId, chain.lastNumber, chain.lastHash);
    }

    /// @inheritdoc IZkRelayer
    function settleFromCheckpoint(
        uint64 claimId,
        ClaimHeader calldata header,
        Settlement calldata item,
        uint32 index,
        bytes32[] calldata proof,
        ClaimedChain calldata chain,
        Anchor calldata anchor
    ) external {
        bytes32 resultHash = keccak256(item.result);
        bytes32 word = _checkedLeaf(claimId, header, item, resultHash, index, proof);
        _checkAnchor(header.claimedAt, item, chain, anchor);
        _settle(claimId, header.callbackGas, item, resultHash, word, _callbackOf(item));
    }

    /// @inheritdoc IZkRelayer
    function settleAll(uint64 claimId, ClaimHeader calldata header, Settlement[] calldata items, uint256 least)
        external
    {
        ClaimRecord storage record = _checkedClaim(claimId, header);
        _checkWindowOver(claimId, header);
        if (items.length != header.count) revert WrongCount(items.length);
        bool disputed = record.held | record.killed != 0;
        bytes32[] memory leaves = new bytes32[](items.length);
        bytes32[] memory words = new bytes32[](items.length);
        uint256 free = _freeMemory();
        for (uint256 i; i < items.length; ++i) {
            Settlement calldata item = items[i];
            (bytes32 leaf, bytes32 word, bool live) =
                _checkItem(header.termsHash, header.claimedAt, item, keccak256(item.result));
            leaves[i] = leaf;
            // A leaf in dispute, or one that needs an anchor, keeps its session open; the others settle.
            if (item.firstNumber == 0 && live && !(disputed && _isDisputed(claimId, uint32(i)))) {
                words[i] = word;
            }
            _resetMemory(free);
        }
        if (MerkleTree.rootInPlace(leaves) != header.root) revert WrongLeaf(claimId, 0);
        uint32 callbackGas = header.callbackGas;
        uint256 settled;
        for (uint256 i; i < items.length; ++i) {
            bytes32 word = words[i];
            if (word == 0) continue;
            Settlement calldata item = items[i];
            // A callback may have decided a later session of the list, and the list may name one twice.
            if (_sessions[item.sessionId] != word) continue;
            bytes32 resultHash = keccak256(item.result);
            bytes memory callback = _callbackOf(item);
            // INVARIANT I2: games that burn all their gas keep what they leave too little for from this transaction only.
            if (!IsolatedCall.fits(callbackGas + DECISION_GAS)) break;
            _settle(claimId, callbackGas, item, resultHash, word, callback);
            ++settled;
            _resetMemory(free);
        }
        if (settled < least) revert TooFewSettled(settled, least);
    }

    /// @inheritdoc IZkRelayer
    function settleUnanimously(
        SessionConfig calldata config,
        Terms calldata terms,
        address[] calldata players,
        bytes calldata result,
        uint64 validUntil,
        bytes[] calldata signatures
    ) external {
        if (block.timestamp > validUntil) revert SignaturesExpired(validUntil);
        bytes32 word = _openWord(config);
        if (SessionHash.terms(terms) != config.termsHash) revert WrongTerms();
        if (SessionHash.players(players) != config.playersHash || signatures.length != players.length) {
            revert WrongPlayers();
        }
        bytes32 resultHash = keccak256(result);
        bytes32 digest = _hashTypedDataV4(
            keccak256(abi.encode(SESSION_RESULT_TYPEHASH, _configHash(config), resultHash, validUntil))
        );
        for (uint256 i; i < players.length; ++i) {
            if (!_signed(players[i], digest, signatures[i])) revert WrongSignature(players[i]);
        }
        // A player's EIP-1271 code is called with staticcall, so that the session is still open here.
        _decide(config.sessionId, word, SessionStatus.Settled);
        emit SessionSettled(config.sessionId, 0, resultHash);
        _callGame(
            config.sessionId,
            config.game,
            terms.callbackGas,
            abi.encodeCall(IExclaveGame.onSessionSettled, (config.sessionId, result)),
            _markOf(resultHash)
        );
    }

    /// @inheritdoc IZkRelayer
    function settleByProof(Settlement calldata item, Terms calldata terms) external {
        // INVARIANT I1: whom the dispute contract trusts with it has seen the proof.
        if (terms.disputeGame == address(0) || msg.sender != IDisputeRules(terms.disputeGame).settler()) {
            revert NotDisputeGame(msg.sender);
        }
        if (item.firstNumber != 0) revert NotAnchored(item.sessionId, item.firstNumber);
        bytes32 resultHash = keccak256(item.result);
        (, bytes32 word, bool live) = _checkItem(SessionHash.terms(terms), block.timestamp, item, resultHash);
        if (!live) revert NotOpen(item.sessionId, word.statusOf());
        _settle(0, terms.callbackGas, item, resultHash, word, _callbackOf(item));
    }

    /// @inheritdoc IZkRelayer
    function abort(SessionConfig calldata config, Terms calldata terms) external {
        bytes32 word = _openWord(config);
        if (SessionHash.terms(terms) != config.termsHash) revert WrongTerms();
        uint256 from = uint256(config.deadline) + terms.abortDelay;
        if (block.timestamp < from) revert BeforeAbort(config.sessionId, from);
        // INVARIANT I3: after the longest dispute, nothing keeps the stakes from their owners, whatever the dispute contract does.
        if (block.timestamp < from + MAX_DISPUTE_TIME) {
            // INVARIANT I1: a result in dispute is not lost to an abort, nor one that just came out of its disputes.
            SessionHold memory hold = _holds[config.sessionId];
            if (hold.leaves != 0) revert SessionHeld(config.sessionId);
            from = uint256(hold.releasedAt) + SETTLE_TIME;
            if (hold.releasedAt != 0 && block.timestamp < from) revert BeforeAbort(config.sessionId, from);
        }
        _decide(config.sessionId, word, SessionStatus.Aborted);
        emit SessionAborted(config.sessionId);
        _callGame(
            config.sessionId,
            config.game,
            terms.callbackGas,
            abi.encodeCall(IExclaveGame.onSessionAborted, (config.sessionId)),
            ABORTED_MARK
        );
    }

    /// @inheritdoc IZkRelayer
    function retryCallback(SessionConfig calldata config, bytes calldata result) external {
        uint64 sessionId = config.sessionId;
        bytes32 word = _checkedWord(config);
        FailedCallback memory failed = _failedCallbacks[sessionId];
        bytes memory data;
        if (word.statusOf() == SessionStatus.Aborted && failed.mark == ABORTED_MARK) {
            data = abi.encodeCall(IExclaveGame.onSessionAborted, (sessionId));
        } else {
            if (failed.mark == 0 || failed.mark != _markOf(keccak256(result))) revert NoFailedCallback(sessionId);
            data = abi.encodeCall(IExclaveGame.onSessionSettled, (sessionId, result));
        }
        // Before the call: the game may call back in here.
        delete _failedCallbacks[sessionId];
        if (!IsolatedCall.tryCallWithAtLeast(config.game, failed.gas, data)) revert CallbackReverted(sessionId);
        emit CallbackDelivered(sessionId);
    }

    // ---- the seam of disputes

    /// @inheritdoc IZkRelayer
    function holdLeaf(uint64 claimId, ClaimHeader calldata header, uint32 index) external {
        ClaimRecord storage record = _checkedClaimOfDispute(claimId, header);
        uint256 end = _windowEnd(header);
        if (block.timestamp > end) revert WindowOver(claimId, end);
        if (index >= header.count) revert WrongLeaf(claimId, index);
        LeafRecord storage leaf = _leaves[claimId][index];
        if (leaf.killed) revert LeafNotLive(claimId, index);
        if (++leaf.disputes != 1) return;
        ++record.held;
        if (leaf.sessionId != 0) ++_holds[leaf.sessionId].leaves;
        emit LeafHeld(claimId, index);
    }

    /// @inheritdoc IZkRelayer
    function bindLeaf(
        uint64 claimId,
        ClaimHeader calldata header,
        Settlement calldata item,
        bytes32 resultHash,
        uint32 index,
        bytes32[] calldata proof,
        ClaimedChain calldata chain,
        Anchor calldata anchor
    ) external {
        _checkedClaim(claimId, header);
        // INVARIANT I3: of the session's own terms, and one that can settle: no other leaf keeps the session from an abort.
        _provenLeaf(claimId, header, item, resultHash, index, proof);
        _checkAnchor(header.claimedAt, item, chain, anchor);
        LeafRecord storage leaf = _leaves[claimId][index];
        if (leaf.disputes == 0) revert LeafNotHeld(claimId, index);
        if (leaf.sessionId != 0) return;
        leaf.sessionId = item.sessionId;
        ++_holds[item.sessionId].leaves;
        emit LeafBound(claimId, index, item.sessionId);
    }

    /// @inheritdoc IZkRelayer
    function releaseLeaf(uint64 claimId, ClaimHeader calldata header, uint32 index) external {
        (ClaimRecord storage record, LeafRecord storage leaf) = _heldLeaf(claimId, header, index);
        if (--leaf.disputes != 0) return;
        --record.held;
        if (leaf.sessionId != 0) {
            SessionHold storage hold = _holds[leaf.sessionId];
            --hold.leaves;
            hold.releasedAt = uint64(block.timestamp);
        }
        emit LeafReleased(claimId, index);
    }

    /// @inheritdoc IZkRelayer
    function killLeaf(
        uint64 claimId,
        ClaimHeader calldata header,
        uint32 index,
        address[] calldata recipients,
        uint256[] calldata shares
    ) external {
        (ClaimRecord storage record, LeafRecord storage leaf) = _heldLeaf(claimId, header, index);
        (leaf.disputes, leaf.killed) = (0, true);
        --record.held;
        ++record.killed;
        if (leaf.sessionId != 0) --_holds[leaf.sessionId].leaves;
        _slash(record.claimant, header.claimBond, recipients, shares);
        emit LeafKilled(claimId, index);
    }

    // ---- views

    /// @inheritdoc IZkRelayer
    function sessionStatus(uint64 sessionId) external view returns (SessionStatus) {
        return _sessions[sessionId].statusOf();
    }

    /// @inheritdoc IZkRelayer
    function inboxCount(uint64 sessionId) external view returns (uint64) {
        return uint64(_inboxes[sessionId].length);
    }

    /// @inheritdoc IZkRelayer
    function inboxHash(uint64 sessionId, uint64 count) external view returns (bytes32) {
        return _inboxHash(sessionId, count);
    }

    /// @inheritdoc IZkRelayer
    function claimRecord(uint64 claimId)
        external
        view
        returns (address claimant, uint32 held, uint32 killed, bool released, bytes32 headerHash)
    {
        ClaimRecord storage record = _claims[claimId];
        return (record.claimant, record.held, record.killed, record.released, record.headerHash);
    }

    /// @inheritdoc IZkRelayer
    function leafRecord(uint64 claimId, uint32 index)
        external
        view
        returns (uint32 disputes, bool killed, uint64 sessionId)
    {
        LeafRecord storage leaf = _leaves[claimId][index];
        return (leaf.disputes, leaf.killed, leaf.sessionId);
    }

    /// @inheritdoc IZkRelayer
    function callbackFailed(uint64 sessionId) external view returns (bool) {
        return _failedCallbacks[sessionId].mark != 0;
    }

    /// @inheritdoc IZkRelayer
    function checkpointConfirmed(uint64 sessionId, uint64 number, bytes32 blockHash) external view returns (bool) {
        return _checkpoints[SessionHash.checkpoint(sessionId, number, blockHash)] != 0;
    }

    /// @inheritdoc IZkRelayer
    function configHash(SessionConfig calldata config) external view returns (bytes32) {
        return _configHash(config);
    }

    /// @inheritdoc IZkRelayer
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    // ---- checks

    function _checkPlayers(address[] calldata players) private pure {
        if (players.length == 0 || players.length > MAX_PLAYERS) revert WrongPlayers();
        for (uint256 i; i < players.length; ++i) {
            if (players[i] == address(0)) revert WrongPlayers();
            for (uint256 j; j < i; ++j) {
                if (players[i] == players[j]) revert WrongPlayers();
            }
        }
    }

    function _checkTerms(Terms calldata terms) private view {
        if (
            terms.operator == address(0) || terms.challengeWindow < minChallengeWindow
                || terms.challengeWindow > MAX_CHALLENGE_WINDOW
                // INVARIANT I4, I2: soon enough to count, late enough for an operator that waits for confirmations.
                || terms.inclusionDelay < minInclusionDelay || terms.inclusionDelay > MAX_INCLUSION_DELAY
                // INVARIANT I1: a claim posted in time settles before anyone can abort.
                || terms.abortDelay < uint256(terms.challengeWindow) + ABORT_SLACK || terms.abortDelay > MAX_ABORT_DELAY
                || terms.callbackGas < MIN_CALLBACK_GAS || terms.callbackGas > MAX_CALLBACK_GAS
        ) revert WrongTerms();
    }

    function _checkParticipant(SessionConfig calldata config, address[] calldata players) private view {
        if (SessionHash.players(players) != config.playersHash) revert WrongPlayers();
        if (msg.sender == config.game) return;
        for (uint256 i; i < players.length; ++i) {
            if (players[i] == msg.sender) return;
        }
        revert NotParticipant(msg.sender);
    }

    /// @dev A signature of the account's key, whatever code it has delegated to (EIP-7702), or one that its code accepts (EIP-1271).
    function _signed(address account, bytes32 digest, bytes calldata signature) private view returns (bool) {
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (problem == ECDSA.RecoverError.NoError && signer == account) return true;
        return SignatureChecker.isValidERC1271SignatureNowCalldata(account, digest, signature);
    }

    /// @dev Who the L1 caller is in the session: itself if a key signs for it (EIP-7702 delegations included), else its alias. A contract that is being
    /// constructed has no code yet, but hasn't sent the transaction either.
    function _sessionSender() private view returns (address) {
        bytes memory code = msg.sender.code;
        bool delegated = code.length == 23 && bytes3(code) == 0xef0100;
        if (delegated || (code.length == 0 && msg.sender == tx.origin)) return msg.sender;
        unchecked {
            return address(uint160(msg.sender) + ALIAS_OFFSET);
        }
    }

    function _blobHashes() private view returns (bytes32[] memory blobs) {
        uint256 count;
        while (blobhash(count) != 0) ++count;
        if (count == 0) revert NoBlob();
        blobs = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            blobs[i] = blobhash(i);
        }
    }

    function _configHash(SessionConfig memory config) private view returns (bytes32) {
        return SessionHash.config(chainIdBase + config.sessionId, config);
    }

    function _checkedWord(SessionConfig memory config) private view returns (bytes32 word) {
        word = _sessions[config.sessionId];
        if (word.statusOf() == SessionStatus.None || !word.isConfig(_configHash(config))) {
            revert WrongConfig(config.sessionId);
        }
    }

    function _openWord(SessionConfig memory config) private view returns (bytes32 word) {
        word = _checkedWord(config);
        SessionStatus status = word.statusOf();
        if (status != SessionStatus.Open) revert NotOpen(config.sessionId, status);
    }

    function _checkedClaim(uint64 claimId, ClaimHeader calldata header)
        private
        view
        returns (ClaimRecord storage record)
    {
        record = _claims[claimId];
        if (record.headerHash != keccak256(abi.encode(header))) revert WrongClaim(claimId);
    }

    function _checkedClaimOfDispute(uint64 claimId, ClaimHeader calldata header)
        private
        view
        returns (ClaimRecord storage record)
    {
        record = _checkedClaim(claimId, header);
        if (msg.sender != header.disputeGame) revert NotDisputeGame(msg.sender);
    }

    function _checkWindowOver(uint64 claimId, ClaimHeader calldata header) private view {
        uint256 end = _windowEnd(header);
        if (block.timestamp <= end) revert WindowOpen(claimId, end);
    }

    /// @dev The last second in which the claim can be disputed.
    function _windowEnd(ClaimHeader calldata header) private pure returns (uint256) {
        return uint256(header.claimedAt) + header.challengeWindow;
    }

    /// @dev In dispute, or killed by one.
    function _isDisputed(uint64 claimId, uint32 index) private view returns (bool) {
        LeafRecord storage leaf = _leaves[claimId][index];
        return leaf.disputes != 0 || leaf.killed;
    }

    function _heldLeaf(uint64 claimId, ClaimHeader calldata header, uint32 index)
        private
        view
        returns (ClaimRecord storage record, LeafRecord storage leaf)
    {
        record = _checkedClaimOfDispute(claimId, header);
        leaf = _leaves[claimId][index];
        if (leaf.disputes == 0) revert LeafNotHeld(claimId, index);
    }

    function _inboxHash(uint64 sessionId, uint64 count) private view returns (bytes32) {
        InboxEntry[] storage inbox = _inboxes[sessionId];
        if (count > inbox.length) revert WrongInboxCount(sessionId, count, inbox.length);
        return count == 0 ? bytes32(0) : inbox[count - 1].inboxHash;
    }

    /// @dev An undisturbed leaf of a claim whose window is over, of a session that is open. Returns the session's word.
    function _checkedLeaf(
        uint64 claimId,
        ClaimHeader calldata header,
        Settlement calldata item,
        bytes32 resultHash,
        uint32 index,
        bytes32[] calldata proof
    ) private view returns (bytes32) {
        ClaimRecord storage record = _checkedClaim(claimId, header);
        _checkWindowOver(claimId, header);
        if (record.held | record.killed != 0 && _isDisputed(claimId, index)) revert LeafNotLive(claimId, index);
        return _provenLeaf(claimId, header, item, resultHash, index, proof);
    }

    /// @dev A leaf of the claim, of a session that is open. Returns the session's word.
    function _provenLeaf(
        uint64 claimId,
        ClaimHeader calldata header,
        Settlement calldata item,
        bytes32 resultHash,
        uint32 index,
        bytes32[] calldata proof
    ) private view returns (bytes32) {
        (bytes32 leaf, bytes32 word, bool live) = _checkItem(header.termsHash, header.claimedAt, item, resultHash);
        if (MerkleTree.rootFromProof(leaf, index, header.count, proof) != header.root) {
            revert WrongLeaf(claimId, index);
        }
        if (!live) revert NotOpen(item.sessionId, word.statusOf());
        return word;
    }

    /// @dev INVARIANT I1: a range that doesn't start at block 0 starts at the last block of a checkpoint that passed its own review. What it builds on was
    /// claimed no later than itself: else nobody could have executed it in its own window.
    function _checkAnchor(
        uint64 claimedAt,
        Settlement calldata item,
        ClaimedChain calldata chain,
        Anchor calldata anchor
    ) private view {
        if (SessionHash.chain(chain) != item.chainHash) revert WrongChain(item.sessionId);
        if (item.firstNumber == 0) return;
        uint64 anchoredAt = _checkpoints[SessionHash.checkpoint(item.sessionId, item.firstNumber, anchor.blockHash)];
        if (chain.lastNumber < item.firstNumber || anchoredAt == 0 || anchoredAt > claimedAt) {
            revert NotAnchored(item.sessionId, item.firstNumber);
        }
        uint256 blocks = uint256(chain.lastNumber - item.firstNumber) + 1;
        bytes32 leaf = SessionHash.blockHashLeaf(anchor.blockHash);
        if (MerkleTree.rootFromProof(leaf, 0, blocks, anchor.proof) != chain.blockHashesRoot) {
            revert NotAnchored(item.sessionId, item.firstNumber);
        }
    }

    /// @dev Everything that L1 itself knows about a claimed session. Returns the leaf, the session's word, and whether it is still open.
    /// INVARIANT I1: what is settled was open to challenge, which a leaf with bits beyond its types isn't: its numbers are read here, firstNumber by the callers.
    function _checkItem(bytes32 termsHash, uint256 claimedAt, Settlement calldata item, bytes32 resultHash)
        private
        view
        returns (bytes32 leaf, bytes32 word, bool live)
    {
        uint64 sessionId = item.sessionId;
        bytes32 hash = SessionHash.configOf(chainIdBase + sessionId, item, termsHash);
        word = _sessions[sessionId];
        if (word.statusOf() == SessionStatus.None || !word.isConfig(hash)) revert WrongConfig(sessionId);
        live = word.statusOf() == SessionStatus.Open;
        uint64 lastTimestamp = item.lastTimestamp;
        if (lastTimestamp < item.openedAt || lastTimestamp > claimedAt) {
            revert WrongTimestamp(sessionId, lastTimestamp);
        }
        leaf = SessionHash.leafOf(item, hash, resultHash, _checkedInbox(item, word));
    }

    /// @dev INVARIANT I4: a message that was due before the session's last block is in it, or the claim can't settle.
    function _checkedInbox(Settlement calldata item, bytes32 word) private view returns (bytes32) {
        uint64 count = item.inboxCount;
        if (!word.hasMessages()) {
            if (count != 0) revert WrongInboxCount(item.sessionId, count, 0);
            return 0;
        }
        InboxEntry[] storage inbox = _inboxes[item.sessionId];
        if (count < inbox.length && inbox[count].dueAt < item.lastTimestamp) {
            revert MessageLeftOut(item.sessionId, count);
        }
        return _inboxHash(item.sessionId, count);
    }

    /// @dev With `_resetMemory`, lets each turn of a loop use the same memory, which gets dearer the more there is.
    function _freeMemory() private pure returns (uint256 free) {
        assembly ("memory-safe") {
            free := mload(0x40)
        }
    }

    function _resetMemory(uint256 free) private pure {
        assembly ("memory-safe") {
            mstore(0x40, free)
        }
    }

    // ---- effects

    /// @dev INVARIANT I1, I3: the only way out of Open, and it leads there once.
    function _decide(uint64 sessionId, bytes32 word, SessionStatus status) private {
        _sessions[sessionId] = word.withStatus(status);
    }

    function _settle(
        uint64 claimId,
        uint32 callbackGas,
        Settlement calldata item,
        bytes32 resultHash,
        bytes32 word,
        bytes memory callback
    ) private {
        _decide(item.sessionId, word, SessionStatus.Settled);
        emit SessionSettled(item.sessionId, claimId, resultHash);
        _callGame(item.sessionId, item.game, callbackGas, callback, _markOf(resultHash));
    }

    function _callbackOf(Settlement calldata item) private pure returns (bytes memory) {
        return abi.encodeCall(IExclaveGame.onSessionSettled, (item.sessionId, item.result));
    }

    function _callGame(uint64 sessionId, address game, uint32 callbackGas, bytes memory data, uint224 mark) private {
        if (IsolatedCall.tryCall(game, callbackGas, data)) return;
        _failedCallbacks[sessionId] = FailedCallback(mark, callbackGas);
        emit CallbackFailed(sessionId);
    }

    /// @dev 224 bits of a result's hash: a settled session's result can't be replaced by another at a retry.
    function _markOf(bytes32 resultHash) private pure returns (uint224) {
        return uint224(uint256(resultHash) >> 32);
    }
}
