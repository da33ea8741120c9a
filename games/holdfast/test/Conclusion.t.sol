// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { Direction, UnitKind } from "../src/codegen/common.sol";
import "../src/codegen/index.sol";
import "../src/Errors.sol";
import { HoldfastTest } from "./support/HoldfastTest.sol";

contract ConclusionTest is HoldfastTest {
  function testWhoLosesTheKeepIsOut() public {
    start(FORD, 2);
    _takeKeep(1, 2);
    assertTrue(MatchFinished.get(), "finished");
    address[] memory ranking = MatchRanking.get();
    assertEq(ranking.length, 2, "players");
    assertEq(ranking[0], seat(1), "winner");
    assertEq(ranking[1], seat(2), "loser");
    assertEq(Player.getUnitSlots(2), 0, "no army");
    (address[] memory told, , uint32 turn) = abi.decode(world.exclaveOutcomeIfStopped(), (address[], uint32[], uint32));
    assertEq(told[0], ranking[0], "outcome");
    assertTrue(session.resultHash() == keccak256(_result(turn)), "the session has the result");
  }

  function testTheLastOfFourWins() public {
    start(CROSSING, 4, keccak256("four"));
    _takeKeep(2, 4);
    assertEq(Player.getExit(4), 1, "first out");
    _takeKeep(2, 1);
    assertTrue(!MatchFinished.get(), "two are left");
    _takeKeep(3, 2);
    assertTrue(MatchFinished.get(), "finished");
    address[] memory ranking = MatchRanking.get();
    assertEq(ranking[0], seat(3), "1");
    assertEq(ranking[1], seat(2), "2");
    assertEq(ranking[2], seat(1), "3");
    assertEq(ranking[3], seat(4), "4");
  }

  function testTheEliminatedCannotAct() public {
    start(CROSSING, 3);
    _takeKeep(2, 3);
    vm.prank(seat(3));
    vm.expectRevert(abi.encodeWithSelector(PlayerEliminated.selector, 3));
    world.endTurn();
  }

  function testAnothersKeepIsNoOnesLast() public {
    start(CROSSING, 3);
    (uint8 x, uint8 y) = (Player.getKeepX(3), Player.getKeepY(3));
    _takeKeep(2, 3);
    Unit.deleteRecord(Occupant.get(x, y));
    uint8 unitId = place(1, UnitKind.Militia, x, y, 100);
    nextTurn();
    capture(1, unitId);
    nextTurn();
    capture(1, unitId);
    assertEq(Structure.getOwner(x, y), 1, "taken from who took it");
    assertEq(Player.getExit(2), 0, "who has its own keep still");
    assertEq(Player.getExit(3), 1, "out once");
  }

  function testTheTurnLimitRanksByScore() public {
    start(FORD, 2);
    uint8 unitId = place(2, UnitKind.Rider, 5, 5, 100);
    place(1, UnitKind.Archer, 6, 5, 10);
    attack(2, unitId, 6, 5);
    endTurn(1);
    vm.warp(block.timestamp + uint256(TURN_SECONDS) * TURN_LIMIT);
    vm.prank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(TurnLimitReached.selector, TURN_LIMIT));
    world.endTurn();
    world.conclude();
    assertEq(MatchRanking.get()[0], seat(2), "who destroyed");
  }

  function testAllReadyEndsTheTurnEarly() public {
    start(FORD, 2);
    endTurn(1);
    assertEq(world.viewMatch().turn, 1, "one waits");
    vm.prank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(TurnEnded.selector, 1));
    world.endTurn();
    endTurn(2);
    assertEq(world.viewMatch().turn, 2, "next");
    endTurn(1);
  }

  function testTheLastTurnEndsTheMatch() public {
    start(FORD, 2);
    for (uint32 turn = 1; turn <= TURN_LIMIT; ++turn) {
      assertTrue(!MatchFinished.get(), "runs");
      endTurn(1);
      endTurn(2);
    }
    assertTrue(MatchFinished.get(), "finished");
  }

  function testNobodyEndsItEarly() public {
    start(FORD, 2);
    vm.expectRevert(abi.encodeWithSelector(TurnLimitNotReached.selector, 1, TURN_LIMIT));
    world.conclude();
  }

  function testNothingHappensAfterTheEnd() public {
    start(FORD, 2);
    _takeKeep(1, 2);
    vm.startPrank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(MatchOver.selector));
    world.endTurn();
    vm.expectRevert(abi.encodeWithSelector(MatchOver.selector));
    world.surrender();
    vm.expectRevert(abi.encodeWithSelector(MatchOver.selector));
    world.conclude();
  }

  function testSurrender() public {
    start(CROSSING, 3);
    endTurn(1);
    endTurn(2);
    _surrender(3);
    assertEq(world.viewMatch().turn, 2, "nobody waits for who has left");
    _surrender(1);
    assertEq(MatchRanking.get()[0], seat(2), "who stayed");
    assertEq(MatchRanking.get()[1], seat(1), "who left later");
  }

  /// @dev Whoever gives up loses, also to somebody who has not moved yet, whatever was done before.
  function testSurrenderLosesToTheIdle() public {
    uint256 clean = vm.snapshotState();
    for (uint8 player = 1; player <= 2; ++player) {
      vm.revertToState(clean);
      start(FORD, 2);
      _surrender(player);
      _assertWon(3 - player);
      assertEq(Player.getLastActiveTurn(player), 0, "to surrender is not to act");

      vm.revertToState(clean);
      start(FORD, 2);
      build(player, Player.getKeepX(player), _stepAside(player), UnitKind.Militia);
      _surrender(player);
      _assertWon(3 - player);
    }
  }

  /// @dev In a match of four, each surrender puts its player below all who are still in, idle or not.
  function testEachSurrenderIsBelowAllWhoStay() public {
    start(CROSSING, 4);
    Tally.setDestroyed(4, 5000);
    _surrender(4);
    endTurn(2);
    nextTurn();
    _surrender(2);
    assertTrue(!MatchFinished.get(), "two idle ones are left");
    _surrender(1);
    _assertWon(3);
    address[] memory ranking = MatchRanking.get();
    assertEq(ranking[1], seat(1), "left last");
    assertEq(ranking[2], seat(2), "left second");
    assertEq(ranking[3], seat(4), "left first, with the highest score");
  }

  function testSurrenderInTheLastTurnEndsTheMatchOnce() public {
    start(CROSSING, 3);
    vm.warp(block.timestamp + uint256(TURN_SECONDS) * (TURN_LIMIT - 1));
    endTurn(1);
    endTurn(2);
    _surrender(3);
    assertTrue(MatchFinished.get(), "nobody is waited for");
    assertEq(MatchRanking.get()[2], seat(3), "who left");
  }

  function testNobodyLeavesAfterTheTurnLimit() public {
    start(FORD, 2);
    vm.warp(block.timestamp + uint256(TURN_SECONDS) * TURN_LIMIT);
    vm.prank(seat(1));
    vm.expectRevert(abi.encodeWithSelector(TurnLimitReached.selector, TURN_LIMIT));
    world.surrender();
  }

  function testAbandoned() public {
    start(CROSSING, 4);
    endTurn(3);
    Tally.setDestroyed(2, 5000);
    vm.warp(DEADLINE);
    (address[] memory ranking, uint32[] memory scores, uint32 turn) = abi.decode(
      world.exclaveOutcomeIfStopped(),
      (address[], uint32[], uint32)
    );
    assertEq(ranking[0], seat(3), "who acted");
    assertEq(ranking[1], seat(2), "the best of those who never did");
    assertEq(scores[1], 5100, "score");
    assertEq(turn, TURN_LIMIT + 1, "turn");
    session.stop();
    assertTrue(session.resultHash() == keccak256(_result(turn)), "the session has the result");
  }

  /// @dev All players are ranked, each once, whatever the numbers.
  function testFuzzRankingIsAPermutation(uint256 numbers, uint8 count) public {
    count = uint8(bound(count, 2, 4));
    start(CROSSING, count);
    for (uint8 i = 1; i <= count; ++i) {
      Tally.setDestroyed(i, uint32(numbers >> (32 * i)) % 4);
      if ((numbers >> i) & 1 == 1) Player.setLastActiveTurn(i, 1);
      if ((numbers >> (8 + i)) & 1 == 1) Player.setExit(i, count - i + 1);
    }
    (address[] memory ranking, uint32[] memory scores, ) = abi.decode(
      world.exclaveOutcomeIfStopped(),
      (address[], uint32[], uint32)
    );
    assertEq(ranking.length, count, "length");
    uint256 seen;
    for (uint256 i; i < count; ++i) seen |= 1 << PlayerNumber.get(ranking[i]);
    assertEq(seen, (uint256(1) << (count + 1)) - 2, "each once");
    for (uint256 i; i + 1 < count; ++i) {
      PlayerData memory better = Player.get(PlayerNumber.get(ranking[i]));
      PlayerData memory worse = Player.get(PlayerNumber.get(ranking[i + 1]));
      if (worse.exit == 0) {
        assertEq(better.exit, 0, "who is in is above who is out");
        assertTrue(better.lastActiveTurn != 0 || worse.lastActiveTurn == 0, "of those in, idle ones are last");
        if ((better.lastActiveTurn == 0) == (worse.lastActiveTurn == 0)) {
          assertTrue(scores[i] >= scores[i + 1], "then by score");
        }
      } else {
        assertTrue(better.exit == 0 || better.exit > worse.exit, "who left later is above");
      }
    }
  }

  function _surrender(uint8 player) private {
    vm.prank(seat(player));
    world.surrender();
  }

  function _assertWon(uint8 player) private view {
    assertTrue(MatchFinished.get(), "finished");
    assertEq(MatchRanking.get()[0], seat(player), "winner");
  }

  /// @dev Moves a player's first militia off its keep. @return The keep's y.
  function _stepAside(uint8 player) private returns (uint8) {
    move(player, first(player), steps(Direction.East, 1));
    return Player.getKeepY(player);
  }

  function _takeKeep(uint8 player, uint8 victim) private {
    (uint8 x, uint8 y) = (Player.getKeepX(victim), Player.getKeepY(victim));
    uint8 defender = Occupant.get(x, y);
    if (defender != 0) {
      Unit.deleteRecord(defender);
      uint8 owner = (defender - 1) / 16 + 1;
      Player.setUnitSlots(owner, Player.getUnitSlots(owner) & ~uint16(1 << ((defender - 1) % 16)));
    }
    uint8 unitId = place(player, UnitKind.Militia, x, y, 100);
    capture(player, unitId);
    assertEq(Player.getExit(victim), 0, "garrison holds");
    nextTurn();
    capture(player, unitId);
    assertEq(Structure.getOwner(x, y), player, "taken");
  }

  function _result(uint32 turn) private view returns (bytes memory) {
    (address[] memory ranking, uint32[] memory scores, ) = abi.decode(
      world.exclaveOutcomeIfStopped(),
      (address[], uint32[], uint32)
    );
    return abi.encode(ranking, scores, turn);
  }
}
