// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { System } from "@latticexyz/world/src/System.sol";

import { StructureKind, UnitKind } from "../codegen/common.sol";
import { Occupant, Structure, StructureData, UnitType } from "../codegen/index.sol";
import { CannotBuild, CannotBuildHere, NotYourStructure, TileOccupied } from "../Errors.sol";
import { Army } from "../libraries/Army.sol";
import { Match } from "../libraries/Match.sol";
import { Treasuries } from "../libraries/Treasuries.sol";

contract BuildSystem is System {
  /// @notice Raises a unit on one's keep or workshop, which must be free. It can act from the next turn on.
  function build(uint8 x, uint8 y, UnitKind kind) external {
    (uint8 player, uint32 turn) = Match.begin(_msgSender());
    StructureData memory structure = Structure._get(x, y);
    if (structure.kind != StructureKind.Keep && structure.kind != StructureKind.Workshop) {
      revert CannotBuildHere(x, y, structure.kind);
    }
    if (structure.owner != player) revert NotYourStructure(x, y, structure.owner);
    uint8 occupant = Occupant._get(x, y);
    if (occupant != 0) revert TileOccupied(x, y, occupant);
    uint16 cost = UnitType._getCost(kind);
    if (cost == 0) revert CannotBuild(kind);
    Treasuries.spend(player, turn, cost);
    Army.raise(player, kind, x, y, turn);
  }
}
