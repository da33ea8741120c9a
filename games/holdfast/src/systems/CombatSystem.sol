// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { System } from "@latticexyz/world/src/System.sol";

import { Armour, StructureKind } from "../codegen/common.sol";
import {
  Combat,
  Occupant,
  Structure,
  StructureData,
  Tally,
  Unit,
  UnitData,
  UnitType,
  UnitTypeData
} from "../codegen/index.sol";
import { CannotBesiege, EngineMustStand, NothingThere, OutOfRange, OwnSide } from "../Errors.sol";
import { Army } from "../libraries/Army.sol";
import { Board } from "../libraries/Board.sol";
import { Match } from "../libraries/Match.sol";
import { Siege } from "../libraries/Siege.sol";

contract CombatSystem is System {
  /// @notice Attacks the unit on a tile, or, with an engine, the structure on an empty one. Ends the unit's turn.
  function attack(uint8 unitId, uint8 x, uint8 y) external {
    (uint8 player, uint32 turn) = Match.begin(_msgSender());
    UnitData memory attacker = Army.requireActive(unitId, player, turn);
    UnitTypeData memory attackerType = UnitType._get(attacker.kind);
    uint256 distance = Board.distance(attacker.x, attacker.y, x, y);
    if (distance < attackerType.minRange || distance > attackerType.maxRange) {
      revert OutOfRange(distance, attackerType.minRange, attackerType.maxRange);
    }
    if (attackerType.armour == Armour.Engine && attacker.movedTurn == turn) revert EngineMustStand(unitId);
    attacker.actedTurn = turn;

    uint8 targetId = Occupant._get(x, y);
    if (targetId == 0) {
      _bombard(attacker, attackerType, x, y, turn);
      Unit._set(unitId, attacker);
    } else {
      _fight(unitId, attacker, attackerType, targetId, distance, turn);
    }
  }

  function _bombard(
    UnitData memory attacker,
    UnitTypeData memory attackerType,
    uint8 x,
    uint8 y,
    uint32 turn
  ) private {
    StructureData memory structure = Structure._get(x, y);
    if (structure.kind == StructureKind.None) revert NothingThere(x, y);
    if (structure.owner == attacker.owner) revert OwnSide(x, y);
    if (attackerType.armour != Armour.Engine) revert CannotBesiege(attacker.kind);
    Siege.batter(x, y, structure, (uint256(attackerType.siege) * attacker.health) / Army.MAX_HEALTH, turn);
  }

  function _fight(
    uint8 unitId,
    UnitData memory attacker,
    UnitTypeData memory attackerType,
    uint8 targetId,
    uint256 distance,
    uint32 turn
  ) private {
    UnitData memory target = Unit._get(targetId);
    if (target.owner == attacker.owner) revert OwnSide(target.x, target.y);
    UnitTypeData memory targetType = UnitType._get(target.kind);

    uint8 damage = _damage(attacker, attackerType, target, targetType.armour);
    uint8 counterDamage;
    if (damage >= target.health) {
      _destroy(targetId, target, targetType.cost, attacker.owner);
    } else {
      target.health -= damage;
      Unit._setHealth(targetId, target.health);
      if (distance >= targetType.minRange && distance <= targetType.maxRange) {
        counterDamage = _damage(target, targetType, attacker, attackerType.armour);
      }
    }
    if (counterDamage >= attacker.health) {
      _destroy(unitId, attacker, attackerType.cost, target.owner);
    } else {
      attacker.health -= counterDamage;
      Unit._set(unitId, attacker);
    }
    Combat._set(unitId, targetId, turn, damage, counterDamage);
  }

  /// @return Hit points: by the armour of who is hit, the health of who hits, and the ground of who is hit; at least one.
  function _damage(
    UnitData memory from,
    UnitTypeData memory fromType,
    UnitData memory to,
    Armour armour
  ) private view returns (uint8) {
    uint256 power = uint8(fromType.power >> (8 * uint8(armour)));
    uint256 damage = (power * from.health * (100 - Board.cover(Board.terrainAt(to.x, to.y)))) /
      (uint256(Army.MAX_HEALTH) * 100);
    return damage == 0 ? 1 : uint8(damage);
  }

  function _destroy(uint8 unitId, UnitData memory unit, uint16 worth, uint8 by) private {
    Army.remove(unitId, unit);
    Tally._setDestroyed(by, Tally._getDestroyed(by) + worth);
  }
}
