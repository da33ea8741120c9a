// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BatchConstraints} from "./BatchConstraints.sol";
import {Context, Memory} from "./Context.sol";
import {FractionalSumcheck} from "./FractionalSumcheck.sol";
import {ConstraintEvaluators} from "./generated/ConstraintEvaluators.sol";
import {VerifyingKey} from "./generated/VerifyingKey.sol";
import {OpeningState} from "./OpeningState.sol";
import {ProofShape} from "./ProofShape.sol";
import {StackedReduction} from "./StackedReduction.sol";
import {Transcript} from "./Transcript.sol";

/// @title The first part of a verification: all but the openings of what was committed.
contract ConstraintVerifier is ConstraintEvaluators {
    error WrongLength(uint256 read, uint256 given);

    constructor(address[] memory evaluators) ConstraintEvaluators(evaluators) {}

    /// @notice Verifies the beginning of a proof; reverts if it isn't valid.
    /// @return state What OpeningVerifier has to go on from.
    /// @return length Bytes that were read.
    function verify(bytes calldata proof) external view returns (bytes memory state, uint256 length) {
        Context memory context;
        uint256 start;
        assembly ("memory-safe") {
            start := proof.offset
        }
        context.offset = start;
        // More than what is observed between two challenges: a head, coefficients, openings with rotations, stacked ones.
        context.transcript = Memory.allocate(
            2 + VerifyingKey.HEAD_WORDS + (VerifyingKey.DEGREE << VerifyingKey.SKIP) + VerifyingKey.COLUMNS
                + VerifyingKey.MAX_WIDTH
        );
        Memory.store(context.transcript, 0, Transcript.DOMAIN);
        context.evaluators = evaluatorsOfUnits();
        ProofShape.read(context);
        FractionalSumcheck.verify(context);
        BatchConstraints.verify(context);
        StackedReduction.verify(context);
        StackedReduction.batch(context);
        unchecked {
            length = context.offset - start;
        }
        // Beyond the end of the calldata there are zeros.
        if (length > proof.length) revert WrongLength(length, proof.length);
        state = stateOf(context);
    }

    function stateOf(Context memory context) private pure returns (bytes memory state) {
        unchecked {
            uint256 count = context.commitmentCount;
            state = new bytes(32 * (OpeningState.FIRST + 2 + 2 * count));
            uint256 list = Memory.pointerOf(state);
            Memory.store(list, OpeningState.HEAD, context.head);
            Memory.store(list, OpeningState.TRANSCRIPT, Memory.load(context.transcript, 0));
            Memory.store(list, OpeningState.CLAIM, context.claim);
            for (uint256 i; i <= VerifyingKey.N_STACK; ++i) {
                Memory.store(list, OpeningState.U + i, Memory.load(context.u, i));
            }
            list += 32 * OpeningState.FIRST;
            Memory.store(list, 0, context.mu);
            Memory.store(list, 1, count);
            for (uint256 i; i < count; ++i) {
                Memory.store(list, 2 + i, Memory.load(context.commitments, i));
                Memory.store(list, 2 + count + i, Memory.load(context.widths, i));
            }
        }
    }
}
