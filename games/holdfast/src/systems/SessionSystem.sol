// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { System } from "@latticexyz/world/src/System.sol";

import { StructureKind, UnitKind } from "../codegen/common.sol";
import {
  Clock,
  Level,
  LevelData,
  MatchConfig,
  Player,
  PlayerData,
  PlayerNumber,
  Structure,
  StructureData,
  Tally,
  TerrainRow,
  Treasury
} from "../codegen/index.sol";
import {
  AlreadyStarted,
  DuplicatePlayer,
  NotSession,
  UnknownLevel,
  WrongPlayerCount,
  WrongTurnLimit,
  WrongTurnSeconds
} from "../Errors.sol";
import { Army } from "../libraries/Army.sol";
import { Conclusion } from "../libraries/Conclusion.sol";
import { Match } from "../libraries/Match.sol";
import { Siege } from "../libraries/Siege.sol";
import { Treasuries } from "../libraries/Treasuries.sol";
import { EXCLAVE_SESSION, IExclaveSessionGame } from "../session/IExclaveSession.sol";

/// @title The seam to the session: start and outcome of the match.
contract SessionSystem is System, IExclaveSessionGame {
  uint32 internal constant MAX_TURN_SECONDS = 1 days;
  uint32 internal constant MAX_TURN_LIMIT = 1000;

  /// @notice Sets the match up: players get numbers and keeps by the seed, the level is copied.
  /// @param initData abi.encode(uint8 levelId, uint32 turnSeconds, uint32 turnLimit)
  function exclaveInit(
    uint64 sessionId,
    bytes32 seed,
    address[] calldata players,
    bytes calldata initData
  ) external override {
    if (_msgSender() != EXCLAVE_SESSION) revert NotSession(_msgSender());
    if (MatchConfig._getPlayerCount() != 0) revert AlreadyStarted();
    (uint8 levelId, uint32 turnSeconds, uint32 turnLimit) = abi.decode(initData, (uint8, uint32, uint32));
    LevelData memory level = Level._get(levelId);
    if (level.keeps == 0) revert UnknownLevel(levelId);
    if (players.length < 2 || players.length > level.keeps) revert WrongPlayerCount(players.length, level.keeps);
    if (turnSeconds == 0 || turnSeconds > MAX_TURN_SECONDS) revert WrongTurnSeconds(turnSeconds);
    if (turnLimit == 0 || turnLimit > MAX_TURN_LIMIT) revert WrongTurnLimit(turnLimit);

    MatchConfig._set(
      sessionId,
      uint64(block.timestamp),
      turnSeconds,
      turnLimit,
      levelId,
      level.width,
      level.height,
      uint8(players.length)
    );
    Clock._set(1, uint64(block.timestamp), 0, 0);

    address[] memory accounts = players;
    _shuffle(accounts, seed);
    for (uint8 i; i < accounts.length; ++i) {
      if (PlayerNumber._get(accounts[i]) != 0) revert DuplicatePlayer(accounts[i]);
      PlayerNumber._set(accounts[i], i + 1);
    }
    _copyLevel(level, accounts, uint256(seed) % level.keeps);
  }

  /// @inheritdoc IExclaveSessionGame
  function exclaveOutcomeIfStopped() external view override returns (bytes memory result) {
    (uint32 turn, ) = Match.currentTurn();
    (address[] memory ranking, uint32[] memory scores) = Conclusion.rank();
    return Conclusion.encode(ranking, scores, turn);
  }

  /// @dev Fisher-Yates; the modulo's bias over at most 4 players is below 2^-250.
  function _shuffle(address[] memory accounts, bytes32 seed) private pure {
    for (uint256 i = accounts.length - 1; i > 0; --i) {
      uint256 j = uint256(keccak256(abi.encode(seed, i))) % (i + 1);
      (accounts[i], accounts[j]) = (accounts[j], accounts[i]);
    }
  }

  /// @dev Keeps are given out in the level's order from `firstKeep` on; those that are left over become workshops.
  function _copyLevel(LevelData memory level, address[] memory accounts, uint256 firstKeep) private {
    uint256 keep;
    for (uint8 y; y < level.height; ++y) {
      uint128 row;
      for (uint8 x; x < level.width; ++x) {
        uint8 tile = uint8(level.tiles[uint256(y) * level.width + x]);
        row |= uint128(tile & 0x0f) << (8 * x);
        StructureKind kind = StructureKind(tile >> 4);
        if (kind == StructureKind.None) continue;
        uint8 owner;
        if (kind == StructureKind.Keep) {
          uint256 place = (keep++ + firstKeep) % level.keeps;
          if (place < accounts.length) owner = uint8(place + 1);
          else kind = StructureKind.Workshop;
        }
        Structure._set(
          x,
          y,
          StructureData({ kind: kind, owner: owner, garrison: Siege.fullGarrison(kind), siegedTurn: 0 })
        );
        if (owner != 0) _seat(owner, accounts[owner - 1], x, y);
      }
      TerrainRow._set(y, row);
    }
  }

  function _seat(uint8 player, address account, uint8 x, uint8 y) private {
    Player._set(
      player,
      PlayerData({ account: account, lastActiveTurn: 0, unitSlots: 0, keepX: x, keepY: y, exit: 0 })
    );
    Treasury._set(player, Treasuries.STARTING_GOLD, Treasuries.incomeOf(StructureKind.Keep), 1);
    Tally._set(player, 0, 1, 0);
    Army.raise(player, UnitKind.Militia, x, y, 0);
  }
}
