// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IDisputeRules} from "../../src/interfaces/IDisputeRules.sol";
import {IZkRelayer} from "../../src/interfaces/IZkRelayer.sol";
import {IZkVerifier} from "../../src/interfaces/IZkVerifier.sol";
import {ClaimHeader, Terms} from "../../src/interfaces/Types.sol";

/// @dev A verifier that takes the statement itself for its proof.
contract TestVerifier is IZkVerifier {
    function verify(bytes32 programId, bytes32 statement, bytes calldata proof) external pure returns (bool) {
        return keccak256(abi.encode(programId, statement)) == keccak256(proof);
    }
}

/// @dev The smallest dispute: a challenge without reason, answered by a proof before its deadline or lost. What a real one needs of ZkRelayer.
/// A leaf has as many disputes as challengers, and each needs an answer of its own: a claimant can't shut others out by challenging himself.
contract TestDisputeGame is IDisputeRules {
    uint256 public constant PROOF_TIME = 1 days;

    struct Dispute {
        address challenger;
        uint256 deadline;
        bool over;
    }

    IZkRelayer public immutable relayer;
    /// @dev Who may settle by proof.
    address public settler;
    uint32 public leastAbortDelay;
    mapping(uint64 claimId => mapping(uint32 index => Dispute[])) private _disputes;

    constructor(IZkRelayer relayer_) {
        relayer = relayer_;
    }

    function setSettler(address settler_) external {
        settler = settler_;
    }

    function setLeastAbortDelay(uint32 delay) external {
        leastAbortDelay = delay;
    }

    function checkTerms(Terms calldata terms) external view {
        require(terms.abortDelay >= leastAbortDelay, "abort delay");
    }

    function disputeCount(uint64 claimId, uint32 index) external view returns (uint256) {
        return _disputes[claimId][index].length;
    }

    function challenge(uint64 claimId, ClaimHeader calldata header, uint32 index) external returns (uint256 which) {
        relayer.holdLeaf(claimId, header, index);
        which = _disputes[claimId][index].length;
        _disputes[claimId][index].push(Dispute(msg.sender, block.timestamp + PROOF_TIME, false));
    }

    function defend(
        uint64 claimId,
        ClaimHeader calldata header,
        Terms calldata terms,
        uint32 index,
        uint256 which,
        bytes32 statement,
        bytes calldata proof
    ) external {
        require(keccak256(abi.encode(terms)) == header.termsHash, "terms");
        require(IZkVerifier(terms.verifier).verify(terms.programId, statement, proof), "proof");
        _end(claimId, index, which);
        relayer.releaseLeaf(claimId, header, index);
    }

    /// @dev Half of the bond for the challenger, the rest is burnt.
    function expire(uint64 claimId, ClaimHeader calldata header, uint32 index, uint256 which) external {
        Dispute storage dispute = _end(claimId, index, which);
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

    function _end(uint64 claimId, uint32 index, uint256 which) private returns (Dispute storage dispute) {
        dispute = _disputes[claimId][index][which];
        require(!dispute.over, "over");
        dispute.over = true;
    }
}
