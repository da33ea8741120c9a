// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {TestBase} from "./TestBase.sol";
import {Vm} from "./Vm.sol";

interface IProofVerifier {
    function verify(bytes calldata proof) external view returns (bytes32 statement);
    function submit(bytes calldata proof) external returns (bytes32 statement);
    function begin(bytes calldata part, uint256 rounds) external returns (bytes32 statement);
    function resume(bytes calldata state, bytes calldata part, uint256 rounds) external returns (bytes32 statement);
    function isVerified(bytes32 statement) external view returns (bool);
    function interrupted(address sender, bytes32 statement) external view returns (bytes32);
}

/// @dev The verifier, and a real proof for it that `exclave-prover fixture` made.
abstract contract ProofFixture is TestBase {
    uint256 internal constant ROUNDS = 4;
    bytes32 private constant INTERRUPTED = keccak256("Interrupted(bytes32,address,bytes)");

    IProofVerifier internal verifier;
    bytes internal proof;
    /// Where the parts end: the constraints, then each round of openings.
    uint256[] internal parts;
    /// What the native verifier's transcript went through.
    string internal trace;

    function setUpProof() internal {
        address[] memory evaluators = new address[](15);
        for (uint256 i; i < evaluators.length; ++i) {
            string memory name = string.concat("ConstraintEvaluator", toString(i));
            evaluators[i] = vm.deployCode(string.concat(name, ".sol:", name), "");
        }
        address constraints = vm.deployCode("ConstraintVerifier.sol:ConstraintVerifier", abi.encode(evaluators));
        address openings = vm.deployCode("OpeningVerifier.sol:OpeningVerifier", "");
        verifier =
            IProofVerifier(vm.deployCode("ProofVerifier.sol:ProofVerifier", abi.encode(constraints, openings)));
        proof = vm.readFileBinary("test/fixtures/proof/proof.bin");
        trace = vm.readFile("test/fixtures/proof/trace.json");
        parts = vm.parseJsonUintArray(trace, ".parts");
    }

    /// @dev Of an interrupted verification, from the last event since logs are recorded; empty after the last round.
    function lastState() internal returns (bytes memory) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        Vm.Log memory last = logs[logs.length - 1];
        if (last.topics[0] != INTERRUPTED) return "";
        return abi.decode(last.data, (bytes));
    }

    function slice(uint256 start, uint256 end) internal view returns (bytes memory part) {
        bytes memory whole = proof;
        part = new bytes(end - start);
        assembly {
            mcopy(add(part, 0x20), add(add(whole, 0x20), start), sub(end, start))
        }
    }
}
