// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { Armour, UnitKind } from "../src/codegen/common.sol";
import { Level, UnitType, UnitTypeData } from "../src/codegen/index.sol";
import { LevelDraft, Levels } from "./Levels.sol";

/// @title What a template holds besides code: maps and unit types.
library Rules {
  /// @notice Writes it all, as the root namespace's owner.
  function write() internal {
    _level(1, Levels.ford());
    _level(2, Levels.highland());
    _level(3, Levels.crossing());
    // Pikes stop horses, horses ride down archers, archers wear down who walks.
    _unit(UnitKind.Militia, Armour.Foot, 100, 6, 1, 1, _power(45, 30, 45, 50), 40, true);
    _unit(UnitKind.Pikeman, Armour.Foot, 180, 5, 1, 1, _power(50, 75, 40, 45), 40, true);
    _unit(UnitKind.Rider, Armour.Horse, 260, 10, 1, 1, _power(50, 50, 80, 75), 0, false);
    _unit(UnitKind.Archer, Armour.Missile, 200, 6, 1, 2, _power(55, 35, 45, 30), 0, false);
    _unit(UnitKind.Trebuchet, Armour.Engine, 350, 4, 2, 4, _power(60, 45, 60, 65), 60, false);
  }

  function _level(uint8 levelId, LevelDraft memory level) private {
    Level.set(levelId, level.width, level.height, level.keeps, level.tiles);
  }

  function _unit(
    UnitKind kind,
    Armour armour,
    uint16 cost,
    uint8 movement,
    uint8 minRange,
    uint8 maxRange,
    uint32 power,
    uint8 siege,
    bool captures
  ) private {
    UnitType.set(
      kind,
      UnitTypeData({
        cost: cost,
        movement: movement,
        minRange: minRange,
        maxRange: maxRange,
        armour: armour,
        power: power,
        siege: siege,
        captures: captures
      })
    );
  }

  function _power(uint32 foot, uint32 horse, uint32 missile, uint32 engine) private pure returns (uint32) {
    return foot | (horse << 8) | (missile << 16) | (engine << 24);
  }
}
