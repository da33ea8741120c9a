// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkVerifier} from "../src/interfaces/IZkVerifier.sol";
import {VerifyingKey} from "../src/verifier/generated/VerifyingKey.sol";
import {Trace} from "../src/verifier/ProofShape.sol";
import {ProofFixture} from "./support/ProofFixture.sol";

/// @dev The fixture is the proof of a recorded block, a transfer in a session, by the committed guest
/// (crates/emulator/inputs/transfer.bin, crates/guest/elf).
contract ZkVerifierTest is ProofFixture {
    using Trace for uint256;

    /// @dev `exclave-prover identity --program crates/guest/elf/exclave-guest.elf`.
    bytes32 private constant PROGRAM = 0x07c4d02f2e5dcbf2283d7d2da890b63ad94e815c76d7690e2f59846b7f0ef6a0;
    /// @dev Hash of the statement about the block, which `exclave-prover prove` printed.
    bytes32 private constant STATEMENT = 0xb8427ecf5d0a84aac7db14173f5062b174a97ff4aedbd49e649d728a068db6a7;

    IZkVerifier private zkVerifier;
    bytes private head;

    function setUp() public {
        setUpProof();
        zkVerifier = IZkVerifier(vm.deployCode("ZkVerifier.sol:ZkVerifier", abi.encode(address(verifier))));
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

    function submit() private {
        vm.recordLogs();
        bytes32 statement = verifier.begin(slice(0, parts[0]), 0);
        assertEq(statement, keccak256(head), "the head ends elsewhere");
        verifier.resume(lastState(), slice(parts[0], proof.length), ROUNDS);
    }

    function test_I8_block_of_a_session_is_proven() public {
        assertTrue(!zkVerifier.verify(PROGRAM, STATEMENT, head), "not verified yet");
        submit();
        assertTrue(zkVerifier.verify(PROGRAM, STATEMENT, head), "a verified proof isn't believed");
    }

    function test_I8_half_a_verification_proves_nothing() public {
        vm.recordLogs();
        verifier.begin(slice(0, parts[0]), 0);
        assertTrue(!zkVerifier.verify(PROGRAM, STATEMENT, head), "after the constraints");
        verifier.resume(lastState(), slice(parts[0], parts[ROUNDS - 1]), ROUNDS - 1);
        assertTrue(!zkVerifier.verify(PROGRAM, STATEMENT, head), "before the last round");
    }

    function test_I8_nothing_else_is_proven() public {
        submit();
        assertTrue(!zkVerifier.verify(PROGRAM, bytes32(uint256(STATEMENT) ^ 1), head), "another statement");
        assertTrue(!zkVerifier.verify(bytes32(uint256(PROGRAM) ^ 1), STATEMENT, head), "another program");
        assertTrue(!zkVerifier.verify(PROGRAM, STATEMENT, bytes.concat(head, hex"00")), "a longer head");
        assertTrue(!zkVerifier.verify(PROGRAM, STATEMENT, ""), "no head");
    }

    function test_I8_every_byte_of_the_head_counts() public {
        submit();
        for (uint256 i; i < head.length; ++i) {
            bytes memory changed = head;
            changed[i] ^= 0x01;
            assertTrue(!zkVerifier.verify(PROGRAM, STATEMENT, changed), "a changed head");
        }
    }
}
