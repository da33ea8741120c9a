// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IBondAccounts} from "../src/interfaces/IBondAccounts.sol";
import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {
    Anchor,
    ClaimHeader,
    ClaimedChain,
    SessionConfig,
    SessionStatus,
    Settlement,
    Terms
} from "../src/interfaces/Types.sol";
import {MerkleTree} from "../src/libraries/MerkleTree.sol";
import {SessionHash} from "../src/libraries/SessionHash.sol";
import {HostileGame} from "./support/Games.sol";
import {RelayerFixture} from "./support/RelayerFixture.sol";
import {TestDisputeGame, TestVerifier} from "./support/TestDisputeGame.sol";

/// @dev The seam: what a dispute contract may do to claims, and what it may not.
contract DisputesTest is RelayerFixture {
    address private constant CHALLENGER = address(0xc4a11e);

    HostileGame private game;
    TestDisputeGame private court;
    Terms private terms;
    SessionConfig private config;
    Settlement private item;
    uint64 private claimId;
    ClaimHeader private header;

    function setUp() public {
        setUpRelayer();
        game = new HostileGame(relayer);
        court = TestDisputeGame(disputes);
        terms = defaultTerms();
        terms.verifier = address(new TestVerifier());
        config = openFrom(address(game), terms, twoPlayers());
        claimFalsely();
    }

    function claimFalsely() private {
        item = itemFor(config, "result");
        (claimId, header) = post(leafFor(config, item), 1, terms);
    }

    function challenge() private {
        vm.prank(CHALLENGER);
        court.challenge(claimId, header, 0);
    }

    function bind() private {
        relayer.bindLeaf(claimId, header, item, keccak256(item.result), 0, noProof(), chainFor(config.sessionId), Anchor(0, noProof()));
    }

    function defend(uint256 which) private {
        bytes32 statement = keccak256("statement");
        court.defend(claimId, header, terms, 0, which, statement, abi.encode(terms.programId, statement));
    }

    function defend() private {
        defend(0);
    }

    function abortTime() private view returns (uint256) {
        return uint256(config.deadline) + terms.abortDelay;
    }

    function test_I1_a_held_leaf_does_not_settle_until_it_is_released() public {
        vm.warp(uint256(header.claimedAt) + WINDOW); // the last second
        challenge();
        passWindow();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotLive.selector, claimId, 0));
        relayer.settle(claimId, header, item, 0, noProof());
        Settlement[] memory items = new Settlement[](1);
        items[0] = item;
        relayer.settleAll(claimId, header, items, 0);
        assertTrue(status(config.sessionId) == SessionStatus.Open, "passed over");
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.ClaimHeld.selector, claimId));
        relayer.releaseBond(claimId, header);
        vm.expectRevert("proof");
        court.defend(claimId, header, terms, 0, 0, keccak256("statement"), "no proof");
        defend();
        relayer.settle(claimId, header, item, 0, noProof());
        relayer.releaseBond(claimId, header);
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
        assertEq(available(operator), BOND, "the bond is back");
    }

    function test_I1_a_killed_leaf_never_settles_and_costs_its_bond() public {
        challenge();
        vm.warp(vm.getBlockTimestamp() + 2 days);
        court.expire(claimId, header, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotLive.selector, claimId, 0));
        relayer.settle(claimId, header, item, 0, noProof());
        assertEq(locked(operator), 0, "slashed");
        assertEq(available(CHALLENGER), BOND / 2, "to the challenger");
        assertEq(available(address(0)), BOND - BOND / 2, "burnt");
        relayer.releaseBond(claimId, header);
        assertEq(available(operator), 0, "nothing comes back");
        assertEq(address(relayer).balance, BOND, "conserved");
        // Somebody honest claims anew.
        claimFalsely();
        passWindow();
        relayer.settle(claimId, header, item, 0, noProof());
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
    }

    function test_the_other_leaves_of_a_claim_go_their_way() public {
        SessionConfig[] memory configs = new SessionConfig[](3);
        Settlement[] memory items = new Settlement[](3);
        for (uint256 i; i < 3; ++i) {
            configs[i] = openFrom(address(game), terms, twoPlayers());
            items[i] = itemFor(configs[i], "result");
        }
        (uint64 id, ClaimHeader memory head,) = claimAll(configs, items, terms);
        vm.prank(CHALLENGER);
        court.challenge(id, head, 1);
        passWindow();
        relayer.settleAll(id, head, items, 0);
        for (uint256 i; i < 3; ++i) {
            assertTrue((status(configs[i].sessionId) == SessionStatus.Settled) == (i != 1), "all but the held one");
        }
        vm.warp(vm.getBlockTimestamp() + 2 days);
        court.expire(id, head, 1, 0);
        uint256 before = available(operator);
        relayer.releaseBond(id, head);
        assertEq(available(operator) - before, 2 * uint256(BOND), "two of three bonds");
    }

    function test_only_the_dispute_contract_of_the_terms() public {
        bytes memory reason = abi.encodeWithSelector(IZkRelayer.NotDisputeGame.selector, address(this));
        vm.expectRevert(reason);
        relayer.holdLeaf(claimId, header, 0);
        challenge();
        vm.expectRevert(reason);
        relayer.releaseLeaf(claimId, header, 0);
        vm.expectRevert(reason);
        relayer.killLeaf(claimId, header, 0, new address[](0), new uint256[](0));
    }

    function test_I2_no_hold_after_the_window() public {
        uint256 end = uint256(header.claimedAt) + WINDOW;
        vm.warp(end + 1);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WindowOver.selector, claimId, end));
        challenge();
    }

    /// @dev INVARIANT I1: a liar who proves a right block against himself has not answered the others.
    function test_I1_a_friendly_dispute_keeps_no_honest_one_out() public {
        vm.prank(operator);
        court.challenge(claimId, header, 0);
        challenge();
        defend(0);
        passWindow();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotLive.selector, claimId, 0));
        relayer.settle(claimId, header, item, 0, noProof());
        vm.warp(vm.getBlockTimestamp() + 2 days);
        court.expire(claimId, header, 0, 1);
        assertEq(available(CHALLENGER), BOND / 2, "the honest one's");
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotLive.selector, claimId, 0));
        relayer.settle(claimId, header, item, 0, noProof());
    }

    function test_I2_a_leaf_settles_when_all_of_its_disputes_are_over() public {
        for (uint256 i; i < 3; ++i) challenge();
        passWindow();
        for (uint256 i; i < 3; ++i) {
            (uint32 disputes, bool killed,) = relayer.leafRecord(claimId, 0);
            assertEq(disputes, 3 - i, "open disputes");
            assertTrue(!killed, "alive");
            vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotLive.selector, claimId, 0));
            relayer.settle(claimId, header, item, 0, noProof());
            defend(2 - i);
        }
        relayer.settle(claimId, header, item, 0, noProof());
        relayer.releaseBond(claimId, header);
        assertEq(available(operator), BOND, "the bond is back");
    }

    /// @dev INVARIANT I1: of a root over garbage nobody but the liar could show a leaf.
    function test_I1_a_leaf_that_nobody_can_show_is_held_and_killed() public {
        (claimId, header) = post(keccak256("garbage"), 1, terms);
        challenge();
        vm.warp(vm.getBlockTimestamp() + 2 days);
        court.expire(claimId, header, 0, 0);
        (, bool killed, uint64 sessionId) = relayer.leafRecord(claimId, 0);
        assertTrue(killed && sessionId == 0, "killed, of no known session");
        assertEq(available(CHALLENGER), BOND / 2, "to the challenger");
    }

    function test_what_is_not_held_is_neither_released_nor_killed() public {
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotHeld.selector, claimId, 0));
        vm.prank(address(court));
        relayer.releaseLeaf(claimId, header, 0);
        address[] memory nobody = new address[](0);
        uint256[] memory nothing = new uint256[](0);
        challenge();
        court.kill(claimId, header, 0, nobody, nothing);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotHeld.selector, claimId, 0));
        court.kill(claimId, header, 0, nobody, nothing);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotLive.selector, claimId, 0));
        challenge();
        assertEq(available(address(0)), BOND, "burnt once");
    }

    function test_a_hold_needs_an_index_of_the_claim() public {
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongLeaf.selector, claimId, 1));
        court.challenge(claimId, header, 1);
        header.count = 2;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongClaim.selector, claimId));
        court.challenge(claimId, header, 1);
    }

    function test_I3_shares_never_exceed_the_bond() public {
        challenge();
        address[] memory recipients = new address[](2);
        uint256[] memory shares = new uint256[](2);
        (recipients[0], recipients[1]) = (CHALLENGER, alice);
        (shares[0], shares[1]) = (BOND, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IBondAccounts.WrongShares.selector, uint256(BOND) + 1, uint256(BOND))
        );
        court.kill(claimId, header, 0, recipients, shares);
        vm.expectRevert(abi.encodeWithSelector(IBondAccounts.WrongShares.selector, 1, 2));
        court.kill(claimId, header, 0, recipients, new uint256[](1));
        shares[0] = type(uint256).max;
        vm.expectRevert();
        court.kill(claimId, header, 0, recipients, shares);
        (shares[0], shares[1]) = (BOND - 1, 1);
        court.kill(claimId, header, 0, recipients, shares);
        assertEq(available(address(0)), 0, "nothing burnt");
    }

    // ---- disputes and aborts

    function test_I1_a_session_in_dispute_is_not_aborted() public {
        vm.warp(abortTime());
        claimFalsely();
        challenge();
        vm.expectEmit(true, true, true, true);
        emit IZkRelayer.LeafBound(claimId, 0, config.sessionId);
        bind();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.SessionHeld.selector, config.sessionId));
        relayer.abort(config, terms);
    }

    function test_a_leaf_is_bound_while_it_is_in_dispute_and_once() public {
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotHeld.selector, claimId, 0));
        bind();
        challenge();
        bind();
        bind();
        (,, uint64 sessionId) = relayer.leafRecord(claimId, 0);
        assertEq(sessionId, config.sessionId, "bound");
        defend();
        vm.warp(abortTime());
        relayer.abort(config, terms);
        assertTrue(status(config.sessionId) == SessionStatus.Aborted, "counted once");
    }

    /// @dev INVARIANT I1: who disputes again doesn't get the abort in before the claim is bound again.
    function test_I1_a_bound_leaf_stays_bound() public {
        vm.warp(abortTime() - WINDOW);
        claimFalsely();
        challenge();
        bind();
        defend();
        challenge();
        vm.warp(abortTime() + 1 hours);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.SessionHeld.selector, config.sessionId));
        relayer.abort(config, terms);
        defend(1);
        relayer.settle(claimId, header, item, 0, noProof());
    }

    /// @dev INVARIANT I1: who lost the dispute can't abort before the winner settles.
    function test_I1_a_won_dispute_leaves_time_to_settle_to_the_second() public {
        vm.warp(abortTime() - WINDOW);
        claimFalsely();
        challenge();
        challenge();
        bind();
        defend();
        vm.warp(abortTime() + 10);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.SessionHeld.selector, config.sessionId));
        relayer.abort(config, terms);
        defend(1); // the last one counts
        uint256 released = vm.getBlockTimestamp();
        vm.expectRevert(
            abi.encodeWithSelector(IZkRelayer.BeforeAbort.selector, config.sessionId, released + 1 hours)
        );
        relayer.abort(config, terms);
        uint256 snapshot = vm.snapshotState();
        vm.warp(released + 1 hours - 1);
        vm.expectPartialRevert(IZkRelayer.BeforeAbort.selector);
        relayer.abort(config, terms);
        relayer.settle(claimId, header, item, 0, noProof());
        vm.revertToState(snapshot);
        vm.warp(released + 1 hours);
        relayer.abort(config, terms);
        assertTrue(status(config.sessionId) == SessionStatus.Aborted, "aborted");
    }

    function test_I3_a_killed_claim_does_not_put_the_abort_off() public {
        vm.warp(abortTime());
        claimFalsely();
        challenge();
        challenge();
        bind();
        court.kill(claimId, header, 0, new address[](0), new uint256[](0));
        relayer.abort(config, terms);
        assertTrue(status(config.sessionId) == SessionStatus.Aborted, "aborted");
    }

    /// @dev INVARIANT I3: stakes come back even if the dispute contract never decides.
    function test_I3_a_dispute_without_end_does_not_keep_the_stakes() public {
        challenge();
        bind();
        uint256 end = abortTime() + 30 days;
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.SessionHeld.selector, config.sessionId));
        relayer.abort(config, terms);
        vm.warp(end);
        relayer.abort(config, terms);
        assertTrue(status(config.sessionId) == SessionStatus.Aborted, "aborted");
    }

    // ---- which leaves put an abort off: those that could settle

    function expectUnbound(bytes memory reason) private {
        challenge();
        vm.expectRevert(reason);
        bind();
        vm.warp(abortTime());
        relayer.abort(config, terms);
        assertTrue(status(config.sessionId) == SessionStatus.Aborted, "aborted");
    }

    function test_I3_a_leaf_that_is_not_shown_does_not_put_the_abort_off() public {
        item.chainHash = keccak256("other");
        expectUnbound(abi.encodeWithSelector(IZkRelayer.WrongLeaf.selector, claimId, 0));
    }

    /// @dev INVARIANT I3: ranges from blocks of one's own making are bonds at stake for nothing, and never settle.
    function test_I3_a_range_without_an_anchor_does_not_put_the_abort_off() public {
        item.firstNumber = 5;
        (claimId, header) = post(leafFor(config, item), 1, terms);
        expectUnbound(abi.encodeWithSelector(IZkRelayer.NotAnchored.selector, config.sessionId, 5));
    }

    function test_I3_a_leaf_of_a_time_to_come_does_not_put_the_abort_off() public {
        item.lastTimestamp += 1;
        (claimId, header) = post(leafFor(config, item), 1, terms);
        expectUnbound(
            abi.encodeWithSelector(IZkRelayer.WrongTimestamp.selector, config.sessionId, item.lastTimestamp)
        );
    }

    /// @dev INVARIANT I3: anybody can claim with terms of his own; his dispute contract must not reach a session of other terms.
    function test_I3_a_foreign_dispute_contract_does_not_put_the_abort_off() public {
        Terms memory own = terms;
        TestDisputeGame foreign = new TestDisputeGame(relayer);
        own.disputeGame = address(foreign);
        own.claimBond = 0;
        (claimId, header) = post(leafFor(config, item), 1, own);
        foreign.challenge(claimId, header, 0);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, config.sessionId));
        bind();
        vm.warp(abortTime());
        relayer.abort(config, terms);
        assertTrue(status(config.sessionId) == SessionStatus.Aborted, "aborted");
    }

    /// @dev INVARIANT I3: nor does another session's leaf.
    function test_I3_a_leaf_is_bound_to_the_session_of_its_configuration() public {
        SessionConfig memory own = openFrom(address(this), terms, twoPlayers());
        (claimId, header) = post(leafFor(own, itemFor(own, "result")), 1, terms);
        expectUnbound(abi.encodeWithSelector(IZkRelayer.WrongLeaf.selector, claimId, 0));
    }

    function test_I3_the_blocks_are_the_leafs() public {
        challenge();
        ClaimedChain memory chain = chainFor(config.sessionId);
        chain.lastNumber += 1;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongChain.selector, config.sessionId));
        relayer.bindLeaf(claimId, header, item, keccak256(item.result), 0, noProof(), chain, Anchor(0, noProof()));
    }

    function test_a_decided_sessions_leaf_is_not_bound() public {
        challenge();
        vm.warp(abortTime());
        relayer.abort(config, terms);
        vm.expectRevert(
            abi.encodeWithSelector(IZkRelayer.NotOpen.selector, config.sessionId, SessionStatus.Aborted)
        );
        bind();
    }

    /// @dev INVARIANT I1: checkpoints on the way to a result put the abort off as the result does, each once the one before is confirmed.
    function test_I1_a_checkpoint_in_dispute_puts_the_abort_off() public {
        vm.warp(abortTime() - WINDOW - 1);
        item = itemFor(config, "");
        ClaimedChain memory chain = chainFor(config.sessionId);
        chain.lastNumber = 5;
        item.chainHash = SessionHash.chain(chain);
        (uint64 first, ClaimHeader memory firstHeader) = post(leafFor(config, item, 0), 1, terms);
        Settlement memory checkpoint = item;
        // The range 5..6, whose first block is the checkpoint's last.
        bytes32[] memory blocks = new bytes32[](2);
        (blocks[0], blocks[1]) = (SessionHash.blockHashLeaf(chain.lastHash), SessionHash.blockHashLeaf("6"));
        Anchor memory anchor = Anchor(chain.lastHash, proofOf(blocks, 0));
        ClaimedChain memory rest = ClaimedChain(chain.seed, 6, "6", MerkleTree.rootInPlace(blocks));
        item = itemFor(config, "result");
        (item.firstNumber, item.chainHash) = (5, SessionHash.chain(rest));
        (claimId, header) = post(leafFor(config, item), 1, terms);
        court.challenge(first, firstHeader, 0);
        challenge();
        relayer.bindLeaf(first, firstHeader, checkpoint, 0, 0, noProof(), chain, Anchor(0, noProof()));
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.NotAnchored.selector, config.sessionId, 5));
        relayer.bindLeaf(claimId, header, item, keccak256("result"), 0, noProof(), rest, anchor);

        vm.warp(abortTime());
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.SessionHeld.selector, config.sessionId));
        relayer.abort(config, terms);
        bytes32 statement = keccak256("statement");
        court.defend(first, firstHeader, terms, 0, 0, statement, abi.encode(terms.programId, statement));
        relayer.confirmCheckpoint(first, firstHeader, checkpoint, 0, noProof(), chain, Anchor(0, noProof()));
        relayer.bindLeaf(claimId, header, item, keccak256("result"), 0, noProof(), rest, anchor);
        vm.warp(abortTime() + 1 hours);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.SessionHeld.selector, config.sessionId));
        relayer.abort(config, terms);
        defend();
        relayer.settleFromCheckpoint(claimId, header, item, 0, noProof(), rest, anchor);
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
    }
}
