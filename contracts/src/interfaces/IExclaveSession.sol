// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The session contract that every template holds at the predeploy address (docs/protocol.md, section 6).
interface IExclaveSession {
    event GameBound(address indexed game);
    event SessionStarted(uint64 indexed sessionId, bytes32 configHash);
    event SessionEnded(bytes result);

    error AlreadyBound(address game);
    error AlreadyInitialised();
    error AlreadyEnded();
    error NotInitialised();
    error NoGameBound();
    error NotSystem(address caller);
    error NotGame(address caller);
    error BeforeDeadline(uint64 deadline);
    error ResultTooLarge(uint256 length);
    error OutcomeReverted(bytes reason);

    /// @notice Names the game's contract (for MUD: the World). Once, while the template is built.
    function bindGame(address game) external;

    /// @notice Starts the session; the first transaction of block 1, from the system address.
    function init(
        bytes32 configHash,
        uint64 sessionId,
        uint64 deadline,
        bytes32 seed,
        address[] calldata players,
        bytes calldata initData
    ) external;

    /// @notice Ends the session. Only the bound game.
    function endSession(bytes calldata result) external;

    /// @notice Ends a session whose deadline is over by the game's own rule. Anyone.
    function stop() external;

    function resultHash() external view returns (bytes32);
    function game() external view returns (address);
    function configHash() external view returns (bytes32);
    function sessionId() external view returns (uint64);
    function deadline() external view returns (uint64);
    function seed() external view returns (bytes32);
    function players() external view returns (address[] memory);
}

/// @title What the bound game implements in the session.
interface IExclaveSessionGame {
    /// @notice Sets the match up. Called once, by the predeploy.
    function exclaveInit(uint64 sessionId, bytes32 seed, address[] calldata players, bytes calldata initData) external;

    /// @notice The result of a match that nobody finished.
    function exclaveOutcomeIfStopped() external view returns (bytes memory result);
}
