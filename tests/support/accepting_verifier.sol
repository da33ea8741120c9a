// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title A verifier of the tests' own, which accepts everything: the program's id and the statement are a proof's head. It takes proofs in two
/// transactions as ProofVerifier does, and counts them.
contract AcceptingVerifier {
    error UnknownState(bytes32 statement);

    event Interrupted(bytes32 indexed statement, address indexed sender, bytes state);
    event Verified(bytes32 indexed statement, address indexed sender);

    mapping(bytes32 statement => bool) public isVerified;
    mapping(address sender => mapping(bytes32 statement => bytes32)) public interrupted;
    uint256 public begun;
    uint256 public resumed;

    function proofs() external view returns (address) {
        return address(this);
    }

    function verify(bytes32 programId, bytes32 statement, bytes calldata head) external view returns (bool) {
        return isVerified[keccak256(head)] && keccak256(head) == keccak256(bytes.concat(programId, statement));
    }

    function begin(bytes calldata part, uint256) external returns (bytes32 statement) {
        statement = keccak256(part[:64]);
        // As ProofVerifier's state: the third word is the next round of openings, the first.
        bytes memory state = bytes.concat(statement, bytes32(0), bytes32(0), part);
        interrupted[msg.sender][statement] = keccak256(state);
        ++begun;
        emit Interrupted(statement, msg.sender, state);
    }

    function resume(bytes calldata state, bytes calldata, uint256) external returns (bytes32 statement) {
        statement = bytes32(state);
        if (interrupted[msg.sender][statement] != keccak256(state)) revert UnknownState(statement);
        delete interrupted[msg.sender][statement];
        isVerified[statement] = true;
        ++resumed;
        emit Verified(statement, msg.sender);
    }
}
