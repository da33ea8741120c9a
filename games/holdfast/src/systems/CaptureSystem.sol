// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { System } from "@latticexyz/world/src/System.sol";

import { StructureKind } from "../codegen/common.sol";
import { Structure, StructureData, Unit, UnitData, UnitType, UnitTypeData } from "../codegen/index.sol";
import { CannotCapture, NothingThere, OwnSide } from "../Errors.sol";
import { Army } from "../libraries/Army.sol";
import { Match } from "../libraries/Match.sol";
import { Siege } from "../libraries/Siege.sol";

contract CaptureSystem is System {
  /// @notice Storms the structure that a unit stands on. Ends the unit's turn. Who loses its own keep is out.
  function capture(uint8 unitId) external {
    (uint8 player, uint32 turn) = Match.begin(_msgSender());
    UnitData memory unit = Army.requireActive(unitId, player, turn);
    UnitTypeData memory unitType = UnitType._get(unit.kind);
    if (!unitType.captures) revert CannotCapture(unit.kind);
    StructureData memory structure = Structure._get(unit.x, unit.y);
    if (structure.kind == StructureKind.None) revert NothingThere(unit.x, unit.y);
    if (structure.owner == player) revert OwnSide(unit.x, unit.y);
    unit.actedTurn = turn;
    Unit._set(unitId, unit);
    Siege.storm(
      unit.x,
      unit.y,
      structure,
      (uint256(unitType.siege) * unit.health) / Army.MAX_HEALTH,
      player,
      turn
    );
  }
}
