// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BatchConstraints} from "./BatchConstraints.sol";
import {Context, Memory} from "./Context.sol";
import {FractionalSumcheck} from "./FractionalSumcheck.sol";
import {ConstraintEvaluators} from "./generated/ConstraintEvaluators.sol";
import {VerifyingKey} from "./generated/VerifyingKey.sol";
import {ProofShape} from "./ProofShape.sol";
import {StackedReduction} from "./StackedReduction.sol";
import {Transcript} from "./Transcript.sol";
import {Whir} from "./Whir.sol";

/// @title Verifies proofs of SWIRL under Keccak-256 for one verifying key (docs/proof-verifier.md).
/// @notice It accepts what `openvm_stark_backend::verifier::verify` 2.0.1 accepts under crates/prover's configuration.
contract ProofVerifier is ConstraintEvaluators {
    error TrailingBytes();

    constructor(address[] memory evaluators) ConstraintEvaluators(evaluators) {}

    /// @notice Returns if the proof is valid and reverts if it isn't.
    function verify(bytes calldata proof) external view {
        Context memory context;
        assembly ("memory-safe") {
            mstore(context, proof.offset)
        }
        uint256 end;
        unchecked {
            end = context.offset + proof.length;
        }
        // The most that is observed between two challenges: a head, or all openings with their rotations.
        context.transcript = Memory.allocate(2 + 2 * VerifyingKey.COLUMNS + 8 * VerifyingKey.AIRS + 256);
        Memory.store(context.transcript, 0, Transcript.DOMAIN);
        context.evaluators = evaluatorsOfUnits();
        ProofShape.read(context);
        FractionalSumcheck.verify(context);
        BatchConstraints.verify(context);
        StackedReduction.verify(context);
        Whir.begin(context);
        uint256 last;
        for (uint256 i; i < VerifyingKey.ROUNDS; ++i) {
            last = Whir.round(context, i);
        }
        Whir.finish(context, last);
        if (context.offset != end) revert TrailingBytes();
    }
}
