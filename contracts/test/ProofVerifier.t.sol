// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {TestBase} from "./support/TestBase.sol";

interface IProofVerifier {
    function verify(bytes calldata proof) external view;
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
        verifier = IProofVerifier(vm.deployCode("ProofVerifier.sol:ProofVerifier", abi.encode(evaluators)));
        proof = vm.readFileBinary("test/fixtures/proof/proof.bin");
    }

    function test_proof_is_accepted() public view {
        verifier.verify(proof);
    }
}
