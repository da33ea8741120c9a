// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { StructureKind } from "../codegen/common.sol";
import { Player, Structure, StructureData, Tally } from "../codegen/index.sol";
import { Conclusion } from "./Conclusion.sol";
import { Treasuries } from "./Treasuries.sol";

/// @title Structures under attack. A garrison that is left alone for a whole turn recovers.
library Siege {
  function fullGarrison(StructureKind kind) internal pure returns (uint8) {
    if (kind == StructureKind.Keep) return 80;
    if (kind == StructureKind.Workshop) return 60;
    return 40;
  }

  function garrison(StructureData memory structure, uint32 turn) internal pure returns (uint8) {
    return turn > structure.siegedTurn + 1 ? fullGarrison(structure.kind) : structure.garrison;
  }

  /// @notice Bombards from afar. The last of the garrison holds out until somebody walks in.
  function batter(uint8 x, uint8 y, StructureData memory structure, uint256 damage, uint32 turn) internal {
    uint8 left = garrison(structure, turn);
    structure.garrison = left > damage ? uint8(left - damage) : 1;
    structure.siegedTurn = turn;
    Structure._set(x, y, structure);
  }

  /// @notice Storms a structure; it changes hands once its garrison is gone.
  function storm(uint8 x, uint8 y, StructureData memory structure, uint256 damage, uint8 player, uint32 turn) internal {
    uint8 left = garrison(structure, turn);
    if (left > damage) {
      structure.garrison = uint8(left - damage);
      structure.siegedTurn = turn;
      Structure._set(x, y, structure);
      return;
    }
    uint8 loser = structure.owner;
    structure.owner = player;
    structure.garrison = fullGarrison(structure.kind);
    structure.siegedTurn = 0;
    Structure._set(x, y, structure);
    Treasuries.gainStructure(player, turn, structure.kind);
    Tally._setStructures(player, Tally._getStructures(player) + 1);
    Tally._setCaptures(player, Tally._getCaptures(player) + 1);
    if (loser == 0) return;
    Treasuries.loseStructure(loser, turn, structure.kind);
    Tally._setStructures(loser, Tally._getStructures(loser) - 1);
    // An eliminated player's structures stay in its name until they are taken, and its own keep falls but once.
    if (Player._getExit(loser) == 0 && Player._getKeepX(loser) == x && Player._getKeepY(loser) == y) {
      Conclusion.eliminate(loser, turn);
    }
  }
}
