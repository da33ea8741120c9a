// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { System } from "@latticexyz/world/src/System.sol";

import { StructureKind, UnitKind } from "../codegen/common.sol";
import {
  Clock,
  MatchConfig,
  MatchConfigData,
  MatchFinished,
  Player,
  PlayerData,
  Structure,
  StructureData,
  TerrainRow,
  Unit,
  UnitData,
  UnitType,
  UnitTypeData
} from "../codegen/index.sol";
import { Army } from "../libraries/Army.sol";
import { Conclusion } from "../libraries/Conclusion.sol";
import { Match } from "../libraries/Match.sol";
import { Siege } from "../libraries/Siege.sol";
import { Treasuries } from "../libraries/Treasuries.sol";
import { MatchView, PlayerView, StructureView, UnitView } from "../Views.sol";

/// @title Reads for clients: what the tables say, brought up to the present turn.
contract ViewSystem is System {
  /// @notice The state of the match at the block's timestamp.
  function viewMatch() external view returns (MatchView memory state) {
    Match.requireStarted();
    MatchConfigData memory config = MatchConfig._get();
    (uint32 turn, uint64 beganAt) = Match.currentTurn();
    state.sessionId = config.sessionId;
    state.turnEndsAt = beganAt + config.turnSeconds;
    state.turnSeconds = config.turnSeconds;
    state.turnLimit = config.turnLimit;
    state.turn = turn;
    state.finished = MatchFinished._get();
    state.width = config.width;
    state.height = config.height;
    state.players = _players(config.playerCount, turn);
    state.units = _units(config.playerCount, turn);
    state.structures = _structures(config.width, config.height, turn);
  }

  /// @return rows The ground, as in the table TerrainRow.
  function viewTerrain() external view returns (uint128[] memory rows) {
    rows = new uint128[](MatchConfig._getHeight());
    for (uint8 y; y < rows.length; ++y) rows[y] = TerrainRow._getTiles(y);
  }

  /// @return types The units that can be built; types[0] is empty.
  function viewUnitTypes() external view returns (UnitTypeData[] memory types) {
    types = new UnitTypeData[](uint8(type(UnitKind).max) + 1);
    for (uint8 kind = 1; kind < types.length; ++kind) types[kind] = UnitType._get(UnitKind(kind));
  }

  function _players(uint8 count, uint32 turn) private view returns (PlayerView[] memory players) {
    players = new PlayerView[](count);
    uint8 ready = turn == Clock._getTurn() ? Clock._getReady() : 0;
    for (uint8 number = 1; number <= count; ++number) {
      PlayerData memory player = Player._get(number);
      players[number - 1] = PlayerView({
        account: player.account,
        gold: Treasuries.balance(number, turn),
        score: Conclusion.score(number),
        keepX: player.keepX,
        keepY: player.keepY,
        exit: player.exit,
        ready: ready & Match.bit(number) != 0
      });
    }
  }

  function _units(uint8 count, uint32 turn) private view returns (UnitView[] memory units) {
    units = new UnitView[](uint256(count) * Army.MAX_UNITS);
    uint256 length;
    for (uint8 player = 1; player <= count; ++player) {
      uint16 slots = Player._getUnitSlots(player);
      for (uint8 slot; slot < Army.MAX_UNITS; ++slot) {
        if (slots & (1 << slot) == 0) continue;
        uint8 unitId = Army.idOf(player, slot);
        UnitData memory unit = Unit._get(unitId);
        units[length++] = UnitView({
          unitId: unitId,
          kind: unit.kind,
          owner: unit.owner,
          x: unit.x,
          y: unit.y,
          health: unit.health,
          moved: unit.movedTurn == turn,
          acted: unit.actedTurn == turn
        });
      }
    }
    assembly ("memory-safe") {
      mstore(units, length)
    }
  }

  function _structures(
    uint8 width,
    uint8 height,
    uint32 turn
  ) private view returns (StructureView[] memory structures) {
    structures = new StructureView[](uint256(width) * height);
    uint256 length;
    for (uint8 y; y < height; ++y) {
      for (uint8 x; x < width; ++x) {
        StructureData memory structure = Structure._get(x, y);
        if (structure.kind == StructureKind.None) continue;
        structures[length++] = StructureView({
          x: x,
          y: y,
          kind: structure.kind,
          owner: structure.owner,
          garrison: Siege.garrison(structure, turn)
        });
      }
    }
    assembly ("memory-safe") {
      mstore(structures, length)
    }
  }
}
