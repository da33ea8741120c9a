// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {Preconfirmation} from "../src/interfaces/DisputeTypes.sol";
import {IOperatorStakes} from "../src/interfaces/IOperatorStakes.sol";
import {DisputeFixture} from "./support/DisputeFixture.sol";
import {ReenteringWithdrawer, Refuser} from "./support/Games.sol";

/// @dev What operators have at stake, and how they lose it.
contract OperatorStakesTest is DisputeFixture {
    bytes32 private constant ONE = keccak256("one");
    bytes32 private constant OTHER = keccak256("other");

    function setUp() public {
        setUpDisputes();
    }

    function earned(address who) private view returns (uint256 amount) {
        (amount,) = stakes.bondAccount(who);
    }

    function report(uint64 sessionId, uint64 number) private {
        Preconfirmation memory one = sign(OPERATOR_KEY, sessionId, number, ONE);
        Preconfirmation memory other = sign(OPERATOR_KEY, sessionId, number, OTHER);
        vm.prank(CHALLENGER);
        stakes.reportEquivocation(one, OTHER, other.signature);
    }

    function test_an_equivocation_costs_the_stake() public {
        report(1, 7);
        assertEq(stake(), STAKE, "slashed");
        assertEq(earned(CHALLENGER), STAKE / 2, "half for the reporter");
        assertEq(earned(address(0)), STAKE / 2, "half is burnt");
        vm.prank(CHALLENGER);
        stakes.withdraw(STAKE / 2, CHALLENGER);
        assertEq(address(stakes).balance, 2 * STAKE - STAKE / 2, "paid out");
    }

    function test_once_for_a_session() public {
        report(1, 7);
        Preconfirmation memory one = sign(OPERATOR_KEY, 1, 8, ONE);
        Preconfirmation memory other = sign(OPERATOR_KEY, 1, 8, OTHER);
        vm.expectRevert(abi.encodeWithSelector(IOperatorStakes.AlreadySlashed.selector, operator, bytes32(uint256(1))));
        stakes.reportEquivocation(one, OTHER, other.signature);
        report(2, 8);
        assertEq(stake(), 0, "another session, another offence");
    }

    function test_what_is_no_equivocation() public {
        Preconfirmation memory one = sign(OPERATOR_KEY, 1, 7, ONE);
        Preconfirmation memory other = sign(OPERATOR_KEY, 1, 7, ONE);
        vm.expectRevert(IOperatorStakes.NoEquivocation.selector);
        stakes.reportEquivocation(one, ONE, other.signature); // the same block twice
        other = sign(OPERATOR_KEY, 1, 8, OTHER);
        vm.expectRevert(IOperatorStakes.NoEquivocation.selector);
        stakes.reportEquivocation(one, OTHER, other.signature); // of another number
        other = sign(OPERATOR_KEY, 2, 7, OTHER);
        vm.expectRevert(IOperatorStakes.NoEquivocation.selector);
        stakes.reportEquivocation(one, OTHER, other.signature); // of another session
        other = sign(ALICE_KEY, 1, 7, OTHER);
        vm.expectRevert(IOperatorStakes.NoEquivocation.selector);
        stakes.reportEquivocation(one, OTHER, other.signature); // of somebody else
        vm.expectPartialRevert(ECDSA.ECDSAInvalidSignatureLength.selector);
        stakes.reportEquivocation(one, OTHER, hex"00");
    }

    /// @dev INVARIANT I8: signatures are for this ZkRelayer on this L1.
    function test_I8_a_signature_of_another_domain_is_nobodys() public {
        Preconfirmation memory one = sign(OPERATOR_KEY, 1, 7, ONE);
        Preconfirmation memory other = sign(OPERATOR_KEY, 1, 7, OTHER);
        vm.chainId(5);
        vm.expectRevert(IOperatorStakes.NoEquivocation.selector);
        stakes.reportEquivocation(one, OTHER, other.signature);
    }

    function test_a_small_stake_is_slashed_whole() public {
        report(1, 7);
        vm.prank(operator);
        stakes.beginStakeReturn(STAKE / 4);
        report(2, 7);
        (uint256 staying, uint256 leaving,) = stakes.stakeOf(operator);
        assertEq(staying + leaving, 0, "what is leaving too");
        Preconfirmation memory one = sign(OPERATOR_KEY, 3, 7, ONE);
        Preconfirmation memory other = sign(OPERATOR_KEY, 3, 7, OTHER);
        vm.expectPartialRevert(IOperatorStakes.AlreadySlashed.selector);
        stakes.reportEquivocation(one, OTHER, other.signature); // nothing left
        vm.prank(operator);
        stakes.depositStake{value: STAKE}();
        report(3, 7); // but not forgotten
        assertEq(stake(), 0, "slashed");
    }

    function test_a_stake_leaves_after_its_delay() public {
        vm.prank(operator);
        vm.expectRevert(
            abi.encodeWithSelector(IOperatorStakes.InsufficientStake.selector, operator, 2 * STAKE, 2 * STAKE + 1)
        );
        stakes.beginStakeReturn(2 * STAKE + 1);
        vm.prank(operator);
        stakes.beginStakeReturn(STAKE);
        uint256 until = vm.getBlockTimestamp() + 14 days;
        vm.warp(until - 1);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IOperatorStakes.StakeNotFree.selector, operator, until));
        stakes.finishStakeReturn();
        vm.warp(until);
        vm.prank(operator);
        stakes.finishStakeReturn();
        assertEq(earned(operator), STAKE, "to be withdrawn");
        assertEq(stake(), STAKE, "the rest stays");
        vm.prank(operator);
        stakes.finishStakeReturn();
        assertEq(earned(operator), STAKE, "once");
        report(1, 7);
        assertEq(stake(), 0, "what stays is at stake");
        assertEq(earned(operator), STAKE, "what has left isn't");
    }

    /// @dev Who asks for more in time doesn't get the first part any earlier.
    function test_the_delay_begins_anew() public {
        vm.prank(operator);
        stakes.beginStakeReturn(STAKE);
        vm.warp(vm.getBlockTimestamp() + 13 days);
        vm.prank(operator);
        stakes.beginStakeReturn(STAKE);
        vm.warp(vm.getBlockTimestamp() + 1 days);
        vm.prank(operator);
        vm.expectPartialRevert(IOperatorStakes.StakeNotFree.selector);
        stakes.finishStakeReturn();
    }

    /// @dev INVARIANT I3: who reports himself loses what is burnt.
    function test_I3_reporting_oneself_does_not_pay() public {
        Preconfirmation memory one = sign(OPERATOR_KEY, 1, 7, ONE);
        Preconfirmation memory other = sign(OPERATOR_KEY, 1, 7, OTHER);
        vm.prank(operator);
        stakes.reportEquivocation(one, OTHER, other.signature);
        assertEq(stake() + earned(operator), 2 * STAKE - STAKE / 2, "half of an offence's stake is gone");
    }

    function test_only_the_court_slashes() public {
        vm.expectRevert(abi.encodeWithSelector(IOperatorStakes.NotDisputeGame.selector, address(this)));
        stakes.slash(operator, bytes32(uint256(1)), address(this));
    }

    function test_I3_payments_are_pulled() public {
        Refuser refuser = new Refuser();
        Preconfirmation memory one = sign(OPERATOR_KEY, 1, 7, ONE);
        Preconfirmation memory other = sign(OPERATOR_KEY, 1, 7, OTHER);
        vm.prank(address(refuser));
        stakes.reportEquivocation(one, OTHER, other.signature);
        assertEq(earned(address(refuser)), STAKE / 2, "earned all the same");
        vm.expectRevert();
        refuser.withdrawFrom(address(stakes), 1);
        ReenteringWithdrawer thief = new ReenteringWithdrawer{value: 0}(address(stakes));
        vm.deal(address(this), 1 ether);
        ReenteringWithdrawer funded = new ReenteringWithdrawer{value: 1 ether}(address(court));
        funded.attack(0.5 ether);
        assertTrue(!funded.secondSucceeded(), "no second payment");
        assertEq(address(thief).balance, 0, "nothing to take");
    }
}
