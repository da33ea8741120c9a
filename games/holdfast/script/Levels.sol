// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { StructureKind, Terrain } from "../src/codegen/common.sol";

struct LevelDraft {
  uint8 width;
  uint8 height;
  uint8 keeps;
  bytes tiles;
}

/// @title The maps, drawn by hand.
/// @dev `.` grass, `=` road, `f` forest, `h` hill, `~` water, `^` mountain; on open ground `K` keep, `W` workshop, `M` mine.
/// Each map looks the same from each of its keeps, and all its open tiles are connected.
library Levels {
  error UnknownTile(bytes1 tile);
  error WrongShape(uint256 length);

  /// @notice Two keeps, 12 x 12.
  function ford() internal pure returns (LevelDraft memory) {
    return
      _parse(
        12,
        "..f...M....."
        ".K==...hh.f."
        "..f=..f.^..."
        "...=W....f.."
        ".h.==~~....M"
        "f...=~~^.h.."
        "..h.^~~=...f"
        "M....~~==.h."
        "..f....W=..."
        "...^.f..=f.."
        ".f.hh...==K."
        ".....M...f.."
      );
  }

  /// @notice Two keeps, 14 x 14.
  function highland() internal pure returns (LevelDraft memory) {
    return
      _parse(
        14,
        "....f..h.....M"
        ".K=...f..h.f.."
        "..==..W..^...."
        "f..==...ff...."
        "..M.==.h...^.."
        ".h...=..~~..f."
        "^..f.=..~~...h"
        "h...~~..=.f..^"
        ".f..~~..=...h."
        "..^...h.==.M.."
        "....ff...==..f"
        "....^..W..==.."
        "..f.h..f...=K."
        "M.....h..f...."
      );
  }

  /// @notice Four keeps, 16 x 16.
  function crossing() internal pure returns (LevelDraft memory) {
    return
      _parse(
        16,
        "....f..MM..f...."
        ".K=...h..h...=K."
        ".==..f....f..==."
        "...=..W..W..=..."
        "f..f=..~~..=f..f"
        "..f..=.~~.=..f.."
        ".h.W..====..W.h."
        "M...~~=ff=~~...M"
        "M...~~=ff=~~...M"
        ".h.W..====..W.h."
        "..f..=.~~.=..f.."
        "f..f=..~~..=f..f"
        "...=..W..W..=..."
        ".==..f....f..==."
        ".K=...h..h...=K."
        "....f..MM..f...."
      );
  }

  function _parse(uint8 width, bytes memory drawing) private pure returns (LevelDraft memory level) {
    if (drawing.length % width != 0) revert WrongShape(drawing.length);
    level.width = width;
    level.height = uint8(drawing.length / width);
    level.tiles = new bytes(drawing.length);
    for (uint256 i; i < drawing.length; ++i) {
      bytes1 tile = drawing[i];
      Terrain terrain = Terrain.Grass;
      StructureKind kind = StructureKind.None;
      if (tile == "=") terrain = Terrain.Road;
      else if (tile == "f") terrain = Terrain.Forest;
      else if (tile == "h") terrain = Terrain.Hill;
      else if (tile == "~") terrain = Terrain.Water;
      else if (tile == "^") terrain = Terrain.Mountain;
      else if (tile == "K") kind = StructureKind.Keep;
      else if (tile == "W") kind = StructureKind.Workshop;
      else if (tile == "M") kind = StructureKind.Mine;
      else if (tile != ".") revert UnknownTile(tile);
      if (kind == StructureKind.Keep) ++level.keeps;
      level.tiles[i] = bytes1((uint8(kind) << 4) | uint8(terrain));
    }
  }
}
