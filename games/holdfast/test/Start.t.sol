// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { StructureKind, Terrain, UnitKind } from "../src/codegen/common.sol";
import "../src/codegen/index.sol";
import "../src/Errors.sol";
import { MatchView } from "../src/Views.sol";
import { HoldfastTest } from "./support/HoldfastTest.sol";

contract StartTest is HoldfastTest {
  function testCopiesTheLevel() public {
    start(FORD, 2);
    LevelData memory level = Level.get(FORD);
    assertEq(level.tiles.length, uint256(level.width) * level.height, "shape");
    for (uint8 y; y < level.height; ++y) {
      uint128 row = TerrainRow.getTiles(y);
      for (uint8 x; x < level.width; ++x) {
        uint8 tile = uint8(level.tiles[uint256(y) * level.width + x]);
        assertEq(uint8(row >> (8 * x)), tile & 0x0f, "terrain");
        assertEq(uint8(Structure.getKind(x, y)), tile >> 4, "structure");
      }
    }
  }

  function testSeatsPlayersAtTheirKeeps() public {
    start(CROSSING, 4, keccak256("seed"));
    MatchView memory state = world.viewMatch();
    assertEq(state.players.length, 4, "players");
    assertEq(state.units.length, 4, "a militia each");
    for (uint8 i = 1; i <= 4; ++i) {
      PlayerData memory player = Player.get(i);
      assertEq(PlayerNumber.get(player.account), i, "number");
      assertTrue(Structure.getKind(player.keepX, player.keepY) == StructureKind.Keep, "keep");
      assertEq(Structure.getOwner(player.keepX, player.keepY), i, "owner");
      assertEq(Occupant.get(player.keepX, player.keepY), first(i), "militia");
      assertEq(state.players[i - 1].gold, 300, "gold");
    }
    assertEq(state.turn, 1, "turn");
  }

  function testLeftOverKeepsAreWorkshops() public {
    start(CROSSING, 3);
    uint256 keeps;
    uint256 workshops;
    MatchView memory state = world.viewMatch();
    for (uint256 i; i < state.structures.length; ++i) {
      if (state.structures[i].kind == StructureKind.Keep) ++keeps;
      if (state.structures[i].kind == StructureKind.Workshop) ++workshops;
    }
    assertEq(keeps, 3, "keeps");
    assertEq(workshops, 9, "eight of the map and a keep");
  }

  function testEverybodyHasASeat(bytes32 seed) public {
    start(CROSSING, 4, seed);
    uint256 seen;
    for (uint8 i = 1; i <= 4; ++i) seen |= 1 << (uint160(seat(i)) - uint160(account(0)));
    assertEq(seen, 15, "seated");
  }

  function testAllSeatingsHappen() public {
    bool firstSeatDiffers;
    bool keepDiffers;
    uint256 clean = vm.snapshotState();
    for (uint256 i; i < 16; ++i) {
      vm.revertToState(clean);
      start(FORD, 2, keccak256(abi.encode(i)));
      if (seat(1) != account(0)) firstSeatDiffers = true;
      if (Player.getKeepX(1) != 1) keepDiffers = true;
    }
    assertTrue(firstSeatDiffers && keepDiffers, "the seed has no influence");
  }

  function testOnlyTheSessionStarts() public {
    vm.expectRevert(abi.encodeWithSelector(NotSession.selector, address(this)));
    world.exclaveInit(1, 0, accounts(2), abi.encode(FORD, TURN_SECONDS, TURN_LIMIT));
  }

  function testStartsOnce() public {
    start(FORD, 2);
    vm.prank(address(session));
    vm.expectRevert(abi.encodeWithSelector(AlreadyStarted.selector));
    world.exclaveInit(1, 0, accounts(2), abi.encode(FORD, TURN_SECONDS, TURN_LIMIT));
  }

  function testRefusesWrongSettings() public {
    bytes memory good = abi.encode(FORD, TURN_SECONDS, TURN_LIMIT);
    _refused(accounts(1), good, abi.encodeWithSelector(WrongPlayerCount.selector, 1, 2));
    _refused(accounts(3), good, abi.encodeWithSelector(WrongPlayerCount.selector, 3, 2));
    address[] memory twins = accounts(2);
    twins[1] = twins[0];
    _refused(twins, good, abi.encodeWithSelector(DuplicatePlayer.selector, twins[0]));
    _refused(
      accounts(2),
      abi.encode(uint8(99), TURN_SECONDS, TURN_LIMIT),
      abi.encodeWithSelector(UnknownLevel.selector, 99)
    );
    _refused(accounts(2), abi.encode(FORD, 0, TURN_LIMIT), abi.encodeWithSelector(WrongTurnSeconds.selector, 0));
    _refused(accounts(2), abi.encode(FORD, TURN_SECONDS, 0), abi.encodeWithSelector(WrongTurnLimit.selector, 0));
    _refused(accounts(2), abi.encode(FORD, TURN_SECONDS, 1001), abi.encodeWithSelector(WrongTurnLimit.selector, 1001));
  }

  function testNothingWorksBeforeTheStart() public {
    vm.expectRevert(abi.encodeWithSelector(NotStarted.selector));
    world.endTurn();
    vm.expectRevert(abi.encodeWithSelector(NotStarted.selector));
    world.conclude();
    vm.expectRevert(abi.encodeWithSelector(NotStarted.selector));
    world.viewMatch();
  }

  function testMapsAreConnected() public {
    for (uint8 levelId = 1; levelId <= 3; ++levelId) {
      LevelData memory level = Level.get(levelId);
      uint256 size = level.tiles.length;
      bool[] memory reached = new bool[](size);
      uint256[] memory queue = new uint256[](size);
      uint256 open;
      for (uint256 i; i < size; ++i) if (uint8(level.tiles[i]) & 0x0f < uint8(Terrain.Water)) ++open;
      uint256 tail = 1;
      reached[0] = true;
      for (uint256 head; head < tail; ++head) {
        uint256 at = queue[head];
        if (at % level.width > 0) tail = _reach(level, reached, queue, tail, at - 1);
        if (at % level.width + 1 < level.width) tail = _reach(level, reached, queue, tail, at + 1);
        if (at >= level.width) tail = _reach(level, reached, queue, tail, at - level.width);
        if (at + level.width < size) tail = _reach(level, reached, queue, tail, at + level.width);
      }
      assertEq(tail, open, "tiles that can be reached");
    }
  }

  function testMapsAreFair() public {
    for (uint8 levelId = 1; levelId <= 3; ++levelId) {
      LevelData memory level = Level.get(levelId);
      uint256 size = level.tiles.length;
      for (uint256 i; i < size; ++i) {
        assertTrue(level.tiles[i] == level.tiles[size - 1 - i], "half a turn changes the map");
        if (level.keeps == 4) {
          uint256 mirrored = i - (i % level.width) + (level.width - 1 - (i % level.width));
          assertTrue(level.tiles[i] == level.tiles[mirrored], "a mirror changes the map");
        }
      }
    }
  }

  function _reach(
    LevelData memory level,
    bool[] memory reached,
    uint256[] memory queue,
    uint256 tail,
    uint256 to
  ) private pure returns (uint256) {
    if (reached[to] || uint8(level.tiles[to]) & 0x0f >= uint8(Terrain.Water)) return tail;
    reached[to] = true;
    queue[tail] = to;
    return tail + 1;
  }

  function _refused(address[] memory players, bytes memory initData, bytes memory reason) private {
    vm.prank(SYSTEM_ADDRESS);
    vm.expectRevert(reason);
    session.init(keccak256("config"), 7, DEADLINE, 0, players, initData);
  }
}
