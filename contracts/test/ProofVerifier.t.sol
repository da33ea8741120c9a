// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {VerifyingKey} from "../src/verifier/generated/VerifyingKey.sol";
import {ProofShape, Trace} from "../src/verifier/ProofShape.sol";
import {ProofFixture} from "./support/ProofFixture.sol";

/// @dev A real proof (`exclave-prover fixture`) is accepted, at once and in steps, and nothing else is.
contract ProofVerifierTest is ProofFixture {
    using Trace for uint256;

    uint256 private constant P = 0x78000001;
    /// Bytes of the call before the proof's.
    uint256 private constant HEADER = 4 + 32 + 32;
    bytes4 private constant PANIC = bytes4(keccak256("Panic(uint256)"));
    bytes4 private constant UNKNOWN_STATE = bytes4(keccak256("UnknownState(bytes32)"));

    function setUp() public {
        setUpProof();
    }

    // ------------------------------------------------------------------------------------------------- accepted

    function test_proof_is_accepted() public {
        bytes32 statement = verifier.verify(proof);
        assertTrue(!verifier.isVerified(statement), "a view remembered");
        assertEq(verifier.submit(proof), statement, "another statement");
        assertTrue(verifier.isVerified(statement), "not remembered");
    }

    function test_transcripts_states_are_those_of_the_native_verifier() public {
        (bytes32 statement, bytes memory state) = begin(0);
        assertEq(stateOf(state), vm.parseJsonBytes32(trace, ".states.batching"), "after the constraints");
        for (uint256 round; round + 1 < ROUNDS; ++round) {
            state = resume(state, round);
            string memory key = string.concat(".states.whir", toString(round));
            assertEq(stateOf(state), vm.parseJsonBytes32(trace, key), key);
        }
        assertTrue(!verifier.isVerified(statement), "verified before the last round");
        verifier.resume(state, slice(parts[ROUNDS - 1], parts[ROUNDS]), 1);
        assertTrue(verifier.isVerified(statement), "not verified after the last round");
        assertEq(verifier.interrupted(address(this), statement), bytes32(0), "something is left");
    }

    // ------------------------------------------------------------------------------------------------- rejected

    /// @dev Every word of 32 bits in turn, or one in so many: the slow profile takes them all. Another canonical element is put
    /// in its place, as a number that isn't one is refused for that alone.
    function test_every_word_counts() public view {
        bool isSlow = keccak256(bytes(vm.envOr("FOUNDRY_PROFILE", string("")))) == keccak256("slow");
        uint256 step = vm.envOr("EXCLAVE_PROOF_MUTATION_STEP", uint256(isSlow ? 1 : 211));
        bytes memory call = callFor(proof);
        for (uint256 place = HEADER; place < HEADER + proof.length; place += 4 * step) {
            uint256 value = elementAt(call, place);
            setElement(call, place, value + 1 < P ? value + 1 : value - 1);
            assertRejected(call, place);
            setElement(call, place, value);
        }
        assertAccepted(call);
    }

    function test_fuzz_bit_flips(uint256 place, uint8 bit) public view {
        bytes memory call = callFor(proof);
        place = bound(place, HEADER, HEADER + proof.length - 1);
        call[place] = bytes1(uint8(call[place]) ^ uint8(1 << (bit & 7)));
        assertRejected(call, place);
    }

    /// @dev x + p is the same element, and another encoding. In hashes it is another hash.
    function test_fuzz_elements_above_the_prime(uint256 word) public view {
        bytes memory call = callFor(proof);
        uint256 place = HEADER + 4 * bound(word, 0, proof.length / 4 - 1);
        uint256 value = elementAt(call, place);
        unchecked {
            setElement(call, place, uint32(value + P));
        }
        assertRejected(call, place);
    }

    function test_fuzz_truncated(uint256 length) public view {
        length = bound(length, 0, proof.length - 1);
        assertRejected(callFor(slice(0, length)), length);
    }

    function test_truncated_at_parts_and_words() public view {
        for (uint256 i; i < parts.length; ++i) {
            assertRejected(callFor(slice(0, parts[i] - 4)), i);
            if (i < ROUNDS) assertRejected(callFor(slice(0, parts[i])), i);
        }
        assertRejected(callFor(slice(0, proof.length - 1)), proof.length);
        assertRejected(callFor(""), 0);
    }

    function test_padded() public view {
        assertRejected(callFor(abi.encodePacked(proof, uint8(0))), 1);
        assertRejected(callFor(abi.encodePacked(proof, uint32(0))), 4);
        assertRejected(callFor(abi.encodePacked(proof, bytes32(0))), 32);
        assertRejected(callFor(abi.encodePacked(uint32(0), proof)), 4);
        for (uint256 i; i < ROUNDS; ++i) {
            bytes memory rest = slice(parts[i], proof.length);
            assertRejected(callFor(abi.encodePacked(slice(0, parts[i]), uint32(0), rest)), i);
        }
    }

    function test_parts_in_another_order() public view {
        for (uint256 i; i + 1 < ROUNDS; ++i) {
            bytes memory first = slice(0, parts[i]);
            bytes memory second = slice(parts[i], parts[i + 1]);
            bytes memory third = slice(parts[i + 1], parts[i + 2]);
            bytes memory rest = slice(parts[i + 2], proof.length);
            assertRejected(callFor(abi.encodePacked(first, third, second, rest)), i);
            assertRejected(callFor(abi.encodePacked(first, second, second, rest)), i);
            assertRejected(callFor(abi.encodePacked(first, third, rest)), i);
        }
    }

    /// @dev Every trace left out, with flag and fields, or only the flag; traces that aren't there announced; flags that are
    /// no booleans; all other heights, and some out of range, up to those that would overflow a shift.
    function test_heads_of_other_shapes() public view {
        bytes memory descriptors = VerifyingKey.DESCRIPTORS;
        uint256 place = 32;
        uint256 present;
        for (uint256 air; air < VerifyingKey.AIRS; ++air) {
            uint256 descriptor = uint256(wordAt(descriptors, 32 * air));
            uint256 length = 4 + 32 * descriptor.cachedParts() + 4 * descriptor.publicValues();
            bool isPresent = true;
            if (!descriptor.isRequired()) {
                isPresent = elementAt(proof, place) == 1;
                assertRejectedFor(withElement(place, 2), ProofShape.NotABoolean.selector);
                assertRejectedFor(withElement(place, type(uint32).max), ProofShape.NotABoolean.selector);
                assertRejected(callFor(withElement(place, isPresent ? 0 : 1)), place);
                if (isPresent) {
                    bytes memory rest = slice(place + 4 + length, proof.length);
                    assertRejected(callFor(abi.encodePacked(slice(0, place), uint32(0), rest)), place);
                }
                place += 4;
            }
            if (!isPresent) continue;
            ++present;
            uint256 height = elementAt(proof, place);
            uint256 highest = VerifyingKey.SKIP + VerifyingKey.N_STACK;
            for (uint256 other; other <= highest; other += 3) {
                if (other != height) assertRejected(callFor(withElement(place, other)), place);
            }
            uint256[5] memory wrong = [highest + 1, 255, 256, P - 1, type(uint32).max];
            for (uint256 i; i < wrong.length; ++i) {
                assertRejectedFor(withElement(place, wrong[i]), ProofShape.HeightOutOfRange.selector);
            }
            place += length;
        }
        assertTrue(present > 10, "the fixture has few traces");
    }

    // ----------------------------------------------------------------------------------------------- interrupted

    function test_nobody_resumes_anothers_verification() public {
        (, bytes memory state) = begin(1);
        bytes memory rest = slice(parts[1], proof.length);
        vm.prank(address(0xbad));
        vm.expectPartialRevert(UNKNOWN_STATE);
        verifier.resume(state, rest, ROUNDS - 1);
        verifier.resume(state, rest, ROUNDS - 1);
    }

    function test_state_must_be_the_one_that_was_kept() public {
        (, bytes memory state) = begin(1);
        bytes memory rest = slice(parts[1], proof.length);
        for (uint256 word; word < state.length / 32; ++word) {
            bytes memory mutated = bytes.concat(state);
            mutated[32 * word + 31] = bytes1(uint8(mutated[32 * word + 31]) ^ 1);
            vm.expectPartialRevert(UNKNOWN_STATE);
            verifier.resume(mutated, rest, ROUNDS - 1);
        }
        vm.expectPartialRevert(UNKNOWN_STATE);
        verifier.resume(abi.encodePacked(state, bytes32(0)), rest, ROUNDS - 1);
        vm.expectPartialRevert(UNKNOWN_STATE);
        verifier.resume("", rest, ROUNDS - 1);
    }

    function test_state_can_be_used_once() public {
        (, bytes memory state) = begin(0);
        bytes memory next = resume(state, 0);
        vm.expectPartialRevert(UNKNOWN_STATE);
        verifier.resume(state, slice(parts[0], parts[1]), 1);
        verifier.resume(next, slice(parts[1], proof.length), ROUNDS - 1);
        vm.expectPartialRevert(UNKNOWN_STATE);
        verifier.resume(next, slice(parts[1], proof.length), ROUNDS - 1);
    }

    function test_steps_out_of_order_are_refused() public {
        (bytes32 statement, bytes memory state) = begin(0);
        for (uint256 round = 1; round < ROUNDS; ++round) {
            bytes memory part = slice(parts[round], parts[round + 1]);
            vm.expectRevert();
            verifier.resume(state, part, 1);
        }
        bytes memory all = slice(parts[0], proof.length);
        vm.expectRevert();
        verifier.resume(state, all, ROUNDS + 1);
        vm.expectRevert();
        verifier.resume(state, all, 0);
        vm.expectRevert();
        verifier.resume(state, all, ROUNDS - 1);
        assertTrue(!verifier.isVerified(statement), "verified");
        verifier.resume(state, all, ROUNDS);
        assertTrue(verifier.isVerified(statement), "not verified");
    }

    function test_a_wrong_part_is_refused_and_changes_nothing() public {
        (bytes32 statement, bytes memory state) = begin(2);
        bytes memory rest = slice(parts[2], proof.length);
        for (uint256 place; place < rest.length; place += 977) {
            bytes memory mutated = bytes.concat(rest);
            mutated[place] = bytes1(uint8(mutated[place]) ^ 1);
            vm.expectRevert();
            verifier.resume(state, mutated, ROUNDS - 2);
        }
        assertTrue(!verifier.isVerified(statement), "verified");
        verifier.resume(state, rest, ROUNDS - 2);
        assertTrue(verifier.isVerified(statement), "not verified");
    }

    // ----------------------------------------------------------------------------------------------------- tools

    function callFor(bytes memory encoded) private view returns (bytes memory) {
        return abi.encodeCall(verifier.verify, (encoded));
    }

    function assertAccepted(bytes memory call) private view {
        (bool success,) = address(verifier).staticcall(call);
        assertTrue(success, "refused");
    }

    /// @dev Refused for a reason that has a name, not for want of gas.
    function assertRejected(bytes memory call, uint256 place) private view {
        (bool success, bytes memory reason) = address(verifier).staticcall(call);
        if (success) revert AssertionFailed(string.concat("accepted, changed at ", toString(place)));
        if (reason.length < 4 || bytes4(reason) == PANIC) {
            revert AssertionFailed(string.concat("refused without a reason, changed at ", toString(place)));
        }
    }

    function assertRejectedFor(bytes memory encoded, bytes4 selector) private view {
        (bool success, bytes memory reason) = address(verifier).staticcall(callFor(encoded));
        assertTrue(!success && bytes4(reason) == selector, "not refused for this reason");
    }

    function withElement(uint256 place, uint256 value) private view returns (bytes memory mutated) {
        mutated = proof;
        setElement(mutated, place, value);
    }

    function wordAt(bytes memory data, uint256 place) private pure returns (bytes32 word) {
        assembly {
            word := mload(add(add(data, 0x20), place))
        }
    }

    function begin(uint256 rounds) private returns (bytes32 statement, bytes memory state) {
        vm.recordLogs();
        statement = verifier.begin(slice(0, parts[rounds]), rounds);
        state = lastState();
        assertEq(verifier.interrupted(address(this), statement), keccak256(state), "another state was kept");
    }

    function resume(bytes memory state, uint256 round) private returns (bytes memory) {
        vm.recordLogs();
        verifier.resume(state, slice(parts[round], parts[round + 1]), 1);
        return lastState();
    }

    function stateOf(bytes memory state) private pure returns (bytes32 transcript) {
        assembly {
            transcript := mload(add(state, 0x40))
        }
    }

    function elementAt(bytes memory data, uint256 place) private pure returns (uint256 value) {
        assembly {
            value := shr(224, mload(add(add(data, 0x20), place)))
        }
    }

    function setElement(bytes memory data, uint256 place, uint256 value) private pure {
        for (uint256 i; i < 4; ++i) {
            data[place + i] = bytes1(uint8(value >> (24 - 8 * i)));
        }
    }
}
