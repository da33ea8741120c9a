// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DisputeRules, Kind} from "../interfaces/DisputeTypes.sol";
import {IDisputeRules} from "../interfaces/IDisputeRules.sol";
import {IRuleBook} from "../interfaces/IRuleBook.sol";
import {IZkRelayer} from "../interfaces/IZkRelayer.sol";
import {Terms} from "../interfaces/Types.sol";
import {Shares} from "../libraries/Shares.sol";

/// @title Deadlines and bonds, fixed at construction; docs/disputes.md gives the reasons.
abstract contract RuleBook is IRuleBook {
    /// @dev Gas that verifying a proof takes on L1, in two transactions (docs/proof-verifier.md), and the call of `prove` itself.
    uint256 internal constant PROOF_GAS = 20_000_000;
    /// @dev Gas of the cheapest way to win against a wrong claim: opening a dispute and resolving it.
    uint256 internal constant CHALLENGE_GAS = 500_000;
    /// @dev Gas of showing a leaf.
    uint256 internal constant LEAF_GAS = 150_000;
    /// @dev Gas of showing hashes, and of each.
    uint256 internal constant HASHES_GAS = 150_000;
    uint256 internal constant HASH_GAS = 1_500;
    /// @dev Gas of showing a block, of each of its bytes, and of each of its transactions.
    uint256 internal constant BLOCK_GAS = 250_000;
    uint256 internal constant BYTE_GAS = 50;
    uint256 internal constant TRANSACTION_GAS = 10_000;
    /// @dev Gas that showing a block is paid for at most. A proof answers too, for blocks that don't fit into a transaction, but doesn't earn what it
    /// costs: nobody keeps data back for that.
    uint256 internal constant BLOCK_LIMIT = 10_000_000;

    /// @dev Levels of the subtree of hashes that are demanded together: 32 KiB fit into a transaction.
    uint256 internal constant HASH_LEVELS = 10;
    uint256 internal constant HASH_COUNT = 1 << HASH_LEVELS;

    uint16 private constant MIN_BURNT = 1_000;
    uint16 private constant MAX_BURNT = 9_000;
    /// @dev A proof takes minutes; hours are for whoever is asleep. Windows are multiples of what ZkRelayer allows at least: an hour in production.
    uint32 private constant PROOF_FACTOR = 3;
    uint32 private constant MAX_PROOF_WINDOW = 7 days;
    uint32 private constant MAX_ANSWER_WINDOW = 2 days;
    uint32 private constant MAX_RESPONSE_TIME = 2 days;
    /// @dev ZkRelayer's longest challenge window.
    uint32 private constant MAX_CHALLENGE_WINDOW = 7 days;
    uint32 private constant MAX_STAKE_DELAY = 90 days;
    /// @dev ZkRelayer's SETTLE_TIME and ABORT_SLACK.
    uint32 private constant SLACK = 1 hours;
    /// @dev Leaf, Hashes, Block: each can be demanded in the response time of the one before, so that disputes nest so deep at most.
    uint256 private constant DEMANDS = 3;

    /// @inheritdoc IRuleBook
    IZkRelayer public immutable relayer;

    uint256 internal immutable gasPrice;
    uint256 internal immutable provingCost;
    uint256 internal immutable challengeBond;
    uint256 internal immutable operatorStake;
    uint256 internal immutable burntShare;
    uint256 internal immutable proofWindow;
    uint256 internal immutable answerWindow;
    uint256 internal immutable responseTime;
    uint256 internal immutable stakeDelay;

    constructor(IZkRelayer relayer_, DisputeRules memory rules_) {
        relayer = relayer_;
        gasPrice = rules_.gasPrice;
        provingCost = rules_.provingCost;
        challengeBond = rules_.challengeBond;
        operatorStake = rules_.operatorStake;
        burntShare = rules_.burntShare;
        proofWindow = rules_.proofWindow;
        answerWindow = rules_.answerWindow;
        responseTime = rules_.responseTime;
        stakeDelay = rules_.stakeDelay;

        uint256 least = relayer_.minChallengeWindow();
        bool badTimes = rules_.proofWindow < PROOF_FACTOR * least || rules_.proofWindow > MAX_PROOF_WINDOW
            || rules_.answerWindow < least || rules_.answerWindow > MAX_ANSWER_WINDOW || rules_.responseTime < least
            || rules_.responseTime > MAX_RESPONSE_TIME
            // A stake outlives every claim that was posted before its owner wanted it back.
            || rules_.stakeDelay < MAX_CHALLENGE_WINDOW + maxDisputeTime() || rules_.stakeDelay > MAX_STAKE_DELAY;
        bool badBonds = rules_.gasPrice == 0 || rules_.burntShare < MIN_BURNT || rules_.burntShare > MAX_BURNT
            // INVARIANT I2: a challenge pays for its proof.
            || kept(rules_.challengeBond) < rules_.provingCost + PROOF_GAS * rules_.gasPrice
            // What is proven wrong costs more than what is unproven.
            || rules_.operatorStake < rules_.challengeBond;
        if (badTimes || badBonds) revert WrongRules();
    }

    /// @inheritdoc IRuleBook
    function rules() external view returns (DisputeRules memory) {
        return DisputeRules({
            gasPrice: uint96(gasPrice),
            provingCost: uint96(provingCost),
            challengeBond: uint96(challengeBond),
            operatorStake: uint96(operatorStake),
            burntShare: uint16(burntShare),
            proofWindow: uint32(proofWindow),
            answerWindow: uint32(answerWindow),
            responseTime: uint32(responseTime),
            stakeDelay: uint32(stakeDelay)
        });
    }

    /// @inheritdoc IDisputeRules
    function checkTerms(Terms calldata terms) external view {
        // A contract of another ZkRelayer couldn't hold a leaf here.
        if (msg.sender != address(relayer)) revert NotRelayer(msg.sender);
        if (
            terms.verifier.code.length == 0
                // INVARIANT I1: whoever opposes a wrong claim is paid what that costs him.
                || kept(terms.claimBond) < CHALLENGE_GAS * gasPrice
                // INVARIANT I1: nobody has less time for his first step than for each later one.
                || terms.challengeWindow < responseTime
                // INVARIANT I1: a claim posted by the deadline settles before an abort, after the longest dispute, also if nobody binds it.
                || terms.abortDelay < terms.challengeWindow + maxDisputeTime() + SLACK
        ) revert UnfitTerms();
    }

    /// @inheritdoc IRuleBook
    /// @dev INVARIANT I2: three demands, each in the response time of the one before, then a challenge.
    function maxDisputeTime() public view returns (uint256) {
        return DEMANDS * (answerWindow + responseTime) + proofWindow;
    }

    /// @inheritdoc IRuleBook
    function bondOf(Kind kind) public view returns (uint256) {
        if (kind == Kind.Leaf) return LEAF_GAS * gasPrice;
        if (kind == Kind.Hashes) return (HASHES_GAS + HASH_COUNT * HASH_GAS) * gasPrice;
        if (kind == Kind.Block) return BLOCK_LIMIT * gasPrice;
        return challengeBond;
    }

    function kept(uint256 bond) internal view returns (uint256) {
        return Shares.kept(bond, burntShare);
    }
}
