// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Evidence, Opening, Preconfirmation} from "../interfaces/DisputeTypes.sol";
import {IBlockFacts} from "../interfaces/IBlockFacts.sol";
import {IOperatorStakes} from "../interfaces/IOperatorStakes.sol";
import {IProofSettlement} from "../interfaces/IProofSettlement.sol";
import {IZkRelayer} from "../interfaces/IZkRelayer.sol";
import {SessionConfig, Settlement, Terms} from "../interfaces/Types.sol";
import {SessionHash} from "../libraries/SessionHash.sol";
import {Verdict} from "../libraries/Statement.sol";
import {StatementProof} from "../libraries/StatementProof.sol";

/// @title Settles sessions whose every block is proven, at once.
contract ProofSettlement is IProofSettlement {
    IZkRelayer private immutable relayer;
    IOperatorStakes private immutable stakes;
    IBlockFacts private immutable facts;

    constructor(IZkRelayer relayer_, IOperatorStakes stakes_, IBlockFacts facts_) {
        (relayer, stakes, facts) = (relayer_, stakes_, facts_);
    }

    /// @inheritdoc IProofSettlement
    function settleByProof(
        SessionConfig calldata config,
        Terms calldata terms,
        Opening calldata opening,
        bytes calldata l1Header,
        Preconfirmation calldata signed,
        Evidence calldata evidence,
        uint64 inboxCount,
        bytes calldata result
    ) external {
        // INVARIANT I1: of several valid histories, the one that was played; nobody has time to object here.
        if (signed.sessionId != config.sessionId || stakes.signerOf(signed) != terms.operator) {
            revert WrongPreconfirmation();
        }
        bytes32 configHash = relayer.configHash(config);
        bytes32 seed = facts.seedOf(config.sessionId, config.openedBlock, l1Header);
        uint64 chainId = relayer.chainIdBase() + config.sessionId;
        bytes32 genesis = facts.genesisOf(config, configHash, chainId, opening, seed);
        StatementProof.check(terms, configHash, genesis, signed.blockHash, Verdict.Valid, evidence);
        if (
            evidence.toNumber != signed.number || evidence.resultHash != keccak256(result)
                || evidence.inboxHash != relayer.inboxHash(config.sessionId, inboxCount)
        ) revert WrongResult();
        relayer.settleByProof(
            Settlement({
                sessionId: config.sessionId,
                openedAt: config.openedAt,
                game: config.game,
                setupHash: SessionHash.setup(
                    config.openedBlock, config.deadline, config.templateId, config.playersHash, config.initDataHash
                ),
                firstNumber: 0,
                lastTimestamp: evidence.toTimestamp,
                inboxCount: inboxCount,
                chainHash: 0,
                result: result
            }),
            terms
        );
    }
}
