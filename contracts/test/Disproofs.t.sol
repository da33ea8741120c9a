// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Opening, Preconfirmation, ShownHash, ShownLeaf} from "../src/interfaces/DisputeTypes.sol";
import {IDisputeGame} from "../src/interfaces/IDisputeGame.sol";
import {ClaimedChain, SessionClaim, SessionConfig} from "../src/interfaces/Types.sol";
import {Genesis} from "../src/libraries/Genesis.sol";
import {L1History} from "../src/libraries/L1History.sol";
import {DisputeFixture} from "./support/DisputeFixture.sol";

/// @dev What L1 sees of a wrong claim without a proof.
contract DisproofsTest is DisputeFixture {
    function setUp() public {
        setUpDisputes();
        vm.roll(5000);
        remember(config.openedBlock + 1, keccak256(openingHeader()));
        claimTruly();
    }

    function expectDead() private {
        assertEq(available(CHALLENGER), BOND / 2, "half of the claim's bond");
        assertEq(stake(), STAKE, "slashed");
        assertDead("dead");
    }

    // ---- ranges

    function disproveRange() private {
        ShownHash memory none;
        (ShownLeaf memory leaf, ShownHash memory last) = (shownLeaf(), hashes.length == 0 ? none : shown(LAST));
        vm.prank(CHALLENGER);
        court.disproveRange(leaf, terms, last);
    }

    function test_I1_a_last_hash_that_is_not_the_trees() public {
        SessionClaim memory value = content;
        value.chain.lastHash = keccak256("other");
        claimAs(operator, value);
        disproveRange();
        expectDead();
    }

    function test_I1_a_range_without_a_transition() public {
        SessionClaim memory value = content;
        value.chain.lastNumber = 0;
        (value.chain.lastHash, value.chain.blockHashesRoot) = (hashes[0], 0);
        delete hashes;
        claimAs(operator, value);
        disproveRange();
        expectDead();
    }

    function test_I1_a_range_that_ends_before_it_starts() public {
        SessionClaim memory value = content;
        (value.firstNumber, value.chain.lastNumber) = (7, 6);
        delete hashes;
        claimAs(operator, value);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongRange.selector, 7, 6));
        demandHashes(0);
        disproveRange();
        (,, bool killed,,) = court.leafState(name.claimId, 0);
        assertTrue(killed, "dead");
    }

    function test_a_right_range_stays() public {
        vm.expectRevert(IDisputeGame.NotWrong.selector);
        disproveRange();
        ShownHash memory last = shown(LAST - 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, LAST - 1));
        court.disproveRange(shownLeaf(), terms, last);
        (last.number, last.blockHash) = (LAST, keccak256("other"));
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongHash.selector, LAST));
        court.disproveRange(shownLeaf(), terms, last);
    }

    // ---- block 0

    function disproveGenesis() private {
        (ShownLeaf memory leaf, ShownHash memory first) = (shownLeaf(), shown(content.firstNumber));
        vm.prank(CHALLENGER);
        court.disproveGenesis(leaf, terms, config, opening(), first);
    }

    function test_I1_a_block_0_of_the_liars_making() public {
        SessionClaim memory value = content;
        hashes[0] = keccak256("another state");
        claimAs(operator, value);
        disproveGenesis();
        expectDead();
    }

    function test_I1_a_block_0_with_another_seed_than_the_leafs() public {
        SessionClaim memory value = content;
        value.chain.seed = keccak256("other");
        claimAs(operator, value); // block 0 is the true one
        disproveGenesis();
        expectDead();
    }

    function test_a_right_block_0_stays() public {
        vm.expectRevert(IDisputeGame.NotWrong.selector);
        disproveGenesis();
        Opening memory other = opening();
        other.stateRoot = keccak256("other");
        vm.expectRevert(Genesis.WrongOpening.selector);
        court.disproveGenesis(shownLeaf(), terms, config, other, shown(0));
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, 1));
        court.disproveGenesis(shownLeaf(), terms, config, opening(), shown(1));
        config.openedAt += 1;
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongConfig.selector, config.sessionId));
        court.disproveGenesis(shownLeaf(), terms, config, opening(), shown(0));
    }

    /// @dev Where a range starts that doesn't start at block 0, ZkRelayer compares with a checkpoint.
    function test_a_range_from_a_checkpoint_has_no_block_0() public {
        SessionClaim memory value = content;
        value.firstNumber = 3;
        value.chain.lastNumber = 3 + LAST;
        claimAs(operator, value);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, 3));
        disproveGenesis();
        ShownHash memory first = shown(3);
        first.number = 0;
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, 0));
        court.disproveGenesis(shownLeaf(), terms, config, opening(), first);
    }

    // ---- seeds

    function disproveSeed() private {
        ShownLeaf memory leaf = shownLeaf();
        bytes memory header = openingHeader();
        vm.prank(CHALLENGER);
        court.disproveSeed(leaf, terms, config, header);
    }

    /// @dev INVARIANT I1: nobody chooses the randomness.
    function test_I1_a_seed_that_is_not_L1s() public {
        SessionClaim memory value = content;
        value.chain.seed = keccak256("lucky");
        hashes[0] = genesisHash(value.chain.seed);
        claimAs(operator, value);
        vm.expectRevert(IDisputeGame.NotWrong.selector);
        disproveGenesis(); // block 0 agrees with the leaf
        disproveSeed();
        expectDead();
    }

    function test_a_right_seed_stays() public {
        vm.expectRevert(IDisputeGame.NotWrong.selector);
        disproveSeed();
        bytes memory other = l1Header(config.openedBlock + 1, keccak256("lucky"));
        vm.expectRevert(abi.encodeWithSelector(L1History.WrongL1Header.selector, config.openedBlock + 1));
        court.disproveSeed(shownLeaf(), terms, config, other);
        other = l1Header(config.openedBlock + 2, keccak256("lucky"));
        remember(config.openedBlock + 2, keccak256(other));
        vm.expectRevert(abi.encodeWithSelector(L1History.WrongL1Header.selector, config.openedBlock + 1));
        court.disproveSeed(shownLeaf(), terms, config, other);
    }

    function test_I2_nothing_is_disproven_after_the_window() public {
        SessionClaim memory value = content;
        hashes[0] = keccak256("another state");
        claimAs(operator, value);
        vm.warp(windowEnd() + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.TooLate.selector, windowEnd()));
        disproveGenesis();
    }

    function test_other_terms_are_refused() public {
        terms.operator = STRANGER; // who would be slashed
        vm.expectRevert(IDisputeGame.WrongTerms.selector);
        disproveGenesis();
        vm.expectRevert(IDisputeGame.WrongTerms.selector);
        disproveRange();
        vm.expectRevert(IDisputeGame.WrongTerms.selector);
        disproveSeed();
    }

    // ---- what the operator has signed

    function contradict(uint64 number, Preconfirmation memory signed) private {
        (ShownLeaf memory leaf, ShownHash memory claimed) = (shownLeaf(), shown(number));
        vm.prank(CHALLENGER);
        court.contradict(leaf, terms, config, claimed, signed);
    }

    function otherBlock(uint64 number) private returns (Preconfirmation memory) {
        return sign(OPERATOR_KEY, config.sessionId, number, keccak256("what the player was told"));
    }

    function test_a_claim_of_other_blocks_than_were_signed_costs_the_operator_all() public {
        contradict(5, otherBlock(5));
        (uint256 earned,) = stakes.bondAccount(CHALLENGER);
        assertEq(earned, STAKE / 2, "half of the stake");
        assertTrue(stakes.isSlashed(operator, bytes32(uint256(config.sessionId))), "noted");
        expectDead();
    }

    /// @dev Who may have claimed in good faith what the operator has signed as well keeps what isn't burnt, and nobody earns by killing it.
    function test_anothers_claim_of_other_blocks_dies_and_nobody_earns() public {
        claimAs(STRANGER, content);
        contradict(5, otherBlock(5));
        assertEq(available(CHALLENGER), 0, "nothing to earn");
        assertEq(available(STRANGER), BOND / 2, "the claimant's");
        assertEq(available(address(0)), BOND / 2, "burnt");
        assertEq(stake(), 2 * STAKE, "the operator hasn't claimed it");
        assertDead("dead");
    }

    function test_an_operators_contradiction_is_slashed_at_any_time() public {
        vm.warp(windowEnd() + 1);
        settle();
        contradict(5, otherBlock(5));
        assertEq(stake(), STAKE, "slashed");
        Preconfirmation memory again = otherBlock(6);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.TooLate.selector, windowEnd()));
        contradict(6, again);
    }

    function test_what_does_not_contradict() public {
        Preconfirmation memory value = sign(OPERATOR_KEY, config.sessionId, 5, hashes[5]);
        vm.expectRevert(IDisputeGame.NotContradicted.selector);
        contradict(5, value);
        value = otherBlock(5);
        vm.expectRevert(IDisputeGame.NotContradicted.selector);
        contradict(6, value);
        value = sign(ALICE_KEY, config.sessionId, 5, keccak256("other"));
        vm.expectRevert(IDisputeGame.NotContradicted.selector);
        contradict(5, value);
        value = sign(OPERATOR_KEY, config.sessionId + 1, 5, keccak256("other"));
        vm.expectRevert(IDisputeGame.NotContradicted.selector);
        contradict(5, value);
        SessionConfig memory right = config;
        config.sessionId += 1;
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongConfig.selector, right.sessionId + 1));
        contradict(5, value);
    }
}
