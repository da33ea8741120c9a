// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { Clock, MatchConfig, MatchFinished, MatchRanking, Player, PlayerData, Tally, TallyData } from "../codegen/index.sol";
import { EXCLAVE_SESSION, IExclaveSession } from "../session/IExclaveSession.sol";
import { Army } from "./Army.sol";
import { Match } from "./Match.sol";

/// @title Elimination, ranking and the end of the match.
library Conclusion {
  uint32 internal constant STRUCTURE_POINTS = 100;
  uint32 internal constant CAPTURE_POINTS = 25;

  // Merits, the greater ranks higher: who is out has the number of his leaving; above all of these is who is in, by score, and by it
  // only among those who acted. So nobody gains by leaving, nor by what he did before.
  uint256 private constant IN = 1 << 33;
  uint256 private constant ACTED = 1 << 32;

  /// @notice Takes a player out of the match, and ends it if one is left.
  function eliminate(uint8 player, uint32 turn) internal {
    uint8 exit = Clock._getEliminated() + 1;
    Clock._setEliminated(exit);
    Player._setExit(player, exit);
    Army.disband(player);
    if (exit + 1 >= MatchConfig._getPlayerCount()) end(turn);
  }

  /// @notice Ends match and session.
  function end(uint32 turn) internal {
    (address[] memory ranking, uint32[] memory scores) = rank();
    MatchRanking._set(ranking);
    MatchFinished._set(true);
    IExclaveSession(EXCLAVE_SESSION).endSession(encode(ranking, scores, turn));
  }

  function encode(address[] memory ranking, uint32[] memory scores, uint32 turn) internal pure returns (bytes memory) {
    return abi.encode(ranking, scores, turn);
  }

  /// @notice Gold's worth of destroyed units, structures held and taken.
  function score(uint8 player) internal view returns (uint32) {
    TallyData memory tally = Tally._get(player);
    return tally.destroyed + STRUCTURE_POINTS * tally.structures + CAPTURE_POINTS * tally.captures;
  }

  /// @notice All players, best first: those in the match before those out of it. Of the former those who acted before those who never
  /// did, then by score; equal ones by number, which the seed gave out. Of the latter who left later first.
  function rank() internal view returns (address[] memory ranking, uint32[] memory scores) {
    uint8 count = MatchConfig._getPlayerCount();
    ranking = new address[](count);
    scores = new uint32[](count);
    uint256[] memory merits = new uint256[](count);
    for (uint8 i; i < count; ++i) {
      PlayerData memory player = Player._get(i + 1);
      uint32 points = score(i + 1);
      uint256 merit = player.exit;
      if (merit == 0) merit = IN | (player.lastActiveTurn != 0 ? ACTED : 0) | points;
      uint256 at = i;
      while (at > 0 && merits[at - 1] < merit) {
        (merits[at], ranking[at], scores[at]) = (merits[at - 1], ranking[at - 1], scores[at - 1]);
        --at;
      }
      (merits[at], ranking[at], scores[at]) = (merit, player.account, points);
    }
  }
}
