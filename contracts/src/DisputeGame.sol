// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BondAccounts} from "./BondAccounts.sol";
import {BlockFacts} from "./disputes/BlockFacts.sol";
import {OperatorStakes} from "./disputes/OperatorStakes.sol";
import {ProofSettlement} from "./disputes/ProofSettlement.sol";
import {RuleBook} from "./disputes/RuleBook.sol";
import {
    Answered,
    DisputeRules,
    DisputeStatus,
    Evidence,
    Kind,
    LeafName,
    Opening,
    Preconfirmation,
    ShownHash,
    ShownLeaf
} from "./interfaces/DisputeTypes.sol";
import {IDisputeGame} from "./interfaces/IDisputeGame.sol";
import {IBlockFacts} from "./interfaces/IBlockFacts.sol";
import {IDisputeRules} from "./interfaces/IDisputeRules.sol";
import {IOperatorStakes} from "./interfaces/IOperatorStakes.sol";
import {IZkRelayer} from "./interfaces/IZkRelayer.sol";
import {SessionClaim, SessionConfig, Terms} from "./interfaces/Types.sol";
import {LeafProof} from "./libraries/LeafProof.sol";
import {SessionHash} from "./libraries/SessionHash.sol";
import {Verdict} from "./libraries/Statement.sol";
import {StatementProof} from "./libraries/StatementProof.sol";

/// @title Disputes about claims: demands, challenges, proofs, slashing. No owner, no pause, no upgrade. docs/disputes.md is its specification.
/// @dev A leaf is held at ZkRelayer as one dispute for as long as anything here is open about it, or an answer can still be acted upon.
contract DisputeGame is BondAccounts, RuleBook, IDisputeGame {
    using LeafProof for SessionClaim;
    using LeafProof for ShownLeaf;

    struct Dispute {
        address opener;
        uint64 deadline;
        DisputeStatus status;
    }

    struct LeafState {
        uint32 open; // disputes without an answer
        bool held;
        bool killed;
        // Until when what was shown can be acted upon, by its kind. INVARIANT I2: only by disputes of a later kind, so that they don't nest without end.
        uint48 leafUntil;
        uint48 hashesUntil;
        uint48 blocksUntil;
        uint64 provenTo; // a proof leads there from the range's first block
    }

    /// @inheritdoc IDisputeGame
    IOperatorStakes public immutable stakes;
    /// @inheritdoc IDisputeGame
    IBlockFacts public immutable facts;
    /// @inheritdoc IDisputeRules
    address public immutable settler;

    mapping(bytes32 leafId => LeafState) private _leaves;
    mapping(bytes32 leafId => mapping(Kind => mapping(uint64 number => Dispute))) private _disputes;

    constructor(IZkRelayer relayer_, DisputeRules memory rules_) RuleBook(relayer_, rules_) {
        stakes = new OperatorStakes(relayer_, rules_.operatorStake, rules_.burntShare, rules_.stakeDelay);
        facts = new BlockFacts();
        settler = address(new ProofSettlement(relayer_, stakes, facts));
    }

    // ---- demands

    /// @inheritdoc IDisputeGame
    function demandLeaf(LeafName calldata name) external payable {
        _checkClaim(name);
        _open(name, Kind.Leaf, 0);
    }

    /// @inheritdoc IDisputeGame
    function demandHashes(ShownLeaf calldata leaf, uint64 position) external payable {
        _checkLeaf(leaf);
        if (position >= leaf.content.nodesOf(HASH_LEVELS)) revert WrongNumber(position);
        uint64 provenTo = _leaves[_idOf(leaf.name)].provenTo;
        if (provenTo != 0 && provenTo == leaf.content.chain.lastNumber) revert AlreadyProven(provenTo);
        _open(leaf.name, Kind.Hashes, position);
    }

    /// @inheritdoc IDisputeGame
    function demandBlock(ShownLeaf calldata leaf, uint64 number) external payable {
        _checkLeaf(leaf);
        leaf.content.checkTransition(number);
        _openTransition(leaf.name, Kind.Block, number);
    }

    /// @inheritdoc IDisputeGame
    function answerLeaf(ShownLeaf calldata leaf) external {
        _checkLeaf(leaf);
        _answer(leaf.name, Kind.Leaf, 0, LEAF_GAS).leafUntil = _responseEnd();
    }

    /// @inheritdoc IDisputeGame
    function answerHashes(ShownLeaf calldata leaf, uint64 position, bytes32[] calldata hashes, bytes32[] calldata proof)
        external
    {
        _checkLeaf(leaf);
        leaf.content.checkHashes(position, hashes, proof, HASH_LEVELS);
        _answer(leaf.name, Kind.Hashes, position, HASHES_GAS + hashes.length * HASH_GAS).hashesUntil = _responseEnd();
    }

    /// @inheritdoc IDisputeGame
    function answerBlock(
        ShownLeaf calldata leaf,
        ShownHash calldata parent,
        ShownHash calldata target,
        bytes calldata header,
        bytes[] calldata transactions
    ) external {
        _checkLeaf(leaf);
        leaf.content.checkPair(parent, target);
        uint64 number = target.number;
        // Who claims another last hash than the tree has can't show the tree.
        if (number == leaf.content.chain.lastNumber && target.blockHash != leaf.content.chain.lastHash) {
            revert WrongHash(number);
        }
        uint256 size = facts.checkBlock(number, target.blockHash, parent.blockHash, header, transactions);
        uint256 gas = BLOCK_GAS + size * BYTE_GAS + transactions.length * TRANSACTION_GAS;
        _answer(leaf.name, Kind.Block, number, gas).blocksUntil = _responseEnd();
    }

    // ---- challenges and proofs

    /// @inheritdoc IDisputeGame
    function challenge(ShownLeaf calldata leaf, ShownHash calldata parent, ShownHash calldata target) external payable {
        _checkLeaf(leaf);
        leaf.content.checkPair(parent, target);
        _openTransition(leaf.name, Kind.Challenge, target.number);
    }

    /// @inheritdoc IDisputeGame
    function prove(
        ShownLeaf calldata leaf,
        Terms calldata terms,
        ShownHash calldata from,
        ShownHash calldata to,
        Evidence calldata evidence,
        Answered calldata answered
    ) external {
        _checkLeaf(leaf, terms);
        if (from.number >= to.number) revert WrongRange(from.number, to.number);
        leaf.content.checkHash(from);
        leaf.content.checkHash(to);
        StatementProof.check(terms, leaf.content.configHash, from.blockHash, to.blockHash, Verdict.Valid, evidence);
        if (!_agrees(leaf.content, to, evidence)) {
            _killAsWrong(leaf, terms, evidence.prover);
            return;
        }
        LeafState storage state = _leaves[_idOf(leaf.name)];
        if (state.killed) revert LeafDead(leaf.name.claimId, leaf.name.index);
        // INVARIANT I1: nothing is known of a block `from` in the middle. One of the claimant's making has valid descendants too.
        uint64 start =
            from.number == leaf.content.firstNumber || from.number == state.provenTo ? from.number + 1 : to.number + 1;
        if (start <= to.number && to.number > state.provenTo) {
            state.provenTo = to.number;
            emit RangeProven(leaf.name.claimId, leaf.name.index, to.number);
        }
        _answerByProof(leaf.name, Kind.Challenge, answered.challenges, from.number, to.number, start, evidence.prover);
        _answerByProof(leaf.name, Kind.Block, answered.blocks, from.number, to.number, start, evidence.prover);
        for (uint256 i; i < answered.hashes.length; ++i) {
            // INVARIANT I8: by this proof, not by another's before it.
            if (start > to.number || to.number != leaf.content.chain.lastNumber) {
                revert NotCovered(Kind.Hashes, answered.hashes[i]);
            }
            _close(leaf.name, Kind.Hashes, answered.hashes[i], evidence.prover);
        }
        // INVARIANT I1: the proof may be the first to show its ends.
        if (answered.blocks.length + answered.hashes.length != 0) state.blocksUntil = _responseEnd();
        if (state.held && state.open == 0 && block.timestamp > _actUntil(state, Kind.Challenge)) {
            _release(leaf.name, state);
        }
    }

    /// @inheritdoc IDisputeGame
    function proveFault(
        ShownLeaf calldata leaf,
        Terms calldata terms,
        ShownHash calldata parent,
        ShownHash calldata target,
        Evidence calldata evidence
    ) external {
        _checkLeaf(leaf, terms);
        leaf.content.checkPair(parent, target);
        StatementProof.check(
            terms, leaf.content.configHash, parent.blockHash, target.blockHash, Verdict.Invalid, evidence
        );
        _killAsWrong(leaf, terms, evidence.prover);
    }

    // ---- what L1 sees without a proof

    /// @inheritdoc IDisputeGame
    function disproveRange(ShownLeaf calldata leaf, Terms calldata terms, ShownHash calldata last) external {
        _checkLeaf(leaf, terms);
        // INVARIANT I1: a range without a transition has nothing to challenge, and would settle any result.
        if (leaf.content.chain.lastNumber > leaf.content.firstNumber) {
            leaf.content.checkHash(last);
            if (last.number != leaf.content.chain.lastNumber) revert WrongNumber(last.number);
            if (last.blockHash == leaf.content.chain.lastHash) revert NotWrong();
        }
        _killAsWrong(leaf, terms, msg.sender);
    }

    /// @inheritdoc IDisputeGame
    function disproveGenesis(
        ShownLeaf calldata leaf,
        Terms calldata terms,
        SessionConfig calldata config,
        Opening calldata opening,
        ShownHash calldata first
    ) external {
        _checkLeaf(leaf, terms);
        _checkConfig(leaf, config);
        if (first.number != 0) revert WrongNumber(first.number);
        leaf.content.checkHash(first);
        uint64 chainId = relayer.chainIdBase() + config.sessionId;
        bytes32 seed = leaf.content.chain.seed;
        if (first.blockHash == facts.genesisOf(config, leaf.content.configHash, chainId, opening, seed)) {
            revert NotWrong();
        }
        _killAsWrong(leaf, terms, msg.sender);
    }

    /// @inheritdoc IDisputeGame
    function disproveSeed(
        ShownLeaf calldata leaf,
        Terms calldata terms,
        SessionConfig calldata config,
        bytes calldata l1Header
    ) external {
        _checkLeaf(leaf, terms);
        _checkConfig(leaf, config);
        if (leaf.content.chain.seed == facts.seedOf(config.sessionId, config.openedBlock, l1Header)) revert NotWrong();
        _killAsWrong(leaf, terms, msg.sender);
    }

    /// @inheritdoc IDisputeGame
    function contradict(
        ShownLeaf calldata leaf,
        Terms calldata terms,
        SessionConfig calldata config,
        ShownHash calldata claimed,
        Preconfirmation calldata signed
    ) external {
        _checkLeaf(leaf, terms);
        _checkConfig(leaf, config);
        leaf.content.checkHash(claimed);
        if (
            signed.sessionId != config.sessionId || signed.number != claimed.number
                || signed.blockHash == claimed.blockHash || stakes.signerOf(signed) != terms.operator
        ) revert NotContradicted();
        (address claimant,,,,) = relayer.claimRecord(leaf.name.claimId);
        bool isOperators = claimant == terms.operator;
        bytes32 offence = bytes32(uint256(config.sessionId));
        bool slashed = isOperators && stakes.slash(terms.operator, offence, msg.sender);
        if (slashed && !_isOpen(leaf.name)) return;
        // INVARIANT I3: another's claim may have been made in good faith, of blocks that the operator has signed too. Who kills it earns nothing, and it
        // keeps what isn't burnt.
        _kill(leaf.name, isOperators ? msg.sender : claimant);
        emit LeafContradicted(leaf.name.claimId, leaf.name.index, msg.sender);
    }

    // ---- ends

    /// @inheritdoc IDisputeGame
    function resolve(LeafName calldata name, Kind kind, uint64 number) external {
        _checkClaim(name);
        Dispute storage dispute = _openDispute(name, kind, number);
        if (block.timestamp <= dispute.deadline) revert TooEarly(dispute.deadline);
        address opener = dispute.opener;
        _kill(name, opener);
        emit LeafUnproven(name.claimId, name.index, opener);
        _reclaim(_idOf(name), name.claimId, name.index, kind, number);
    }

    /// @inheritdoc IDisputeGame
    function release(LeafName calldata name) external {
        _checkClaim(name);
        LeafState storage state = _leaves[_idOf(name)];
        if (!state.held || state.open != 0) revert NothingHeld(name.claimId, name.index);
        uint256 until = _actUntil(state, Kind.Challenge);
        if (block.timestamp <= until) revert TooEarly(until);
        _release(name, state);
    }

    /// @inheritdoc IDisputeGame
    function reclaim(uint64 claimId, uint32 index, Kind kind, uint64 number) external {
        _reclaim(_idOf(claimId, index), claimId, index, kind, number);
    }

    // ---- views

    /// @inheritdoc IDisputeGame
    function disputeOf(uint64 claimId, uint32 index, Kind kind, uint64 number)
        external
        view
        returns (DisputeStatus status, address opener, uint256 deadline)
    {
        Dispute storage dispute = _disputes[_idOf(claimId, index)][kind][number];
        return (dispute.status, dispute.opener, dispute.deadline);
    }

    /// @inheritdoc IDisputeGame
    function leafState(uint64 claimId, uint32 index)
        external
        view
        returns (uint256 open, bool held, bool killed, uint64 provenTo, uint256 until)
    {
        LeafState storage state = _leaves[_idOf(claimId, index)];
        return (state.open, state.held, state.killed, state.provenTo, _actUntil(state, Kind.Challenge));
    }

    // ---- checks

    function _idOf(uint64 claimId, uint32 index) private pure returns (bytes32) {
        return bytes32((uint256(claimId) << 32) | index);
    }

    function _idOf(LeafName calldata name) private pure returns (bytes32) {
        return _idOf(name.claimId, name.index);
    }

    function _checkClaim(LeafName calldata name) private view {
        (,,,, bytes32 headerHash) = relayer.claimRecord(name.claimId);
        if (headerHash != LeafProof.hashOf(name.header) || name.header.disputeGame != address(this)) {
            revert WrongClaim(name.claimId);
        }
    }

    function _checkLeaf(ShownLeaf calldata leaf) private view {
        _checkClaim(leaf.name);
        leaf.checkLeaf();
    }

    function _checkLeaf(ShownLeaf calldata leaf, Terms calldata terms) private view {
        _checkLeaf(leaf);
        if (SessionHash.terms(terms) != leaf.name.header.termsHash) revert WrongTerms();
    }

    function _checkConfig(ShownLeaf calldata leaf, SessionConfig calldata config) private view {
        if (relayer.configHash(config) != leaf.content.configHash) revert WrongConfig(config.sessionId);
    }

    /// @dev Whether a block that is a valid descendant is what the leaf says of it.
    function _agrees(SessionClaim calldata content, ShownHash calldata to, Evidence calldata evidence)
        private
        pure
        returns (bool)
    {
        if (evidence.toNumber != to.number) return false;
        // A session that has ended has no further blocks.
        if (to.number != content.chain.lastNumber) return evidence.resultHash == 0;
        return evidence.resultHash == content.resultHash && evidence.inboxHash == content.inboxHash
            && evidence.toTimestamp == content.lastTimestamp && to.blockHash == content.chain.lastHash;
    }

    function _windowEnd(LeafName calldata name) private pure returns (uint256) {
        return uint256(name.header.claimedAt) + name.header.challengeWindow;
    }

    /// @dev Whether the leaf can still be killed.
    function _isOpen(LeafName calldata name) private view returns (bool) {
        LeafState storage state = _leaves[_idOf(name)];
        return !state.killed && (state.held || block.timestamp <= _windowEnd(name));
    }

    /// @dev Until when answers let disputes of this kind be opened.
    function _actUntil(LeafState storage state, Kind kind) private view returns (uint256 until) {
        if (kind > Kind.Leaf) until = state.leafUntil;
        if (kind > Kind.Hashes && state.hashesUntil > until) until = state.hashesUntil;
        if (kind > Kind.Block && state.blocksUntil > until) until = state.blocksUntil;
    }

    function _responseEnd() private view returns (uint48) {
        return uint48(block.timestamp + responseTime);
    }

    function _openDispute(LeafName calldata name, Kind kind, uint64 number)
        private
        view
        returns (Dispute storage dispute)
    {
        dispute = _disputes[_idOf(name)][kind][number];
        if (dispute.status != DisputeStatus.Open) revert NotOpen(kind, number);
    }

    // ---- effects

    function _openTransition(LeafName calldata name, Kind kind, uint64 number) private {
        uint64 provenTo = _leaves[_idOf(name)].provenTo;
        if (number <= provenTo) revert AlreadyProven(provenTo);
        _open(name, kind, number);
    }

    function _open(LeafName calldata name, Kind kind, uint64 number) private {
        bytes32 id = _idOf(name);
        LeafState storage state = _leaves[id];
        Dispute storage dispute = _disputes[id][kind][number];
        if (state.killed) revert LeafDead(name.claimId, name.index);
        // INVARIANT I2: what was answered is answered.
        if (dispute.status != DisputeStatus.None) revert AlreadyOpened(kind, number);
        uint256 end = _windowEnd(name);
        if (block.timestamp > end) {
            uint256 until = _actUntil(state, kind);
            if (block.timestamp > until) revert TooLate(until > end ? until : end);
        }
        uint256 bond = bondOf(kind);
        if (msg.value > 0) _deposit(msg.sender);
        _lock(msg.sender, bond);
        uint256 deadline = block.timestamp + (kind == Kind.Challenge ? proofWindow : answerWindow);
        (dispute.opener, dispute.deadline, dispute.status) = (msg.sender, uint64(deadline), DisputeStatus.Open);
        ++state.open;
        _hold(name, state);
        emit DisputeOpened(name.claimId, name.index, kind, number, msg.sender, bond, deadline);
    }

    function _hold(LeafName calldata name, LeafState storage state) private {
        if (state.held) return;
        state.held = true;
        relayer.holdLeaf(name.claimId, name.header, name.index);
    }

    function _release(LeafName calldata name, LeafState storage state) private {
        state.held = false;
        relayer.releaseLeaf(name.claimId, name.header, name.index);
    }

    /// @dev Data was shown: it is paid for, and the rest of the bond goes back.
    function _answer(LeafName calldata name, Kind kind, uint64 number, uint256 gas)
        private
        returns (LeafState storage)
    {
        address opener = _end(name, kind, number);
        uint256 bond = bondOf(kind);
        uint256 paid = gas * gasPrice < bond ? gas * gasPrice : bond;
        _release(opener, bond - paid);
        _spend(opener, paid, msg.sender, paid);
        emit DisputeAnswered(name.claimId, name.index, kind, number, msg.sender, paid);
        return _leaves[_idOf(name)];
    }

    function _answerByProof(
        LeafName calldata name,
        Kind kind,
        uint64[] calldata numbers,
        uint64 from,
        uint64 to,
        uint64 start,
        address prover
    ) private {
        for (uint256 i; i < numbers.length; ++i) {
            uint64 number = numbers[i];
            bool covered = number == from + 1 || (number >= start && number <= to);
            if (!covered) revert NotCovered(kind, number);
            _close(name, kind, number, prover);
        }
    }

    /// @dev INVARIANT I8: what a proof earns is whose it says.
    function _close(LeafName calldata name, Kind kind, uint64 number, address prover) private {
        address opener = _end(name, kind, number);
        uint256 bond = bondOf(kind);
        uint256 paid = kept(bond);
        _spend(opener, bond, prover, paid);
        emit DisputeAnswered(name.claimId, name.index, kind, number, prover, paid);
    }

    function _end(LeafName calldata name, Kind kind, uint64 number) private returns (address) {
        LeafState storage state = _leaves[_idOf(name)];
        if (state.killed) revert LeafDead(name.claimId, name.index);
        Dispute storage dispute = _openDispute(name, kind, number);
        if (block.timestamp > dispute.deadline) revert TooLate(dispute.deadline);
        dispute.status = DisputeStatus.Closed;
        --state.open;
        return dispute.opener;
    }

    /// @dev The operator's stake too, if the claim is his.
    function _killAsWrong(ShownLeaf calldata leaf, Terms calldata terms, address winner) private {
        _kill(leaf.name, winner);
        emit LeafProvenWrong(leaf.name.claimId, leaf.name.index, winner);
        (address claimant,,,,) = relayer.claimRecord(leaf.name.claimId);
        if (claimant == terms.operator) stakes.slash(claimant, leaf.content.configHash, winner);
    }

    function _kill(LeafName calldata name, address winner) private {
        LeafState storage state = _leaves[_idOf(name)];
        if (state.killed) revert LeafDead(name.claimId, name.index);
        if (!_isOpen(name)) revert TooLate(_windowEnd(name));
        _hold(name, state);
        (state.held, state.killed) = (false, true);
        address[] memory recipients = new address[](1);
        uint256[] memory shares = new uint256[](1);
        (recipients[0], shares[0]) = (winner, kept(name.header.claimBond));
        relayer.killLeaf(name.claimId, name.header, name.index, recipients, shares);
    }

    function _reclaim(bytes32 id, uint64 claimId, uint32 index, Kind kind, uint64 number) private {
        LeafState storage state = _leaves[id];
        if (!state.killed) revert LeafAlive(claimId, index);
        Dispute storage dispute = _disputes[id][kind][number];
        if (dispute.status != DisputeStatus.Open) revert NotOpen(kind, number);
        dispute.status = DisputeStatus.Closed;
        --state.open;
        _release(dispute.opener, bondOf(kind));
        emit BondReclaimed(claimId, index, kind, number, dispute.opener);
    }
}
