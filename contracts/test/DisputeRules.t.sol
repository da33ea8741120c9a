// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DisputeRules, Kind} from "../src/interfaces/DisputeTypes.sol";
import {IDisputeGame} from "../src/interfaces/IDisputeGame.sol";
import {IRuleBook} from "../src/interfaces/IRuleBook.sol";
import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {DisputeFixture} from "./support/DisputeFixture.sol";

/// @dev Which deadlines and bonds there can be, and which terms fit them.
contract DisputeRulesTest is DisputeFixture {
    function setUp() public {
        setUpDisputes();
    }

    function deploy(DisputeRules memory value) private returns (bool success) {
        try this.deployNew(value) {
            return true;
        } catch (bytes memory) {
            return false;
        }
    }

    function deployNew(DisputeRules memory value) external {
        vm.deployCode("DisputeGame.sol:DisputeGame", abi.encode(address(relayer), value));
    }

    function test_rules_are_as_they_were_given() public view {
        assertEq(keccak256(abi.encode(court.rules())), keccak256(abi.encode(testRules())), "rules");
        assertEq(address(court.relayer()), address(relayer), "relayer");
        assertEq(court.bondOf(Kind.Leaf), LEAF_BOND, "leaf");
        assertEq(court.bondOf(Kind.Hashes), HASHES_BOND, "hashes");
        assertEq(court.bondOf(Kind.Block), BLOCK_BOND, "block");
        assertEq(court.bondOf(Kind.Challenge), CHALLENGE_BOND, "challenge");
        assertEq(court.maxDisputeTime(), 3 * (ANSWER_WINDOW + RESPONSE_TIME) + PROOF_WINDOW, "the bound");
    }

    function test_what_is_recommended_for_production() public {
        DisputeRules memory value = DisputeRules({
            gasPrice: 5 gwei,
            provingCost: 0.001 ether,
            challengeBond: 0.21 ether,
            operatorStake: 5 ether,
            burntShare: 5_000,
            proofWindow: 1 days,
            answerWindow: 6 hours,
            responseTime: 6 hours,
            stakeDelay: 14 days
        });
        relayer = IZkRelayer(vm.deployCode("ZkRelayer.sol:ZkRelayer", abi.encode(uint32(1 hours))));
        assertTrue(deploy(value), "production");
    }

    function test_times_are_in_their_ranges() public {
        DisputeRules memory value = testRules();
        assertTrue(deploy(value), "as given");
        (uint32[2] memory proofs, uint32[2] memory others) = ([uint32(180), 7 days], [uint32(60), 2 days]);
        for (uint256 i; i < 2; ++i) {
            value.stakeDelay = 90 days;
            (value.proofWindow, value.answerWindow, value.responseTime) = (proofs[i], others[i], others[i]);
            assertTrue(deploy(value), "at the end of the range");
            value.proofWindow = i == 0 ? proofs[i] - 1 : proofs[i] + 1;
            assertTrue(!deploy(value), "proof window");
            value.proofWindow = proofs[i];
            value.answerWindow = i == 0 ? others[i] - 1 : others[i] + 1;
            assertTrue(!deploy(value), "answer window");
            value.answerWindow = others[i];
            value.responseTime = i == 0 ? others[i] - 1 : others[i] + 1;
            assertTrue(!deploy(value), "response time");
        }
    }

    /// @dev INVARIANT I2: whatever the rules are, the longest dispute is shorter than what puts an abort off at most.
    function test_I2_the_longest_dispute_ends_before_an_abort_is_forced() public {
        DisputeRules memory value = testRules();
        (value.proofWindow, value.answerWindow, value.responseTime) = (7 days, 2 days, 2 days);
        value.stakeDelay = 90 days;
        IDisputeGame slow =
            IDisputeGame(vm.deployCode("DisputeGame.sol:DisputeGame", abi.encode(address(relayer), value)));
        assertTrue(slow.maxDisputeTime() + 1 hours <= 30 days, "too long");
    }

    function test_a_stake_outlives_the_claims_of_its_time() public {
        DisputeRules memory value = testRules();
        value.stakeDelay = uint32(7 days + court.maxDisputeTime());
        assertTrue(deploy(value), "just so");
        --value.stakeDelay;
        assertTrue(!deploy(value), "too early");
        value.stakeDelay = 90 days + 1;
        assertTrue(!deploy(value), "too late");
    }

    /// @dev INVARIANT I2: what isn't burnt of a challenge's bond pays for the proof and its verification.
    function test_I2_a_challenge_pays_for_its_proof() public {
        DisputeRules memory value = testRules();
        value.challengeBond = uint96(2 * (0.001 ether + 20_000_000 * GAS_PRICE));
        assertTrue(deploy(value), "just so");
        value.challengeBond -= 2;
        assertTrue(!deploy(value), "too little");
        value = testRules();
        value.gasPrice = 10 gwei;
        assertTrue(!deploy(value), "too little at this price of gas");
        value.gasPrice = 0;
        assertTrue(!deploy(value), "without a price of gas");
        value = testRules();
        value.operatorStake = value.challengeBond - 1;
        assertTrue(!deploy(value), "a lie must cost more than silence");
    }

    function test_a_part_is_burnt_and_a_part_is_paid() public {
        DisputeRules memory value = testRules();
        (value.challengeBond, value.operatorStake) = (100 ether, 100 ether);
        value.burntShare = 1_000;
        assertTrue(deploy(value), "a tenth");
        value.burntShare = 9_000;
        assertTrue(deploy(value), "nine tenths");
        value.burntShare = 999;
        assertTrue(!deploy(value), "less");
        value.burntShare = 9_001;
        assertTrue(!deploy(value), "more");
    }

    // ---- terms

    function expectUnfit(string memory what) private {
        (bool success, bytes memory reason) =
            address(relayer).call(abi.encodeCall(relayer.registerTerms, (templateId, terms)));
        assertTrue(!success && bytes4(reason) == IRuleBook.UnfitTerms.selector, what);
    }

    function test_I1_terms_must_fit() public {
        terms.claimBond = uint96(2 * 500_000 * GAS_PRICE); // challenging and resolving, from the half that isn't burnt
        relayer.registerTerms(templateId, terms);
        terms.claimBond -= 2;
        expectUnfit("a claim bond that doesn't pay who opposes it");
        terms.claimBond += 2;
        terms.abortDelay -= 1;
        expectUnfit("an abort before the longest dispute ends");
        terms.abortDelay += 1;
        terms.challengeWindow = RESPONSE_TIME - 1;
        expectUnfit("a window shorter than the response time");
        terms.challengeWindow = WINDOW;
        terms.verifier = address(0x1234);
        expectUnfit("a verifier that isn't there");
    }

    function test_terms_are_checked_for_their_own_relayer() public {
        vm.expectRevert(abi.encodeWithSelector(IRuleBook.NotRelayer.selector, address(this)));
        court.checkTerms(terms);
    }

    /// @dev What has no such function can't be a dispute contract.
    function test_a_dispute_contract_must_answer() public {
        terms.disputeGame = address(0x1234);
        vm.expectRevert();
        relayer.registerTerms(templateId, terms);
        terms.disputeGame = address(facts);
        vm.expectRevert();
        relayer.registerTerms(templateId, terms);
    }
}
