// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {TestBase} from "./support/TestBase.sol";

interface IProofVerifier {
    function verify(bytes calldata proof) external view returns (bytes32 statement);
}

contract ProofVerifierTest is TestBase {
    IProofVerifier private verifier;
    bytes private proof;

    function setUp() public {
        address[] memory evaluators = new address[](5);
        for (uint256 i; i < 5; ++i) {
            string memory name = string.concat("ConstraintEvaluator", toString(i));
            evaluators[i] = vm.deployCode(string.concat(name, ".sol:", name), "");
        }
        address constraints = vm.deployCode("ConstraintVerifier.sol:ConstraintVerifier", abi.encode(evaluators));
        address openings = vm.deployCode("OpeningVerifier.sol:OpeningVerifier", "");
        verifier =
            IProofVerifier(vm.deployCode("ProofVerifier.sol:ProofVerifier", abi.encode(constraints, openings)));
        proof = vm.readFileBinary("test/fixtures/proof/proof.bin");
    }

    function test_proof_is_accepted() public view {
        verifier.verify(proof);
    }
}
