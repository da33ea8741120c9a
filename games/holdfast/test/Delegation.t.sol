// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { IWorldErrors } from "@latticexyz/world/src/IWorldErrors.sol";
import { ROOT_NAMESPACE_ID, UNLIMITED_DELEGATION } from "@latticexyz/world/src/constants.sol";
import { SystemCallData, SystemCallFromData } from "@latticexyz/world/src/modules/init/types.sol";

import { Direction, UnitKind } from "../src/codegen/common.sol";
import "../src/codegen/index.sol";
import "../src/Errors.sol";
import { SessionSystem } from "../src/systems/SessionSystem.sol";
import { TurnSystem } from "../src/systems/TurnSystem.sol";
import { HoldfastTest } from "./support/HoldfastTest.sol";

contract DelegationTest is HoldfastTest {
  address internal constant BURNER = address(0xB0B);

  function setUp() public override {
    super.setUp();
    start(FORD, 2);
    flatten();
  }

  function testABurnerPlays() public {
    _delegate(1);
    address player = seat(1);
    vm.prank(BURNER);
    world.callFrom(player, systemId("TurnSystem"), abi.encodeCall(world.endTurn, ()));
    assertEq(Clock.getReady(), 1, "ready");
  }

  function testOthersDoNot() public {
    address player = seat(1);
    vm.prank(BURNER);
    vm.expectRevert(abi.encodeWithSelector(IWorldErrors.World_DelegationNotFound.selector, player, BURNER));
    world.callFrom(player, systemId("TurnSystem"), abi.encodeCall(world.endTurn, ()));
  }

  function testADelegationEnds() public {
    _delegate(1);
    address player = seat(1);
    vm.prank(player);
    world.unregisterDelegation(BURNER);
    vm.prank(BURNER);
    vm.expectRevert(abi.encodeWithSelector(IWorldErrors.World_DelegationNotFound.selector, player, BURNER));
    world.callFrom(player, systemId("TurnSystem"), abi.encodeCall(world.endTurn, ()));
  }

  function testABurnerIsItsPlayerAndNobodyElse() public {
    _delegate(1);
    address other = seat(2);
    vm.startPrank(BURNER);
    vm.expectRevert(abi.encodeWithSelector(IWorldErrors.World_DelegationNotFound.selector, other, BURNER));
    world.callFrom(other, systemId("TurnSystem"), abi.encodeCall(world.endTurn, ()));
    vm.expectRevert(abi.encodeWithSelector(NotPlayer.selector, BURNER));
    world.endTurn();
  }

  function testBatches() public {
    uint8 unitId = place(1, UnitKind.Militia, 5, 5, 100);
    uint8 foe = place(2, UnitKind.Militia, 8, 5, 100);
    _delegate(1);
    address player = seat(1);
    SystemCallFromData[] memory calls = new SystemCallFromData[](2);
    calls[0] = SystemCallFromData(
      player,
      systemId("MoveSystem"),
      abi.encodeCall(world.move, (unitId, steps(Direction.East, 2)))
    );
    calls[1] = SystemCallFromData(player, systemId("CombatSystem"), abi.encodeCall(world.attack, (unitId, 8, 5)));
    vm.prank(BURNER);
    world.batchCallFrom(calls);
    assertEq(Unit.getHealth(foe), 55, "moved and fought");

    SystemCallData[] memory own = new SystemCallData[](1);
    own[0] = SystemCallData(systemId("TurnSystem"), abi.encodeCall(world.endTurn, ()));
    vm.prank(player);
    world.batchCall(own);
    assertEq(Clock.getReady(), 1, "ready");
  }

  function testOthersUnitsAreTheirs() public {
    uint8 foe = place(2, UnitKind.Militia, 5, 5, 100);
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(NotYourUnit.selector, foe, 2));
    world.move(foe, steps(Direction.East, 1));
    vm.expectRevert(abi.encodeWithSelector(NotYourUnit.selector, foe, 2));
    world.attack(foe, 5, 6);
    vm.expectRevert(abi.encodeWithSelector(NotYourUnit.selector, foe, 2));
    world.capture(foe);
    vm.expectRevert(abi.encodeWithSelector(NotYourUnit.selector, 200, 0));
    world.move(200, steps(Direction.East, 1));
  }

  function testStrangersDoNothing() public {
    vm.startPrank(address(0x57));
    vm.expectRevert(abi.encodeWithSelector(NotPlayer.selector, address(0x57)));
    world.build(1, 1, UnitKind.Militia);
    vm.expectRevert(abi.encodeWithSelector(NotPlayer.selector, address(0x57)));
    world.surrender();
  }

  function testStrangersCannotWriteTables() public {
    vm.prank(address(0x57));
    vm.expectRevert();
    Treasury.setGold(1, 1_000_000);
    vm.prank(seat(1));
    vm.expectRevert();
    Treasury.setGold(1, 1_000_000);
  }

  function testNobodyOwnsAWorldThatWasGivenAway() public {
    world.renounceOwnership(ROOT_NAMESPACE_ID);
    vm.expectRevert();
    Treasury.setGold(1, 1_000_000);
    SessionSystem replacement = new SessionSystem();
    vm.expectRevert();
    world.registerSystem(systemId("SessionSystem"), replacement, true);
    endTurn(1);
  }

  /// @dev Whoever calls a system at its own address can name any sender, but finds no match there.
  function testSystemsAloneAreEmpty() public {
    TurnSystem alone = new TurnSystem();
    (bool done, bytes memory reason) = address(alone).call(
      abi.encodePacked(abi.encodeCall(alone.surrender, ()), seat(1), uint256(0))
    );
    assertTrue(!done && bytes4(reason) == NotStarted.selector, "no match");
    assertEq(Player.getExit(1), 0, "the World's player stays");
  }

  function _delegate(uint8 player) private {
    vm.prank(seat(player));
    world.registerDelegation(BURNER, UNLIMITED_DELEGATION, "");
  }
}
