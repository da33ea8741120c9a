// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Evidence, Opening, Preconfirmation} from "./DisputeTypes.sol";
import {SessionConfig, Terms} from "./Types.sol";

/// @title Settlement by proof, without a claim.
interface IProofSettlement {
    error WrongPreconfirmation();
    error WrongResult();

    /// @notice Settles a session at once: by a proof of all its blocks, the last of which the operator has signed.
    /// @param signed By the operator, of the last block: L1 can't see which of several valid histories was played.
    /// @param l1Header RLP of the header of L1's block `openedBlock + 1`.
    /// @param inboxCount Forced messages that the session has consumed.
    function settleByProof(
        SessionConfig calldata config,
        Terms calldata terms,
        Opening calldata opening,
        bytes calldata l1Header,
        Preconfirmation calldata signed,
        Evidence calldata evidence,
        uint64 inboxCount,
        bytes calldata result
    ) external;
}
