// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title What a game calls of its session's contract.
interface IExclaveSession {
  /// @notice Names the game's contract. Once, while the template is built.
  function bindGame(address game) external;

  /// @notice Ends the session. Only the bound game.
  function endSession(bytes calldata result) external;
}

/// @title What the session's contract calls of a game.
interface IExclaveSessionGame {
  function exclaveInit(uint64 sessionId, bytes32 seed, address[] calldata players, bytes calldata initData) external;

  function exclaveOutcomeIfStopped() external view returns (bytes memory result);
}

/// @dev The session contract's address in every session.
address constant EXCLAVE_SESSION = 0x4578636c61766500000000000000000000000001;
