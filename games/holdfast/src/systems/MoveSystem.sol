// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { System } from "@latticexyz/world/src/System.sol";

import { Direction } from "../codegen/common.sol";
import { MatchConfig, Steps, UnitData, UnitType } from "../codegen/index.sol";
import { AlreadyMoved, EmptyPath } from "../Errors.sol";
import { Army } from "../libraries/Army.sol";
import { Board } from "../libraries/Board.sol";
import { Match } from "../libraries/Match.sol";

contract MoveSystem is System {
  /// @notice Moves a unit along a path; once a turn, before it acts.
  function move(uint8 unitId, Direction[] calldata path) external {
    (uint8 player, uint32 turn) = Match.begin(_msgSender());
    UnitData memory unit = Army.requireActive(unitId, player, turn);
    if (unit.movedTurn == turn) revert AlreadyMoved(unitId, turn);
    if (path.length == 0) revert EmptyPath();
    (uint8 x, uint8 y) = Board.walk(
      unit.x,
      unit.y,
      MatchConfig._getWidth(),
      MatchConfig._getHeight(),
      UnitType._getMovement(unit.kind),
      path
    );
    uint8[] memory steps = new uint8[](path.length);
    for (uint256 i; i < path.length; ++i) steps[i] = uint8(path[i]);
    Steps._set(unitId, turn, unit.x, unit.y, steps);
    Army.relocate(unitId, unit, x, y, turn);
  }
}
