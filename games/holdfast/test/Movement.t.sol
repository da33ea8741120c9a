// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { Direction, Terrain, UnitKind } from "../src/codegen/common.sol";
import "../src/codegen/index.sol";
import "../src/Errors.sol";
import { HoldfastTest } from "./support/HoldfastTest.sol";

contract MovementTest is HoldfastTest {
  function setUp() public override {
    super.setUp();
    start(FORD, 2);
    flatten();
  }

  function testMovesAndFreesTheTile() public {
    uint8 unitId = place(1, UnitKind.Militia, 5, 5, 100);
    move(1, unitId, steps(Direction.East, 3));
    assertEq(Unit.getX(unitId), 8, "x");
    assertEq(Unit.getY(unitId), 5, "y");
    assertEq(Occupant.get(8, 5), unitId, "occupied");
    assertEq(Occupant.get(5, 5), 0, "free");
  }

  function testTerrainCosts() public {
    uint8 unitId = place(1, UnitKind.Militia, 5, 5, 100);
    setGround(6, 5, Terrain.Hill);
    setGround(7, 5, Terrain.Forest);
    vm.prank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(TooFar.selector, 1, 7, 6));
    world.move(unitId, steps(Direction.East, 2));
    setGround(7, 5, Terrain.Grass);
    move(1, unitId, steps(Direction.East, 2));
  }

  function testNobodySwimsOrClimbs() public {
    uint8 unitId = place(1, UnitKind.Rider, 5, 5, 100);
    setGround(6, 5, Terrain.Water);
    setGround(5, 6, Terrain.Mountain);
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(Impassable.selector, 6, 5));
    world.move(unitId, steps(Direction.East, 1));
    vm.expectRevert(abi.encodeWithSelector(Impassable.selector, 5, 6));
    world.move(unitId, steps(Direction.South, 1));
  }

  function testUnitsBlock() public {
    uint8 unitId = place(1, UnitKind.Militia, 5, 5, 100);
    uint8 friend = place(1, UnitKind.Militia, 6, 5, 100);
    uint8 foe = place(2, UnitKind.Militia, 5, 6, 100);
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(TileOccupied.selector, 6, 5, friend));
    world.move(unitId, steps(Direction.East, 2));
    vm.expectRevert(abi.encodeWithSelector(TileOccupied.selector, 5, 6, foe));
    world.move(unitId, steps(Direction.South, 1));
  }

  function testTheBoardEnds() public {
    uint8 corner = place(1, UnitKind.Rider, 0, 0, 100);
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(OffBoard.selector, 0));
    world.move(corner, steps(Direction.North, 1));
    vm.expectRevert(abi.encodeWithSelector(OffBoard.selector, 0));
    world.move(corner, steps(Direction.West, 1));
    vm.stopPrank();
    corner = place(1, UnitKind.Rider, 11, 11, 100);
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(OffBoard.selector, 0));
    world.move(corner, steps(Direction.South, 1));
    vm.expectRevert(abi.encodeWithSelector(OffBoard.selector, 0));
    world.move(corner, steps(Direction.East, 1));
  }

  function testAnEmptyPathIsNone() public {
    uint8 unitId = place(1, UnitKind.Militia, 5, 5, 100);
    vm.prank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(EmptyPath.selector));
    world.move(unitId, new Direction[](0));
  }

  function testMovesOnceATurn() public {
    uint8 unitId = place(1, UnitKind.Militia, 5, 5, 100);
    move(1, unitId, steps(Direction.East, 1));
    vm.prank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(AlreadyMoved.selector, unitId, 1));
    world.move(unitId, steps(Direction.East, 1));
    nextTurn();
    move(1, unitId, steps(Direction.East, 1));
  }

  function testUnknownDirectionsAreRefused() public {
    uint8 unitId = place(1, UnitKind.Militia, 5, 5, 100);
    vm.prank(seat(1));
    (bool moved, ) = address(world).call(abi.encodeWithSignature("move(uint8,uint8[])", unitId, _raw(4)));
    assertTrue(!moved, "direction 4");
  }

  /// @dev Against a second implementation of the rules, on random ground among random units.
  function testFuzzPaths(uint256 ground, uint256 crowd, uint256 walk, uint8 length, uint8 kindSeed) public {
    UnitKind kind = UnitKind(bound(kindSeed, 1, 5));
    uint8 unitId = place(1, kind, 5, 5, 100);
    for (uint8 i; i < 9; ++i) {
      (uint8 x, uint8 y) = (uint8(4 + (i % 3)), uint8(4 + i / 3));
      setGround(x, y, Terrain((ground >> (8 * i)) % 6));
    }
    for (uint8 i; i < 5; ++i) {
      (uint8 x, uint8 y) = (uint8(3 + ((crowd >> (8 * i)) % 5)), uint8(3 + ((crowd >> (8 * i + 4)) % 5)));
      if (Occupant.get(x, y) == 0) place(2, UnitKind.Militia, x, y, 100);
    }
    Direction[] memory path = new Direction[](bound(length, 1, 12));
    for (uint256 i; i < path.length; ++i) path[i] = Direction((walk >> (2 * i)) & 3);

    (bool allowed, int256 toX, int256 toY) = _judge(path, UnitType.getMovement(kind));
    vm.prank(seat(1));
    (bool moved, ) = address(world).call(abi.encodeCall(world.move, (unitId, path)));
    assertTrue(moved == allowed, "verdict");
    if (!moved) (toX, toY) = (5, 5);
    assertEq(Unit.getX(unitId), uint256(toX), "x");
    assertEq(Unit.getY(unitId), uint256(toY), "y");
    assertEq(Occupant.get(uint8(uint256(toX)), uint8(uint256(toY))), unitId, "occupant");
    if (toX != 5 || toY != 5) assertEq(Occupant.get(5, 5), 0, "left");
  }

  function _judge(Direction[] memory path, uint256 movement) private view returns (bool, int256 x, int256 y) {
    (x, y) = (5, 5);
    uint8[6] memory costs = [2, 1, 3, 4, 255, 255];
    for (uint256 i; i < path.length; ++i) {
      if (path[i] == Direction.North) y -= 1;
      if (path[i] == Direction.South) y += 1;
      if (path[i] == Direction.West) x -= 1;
      if (path[i] == Direction.East) x += 1;
      if (x < 0 || y < 0 || x > 11 || y > 11) return (false, 5, 5);
      (uint8 tileX, uint8 tileY) = (uint8(uint256(x)), uint8(uint256(y)));
      uint256 cost = costs[uint8(TerrainRow.getTiles(tileY) >> (8 * tileX))];
      if (cost > movement || Occupant.get(tileX, tileY) != 0) return (false, 5, 5);
      movement -= cost;
    }
    return (true, x, y);
  }

  function _raw(uint8 direction) private pure returns (uint8[] memory path) {
    path = new uint8[](1);
    path[0] = direction;
  }
}
