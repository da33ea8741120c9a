// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { System } from "@latticexyz/world/src/System.sol";

import { Clock, MatchConfig, Player } from "../codegen/index.sol";
import { TurnLimitNotReached } from "../Errors.sol";
import { Conclusion } from "../libraries/Conclusion.sol";
import { Match } from "../libraries/Match.sol";
import { Treasuries } from "../libraries/Treasuries.sol";

contract TurnSystem is System {
  /// @notice Ends one's turn. When all who are in the match have, the next one begins at once.
  function endTurn() external {
    (uint8 player, uint32 turn) = Match.begin(_msgSender());
    Treasuries.book(player, turn);
    Clock._setReady(Clock._getReady() | Match.bit(player));
    _advanceIfAllReady(turn);
  }

  /// @notice Leaves the match, as if one's keep had fallen. That is not to play: it doesn't count as acting.
  function surrender() external {
    (uint8 player, uint32 turn) = Match.admit(_msgSender());
    Conclusion.eliminate(player, turn);
    if (Clock._getEliminated() + 1 < MatchConfig._getPlayerCount()) _advanceIfAllReady(turn);
  }

  /// @notice Ends a match whose turn limit has passed; anyone may.
  function conclude() external {
    Match.requireRunning();
    uint32 turn = Match.tick();
    uint32 limit = MatchConfig._getTurnLimit();
    if (turn <= limit) revert TurnLimitNotReached(turn, limit);
    Conclusion.end(turn);
  }

  function _advanceIfAllReady(uint32 turn) private {
    uint8 count = MatchConfig._getPlayerCount();
    uint8 ready = Clock._getReady();
    for (uint8 player = 1; player <= count; ++player) {
      if (ready & Match.bit(player) == 0 && Player._getExit(player) == 0) return;
    }
    Clock._set(turn + 1, uint64(block.timestamp), 0, Clock._getEliminated());
    if (turn == MatchConfig._getTurnLimit()) Conclusion.end(turn + 1);
  }
}
