// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Evidence, Preconfirmation} from "../src/interfaces/DisputeTypes.sol";
import {IProofSettlement} from "../src/interfaces/IProofSettlement.sol";
import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {SessionStatus, Settlement} from "../src/interfaces/Types.sol";
import {L1History} from "../src/libraries/L1History.sol";
import {Verdict} from "../src/libraries/Statement.sol";
import {StatementProof} from "../src/libraries/StatementProof.sol";
import {DisputeFixture} from "./support/DisputeFixture.sol";
import {TestDisputeGame} from "./support/TestDisputeGame.sol";

/// @dev Settlement at once, by a proof of the whole session.
contract ProofSettlementTest is DisputeFixture {
    IProofSettlement private settler;
    Evidence private proof;
    Preconfirmation private signed;
    bytes private result;
    uint64 private inboxCount;

    function setUp() public {
        setUpDisputes();
        settler = IProofSettlement(court.settler());
        vm.roll(5000);
        remember(config.openedBlock + 1, keccak256(openingHeader()));
        content = trueContent();
        result = "result";
        prepareProof();
    }

    function prepareProof() private {
        Evidence memory value = evidence(LAST);
        value = prepare(hashes[0], hashes[LAST], Verdict.Valid, value);
        (proof.prover, proof.resultHash, proof.inboxHash) = (value.prover, value.resultHash, value.inboxHash);
        (proof.toNumber, proof.toTimestamp, proof.head) = (value.toNumber, value.toTimestamp, value.head);
        signed = sign(OPERATOR_KEY, config.sessionId, LAST, hashes[LAST]);
    }

    function settleByProof() private {
        settler.settleByProof(config, terms, opening(), openingHeader(), signed, proof, inboxCount, result);
    }

    function test_a_proven_session_settles_at_once() public {
        vm.expectEmit(true, true, true, true);
        emit IZkRelayer.SessionSettled(config.sessionId, 0, keccak256("result"));
        vm.prank(STRANGER); // anyone
        settleByProof();
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
        assertEq(keccak256(game.lastResult()), keccak256("result"), "the game is told");
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.NotOpen.selector, config.sessionId, SessionStatus.Settled));
        settleByProof();
    }

    function test_a_claim_in_dispute_does_not_keep_it() public {
        claimAs(STRANGER, content);
        challenge(5);
        settleByProof();
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
    }

    /// @dev INVARIANT I1: any order of signed transactions makes a valid history; the operator's was played.
    function test_I1_a_history_that_the_operator_has_not_signed() public {
        signed = sign(ALICE_KEY, config.sessionId, LAST, hashes[LAST]);
        vm.expectRevert(IProofSettlement.WrongPreconfirmation.selector);
        settleByProof();
        signed = sign(OPERATOR_KEY, config.sessionId + 1, LAST, hashes[LAST]);
        vm.expectRevert(IProofSettlement.WrongPreconfirmation.selector);
        settleByProof();
        signed = sign(OPERATOR_KEY, config.sessionId, LAST + 1, hashes[LAST]);
        vm.expectRevert(IProofSettlement.WrongResult.selector);
        settleByProof();
        signed = sign(OPERATOR_KEY, config.sessionId, LAST, hashes[LAST - 1]);
        vm.expectPartialRevert(StatementProof.ProofRefused.selector);
        settleByProof();
    }

    function test_I1_another_result() public {
        result = "other";
        vm.expectRevert(IProofSettlement.WrongResult.selector);
        settleByProof();
    }

    /// @dev INVARIANT I1: a session that hasn't ended has no result.
    function test_I1_a_session_that_has_not_ended() public {
        content.resultHash = 0;
        prepareProof();
        vm.expectRevert(IProofSettlement.WrongResult.selector);
        settleByProof();
    }

    function test_I1_a_start_of_ones_own_making() public {
        hashes[0] = keccak256("another state");
        prepareProof();
        vm.expectPartialRevert(StatementProof.ProofRefused.selector);
        settleByProof();
    }

    function test_I1_a_seed_of_ones_own_choice() public {
        bytes memory header = l1Header(config.openedBlock + 1, keccak256("lucky"));
        vm.expectRevert(abi.encodeWithSelector(L1History.WrongL1Header.selector, config.openedBlock + 1));
        settler.settleByProof(config, terms, opening(), header, signed, proof, 0, result);
        hashes[0] = genesisHash(keccak256("lucky"));
        prepareProof();
        vm.expectPartialRevert(StatementProof.ProofRefused.selector);
        settleByProof();
    }

    function test_I1_other_terms() public {
        terms.verifier = address(new AgreeableVerifier());
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, config.sessionId));
        settleByProof();
    }

    function test_I4_messages_that_were_due_are_in_the_session() public {
        bytes memory call =
            abi.encodeCall(relayer.forceTransaction, (config, terms, twoPlayers(), address(1), 21_000, ""));
        vm.prank(alice, alice);
        (bool success,) = address(relayer).call(call);
        assertTrue(success, "forced");
        inboxCount = 1;
        vm.expectRevert(IProofSettlement.WrongResult.selector); // the blocks have consumed none
        settleByProof();
        inboxCount = 0;
        vm.warp(vm.getBlockTimestamp() + 121);
        content.lastTimestamp = uint64(vm.getBlockTimestamp());
        prepareProof();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.MessageLeftOut.selector, config.sessionId, 0));
        settleByProof();
        content.inboxHash = relayer.inboxHash(config.sessionId, 1);
        inboxCount = 1;
        prepareProof();
        settleByProof();
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
    }

    function test_I1_a_time_to_come() public {
        content.lastTimestamp = uint64(vm.getBlockTimestamp() + 1);
        prepareProof();
        vm.expectPartialRevert(IZkRelayer.WrongTimestamp.selector);
        settleByProof();
    }

    function test_I8_a_proof_of_another_session() public {
        content.configHash = keccak256("another session");
        prepareProof();
        vm.expectPartialRevert(StatementProof.ProofRefused.selector);
        settleByProof();
    }

    function test_only_the_settler_settles_by_proof() public {
        Settlement memory settlement = item();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.NotDisputeGame.selector, address(this)));
        relayer.settleByProof(settlement, terms);
        vm.prank(address(court));
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.NotDisputeGame.selector, address(court)));
        relayer.settleByProof(settlement, terms);
        // Without a dispute contract there is none.
        terms.disputeGame = address(0);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.NotDisputeGame.selector, address(this)));
        relayer.settleByProof(settlement, terms);
        // Another contract's settler settles sessions of its own terms only.
        terms.disputeGame = disputes;
        TestDisputeGame(disputes).setSettler(address(this));
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, config.sessionId));
        relayer.settleByProof(settlement, terms);
    }
}

/// @dev Believes everything.
contract AgreeableVerifier {
    function verify(bytes32, bytes32, bytes calldata) external pure returns (bool) {
        return true;
    }
}
