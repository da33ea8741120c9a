// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Answered, DisputeStatus, Evidence, Kind, ShownHash, ShownLeaf} from "../src/interfaces/DisputeTypes.sol";
import {IBondAccounts} from "../src/interfaces/IBondAccounts.sol";
import {IDisputeGame} from "../src/interfaces/IDisputeGame.sol";
import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {SessionClaim, SessionStatus} from "../src/interfaces/Types.sol";
import {MerkleTree} from "../src/libraries/MerkleTree.sol";
import {Recovery, RecoveryList} from "../src/libraries/RecoveryList.sol";
import {Verdict} from "../src/libraries/Statement.sol";
import {StatementProof} from "../src/libraries/StatementProof.sol";
import {DisputeFixture} from "./support/DisputeFixture.sol";

/// @dev Challenges, proofs that answer them, proofs that a claim is wrong.
contract ChallengesTest is DisputeFixture {
    function setUp() public {
        setUpDisputes();
        claimTruly();
    }

    // ---- a right claim

    function test_a_proof_keeps_the_claim_and_earns_the_challengers_bond() public {
        challenge(5);
        assertEq(lockedFunds(CHALLENGER), CHALLENGE_BOND, "locked");
        vm.warp(vm.getBlockTimestamp() + PROOF_WINDOW); // the last second
        proveBlock(5);
        assertEq(lockedFunds(CHALLENGER) + funds(CHALLENGER), 0, "lost");
        assertEq(funds(PROVER), CHALLENGE_BOND / 2, "the prover's");
        assertEq(funds(address(0)), CHALLENGE_BOND / 2, "burnt");
        assertStatus(Kind.Challenge, 5, DisputeStatus.Closed);
        // Released by the proof itself: nothing else was open.
        settle();
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
        relayer.releaseBond(name.claimId, name.header);
        assertEq(available(operator), BOND, "the claim's bond is back");
        assertEq(stake(), 2 * STAKE, "and the stake untouched");
    }

    function test_I1_a_challenged_leaf_does_not_settle() public {
        vm.warp(windowEnd()); // the last second
        challenge(5);
        vm.warp(windowEnd() + 1);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotLive.selector, name.claimId, 0));
        settle();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.ClaimHeld.selector, name.claimId));
        relayer.releaseBond(name.claimId, name.header);
    }

    function test_I2_several_challenges_run_at_once() public {
        for (uint64 number = 1; number <= LAST; ++number) {
            challenge(number);
        }
        vm.warp(vm.getBlockTimestamp() + PROOF_WINDOW);
        for (uint64 number = 1; number <= LAST; ++number) {
            vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotLive.selector, name.claimId, 0));
            settle();
            proveBlock(number);
        }
        settle();
        assertEq(funds(PROVER), LAST * CHALLENGE_BOND / 2, "each pays");
    }

    /// @dev INVARIANT I2: one proof of the whole range answers everything, and there is nothing more to challenge.
    function test_I2_a_proof_from_the_start_answers_all() public {
        Answered memory answered;
        answered.challenges = new uint64[](3);
        (answered.challenges[0], answered.challenges[1], answered.challenges[2]) = (2, 5, 12);
        for (uint256 i; i < 3; ++i) {
            challenge(answered.challenges[i]);
        }
        proveRange(0, 7, challenges(5));
        (,,, uint64 provenTo,) = court.leafState(name.claimId, 0);
        assertEq(provenTo, 7, "proven to");
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotOpen.selector, Kind.Challenge, 5));
        proveRange(0, LAST, answered);
        answered.challenges[1] = 12;
        answered.challenges[2] = 2;
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotCovered.selector, Kind.Challenge, 2));
        proveRange(7, LAST, answered); // goes on where the other ended
        answered.challenges = new uint64[](1);
        answered.challenges[0] = 12;
        proveRange(7, LAST, answered);
        proveRange(0, 7, challenges(2)); // the same proof again
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.AlreadyProven.selector, LAST));
        challenge(3);
        vm.warp(windowEnd() + 1);
        settle();
    }

    /// @dev A range from the challenged block's parent answers for that block, not for later ones.
    function test_a_longer_proof_from_the_challenged_parent() public {
        challenge(5);
        challenge(7);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotCovered.selector, Kind.Challenge, 7));
        proveRange(4, 9, challenges(7));
        proveRange(4, 9, challenges(5));
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotCovered.selector, Kind.Challenge, 7));
        proveRange(7, 9, challenges(7));
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotCovered.selector, Kind.Challenge, 7));
        proveRange(5, 6, challenges(7));
        proveBlock(7);
    }

    /// @dev INVARIANT I1: a liar may put a block of his own making, with a state as he likes it, before a block that was played, and its valid grandchild after
    /// that. A range that jumps over the challenged block's parent says nothing of the parent.
    function test_I1_a_range_that_jumps_over_the_challenged_parent_answers_nothing() public {
        hashes[LAST - 2] = keccak256("of the liar's making");
        hashes[LAST] = keccak256("its grandchild");
        SessionClaim memory value = content;
        value.chain.lastHash = hashes[LAST];
        claimAs(operator, value);
        challenge(LAST); // from a true block to a false one
        challenge(LAST - 2);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotCovered.selector, Kind.Challenge, LAST));
        proveRange(LAST - 2, LAST, challenges(LAST)); // a valid statement
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotCovered.selector, Kind.Challenge, LAST - 2));
        proveRange(LAST - 4, LAST - 1, challenges(LAST - 2)); // this too
        proveRange(0, LAST - 1, challenges(LAST - 2)); // of no use to the liar
        vm.warp(vm.getBlockTimestamp() + PROOF_WINDOW + 1);
        court.resolve(name, Kind.Challenge, LAST);
        assertDead("dead");
    }

    // ---- a wrong claim

    function test_no_proof_kills_the_claim_and_spares_the_stake() public {
        challengeAs(STRANGER, 3);
        challenge(5);
        uint256 deadline = vm.getBlockTimestamp() + PROOF_WINDOW;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.TooEarly.selector, deadline));
        court.resolve(name, Kind.Challenge, 5);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.TooLate.selector, deadline));
        proveBlock(5);
        court.resolve(name, Kind.Challenge, 5);
        assertEq(available(CHALLENGER), BOND / 2, "half of the claim's bond");
        assertEq(available(address(0)), BOND / 2, "the rest is burnt");
        assertEq(funds(CHALLENGER), CHALLENGE_BOND, "the challenger's own is back");
        assertEq(stake(), 2 * STAKE, "silence isn't a lie");
        assertEq(lockedFunds(STRANGER), CHALLENGE_BOND, "the other's too, when asked for");
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.LeafDead.selector, name.claimId, 0));
        court.resolve(name, Kind.Challenge, 3);
        court.reclaim(name.claimId, 0, Kind.Challenge, 3);
        assertEq(funds(STRANGER), CHALLENGE_BOND, "back");
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotOpen.selector, Kind.Challenge, 3));
        court.reclaim(name.claimId, 0, Kind.Challenge, 3);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotOpen.selector, Kind.Challenge, 5));
        court.reclaim(name.claimId, 0, Kind.Challenge, 5);
        assertDead("dead");
    }

    function test_a_fault_proof_kills_at_once_and_slashes_the_operator() public {
        proveFault(6); // without a challenge, a bond or a wait
        assertEq(available(PROVER), BOND / 2, "the prover's, whoever sent it");
        assertEq(stake(), STAKE, "slashed");
        (uint256 earned,) = stakes.bondAccount(PROVER);
        (uint256 burnt,) = stakes.bondAccount(address(0));
        assertEq(earned, STAKE / 2, "half of it for the prover");
        assertEq(burnt, STAKE / 2, "the rest is burnt");
        assertTrue(stakes.isSlashed(operator, content.configHash), "noted");
        assertDead("dead");
    }

    function test_a_fault_proof_answers_a_challenge() public {
        challenge(6);
        vm.warp(windowEnd() + 1); // as long as the leaf is held
        proveFault(6);
        court.reclaim(name.claimId, 0, Kind.Challenge, 6);
        assertEq(funds(CHALLENGER), CHALLENGE_BOND, "back");
        assertDead("dead");
    }

    function test_I2_no_fault_proof_after_the_window() public {
        vm.warp(windowEnd() + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.TooLate.selector, windowEnd()));
        proveFault(6);
        settle();
    }

    function test_a_strangers_wrong_claim_costs_no_stake() public {
        vm.prank(STRANGER);
        stakes.depositStake{value: STAKE}(); // for sessions that he operates
        claimAs(STRANGER, trueContent());
        proveFault(6);
        assertEq(stake(), 2 * STAKE, "the operator's is untouched");
        (uint256 staying,,) = stakes.stakeOf(STRANGER);
        assertEq(staying, STAKE, "and the stranger's, who isn't this session's operator");
        assertDead("dead");
    }

    function test_one_stake_for_one_offence() public {
        proveFault(6);
        claimTruly();
        proveFault(6);
        assertEq(stake(), STAKE, "once per session");
    }

    function test_I1_a_killed_leaf_stays_dead() public {
        proveFault(6);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.LeafDead.selector, name.claimId, 0));
        proveFault(6);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.LeafDead.selector, name.claimId, 0));
        challenge(3);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.LeafDead.selector, name.claimId, 0));
        proveRange(0, 5, nothing());
    }

    // ---- a valid statement that the leaf contradicts

    function expectDeathBy(uint64 from, uint64 to, Evidence memory value) private {
        proveRange(from, to, value, nothing());
        assertEq(available(PROVER), BOND / 2, "the prover's");
        assertEq(stake(), STAKE, "slashed");
        assertDead("dead");
    }

    function test_I1_wrong_result() public {
        Evidence memory value = evidence(LAST);
        value.resultHash = keccak256("other");
        expectDeathBy(LAST - 1, LAST, value);
    }

    function test_I1_a_result_that_is_none() public {
        Evidence memory value = evidence(LAST);
        value.resultHash = 0;
        expectDeathBy(LAST - 1, LAST, value);
    }

    function test_I4_wrong_inbox() public {
        Evidence memory value = evidence(LAST);
        value.inboxHash = keccak256("other");
        expectDeathBy(LAST - 1, LAST, value);
    }

    function test_I1_wrong_timestamp() public {
        Evidence memory value = evidence(LAST);
        ++value.toTimestamp;
        expectDeathBy(LAST - 1, LAST, value);
    }

    function test_I1_wrong_number() public {
        Evidence memory value = evidence(5);
        value.toNumber = 6;
        expectDeathBy(4, 5, value);
    }

    function test_I1_continued_after_its_end() public {
        Evidence memory value = evidence(5);
        value.resultHash = keccak256("result");
        expectDeathBy(4, 5, value);
    }

    function test_I1_another_last_hash_than_the_leafs() public {
        SessionClaim memory value = content;
        value.chain.lastHash = keccak256("other");
        claimAs(operator, value);
        expectDeathBy(LAST - 1, LAST, evidence(LAST));
    }

    function test_in_the_middle_times_and_inbox_are_free() public {
        Evidence memory value = evidence(5);
        value.inboxHash = keccak256("some messages");
        value.toTimestamp = 1;
        challenge(5);
        proveRange(4, 5, value, challenges(5));
        assertStatus(Kind.Challenge, 5, DisputeStatus.Closed);
    }

    // ---- INVARIANT I8: proofs of something else

    function expectRefused(Evidence memory value) private {
        ShownLeaf memory leaf = shownLeaf();
        (ShownHash memory parent, ShownHash memory target) = (shown(4), shown(5));
        vm.expectPartialRevert(StatementProof.ProofRefused.selector);
        court.prove(leaf, terms, parent, target, value, challenges(5));
    }

    function test_I8_a_proof_is_of_its_statement_only() public {
        challenge(5);
        Evidence memory value = prepare(hashes[4], hashes[5], Verdict.Valid, evidence(5));
        value.prover = STRANGER; // front-run
        expectRefused(value);
        expectRefused(prepare(hashes[5], hashes[5], Verdict.Valid, evidence(5)));
        expectRefused(prepare(hashes[4], hashes[6], Verdict.Valid, evidence(5)));
        expectRefused(prepare(hashes[4], hashes[5], Verdict.Invalid, evidence(5)));
        value = prepare(hashes[4], hashes[5], Verdict.Valid, evidence(5));
        value.toNumber = 6;
        expectRefused(value);
        value = prepare(hashes[4], hashes[5], Verdict.Valid, evidence(5));
        value.resultHash = keccak256("result");
        expectRefused(value);
        value.head = "";
        expectRefused(value);
    }

    /// @dev INVARIANT I8: whoever sends it, it earns the same for the same.
    function test_I8_front_running_a_proof_gains_nothing() public {
        challenge(5);
        vm.prank(STRANGER);
        proveBlock(5);
        assertEq(funds(STRANGER), 0, "nothing for who sent it");
        assertEq(funds(PROVER), CHALLENGE_BOND / 2, "all for who made it");
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotOpen.selector, Kind.Challenge, 5));
        proveBlock(5);
    }

    function test_I8_a_proof_of_another_session_is_refused() public {
        challenge(5);
        Evidence memory value = evidence(5);
        content.configHash = keccak256("another session");
        value = prepare(hashes[4], hashes[5], Verdict.Valid, value);
        content.configHash = relayer.configHash(config);
        expectRefused(value);
    }

    /// @dev A proof may serve two claims of the same blocks: it is as true of the other.
    function test_a_proof_holds_for_another_claim_of_the_same_blocks() public {
        challenge(5);
        proveBlock(5);
        claimAs(STRANGER, content);
        challenge(5);
        proveBlock(5);
        assertEq(funds(PROVER), CHALLENGE_BOND, "twice");
    }

    function test_I8_a_proof_for_another_leaf_is_refused() public {
        challenge(5);
        hashes[5] = keccak256("another block");
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongHash.selector, 4));
        proveBlock(5);
    }

    function test_I8_recoveries_are_checked() public {
        challenge(5);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ALICE_KEY, keccak256("transaction"));
        Evidence memory value = evidence(5);
        value.recoveries = new Recovery[](1);
        value.recoveries[0] = Recovery(keccak256("transaction"), v, r, s, bob);
        ShownLeaf memory leaf = shownLeaf();
        (ShownHash memory parent, ShownHash memory target) = (shown(4), shown(5));
        Evidence memory prepared = prepare(hashes[4], hashes[5], Verdict.Valid, value);
        vm.expectRevert(abi.encodeWithSelector(RecoveryList.WrongSigner.selector, 0, bob, alice));
        court.prove(leaf, terms, parent, target, prepared, challenges(5));
        value.recoveries[0].signer = alice;
        proveRange(4, 5, value, challenges(5));
        assertStatus(Kind.Challenge, 5, DisputeStatus.Closed);
    }

    function test_I8_other_terms_are_refused() public {
        challenge(5);
        terms.programId = keccak256("a program that says anything");
        vm.expectRevert(IDisputeGame.WrongTerms.selector);
        proveBlock(5);
        vm.expectRevert(IDisputeGame.WrongTerms.selector);
        proveFault(5);
    }

    /// @dev A fault proof says nothing of the block's number, result and inbox.
    function test_I8_a_fault_proof_has_nothing_but_its_verdict() public {
        Evidence memory value = prepare(hashes[4], hashes[5], Verdict.Valid, evidence(5));
        ShownLeaf memory leaf = shownLeaf();
        (ShownHash memory parent, ShownHash memory target) = (shown(4), shown(5));
        vm.expectPartialRevert(StatementProof.ProofRefused.selector);
        court.proveFault(leaf, terms, parent, target, value);
    }

    // ---- what can't be challenged

    function test_a_block_is_challenged_once() public {
        challenge(5);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.AlreadyOpened.selector, Kind.Challenge, 5));
        challengeAs(STRANGER, 5);
        proveBlock(5);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.AlreadyOpened.selector, Kind.Challenge, 5));
        challenge(5);
        challenge(6);
    }

    function test_a_challenge_needs_its_bond() public {
        ShownLeaf memory leaf = shownLeaf();
        (ShownHash memory parent, ShownHash memory target) = (shown(4), shown(5));
        vm.prank(CHALLENGER);
        vm.expectRevert(
            abi.encodeWithSelector(
                IBondAccounts.InsufficientDeposit.selector, CHALLENGER, CHALLENGE_BOND - 1, CHALLENGE_BOND
            )
        );
        court.challenge{value: CHALLENGE_BOND - 1}(leaf, parent, target);
        // A deposit serves as well, and what is sent too much stays one.
        vm.prank(CHALLENGER);
        court.deposit{value: CHALLENGE_BOND}();
        vm.prank(CHALLENGER);
        court.challenge{value: 1}(leaf, parent, target);
        assertEq(funds(CHALLENGER), 1, "left over");
    }

    function test_I2_no_challenge_after_the_window() public {
        vm.warp(windowEnd() + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.TooLate.selector, windowEnd()));
        challenge(5);
    }

    function test_ranges_are_checked() public {
        ShownLeaf memory leaf = shownLeaf();
        (ShownHash memory four, ShownHash memory six) = (shown(4), shown(6));
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongRange.selector, 4, 6));
        court.challenge(leaf, four, six);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongRange.selector, 6, 4));
        court.challenge(leaf, six, four);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongRange.selector, 4, 4));
        court.challenge(leaf, four, four);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongRange.selector, 4, 4));
        court.prove(leaf, terms, four, four, evidence(4), nothing());
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongRange.selector, 6, 4));
        court.prove(leaf, terms, six, four, evidence(4), nothing());
        four.number = 5; // the hash of block 4, as that of 5
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongHash.selector, 5));
        court.challenge(leaf, four, six);
        (ShownHash memory last, ShownHash memory beyond) = (shown(LAST), shown(LAST));
        beyond.number = LAST + 1;
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, LAST + 1));
        court.challenge(leaf, last, beyond);
        last.number = type(uint64).max;
        beyond.number = 0;
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongRange.selector, type(uint64).max, 0));
        court.challenge(leaf, last, beyond);
    }

    /// @dev A padding node isn't a block.
    function test_an_index_in_the_padding_is_refused() public {
        ShownLeaf memory leaf = shownLeaf();
        ShownHash memory last = shown(LAST);
        ShownHash memory padding = ShownHash(LAST + 1, 0, last.proof);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, LAST + 1));
        court.challenge(leaf, last, padding);
        last.proof = new bytes32[](3);
        vm.expectRevert(abi.encodeWithSelector(MerkleTree.WrongProofLength.selector, 3, 4));
        court.challenge(leaf, shown(LAST - 1), last);
    }

    function test_names_are_checked() public {
        ShownLeaf memory leaf = shownLeaf();
        (ShownHash memory parent, ShownHash memory target) = (shown(4), shown(5));
        leaf.name.index = 1;
        vm.expectRevert(abi.encodeWithSelector(MerkleTree.IndexOutOfRange.selector, 1, 1));
        court.challenge(leaf, parent, target);
        leaf = shownLeaf();
        leaf.content.resultHash = keccak256("other");
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongLeaf.selector, name.claimId, 0));
        court.challenge(leaf, parent, target);
        leaf = shownLeaf();
        leaf.name.header.count = 2;
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongClaim.selector, name.claimId));
        court.challenge(leaf, parent, target);
        leaf = shownLeaf();
        leaf.name.claimId = 77;
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongClaim.selector, 77));
        court.challenge(leaf, parent, target);
    }

    /// @dev INVARIANT I1: a leaf with bits beyond its numbers' types can't settle, and is refused wherever such a number is read.
    function test_I1_dirty_bits_are_refused() public {
        bytes memory data = abi.encodeCall(court.challenge, (shownLeaf(), shown(4), shown(5)));
        bytes32 number = bytes32(uint256(LAST));
        uint256 changed;
        for (uint256 offset = 4; offset + 32 <= data.length; offset += 32) {
            bytes32 word;
            assembly {
                word := mload(add(add(data, 0x20), offset))
            }
            if (word != number) continue;
            data[offset] = 0x80;
            (bool success,) = address(court).call(data);
            assertTrue(!success, "dirty bits");
            data[offset] = 0;
            ++changed;
        }
        assertTrue(changed > 0, "nothing was changed");
        vm.prank(CHALLENGER);
        (bool clean,) = address(court).call{value: CHALLENGE_BOND}(data);
        assertTrue(clean, "the same without");
    }

    function test_a_claim_of_another_court_is_refused() public {
        terms.disputeGame = disputes;
        claimAs(operator, trueContent());
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongClaim.selector, name.claimId));
        challenge(5);
    }

    // ---- several claims, friendly disputes

    /// @dev INVARIANT I1: a liar who challenges himself and answers has answered nobody else.
    function test_I1_a_friendly_challenge_keeps_no_other_out() public {
        vm.deal(operator, 10 ether);
        challengeAs(operator, 3);
        proveBlock(3);
        challenge(6);
        vm.warp(vm.getBlockTimestamp() + PROOF_WINDOW + 1);
        court.resolve(name, Kind.Challenge, 6);
        assertDead("dead");
    }

    /// @dev INVARIANT I3: who loses to himself loses what is burnt.
    function test_I3_a_self_challenge_does_not_pay() public {
        uint256 before = operator.balance + available(operator) + locked(operator);
        challengeAs(operator, 6);
        vm.warp(vm.getBlockTimestamp() + PROOF_WINDOW + 1);
        court.resolve(name, Kind.Challenge, 6);
        uint256 left = operator.balance + available(operator) + locked(operator) + funds(operator);
        assertEq(before - left, BOND / 2, "half of the claim's bond");
    }

    function test_I2_an_honest_claim_beside_a_false_one_settles() public {
        proveFault(6); // the first claim
        claimAs(STRANGER, trueContent());
        vm.warp(windowEnd() + 1);
        settle();
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
    }

    /// @dev INVARIANT I3: what was won in court doesn't depend on what became of the session.
    function test_a_session_that_is_settled_otherwise_leaves_the_dispute_to_end() public {
        challenge(5);
        bytes[] memory both = new bytes[](2);
        bytes32 hash = relayer.configHash(config);
        uint64 until = uint64(vm.getBlockTimestamp());
        both[0] = signResult(ALICE_KEY, hash, "agreed", until);
        both[1] = signResult(BOB_KEY, hash, "agreed", until);
        relayer.settleUnanimously(config, terms, twoPlayers(), "agreed", until, both);
        vm.warp(vm.getBlockTimestamp() + PROOF_WINDOW + 1);
        court.resolve(name, Kind.Challenge, 5);
        assertEq(available(CHALLENGER), BOND / 2, "paid");
    }

    function test_I1_a_session_in_dispute_is_not_aborted() public {
        vm.warp(config.deadline + 1800); // posted in time
        claimTruly();
        vm.warp(windowEnd());
        challenge(5);
        bind();
        vm.warp(uint256(config.deadline) + terms.abortDelay);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.SessionHeld.selector, config.sessionId));
        relayer.abort(config, terms);
        court.resolve(name, Kind.Challenge, 5); // anyone
        relayer.abort(config, terms);
        assertEq(game.aborts(), 1, "the stakes go back");
    }
}
