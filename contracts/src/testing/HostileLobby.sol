// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IExclaveGame} from "../interfaces/IExclaveGame.sol";
import {IZkRelayer} from "../interfaces/IZkRelayer.sol";

/// @title A game contract on L1 that misbehaves when it is given an outcome, for drills and tests: `exclave fault`.
contract HostileLobby is IExclaveGame {
    enum Manner {
        Calm,
        Reverting,
        Reentering,
        GasBurning
    }

    error NotOwner(address caller);
    error Refused();

    IZkRelayer public immutable relayer;
    address public immutable owner;
    Manner public manner;
    /// @notice What it calls at the relayer from its callback when it re-enters.
    bytes[] public attempts;
    /// @notice How many callbacks came to their end, and how many of the calls that were attempted in them succeeded.
    uint256 public callbacks;
    uint256 public intrusions;

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        _;
    }

    constructor(IZkRelayer relayer_, Manner manner_) {
        relayer = relayer_;
        manner = manner_;
        owner = msg.sender;
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

    function setManner(Manner manner_) external onlyOwner {
        manner = manner_;
    }

    function setAttempts(bytes[] calldata attempts_) external onlyOwner {
        attempts = attempts_;
    }

    /// @inheritdoc IExclaveGame
    function onSessionSettled(uint64, bytes calldata) external {
        _misbehave();
    }

    /// @inheritdoc IExclaveGame
    function onSessionAborted(uint64) external {
        _misbehave();
    }

    function _misbehave() private {
        if (manner == Manner.Reverting) revert Refused();
        if (manner == Manner.GasBurning) while (true) {}
        if (manner == Manner.Reentering) {
            for (uint256 i; i < attempts.length; ++i) {
                (bool succeeded,) = address(relayer).call(attempts[i]);
                if (succeeded) ++intrusions;
            }
        }
        ++callbacks;
    }
}
