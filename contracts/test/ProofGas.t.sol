// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ProofFixture} from "./support/ProofFixture.sol";

/// @dev What it costs on L1 to verify a proof. Every call is a transaction of its own (isolation), with its 21,000 gas and
/// its calldata.
/// forge-config: default.isolate = true
contract ProofGasTest is ProofFixture {
    uint256 private constant TRANSACTION_CAP = 16_777_216; // EIP-7825
    uint256 private constant TRANSACTION_BYTES = 131_072; // what the pools of clients take
    uint256 private constant MAX_GAS = 20_000_000;

    function setUp() public {
        setUpProof();
    }

    /// @dev As it is sent: the constraints, then all rounds of openings.
    function test_gas_in_two_transactions() public {
        bytes memory first = slice(0, parts[0]);
        bytes memory second = slice(parts[0], proof.length);
        vm.recordLogs();
        bytes32 statement = verifier.begin(first, 0);
        uint256 begun = vm.lastCallGas().gasTotalUsed;
        bytes memory state = lastState();
        verifier.resume(state, second, ROUNDS);
        uint256 resumed = vm.lastCallGas().gasTotalUsed;
        assertTrue(verifier.isVerified(statement), "not verified");
        vm.snapshotValue("proof_gas", "transaction_1", begun);
        vm.snapshotValue("proof_gas", "transaction_2", resumed);
        vm.snapshotValue("proof_gas", "transactions", begun + resumed);
        vm.snapshotValue("proof_gas", "bytes_1", first.length);
        vm.snapshotValue("proof_gas", "bytes_2", second.length + state.length);
        assertTrue(begun <= TRANSACTION_CAP && resumed <= TRANSACTION_CAP, "a transaction is too dear");
        assertTrue(begun + resumed <= MAX_GAS, "a proof is too dear");
        // The rest of a call is its selector, lengths and offsets, and of a transaction its other fields.
        uint256 rest = 1_000;
        assertTrue(first.length + rest <= TRANSACTION_BYTES, "the first transaction is too long");
        assertTrue(second.length + state.length + rest <= TRANSACTION_BYTES, "the second transaction is too long");
    }

    function test_gas_in_one_call() public {
        verifier.submit(proof);
        uint256 used = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("proof_gas", "one_call", used);
        vm.snapshotValue("proof_gas", "bytes", proof.length);
        // More than a transaction may take: it is what steps cost less.
        assertTrue(used <= MAX_GAS, "too dear");
    }

    function test_gas_by_step() public {
        vm.recordLogs();
        verifier.begin(slice(0, parts[0]), 0);
        vm.snapshotValue("proof_gas", "step_constraints", vm.lastCallGas().gasTotalUsed);
        vm.snapshotValue("proof_gas", "step_constraints_bytes", parts[0]);
        bytes memory state = lastState();
        for (uint256 round; round < ROUNDS; ++round) {
            vm.recordLogs();
            verifier.resume(state, slice(parts[round], parts[round + 1]), 1);
            string memory name = string.concat("step_round", toString(round));
            vm.snapshotValue("proof_gas", name, vm.lastCallGas().gasTotalUsed);
            vm.snapshotValue("proof_gas", string.concat(name, "_bytes"), parts[round + 1] - parts[round]);
            state = lastState();
        }
    }
}
