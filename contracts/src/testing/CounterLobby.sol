// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IExclaveGame} from "../interfaces/IExclaveGame.sol";
import {IZkRelayer} from "../interfaces/IZkRelayer.sol";

/// @title The smallest game contract on L1, for tests: opens sessions of CounterGame and notes what comes back.
contract CounterLobby is IExclaveGame {
    enum Fate {
        None,
        Settled,
        Aborted
    }

    error NotRelayer(address caller);
    error Refused();

    IZkRelayer public immutable relayer;
    mapping(uint64 sessionId => Fate) public fateOf;
    mapping(uint64 sessionId => bytes result) public resultOf;
    /// @notice How often each session's callback came: more than once would be a defect.
    mapping(uint64 sessionId => uint256) public callbacks;
    /// @notice While set, callbacks revert.
    bool public refusing;

    constructor(IZkRelayer relayer_) {
        relayer = relayer_;
    }

    function open(
        bytes32 templateId,
        bytes32 termsHash,
        address[] calldata players,
        bytes calldata initData,
        uint64 deadline
    ) external returns (uint64) {
        return relayer.openSession(templateId, termsHash, players, initData, deadline);
    }

    function setRefusing(bool refusing_) external {
        refusing = refusing_;
    }

    /// @inheritdoc IExclaveGame
    function onSessionSettled(uint64 sessionId, bytes calldata result) external {
        _note(sessionId, Fate.Settled);
        resultOf[sessionId] = result;
    }

    /// @inheritdoc IExclaveGame
    function onSessionAborted(uint64 sessionId) external {
        _note(sessionId, Fate.Aborted);
    }

    function _note(uint64 sessionId, Fate fate) private {
        if (msg.sender != address(relayer)) revert NotRelayer(msg.sender);
        if (refusing) revert Refused();
        fateOf[sessionId] = fate;
        ++callbacks[sessionId];
    }
}
