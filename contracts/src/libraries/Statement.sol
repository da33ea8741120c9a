// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @notice What a proof found out about the block `to`, seen from the block `from`. Never 0, so that nothing is said by default.
enum Verdict {
    None,
    Valid, // `to` is a valid descendant of `from`
    Invalid // `to` is not a valid child of `from`
}

/// @notice What a proof shows (docs/protocol.md, section 9). With an invalid verdict all that would describe the block `to` is zero.
struct ProvenStatement {
    bytes32 configHash; // names the session
    bytes32 fromHash; // hash of the block from which the blocks descend
    bytes32 toHash; // hash of the last block
    Verdict verdict;
    bytes32 resultHash; // of the block `to`: zero unless the session has ended in it
    bytes32 inboxHash; // accumulator of the forced messages consumed up to and including the block `to`
    uint64 toNumber; // number of the block `to`
    uint64 toTimestamp; // of the block `to`
    bytes32 recoveriesHash; // of the list of recoveries on which all of this depends (RecoveryList)
    address prover; // who gets what the proof earns
}

/// @title The hash that a proof makes public.
library Statement {
    error NoVerdict();

    bytes32 internal constant DOMAIN = keccak256("Exclave.Statement.v1");

    /// @notice `keccak256(abi.encode(DOMAIN, value))`: eleven words, in the order of the members.
    function hash(ProvenStatement memory value) internal pure returns (bytes32) {
        if (value.verdict == Verdict.None) revert NoVerdict();
        return keccak256(abi.encode(DOMAIN, value));
    }
}
