// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { Direction, StructureKind, UnitKind } from "../src/codegen/common.sol";
import "../src/codegen/index.sol";
import "../src/Errors.sol";
import { HoldfastTest } from "./support/HoldfastTest.sol";

contract SiegeTest is HoldfastTest {
  function setUp() public override {
    super.setUp();
    start(FORD, 2);
    flatten();
  }

  function testAMineFallsAtOnce() public {
    Structure.set(5, 5, StructureKind.Mine, 0, 40, 0);
    uint8 unitId = place(1, UnitKind.Militia, 5, 5, 100);
    capture(1, unitId);
    assertEq(Structure.getOwner(5, 5), 1, "owner");
    assertEq(Structure.getGarrison(5, 5), 40, "garrison");
    assertEq(Treasury.getIncome(1), 100, "income");
    assertEq(Tally.getStructures(1), 2, "structures");
  }

  function testAWoundedUnitTakesLonger() public {
    Structure.set(5, 5, StructureKind.Mine, 2, 40, 0);
    Treasury.setIncome(2, 100);
    Tally.setStructures(2, 2);
    uint8 unitId = place(1, UnitKind.Militia, 5, 5, 50);
    capture(1, unitId);
    assertEq(Structure.getOwner(5, 5), 2, "holds");
    assertEq(Structure.getGarrison(5, 5), 20, "half");
    nextTurn();
    capture(1, unitId);
    assertEq(Structure.getOwner(5, 5), 1, "taken");
    assertEq(Treasury.getIncome(2), 60, "lost income");
    assertEq(Tally.getStructures(2), 1, "lost");
  }

  function testGarrisonsRecover() public {
    Structure.set(5, 5, StructureKind.Mine, 2, 40, 0);
    uint8 unitId = place(1, UnitKind.Militia, 5, 5, 50);
    capture(1, unitId);
    nextTurn();
    nextTurn();
    capture(1, unitId);
    assertEq(Structure.getOwner(5, 5), 2, "holds");
    assertEq(Structure.getGarrison(5, 5), 20, "as after the first storm");
  }

  function testOnlyFootCaptures() public {
    Structure.set(5, 5, StructureKind.Mine, 0, 40, 0);
    uint8 rider = place(1, UnitKind.Rider, 5, 5, 100);
    uint8 militia = place(1, UnitKind.Militia, 6, 5, 100);
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(CannotCapture.selector, UnitKind.Rider));
    world.capture(rider);
    vm.expectRevert(abi.encodeWithSelector(NothingThere.selector, 6, 5));
    world.capture(militia);
    uint8 own = first(1);
    (uint8 x, uint8 y) = (Player.getKeepX(1), Player.getKeepY(1));
    vm.expectRevert(abi.encodeWithSelector(OwnSide.selector, x, y));
    world.capture(own);
  }

  function testBuilding() public {
    uint8 x = Player.getKeepX(1);
    uint8 y = Player.getKeepY(1);
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(TileOccupied.selector, x, y, first(1)));
    world.build(x, y, UnitKind.Militia);
    vm.stopPrank();
    Direction aside = Direction.East;
    move(1, first(1), steps(aside, 1));
    build(1, x, y, UnitKind.Rider);
    uint8 unitId = Occupant.get(x, y);
    assertEq(uint8(Unit.getKind(unitId)), uint8(UnitKind.Rider), "kind");
    assertEq(Treasury.getGold(1), 40, "paid");
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(AlreadyActed.selector, unitId, 1));
    world.move(unitId, steps(Direction.South, 1));
    vm.stopPrank();
    nextTurn();
    move(1, unitId, steps(Direction.South, 1));
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(NotEnoughGold.selector, 100, 180));
    world.build(x, y, UnitKind.Pikeman);
    vm.expectRevert(abi.encodeWithSelector(CannotBuild.selector, UnitKind.None));
    world.build(x, y, UnitKind.None);
    vm.expectRevert(abi.encodeWithSelector(CannotBuildHere.selector, 5, 5, StructureKind.None));
    world.build(5, 5, UnitKind.Militia);
    uint8 otherX = Player.getKeepX(2);
    uint8 otherY = Player.getKeepY(2);
    vm.expectRevert(abi.encodeWithSelector(NotYourStructure.selector, otherX, otherY, 2));
    world.build(otherX, otherY, UnitKind.Militia);
  }

  function testArmiesHaveALimit() public {
    Structure.set(5, 5, StructureKind.Workshop, 1, 60, 0);
    for (uint8 i; i < 7; ++i) place(1, UnitKind.Militia, i, 11, 100);
    vm.prank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(ArmyFull.selector));
    world.build(5, 5, UnitKind.Militia);
  }

  function testIncomePerTurn() public {
    assertEq(world.viewMatch().players[0].gold, 300, "start");
    vm.warp(block.timestamp + 3 * TURN_SECONDS);
    assertEq(world.viewMatch().players[0].gold, 480, "three turns");
    endTurn(1);
    assertEq(Treasury.getGold(1), 480, "booked");
  }
}
