// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IBondAccounts} from "../src/interfaces/IBondAccounts.sol";
import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {
    ClaimHeader,
    SessionClaim,
    SessionConfig,
    SessionStatus,
    Settlement,
    Terms
} from "../src/interfaces/Types.sol";
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
    SessionClaim private leaf;

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
        leaf = leafOf(item, config.termsHash);
        (claimId, header) = post(SessionHash.leaf(leaf), 1, terms);
    }

    function challenge() private {
        vm.prank(CHALLENGER);
        court.challenge(claimId, header, config, leaf, 0, noProof());
    }

    function defend() private {
        bytes32 statement = keccak256("statement");
        court.defend(claimId, header, terms, 0, statement, abi.encode(terms.programId, statement));
    }

    function test_I1_a_held_leaf_does_not_settle_until_it_is_released() public {
        vm.warp(uint256(header.claimedAt) + WINDOW); // the last second
        challenge();
        passWindow();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotLive.selector, claimId, 0));
        relayer.settle(claimId, header, item, 0, noProof());
        Settlement[] memory items = new Settlement[](1);
        items[0] = item;
        relayer.settleAll(claimId, header, items);
        assertTrue(status(config.sessionId) == SessionStatus.Open, "passed over");
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.ClaimHeld.selector, claimId));
        relayer.releaseBond(claimId, header);
        vm.expectRevert("proof");
        court.defend(claimId, header, terms, 0, keccak256("statement"), "no proof");
        defend();
        relayer.settle(claimId, header, item, 0, noProof());
        relayer.releaseBond(claimId, header);
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
        assertEq(available(operator), BOND, "the bond is back");
    }

    function test_I1_a_killed_leaf_never_settles_and_costs_its_bond() public {
        challenge();
        vm.warp(vm.getBlockTimestamp() + 2 days);
        court.expire(claimId, header, 0);
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
        (uint64 id, ClaimHeader memory head, bytes32[] memory leaves) = claimAll(configs, items, terms);
        vm.prank(CHALLENGER);
        court.challenge(id, head, configs[1], leafOf(items[1], configs[1].termsHash), 1, proofOf(leaves, 1));
        passWindow();
        relayer.settleAll(id, head, items);
        for (uint256 i; i < 3; ++i) {
            assertTrue((status(configs[i].sessionId) == SessionStatus.Settled) == (i != 1), "all but the held one");
        }
        vm.warp(vm.getBlockTimestamp() + 2 days);
        court.expire(id, head, 1);
        uint256 before = available(operator);
        relayer.releaseBond(id, head);
        assertEq(available(operator) - before, 2 * uint256(BOND), "two of three bonds");
    }

    function test_only_the_dispute_contract_of_the_terms() public {
        bytes memory reason = abi.encodeWithSelector(IZkRelayer.NotDisputeGame.selector, address(this));
        vm.expectRevert(reason);
        relayer.holdLeaf(claimId, header, config, leaf, 0, noProof());
        challenge();
        vm.expectRevert(reason);
        relayer.releaseLeaf(claimId, header, 0);
        vm.expectRevert(reason);
        relayer.killLeaf(claimId, header, 0, new address[](0), new uint256[](0));
    }

    function test_I2_no_hold_after_the_window_nor_twice() public {
        challenge();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotLive.selector, claimId, 0));
        challenge();
        claimFalsely();
        uint256 end = uint256(header.claimedAt) + WINDOW;
        vm.warp(end + 1);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WindowOver.selector, claimId, end));
        challenge();
    }

    function test_what_is_not_held_is_neither_released_nor_killed() public {
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotHeld.selector, claimId, 0));
        defend();
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

    function test_a_hold_needs_the_claimed_leaf() public {
        leaf.resultHash = keccak256("other");
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongLeaf.selector, claimId, 0));
        challenge();
    }

    /// @dev INVARIANT I3: anybody can claim with terms of his own; his dispute contract must not reach a session of other terms.
    function test_I3_a_foreign_dispute_contract_cannot_hold_a_session() public {
        Terms memory own = terms;
        TestDisputeGame foreign = new TestDisputeGame(relayer);
        own.disputeGame = address(foreign);
        own.claimBond = 0;
        (uint64 id, ClaimHeader memory head) = post(SessionHash.leaf(leaf), 1, own);
        vm.expectRevert(IZkRelayer.WrongTerms.selector);
        foreign.challenge(id, head, config, leaf, 0, noProof());
        SessionConfig memory forged = config;
        forged.termsHash = hashOf(own);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, config.sessionId));
        foreign.challenge(id, head, forged, leaf, 0, noProof());
        vm.warp(uint256(config.deadline) + terms.abortDelay);
        relayer.abort(config, terms);
        assertTrue(status(config.sessionId) == SessionStatus.Aborted, "aborted");
    }

    /// @dev INVARIANT I3: nor through a leaf that names another session than its configuration.
    function test_I3_a_hold_is_on_the_session_of_the_leaf() public {
        SessionConfig memory own = openFrom(address(this), terms, twoPlayers());
        (uint64 id, ClaimHeader memory head) = post(SessionHash.leaf(leaf), 1, terms);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, config.sessionId));
        court.challenge(id, head, own, leaf, 0, noProof());
        SessionClaim memory mixed = leaf;
        mixed.configHash = relayer.configHash(own);
        (id, head) = post(SessionHash.leaf(mixed), 1, terms);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, config.sessionId));
        court.challenge(id, head, config, mixed, 0, noProof());
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
        vm.warp(uint256(config.deadline) + terms.abortDelay);
        claimFalsely();
        challenge();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.SessionHeld.selector, config.sessionId));
        relayer.abort(config, terms);
    }

    /// @dev INVARIANT I1: who lost the dispute can't abort before the winner settles.
    function test_I1_a_won_dispute_leaves_time_to_settle_to_the_second() public {
        vm.warp(uint256(config.deadline) + terms.abortDelay - WINDOW);
        claimFalsely();
        challenge();
        vm.warp(uint256(config.deadline) + terms.abortDelay + 10);
        defend();
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
        vm.warp(uint256(config.deadline) + terms.abortDelay);
        claimFalsely();
        challenge();
        court.kill(claimId, header, 0, new address[](0), new uint256[](0));
        relayer.abort(config, terms);
        assertTrue(status(config.sessionId) == SessionStatus.Aborted, "aborted");
    }

    /// @dev INVARIANT I3: stakes come back even if the dispute contract never decides.
    function test_I3_a_dispute_without_end_does_not_keep_the_stakes() public {
        challenge();
        uint256 end = uint256(config.deadline) + terms.abortDelay + 30 days;
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.SessionHeld.selector, config.sessionId));
        relayer.abort(config, terms);
        vm.warp(end);
        relayer.abort(config, terms);
        assertTrue(status(config.sessionId) == SessionStatus.Aborted, "aborted");
    }
}
