// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkVerifier} from "./interfaces/IZkVerifier.sol";
import {Memory} from "./verifier/Context.sol";
import {VerifyingKey} from "./verifier/generated/VerifyingKey.sol";
import {ProofVerifier} from "./verifier/ProofVerifier.sol";
import {Trace} from "./verifier/ProofShape.sol";

/// @title Says what a verified proof proves: that a program, executed on some input, ended with success and put out a
/// statement (docs/protocol.md, section 9; docs/proof-verifier.md).
/// @notice Proofs are verified by ProofVerifier, in transactions before. What it remembers of one is the hash of its head.
/// @dev The key of the last circuit fixes how a recursive proof is verified, but neither which program was executed nor which
/// machine executed it: those are public values, and are compared here as `crates/prover/src/recursion/verify.rs` does.
contract ZkVerifier is IZkVerifier {
    using Trace for uint256;

    /// @dev OpenVM's root circuit (`openvm-continuations`, `circuit/root`): AIRs whose public values and cached commitment
    /// say what was proven.
    uint256 private constant IDENTITY_AIR = 0;
    uint256 private constant STATEMENT_AIR = 1;
    uint256 private constant CONSTRAINTS_AIR = 3;

    ProofVerifier public immutable proofs;

    constructor(ProofVerifier proofs_) {
        proofs = proofs_;
    }

    /// @inheritdoc IZkVerifier
    /// @param programId keccak256 of the commitment to the recursive layer's constraints, and of the program's and the
    /// machine's digests, eight field elements of four bytes each.
    /// @param head The proof's head.
    function verify(bytes32 programId, bytes32 statement, bytes calldata head) external view returns (bool) {
        // INVARIANT I8: what the head says was proven, and nothing else.
        if (!proofs.isVerified(keccak256(head))) return false;
        (bytes32 proven, bytes32 identity) = read(head);
        return proven == statement && identity == programId;
    }

    /// @notice What the head of a proof says: the statement, and the identity of the program that put it out. Both are zero
    /// if an AIR is missing, as its constraints were not checked then, or if a public byte is none.
    function read(bytes calldata head) public pure returns (bytes32 statement, bytes32 identity) {
        bytes calldata constraints;
        bytes calldata digests;
        constraints = digests = head[:0];
        uint256 descriptors = Memory.pointerOf(VerifyingKey.DESCRIPTORS);
        uint256 offset = 32;
        for (uint256 air; air < VerifyingKey.AIRS; ++air) {
            uint256 trace = Memory.load(descriptors, air);
            if (!trace.isRequired()) {
                if (element(head, offset) != 1) return (0, 0);
                offset += 4;
            }
            if (!trace.hasPreprocessed()) offset += 4;
            if (air == CONSTRAINTS_AIR) constraints = head[offset:offset + 32];
            offset += 32 * trace.cachedParts();
            if (air == IDENTITY_AIR) digests = head[offset:offset + 64];
            if (air == STATEMENT_AIR) {
                for (uint256 i; i < 32; ++i) {
                    uint256 value = element(head, offset + 4 * i);
                    if (value > 0xff) return (0, 0);
                    statement |= bytes32(value << (8 * (31 - i)));
                }
            }
            offset += 4 * trace.publicValues();
        }
        if (offset != head.length) return (0, 0);
        identity = keccak256(bytes.concat(constraints, digests));
    }

    function element(bytes calldata head, uint256 offset) private pure returns (uint256) {
        return uint32(bytes4(head[offset:offset + 4]));
    }
}
