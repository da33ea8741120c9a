// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IExclaveSession, IExclaveSessionGame} from "../interfaces/IExclaveSession.sol";

/// @title The session predeploy: starts the match, takes its result, and lets anyone stop it after the deadline.
/// @dev No constructor and no immutables: templates hold its runtime code. `resultHash` is slot 0, which the state-transition function reads.
contract ExclaveSession is IExclaveSession {
    /// @dev EIP-4788's caller: no key can sign for it.
    address internal constant SYSTEM_ADDRESS = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;

    /// @dev A result has to fit into a settlement on L1.
    uint256 internal constant MAX_RESULT_BYTES = 8192;

    /// @inheritdoc IExclaveSession
    bytes32 public resultHash;
    /// @inheritdoc IExclaveSession
    address public game;
    /// @inheritdoc IExclaveSession
    uint64 public sessionId;
    /// @inheritdoc IExclaveSession
    uint64 public deadline;
    /// @inheritdoc IExclaveSession
    bytes32 public configHash;
    /// @inheritdoc IExclaveSession
    bytes32 public seed;

    address[] private _players;

    /// @inheritdoc IExclaveSession
    function players() external view returns (address[] memory) {
        return _players;
    }

    /// @inheritdoc IExclaveSession
    function bindGame(address game_) external {
        if (sessionId != 0) revert AlreadyInitialised();
        if (game != address(0)) revert AlreadyBound(game);
        game = game_;
        emit GameBound(game_);
    }

    /// @inheritdoc IExclaveSession
    function init(
        bytes32 configHash_,
        uint64 sessionId_,
        uint64 deadline_,
        bytes32 seed_,
        address[] calldata players_,
        bytes calldata initData
    ) external {
        if (msg.sender != SYSTEM_ADDRESS) revert NotSystem(msg.sender);
        if (sessionId != 0) revert AlreadyInitialised();
        if (game == address(0)) revert NoGameBound();
        configHash = configHash_;
        sessionId = sessionId_;
        deadline = deadline_;
        seed = seed_;
        _players = players_;
        emit SessionStarted(sessionId_, configHash_);
        IExclaveSessionGame(game).exclaveInit(sessionId_, seed_, players_, initData);
    }

    /// @inheritdoc IExclaveSession
    function endSession(bytes calldata result) external {
        if (msg.sender != game) revert NotGame(msg.sender);
        _end(result);
    }

    /// @inheritdoc IExclaveSession
    function stop() external {
        if (sessionId == 0) revert NotInitialised();
        if (resultHash != 0) revert AlreadyEnded();
        if (block.timestamp < deadline) revert BeforeDeadline(deadline);
        try IExclaveSessionGame(game).exclaveOutcomeIfStopped() returns (bytes memory result) {
            _end(result);
        } catch (bytes memory reason) {
            // The session stays as it is: it may still end by play, or by an abort on L1.
            revert OutcomeReverted(reason);
        }
    }

    /// @dev keccak256 of any result is non-zero, an empty one's too, so that slot 0 tells ended from running.
    function _end(bytes memory result) private {
        if (sessionId == 0) revert NotInitialised();
        if (resultHash != 0) revert AlreadyEnded();
        if (result.length > MAX_RESULT_BYTES) revert ResultTooLarge(result.length);
        resultHash = keccak256(result);
        emit SessionEnded(result);
    }
}
