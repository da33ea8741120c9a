// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { Direction, StructureKind, Terrain } from "../codegen/common.sol";
import { Occupant, TerrainRow } from "../codegen/index.sol";
import { Impassable, OffBoard, TileOccupied, TooFar } from "../Errors.sol";

/// @title The board's geometry and ground.
library Board {
  uint8 internal constant MAX_SIDE = 16;

  /// @return Movement points to enter a tile; 0 where nobody can go.
  function movementCost(Terrain terrain) internal pure returns (uint256) {
    if (terrain == Terrain.Road) return 1;
    if (terrain == Terrain.Grass) return 2;
    if (terrain == Terrain.Forest) return 3;
    if (terrain == Terrain.Hill) return 4;
    return 0;
  }

  /// @return Per cent of the damage that the ground takes for who stands on it.
  function cover(Terrain terrain) internal pure returns (uint256) {
    if (terrain == Terrain.Forest) return 25;
    if (terrain == Terrain.Hill) return 40;
    return 0;
  }

  function terrainAt(uint8 x, uint8 y) internal view returns (Terrain) {
    return _tile(TerrainRow._getTiles(y), x);
  }

  function distance(uint8 x1, uint8 y1, uint8 x2, uint8 y2) internal pure returns (uint256) {
    return (x1 > x2 ? x1 - x2 : x2 - x1) + (y1 > y2 ? y1 - y2 : y2 - y1);
  }

  /// @notice Walks a path step by step: on the board, over passable and free tiles, within `movement` points.
  /// @return The last tile.
  function walk(
    uint8 x,
    uint8 y,
    uint8 width,
    uint8 height,
    uint8 movement,
    Direction[] calldata path
  ) internal view returns (uint8, uint8) {
    uint256 spent;
    for (uint256 step; step < path.length; ++step) {
      Direction direction = path[step];
      if (direction == Direction.North) {
        if (y == 0) revert OffBoard(step);
        --y;
      } else if (direction == Direction.South) {
        if (++y == height) revert OffBoard(step);
      } else if (direction == Direction.West) {
        if (x == 0) revert OffBoard(step);
        --x;
      } else {
        if (++x == width) revert OffBoard(step);
      }
      uint256 cost = movementCost(terrainAt(x, y));
      if (cost == 0) revert Impassable(x, y);
      spent += cost;
      if (spent > movement) revert TooFar(step, spent, movement);
      uint8 unitId = Occupant._get(x, y);
      if (unitId != 0) revert TileOccupied(x, y, unitId);
    }
    return (x, y);
  }

  function _tile(uint128 row, uint8 x) private pure returns (Terrain) {
    return Terrain(uint8(row >> (8 * x)));
  }
}
