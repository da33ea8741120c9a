// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IExclaveSession, IExclaveSessionGame} from "../interfaces/IExclaveSession.sol";

/// @title The smallest session game, for the node's tests: players count up, and who reaches the target wins.
/// @dev `initData` is abi.encode(uint256 target); the result is abi.encode(uint256 count, address winner).
contract CounterGame is IExclaveSessionGame {
    IExclaveSession internal constant SESSION = IExclaveSession(0x4578636c61766500000000000000000000000001);

    event Incremented(address indexed player, uint256 count);

    error NotSession(address caller);
    error NotPlayer(address caller);

    uint256 public count;
    uint256 public target;
    bytes32 public seed;
    mapping(address player => bool) public isPlayer;
    uint256 public saidBytes;

    /// @inheritdoc IExclaveSessionGame
    function exclaveInit(uint64, bytes32 seed_, address[] calldata players, bytes calldata initData) external {
        if (msg.sender != address(SESSION)) revert NotSession(msg.sender);
        target = abi.decode(initData, (uint256));
        seed = seed_;
        for (uint256 i; i < players.length; ++i) isPlayer[players[i]] = true;
    }

    /// @notice Adds `by`; ends the session at the target.
    function increment(uint256 by) external {
        if (!isPlayer[msg.sender]) revert NotPlayer(msg.sender);
        count += by;
        emit Incremented(msg.sender, count);
        if (count >= target) SESSION.endSession(abi.encode(count, msg.sender));
    }

    /// @notice Takes data of any size from anybody: for blocks whose data is large.
    function say(bytes calldata text) external {
        saidBytes += text.length;
    }

    /// @inheritdoc IExclaveSessionGame
    function exclaveOutcomeIfStopped() external view returns (bytes memory) {
        return abi.encode(count, address(0));
    }
}
