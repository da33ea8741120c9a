// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Evidence} from "../interfaces/DisputeTypes.sol";
import {IZkVerifier} from "../interfaces/IZkVerifier.sol";
import {Terms} from "../interfaces/Types.sol";
import {RecoveryList} from "./RecoveryList.sol";
import {ProvenStatement, Statement, Verdict} from "./Statement.sol";

/// @title Asks the verifier of a session's terms for a statement (docs/protocol.md, section 9).
library StatementProof {
    error ProofRefused(bytes32 statement);

    /// @dev INVARIANT I8: the statement is made of what L1 knows and what a leaf says; a proof of anything else doesn't fit.
    function check(
        Terms calldata terms,
        bytes32 configHash,
        bytes32 fromHash,
        bytes32 toHash,
        Verdict verdict,
        Evidence calldata evidence
    ) internal view {
        bytes32 statement = Statement.hash(
            ProvenStatement({
                configHash: configHash,
                fromHash: fromHash,
                toHash: toHash,
                verdict: verdict,
                resultHash: evidence.resultHash,
                inboxHash: evidence.inboxHash,
                toNumber: evidence.toNumber,
                toTimestamp: evidence.toTimestamp,
                recoveriesHash: RecoveryList.check(evidence.recoveries),
                prover: evidence.prover
            })
        );
        if (!IZkVerifier(terms.verifier).verify(terms.programId, statement, evidence.head)) {
            revert ProofRefused(statement);
        }
    }
}
