// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IBondAccounts} from "../src/interfaces/IBondAccounts.sol";
import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {ClaimHeader, DataMode, SessionConfig, Terms} from "../src/interfaces/Types.sol";
import {ReenteringWithdrawer, Refuser} from "./support/Games.sol";
import {RelayerFixture} from "./support/RelayerFixture.sol";

contract BondsTest is RelayerFixture {
    function setUp() public {
        setUpRelayer();
    }

    function testFuzz_I3_what_goes_in_comes_out(uint96 amount, uint96 part) public {
        vm.deal(operator, amount);
        part = uint96(bound(part, 0, amount));
        vm.startPrank(operator);
        relayer.deposit{value: amount}();
        assertEq(available(operator), amount, "deposited");
        relayer.withdraw(part, alice);
        assertEq(alice.balance, part, "sent");
        assertEq(available(operator), amount - part, "left");
        vm.expectRevert(
            abi.encodeWithSelector(
                IBondAccounts.InsufficientDeposit.selector, operator, amount - part, uint256(amount) - part + 1
            )
        );
        relayer.withdraw(uint256(amount) - part + 1, alice);
        vm.stopPrank();
        assertEq(address(relayer).balance, amount - part, "balance");
    }

    function test_I3_a_claim_locks_its_bond_until_the_window_is_over() public {
        Terms memory terms = defaultTerms();
        (uint64 claimId, ClaimHeader memory header) = post(keccak256("root"), 3, terms);
        assertEq(locked(operator), 3 * BOND, "locked");
        assertEq(available(operator), 0, "nothing to withdraw");
        vm.prank(operator);
        vm.expectPartialRevert(IBondAccounts.InsufficientDeposit.selector);
        relayer.withdraw(1, operator);

        uint256 end = header.claimedAt + header.challengeWindow;
        vm.warp(end);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WindowOpen.selector, claimId, end));
        relayer.releaseBond(claimId, header);
        vm.warp(end + 1);
        relayer.releaseBond(claimId, header);
        assertEq(locked(operator), 0, "unlocked");
        assertEq(available(operator), 3 * BOND, "available");
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.AlreadyReleased.selector, claimId));
        relayer.releaseBond(claimId, header);
        vm.prank(operator);
        relayer.withdraw(3 * BOND, operator);
        assertEq(address(relayer).balance, 0, "all out");
    }

    function test_a_bond_comes_from_the_deposit_or_with_the_claim() public {
        Terms memory terms = defaultTerms();
        vm.startPrank(operator);
        relayer.deposit{value: BOND}();
        relayer.claim{value: BOND}(keccak256("root"), 2, terms, 0, "data", "");
        assertEq(locked(operator), 2 * BOND, "both");
        vm.expectRevert(
            abi.encodeWithSelector(IBondAccounts.InsufficientDeposit.selector, operator, uint256(BOND) - 1, BOND)
        );
        relayer.claim{value: BOND - 1}(keccak256("root"), 1, terms, 0, "data", "");
        vm.stopPrank();
        assertEq(address(relayer).balance, 2 * BOND, "a refused claim takes nothing");
    }

    function test_bonds_are_paid_from_the_claimants_own_account() public {
        vm.prank(operator);
        relayer.deposit{value: 1 ether}();
        Terms memory terms = defaultTerms();
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IBondAccounts.InsufficientDeposit.selector, alice, 0, BOND));
        relayer.claim(keccak256("root"), 1, terms, 0, "data", "");
    }

    function test_I3_a_bond_of_any_size_does_not_overflow() public {
        Terms memory terms = defaultTerms();
        terms.claimBond = type(uint96).max;
        vm.prank(operator);
        vm.expectRevert(
            abi.encodeWithSelector(
                IBondAccounts.InsufficientDeposit.selector, operator, 0, uint256(type(uint96).max) * 4096
            )
        );
        relayer.claim(keccak256("root"), 4096, terms, 0, "data", "");
    }

    function test_I3_only_the_true_header_releases() public {
        (uint64 claimId, ClaimHeader memory header) = post(keccak256("root"), 1, defaultTerms());
        passWindow();
        header.count = 2;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongClaim.selector, claimId));
        relayer.releaseBond(claimId, header);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongClaim.selector, claimId + 1));
        relayer.releaseBond(claimId + 1, header);
    }

    function test_a_recipient_that_refuses_harms_itself_only() public {
        Refuser refuser = new Refuser();
        vm.deal(address(refuser), 1 ether);
        vm.prank(address(refuser));
        relayer.deposit{value: 1 ether}();
        vm.expectRevert(abi.encodeWithSelector(IBondAccounts.WithdrawalFailed.selector, address(refuser)));
        refuser.withdrawFrom(address(relayer), 1 ether);
        assertEq(available(address(refuser)), 1 ether, "kept");
        vm.prank(address(refuser));
        relayer.withdraw(1 ether, alice);
        assertEq(alice.balance, 1 ether, "another recipient");
    }

    function test_I3_a_withdrawal_cannot_be_reentered() public {
        vm.deal(address(this), 10 ether);
        ReenteringWithdrawer thief = new ReenteringWithdrawer{value: 2 ether}(address(relayer));
        relayer.deposit{value: 5 ether}();
        thief.attack(1 ether);
        assertTrue(!thief.secondSucceeded(), "reentered");
        assertEq(address(thief).balance, 1 ether, "once");
        assertEq(available(address(thief)), 1 ether, "the rest is still its own");
        assertEq(available(address(this)), 5 ether, "nobody else's");
    }

    // ---- data modes and counts

    function test_a_blob_claim_needs_a_blob_and_tells_all() public {
        Terms memory terms = defaultTerms();
        terms.dataMode = DataMode.Blob;
        vm.deal(operator, 1 ether);
        vm.startPrank(operator);
        vm.expectRevert(IZkRelayer.NoBlob.selector);
        relayer.claim{value: BOND}(keccak256("root"), 1, terms, 0, "", "");
        bytes32[] memory blobs = new bytes32[](2);
        (blobs[0], blobs[1]) = (bytes32(uint256(1) << 248 | 1), bytes32(uint256(1) << 248 | 2));
        vm.blobhashes(blobs);
        vm.expectEmit(true, true, true, true);
        emit IZkRelayer.ClaimPosted(
            1,
            operator,
            headerFor(keccak256("root"), 1, terms),
            DataMode.Blob,
            keccak256(abi.encodePacked(blobs)),
            blobs
        );
        relayer.claim{value: BOND}(keccak256("root"), 1, terms, 0, "", "");
        vm.stopPrank();
    }

    function test_a_calldata_claim_needs_data_and_tells_its_hash() public {
        Terms memory terms = defaultTerms();
        vm.startPrank(operator);
        vm.expectRevert(IZkRelayer.NoData.selector);
        relayer.claim{value: BOND}(keccak256("root"), 1, terms, keccak256("data"), "", "");
        vm.expectEmit(true, true, true, true);
        emit IZkRelayer.ClaimPosted(
            1,
            operator,
            headerFor(keccak256("root"), 1, terms),
            DataMode.Calldata,
            keccak256("data"),
            new bytes32[](0)
        );
        relayer.claim{value: BOND}(keccak256("root"), 1, terms, keccak256("ignored"), "data", "");
        vm.stopPrank();
    }

    function test_an_on_demand_claim_needs_a_hash() public {
        Terms memory terms = defaultTerms();
        terms.dataMode = DataMode.OnDemand;
        vm.startPrank(operator);
        vm.expectRevert(IZkRelayer.NoData.selector);
        relayer.claim{value: BOND}(keccak256("root"), 1, terms, 0, "data", "");
        relayer.claim{value: BOND}(keccak256("root"), 1, terms, keccak256("data"), "", "");
        vm.stopPrank();
        assertEq(relayer.lastClaimId(), 1, "one claim");
    }

    function test_a_claim_has_1_to_4096_sessions() public {
        Terms memory terms = defaultTerms();
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongCount.selector, 0));
        relayer.claim(keccak256("root"), 0, terms, 0, "data", "");
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongCount.selector, 4097));
        relayer.claim(keccak256("root"), 4097, terms, 0, "data", "");
        vm.stopPrank();
    }
}
