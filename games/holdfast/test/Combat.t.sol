// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { Direction, StructureKind, Terrain, UnitKind } from "../src/codegen/common.sol";
import "../src/codegen/index.sol";
import "../src/Errors.sol";
import { HoldfastTest } from "./support/HoldfastTest.sol";

contract CombatTest is HoldfastTest {
  function setUp() public override {
    super.setUp();
    start(FORD, 2);
    flatten();
  }

  function testBothAreHurt() public {
    uint8 attacker = place(1, UnitKind.Militia, 5, 5, 100);
    uint8 target = place(2, UnitKind.Militia, 6, 5, 100);
    attack(1, attacker, 6, 5);
    assertEq(Unit.getHealth(target), 55, "45 of 100");
    assertEq(Unit.getHealth(attacker), 76, "45 % of 55 back");
  }

  function testCoverHelps() public {
    uint8 attacker = place(1, UnitKind.Militia, 5, 5, 100);
    uint8 target = place(2, UnitKind.Militia, 6, 5, 100);
    setGround(6, 5, Terrain.Hill);
    attack(1, attacker, 6, 5);
    assertEq(Unit.getHealth(target), 73, "40 % less");
  }

  function testArchersAreNotHitBackFromAfar() public {
    uint8 attacker = place(1, UnitKind.Archer, 5, 5, 100);
    uint8 target = place(2, UnitKind.Militia, 7, 5, 100);
    attack(1, attacker, 7, 5);
    assertEq(Unit.getHealth(target), 45, "hit");
    assertEq(Unit.getHealth(attacker), 100, "no counter");
  }

  function testTheDeadAreGone() public {
    uint8 attacker = place(1, UnitKind.Rider, 5, 5, 100);
    uint8 target = place(2, UnitKind.Archer, 6, 5, 60);
    uint16 slots = Player.getUnitSlots(2);
    attack(1, attacker, 6, 5);
    assertEq(uint8(Unit.getKind(target)), 0, "unit");
    assertEq(Occupant.get(6, 5), 0, "tile");
    assertTrue(Player.getUnitSlots(2) != slots, "slot");
    assertEq(Tally.getDestroyed(1), 200, "worth");
    assertEq(Unit.getHealth(attacker), 100, "no counter by the dead");
  }

  function testTheAttackerMayFall() public {
    uint8 attacker = place(1, UnitKind.Rider, 5, 5, 5);
    place(2, UnitKind.Pikeman, 6, 5, 100);
    attack(1, attacker, 6, 5);
    assertEq(uint8(Unit.getKind(attacker)), 0, "fallen");
    assertEq(Occupant.get(5, 5), 0, "tile");
    assertEq(Tally.getDestroyed(2), 260, "worth");
  }

  function testRange() public {
    uint8 unitId = place(1, UnitKind.Trebuchet, 5, 5, 100);
    place(2, UnitKind.Militia, 6, 5, 100);
    place(2, UnitKind.Militia, 10, 5, 100);
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(OutOfRange.selector, 1, 2, 4));
    world.attack(unitId, 6, 5);
    vm.expectRevert(abi.encodeWithSelector(OutOfRange.selector, 5, 2, 4));
    world.attack(unitId, 10, 5);
  }

  function testEnginesStandToFire() public {
    uint8 unitId = place(1, UnitKind.Trebuchet, 5, 5, 100);
    place(2, UnitKind.Militia, 8, 5, 100);
    move(1, unitId, steps(Direction.South, 1));
    vm.prank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(EngineMustStand.selector, unitId));
    world.attack(unitId, 8, 5);
    nextTurn();
    attack(1, unitId, 8, 5);
  }

  function testActsOnceATurnAndThenStays() public {
    uint8 attacker = place(1, UnitKind.Militia, 5, 5, 100);
    place(2, UnitKind.Pikeman, 6, 5, 100);
    attack(1, attacker, 6, 5);
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(AlreadyActed.selector, attacker, 1));
    world.attack(attacker, 6, 5);
    vm.expectRevert(abi.encodeWithSelector(AlreadyActed.selector, attacker, 1));
    world.move(attacker, steps(Direction.North, 1));
    vm.expectRevert(abi.encodeWithSelector(AlreadyActed.selector, attacker, 1));
    world.capture(attacker);
  }

  function testNotOnesOwn() public {
    uint8 unitId = place(1, UnitKind.Militia, 5, 5, 100);
    place(1, UnitKind.Militia, 6, 5, 100);
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(OwnSide.selector, 6, 5));
    world.attack(unitId, 6, 5);
    vm.expectRevert(abi.encodeWithSelector(NothingThere.selector, 5, 6));
    world.attack(unitId, 5, 6);
  }

  function testBombardmentNeverTakesTheLast() public {
    Structure.set(8, 5, StructureKind.Mine, 2, 40, 0);
    uint8 unitId = place(1, UnitKind.Trebuchet, 5, 5, 100);
    attack(1, unitId, 8, 5);
    assertEq(Structure.getGarrison(8, 5), 1, "one is left");
    assertEq(Structure.getOwner(8, 5), 2, "and holds it");
    uint8 militia = place(1, UnitKind.Militia, 8, 6, 100);
    vm.prank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(CannotBesiege.selector, UnitKind.Militia));
    world.attack(militia, 8, 5);
  }

  /// @dev Health only falls, by the formula, and what the tables say of units, tiles and slots agrees.
  function testFuzzCombat(uint8 kinds, uint8 healthA, uint8 healthB, uint8 ground, uint8 gap) public {
    UnitKind kindA = UnitKind(1 + (kinds % 5));
    UnitKind kindB = UnitKind(1 + ((kinds / 5) % 5));
    healthA = uint8(bound(healthA, 1, 100));
    healthB = uint8(bound(healthB, 1, 100));
    uint8 distance = uint8(bound(gap, UnitType.getMinRange(kindA), UnitType.getMaxRange(kindA)));
    uint8 a = place(1, kindA, 4, 5, healthA);
    uint8 b = place(2, kindB, 4 + distance, 5, healthB);
    setGround(4, 5, Terrain(ground % 4));
    setGround(4 + distance, 5, Terrain((ground / 4) % 4));

    attack(1, a, 4 + distance, 5);

    uint256 expected = _damage(kindA, healthA, kindB, (ground / 4) % 4);
    uint256 leftB = expected >= healthB ? 0 : healthB - expected;
    uint256 counter;
    if (leftB > 0 && distance >= UnitType.getMinRange(kindB) && distance <= UnitType.getMaxRange(kindB)) {
      counter = _damage(kindB, leftB, kindA, ground % 4);
    }
    uint256 leftA = counter >= healthA ? 0 : healthA - counter;
    assertEq(Unit.getHealth(a), leftA, "attacker");
    assertEq(Unit.getHealth(b), leftB, "target");
    assertEq(Occupant.get(4, 5), leftA > 0 ? a : 0, "attacker's tile");
    assertEq(Occupant.get(4 + distance, 5), leftB > 0 ? b : 0, "target's tile");
    assertEq(Player.getUnitSlots(1), leftA > 0 ? 3 : 1, "attacker's slot");
    assertEq(Player.getUnitSlots(2), leftB > 0 ? 3 : 1, "target's slot");
    assertEq(Tally.getDestroyed(1), leftB > 0 ? 0 : UnitType.getCost(kindB), "tally");
  }

  function _damage(UnitKind from, uint256 health, UnitKind to, uint256 terrain) private view returns (uint256 damage) {
    uint8[4] memory cover = [0, 0, 25, 40];
    uint256 power = (UnitType.getPower(from) / 256 ** uint8(UnitType.getArmour(to))) % 256;
    damage = (power * health * (100 - cover[terrain])) / 10000;
    if (damage == 0) damage = 1;
  }
}
