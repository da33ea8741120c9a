// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkRelayer} from "../../src/interfaces/IZkRelayer.sol";
import {IZkVerifier} from "../../src/interfaces/IZkVerifier.sol";
import {ClaimHeader, SessionClaim, SessionConfig, Terms} from "../../src/interfaces/Types.sol";

/// @dev A verifier that takes the statement itself for its proof.
contract TestVerifier is IZkVerifier {
    function verify(bytes32 programId, bytes32 statement, bytes calldata proof) external pure returns (bool) {
        return keccak256(abi.encode(programId, statement)) == keccak256(proof);
    }
}

/// @dev The smallest dispute: a challenge without reason, answered by a proof before its deadline or lost. What a real one needs of ZkRelayer.
contract TestDisputeGame {
    uint256 public constant PROOF_TIME = 1 days;

    struct Dispute {
        address challenger;
        uint256 deadline;
    }

    IZkRelayer public immutable relayer;
    mapping(uint64 claimId => mapping(uint32 index => Dispute)) public disputes;

    constructor(IZkRelayer relayer_) {
        relayer = relayer_;
    }

    function challenge(
        uint64 claimId,
        ClaimHeader calldata header,
        SessionConfig calldata config,
        SessionClaim calldata leaf,
        uint32 index,
        bytes32[] calldata proof
    ) external {
        relayer.holdLeaf(claimId, header, config, leaf, index, proof);
        disputes[claimId][index] = Dispute(msg.sender, block.timestamp + PROOF_TIME);
    }

    function defend(
        uint64 claimId,
        ClaimHeader calldata header,
        Terms calldata terms,
        uint32 index,
        bytes32 statement,
        bytes calldata proof
    ) external {
        require(keccak256(abi.encode(terms)) == header.termsHash, "terms");
        require(IZkVerifier(terms.verifier).verify(terms.programId, statement, proof), "proof");
        relayer.releaseLeaf(claimId, header, index);
    }

    /// @dev Half of the bond for the challenger, the rest is burnt.
    function expire(uint64 claimId, ClaimHeader calldata header, uint32 index) external {
        Dispute memory dispute = disputes[claimId][index];
        require(block.timestamp > dispute.deadline, "early");
        address[] memory recipients = new address[](1);
        uint256[] memory shares = new uint256[](1);
        (recipients[0], shares[0]) = (dispute.challenger, header.claimBond / 2);
        relayer.killLeaf(claimId, header, index, recipients, shares);
    }

    function kill(
        uint64 claimId,
        ClaimHeader calldata header,
        uint32 index,
        address[] calldata recipients,
        uint256[] calldata shares
    ) external {
        relayer.killLeaf(claimId, header, index, recipients, shares);
    }
}
