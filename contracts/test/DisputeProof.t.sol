// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DisputeStatus, Evidence, Kind, ShownHash, ShownLeaf} from "../src/interfaces/DisputeTypes.sol";
import {ClaimedChain, SessionClaim} from "../src/interfaces/Types.sol";
import {Recovery, RecoveryList} from "../src/libraries/RecoveryList.sol";
import {StatementProof} from "../src/libraries/StatementProof.sol";
import {VerifyingKey} from "../src/verifier/generated/VerifyingKey.sol";
import {Trace} from "../src/verifier/ProofShape.sol";
import {DisputeFixture} from "./support/DisputeFixture.sol";
import {ProofFixture} from "./support/ProofFixture.sol";

/// @dev Disputes decided by a real proof through the real verifier: that of block 2 of a session, a transfer (crates/emulator/inputs/transfer.bin).
contract DisputeProofTest is DisputeFixture, ProofFixture {
    using Trace for uint256;

    bytes32 private constant PROGRAM = 0x07c4d02f2e5dcbf2283d7d2da890b63ad94e815c76d7690e2f59846b7f0ef6a0;
    bytes32 private constant CONFIG = 0xf32a7e8b55693d85e7d8bff59e86a7347d157f59292584b8474419d4860dfd36;
    bytes32 private constant FROM = 0x6702375bea1d44f57f83e88996c9a54fd0717154bb43d80008aa490c2e5a4a94;
    bytes32 private constant TO = 0x757b68be0de2eab28e5edee09c5429b359c287810846f0b1a5921a1e8919d02d;
    uint64 private constant TIMESTAMP = 0x6b0e485f;
    address private constant MAKER = address(0xaa);

    bytes private head;

    function setUp() public {
        setUpDisputes();
        setUpProof();
        terms.verifier = vm.deployCode("ZkVerifier.sol:ZkVerifier", abi.encode(address(verifier)));
        terms.programId = PROGRAM;
        relayer.registerTerms(templateId, terms);
        uint256 length = 32;
        for (uint256 air; air < VerifyingKey.AIRS; ++air) {
            bytes memory descriptors = VerifyingKey.DESCRIPTORS;
            uint256 trace;
            assembly {
                trace := mload(add(add(descriptors, 0x20), mul(32, air)))
            }
            length += 4 + 32 * trace.cachedParts() + 4 * trace.publicValues();
        }
        head = slice(0, length);
    }

    /// @dev As anybody does, in two transactions.
    function verifyProof() private {
        vm.recordLogs();
        verifier.begin(slice(0, parts[0]), 0);
        verifier.resume(lastState(), slice(parts[0], proof.length), ROUNDS);
    }

    /// @dev Of three blocks; the last is the proof's.
    function claimBlocks(bytes32 resultHash) private {
        delete hashes;
        hashes.push(keccak256("block 0"));
        hashes.push(FROM);
        hashes.push(TO);
        SessionClaim memory value;
        (value.configHash, value.resultHash, value.lastTimestamp) = (CONFIG, resultHash, TIMESTAMP);
        value.chain = ClaimedChain(0, 2, TO, 0);
        claimAs(operator, value);
    }

    function transferEvidence() private view returns (Evidence memory value) {
        (value.prover, value.toNumber, value.toTimestamp, value.head) = (MAKER, 2, TIMESTAMP, head);
        value.recoveries = new Recovery[](1);
        value.recoveries[0] = Recovery({
            hash: 0x659bc2497a4744a0adc7b53651ead28bf137ce9091fa9c5a0f4dcdc5985c8126,
            v: 28,
            r: 0xbdf9e4c6da4df2ead46246f31d0d777746b23adab0e7d2f2d8c21e1d366543b1,
            s: 0x74019a8898d903cfd5d3df17bd44ce956b6aac7ea71e9109903b06886e7ae678,
            signer: 0xe7b074237B0F5d02F605C0Fcf5cF3d0f771e56B5
        });
    }

    function prove(Evidence memory value) private {
        ShownLeaf memory leaf = shownLeaf();
        (ShownHash memory from, ShownHash memory to) = (shown(1), shown(2));
        court.prove(leaf, terms, from, to, value, challenges(2));
    }

    function test_a_real_proof_keeps_a_right_claim() public {
        claimBlocks(0); // a checkpoint
        challenge(2);
        Evidence memory value = transferEvidence();
        vm.expectPartialRevert(StatementProof.ProofRefused.selector);
        this.proveExternally(value); // not verified yet
        verifyProof();
        prove(value);
        assertStatus(Kind.Challenge, 2, DisputeStatus.Closed);
        assertEq(funds(MAKER), CHALLENGE_BOND / 2, "the prover's");
        (uint32 disputes, bool killed,) = relayer.leafRecord(name.claimId, 0);
        assertTrue(disputes == 0 && !killed, "free again");
    }

    function test_I1_a_real_proof_kills_a_claim_of_another_result() public {
        claimBlocks(keccak256("I won"));
        challenge(2);
        verifyProof();
        prove(transferEvidence());
        (,, bool killed,,) = court.leafState(name.claimId, 0);
        assertTrue(killed, "dead");
        assertEq(available(MAKER), BOND / 2, "the prover's");
        assertEq(stake(), STAKE, "slashed");
    }

    function test_I8_a_real_proof_is_of_its_statement_only() public {
        claimBlocks(0);
        challenge(2);
        verifyProof();
        Evidence memory value = transferEvidence();
        value.prover = STRANGER;
        vm.expectPartialRevert(StatementProof.ProofRefused.selector);
        this.proveExternally(value);
        value = transferEvidence();
        value.toTimestamp += 1;
        vm.expectPartialRevert(StatementProof.ProofRefused.selector);
        this.proveExternally(value);
        value = transferEvidence();
        value.recoveries = new Recovery[](0);
        vm.expectPartialRevert(StatementProof.ProofRefused.selector);
        this.proveExternally(value);
        value = transferEvidence();
        value.recoveries[0].signer = STRANGER;
        vm.expectPartialRevert(RecoveryList.WrongSigner.selector);
        this.proveExternally(value);
        prove(transferEvidence());
    }

    function proveExternally(Evidence calldata value) external {
        prove(value);
    }
}
