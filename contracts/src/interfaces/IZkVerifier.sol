// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Checks one proof of the statement of docs/protocol.md, section 9. Pinned by a session's terms.
interface IZkVerifier {
    /// @return True if `proof` shows that the program `programId` ended with success and put out `statement`.
    function verify(bytes32 programId, bytes32 statement, bytes calldata proof) external view returns (bool);
}
