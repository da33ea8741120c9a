// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { StructureKind, UnitKind } from "./codegen/common.sol";

// What ViewSystem returns.

struct PlayerView {
  address account;
  uint32 gold;
  uint32 score;
  uint8 keepX;
  uint8 keepY;
  uint8 exit;
  bool ready;
}

struct StructureView {
  uint8 x;
  uint8 y;
  StructureKind kind;
  uint8 owner;
  uint8 garrison;
}

struct UnitView {
  uint8 unitId;
  UnitKind kind;
  uint8 owner;
  uint8 x;
  uint8 y;
  uint8 health;
  bool moved;
  bool acted;
}

struct MatchView {
  uint64 sessionId;
  uint64 turnEndsAt;
  uint32 turnSeconds;
  uint32 turnLimit;
  uint32 turn;
  bool finished;
  uint8 width;
  uint8 height;
  PlayerView[] players;
  UnitView[] units;
  StructureView[] structures;
}
