// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ConstraintVerifier} from "./ConstraintVerifier.sol";
import {VerifyingKey} from "./generated/VerifyingKey.sol";
import {OpeningState} from "./OpeningState.sol";
import {OpeningVerifier} from "./OpeningVerifier.sol";

/// @title Verifies proofs of SWIRL under Keccak-256 for one verifying key (docs/proof-verifier.md).
/// @notice It accepts what `openvm_stark_backend::verifier::verify` 2.0.1 accepts under crates/prover's configuration, at
/// once or in several transactions. A statement is the hash of a proof's head: of its commitments, which traces there are,
/// their heights, and the public values.
/// @dev An interrupted verification is one word: the hash of what is known so far, by sender and statement. What is known
/// holds the transcript's state, so that nothing but the same proof's next part can follow.
contract ProofVerifier {
    error UnknownState(bytes32 statement);

    /// @notice A part was verified; `state` is what `resume` asks for.
    event Interrupted(bytes32 indexed statement, address indexed sender, bytes state);
    /// @notice The whole proof was verified.
    event Verified(bytes32 indexed statement, address indexed sender);

    ConstraintVerifier public immutable constraints;
    OpeningVerifier public immutable openings;

    /// @notice Whether a proof of a statement was verified, by anybody.
    mapping(bytes32 statement => bool) public isVerified;
    /// @notice Hash of the state of an interrupted verification, or zero.
    mapping(address sender => mapping(bytes32 statement => bytes32)) public interrupted;

    constructor(ConstraintVerifier constraints_, OpeningVerifier openings_) {
        constraints = constraints_;
        openings = openings_;
    }

    /// @notice Verifies a whole proof; reverts if it isn't valid.
    /// @return statement Hash of its head.
    function verify(bytes calldata proof) public view returns (bytes32 statement) {
        bytes memory state;
        uint256 length;
        (statement, state, length) = verifyConstraints(proof);
        openings.verify(state, proof[length:], VerifyingKey.ROUNDS);
    }

    /// @notice Verifies a whole proof and remembers its statement.
    function submit(bytes calldata proof) external returns (bytes32 statement) {
        statement = verify(proof);
        isVerified[statement] = true;
        emit Verified(statement, msg.sender);
    }

    /// @notice Verifies the beginning of a proof and so many rounds of its openings, and interrupts there.
    /// @param part The proof's bytes up to there, and no more.
    function begin(bytes calldata part, uint256 rounds) external returns (bytes32 statement) {
        bytes memory state;
        uint256 length;
        (statement, state, length) = verifyConstraints(part);
        if (rounds > 0) {
            state = openings.verify(state, part[length:], rounds);
        } else if (length != part.length) {
            revert OpeningVerifier.WrongLength(length, part.length);
        }
        settle(statement, state);
    }

    /// @notice Goes on where the sender interrupted.
    /// @param state The state then, from the event.
    /// @param part The proof's next bytes, for so many rounds and no more.
    function resume(bytes calldata state, bytes calldata part, uint256 rounds) external returns (bytes32 statement) {
        bytes32 digest = keccak256(state);
        if (state.length < 32) revert UnknownState(digest);
        statement = bytes32(state[32 * OpeningState.HEAD:]);
        if (interrupted[msg.sender][statement] != digest) revert UnknownState(statement);
        settle(statement, openings.verify(state, part, rounds));
    }

    /// @dev No more of the proof is copied than can be read.
    function verifyConstraints(bytes calldata proof)
        private
        view
        returns (bytes32 statement, bytes memory state, uint256 length)
    {
        uint256 most = proof.length < VerifyingKey.CONSTRAINT_BYTES ? proof.length : VerifyingKey.CONSTRAINT_BYTES;
        (state, length) = constraints.verify(proof[:most]);
        statement = word(state, OpeningState.HEAD);
    }

    function settle(bytes32 statement, bytes memory state) private {
        if (uint256(word(state, OpeningState.ROUND)) == VerifyingKey.ROUNDS) {
            delete interrupted[msg.sender][statement];
            isVerified[statement] = true;
            emit Verified(statement, msg.sender);
        } else {
            interrupted[msg.sender][statement] = keccak256(state);
            emit Interrupted(statement, msg.sender, state);
        }
    }

    function word(bytes memory state, uint256 index) private pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := mload(add(add(state, 0x20), shl(5, index)))
        }
    }
}
