// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { UnitKind } from "../codegen/common.sol";
import { Occupant, Player, Unit, UnitData } from "../codegen/index.sol";
import { AlreadyActed, ArmyFull, NotYourUnit } from "../Errors.sol";

/// @title Units' coming, going and standing. A unit and its tile's `Occupant` always change together.
library Army {
  uint8 internal constant MAX_HEALTH = 100;
  uint8 internal constant MAX_UNITS = 8;

  /// @notice Puts a new unit on a free tile. It can do nothing in `turn`.
  function raise(uint8 player, UnitKind kind, uint8 x, uint8 y, uint32 turn) internal returns (uint8 unitId) {
    uint16 slots = Player._getUnitSlots(player);
    uint8 slot;
    while (slots & (1 << slot) != 0) ++slot;
    if (slot >= MAX_UNITS) revert ArmyFull();
    Player._setUnitSlots(player, slots | uint16(1 << slot));
    unitId = idOf(player, slot);
    Unit._set(
      unitId,
      UnitData({
        kind: kind,
        owner: player,
        x: x,
        y: y,
        health: MAX_HEALTH,
        movedTurn: turn,
        actedTurn: turn
      })
    );
    Occupant._set(x, y, unitId);
  }

  function relocate(uint8 unitId, UnitData memory unit, uint8 x, uint8 y, uint32 turn) internal {
    Occupant._deleteRecord(unit.x, unit.y);
    Occupant._set(x, y, unitId);
    unit.x = x;
    unit.y = y;
    unit.movedTurn = turn;
    Unit._set(unitId, unit);
  }

  function remove(uint8 unitId, UnitData memory unit) internal {
    uint8 slot = (unitId - 1) % 16;
    Player._setUnitSlots(unit.owner, Player._getUnitSlots(unit.owner) & ~uint16(1 << slot));
    _clear(unitId, unit.x, unit.y);
  }

  /// @notice Removes all units of a player.
  function disband(uint8 player) internal {
    uint16 slots = Player._getUnitSlots(player);
    Player._setUnitSlots(player, 0);
    for (uint8 slot; slot < MAX_UNITS; ++slot) {
      if (slots & (1 << slot) == 0) continue;
      uint8 unitId = idOf(player, slot);
      _clear(unitId, Unit._getX(unitId), Unit._getY(unitId));
    }
  }

  /// @return unit The unit, which is the player's own and has not acted in this turn.
  function requireActive(uint8 unitId, uint8 player, uint32 turn) internal view returns (UnitData memory unit) {
    unit = requireOwn(unitId, player);
    if (unit.actedTurn == turn) revert AlreadyActed(unitId, turn);
  }

  function requireOwn(uint8 unitId, uint8 player) internal view returns (UnitData memory unit) {
    unit = Unit._get(unitId);
    if (unit.owner != player) revert NotYourUnit(unitId, unit.owner);
  }

  function idOf(uint8 player, uint8 slot) internal pure returns (uint8) {
    return (player - 1) * 16 + slot + 1;
  }

  function _clear(uint8 unitId, uint8 x, uint8 y) private {
    Occupant._deleteRecord(x, y);
    Unit._deleteRecord(unitId);
  }
}
