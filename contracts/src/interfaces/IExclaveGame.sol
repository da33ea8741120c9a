// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title What a game contract on L1 implements.
/// @dev Called by ZkRelayer with the terms' `callbackGas`; a call that reverts can be retried by anyone with more gas. A game checks `msg.sender`.
interface IExclaveGame {
    /// @notice The session's result is final. Called at most once successfully, and never after onSessionAborted.
    function onSessionSettled(uint64 sessionId, bytes calldata result) external;

    /// @notice The session has no result and never will. Called at most once successfully, and never after onSessionSettled.
    function onSessionAborted(uint64 sessionId) external;
}
