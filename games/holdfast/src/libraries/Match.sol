// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { Clock, ClockData, MatchConfig, MatchConfigData, MatchFinished, Player, PlayerNumber } from "../codegen/index.sol";
import { MatchOver, NotPlayer, NotStarted, PlayerEliminated, TurnEnded, TurnLimitReached } from "../Errors.sol";

/// @title Who may act now.
library Match {
  uint8 internal constant MAX_PLAYERS = 4;

  /// @notice The turn that it is by the clock, which may be later than what the table says.
  /// @dev Turns pass by time, or early when all have ended theirs. At the limit's end the turn stays at `turnLimit + 1`.
  function currentTurn() internal view returns (uint32 turn, uint64 beganAt) {
    MatchConfigData memory config = MatchConfig._get();
    ClockData memory clock = Clock._get();
    uint256 passed = (block.timestamp - clock.turnBeganAt) / config.turnSeconds;
    if (clock.turn + passed > config.turnLimit) {
      return (config.turnLimit + 1, clock.turnBeganAt);
    }
    return (uint32(clock.turn + passed), uint64(clock.turnBeganAt + passed * config.turnSeconds));
  }

  /// @notice Brings the clock up to date. @return turn The turn.
  function tick() internal returns (uint32 turn) {
    uint64 beganAt;
    (turn, beganAt) = currentTurn();
    if (turn != Clock._getTurn()) {
      Clock._setTurn(turn);
      Clock._setTurnBeganAt(beganAt);
      Clock._setReady(0);
    }
  }

  function requireStarted() internal view {
    if (MatchConfig._getPlayerCount() == 0) revert NotStarted();
  }

  function requireRunning() internal view {
    requireStarted();
    if (MatchFinished._get()) revert MatchOver();
  }

  /// @notice Starts an action of `account`, and notes that it acts.
  function begin(address account) internal returns (uint8 player, uint32 turn) {
    (player, turn) = admit(account);
    if (Player._getLastActiveTurn(player) != turn) Player._setLastActiveTurn(player, turn);
  }

  /// @notice Lets `account` in now: it must be a player in the match whose turn has not ended.
  function admit(address account) internal returns (uint8 player, uint32 turn) {
    requireRunning();
    player = PlayerNumber._get(account);
    if (player == 0) revert NotPlayer(account);
    if (Player._getExit(player) != 0) revert PlayerEliminated(player);
    turn = tick();
    if (turn > MatchConfig._getTurnLimit()) revert TurnLimitReached(turn - 1);
    if (Clock._getReady() & bit(player) != 0) revert TurnEnded(turn);
  }

  function bit(uint8 player) internal pure returns (uint8) {
    return uint8(1 << (player - 1));
  }
}
