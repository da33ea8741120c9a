// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { StructureKind, UnitKind } from "./codegen/common.sol";

// Set-up
error NotSession(address caller);
error AlreadyStarted();
error UnknownLevel(uint8 levelId);
error WrongPlayerCount(uint256 count, uint8 keeps);
error DuplicatePlayer(address account);
error WrongTurnSeconds(uint32 turnSeconds);
error WrongTurnLimit(uint32 turnLimit);

// Who and when
error NotStarted();
error MatchOver();
error TurnLimitReached(uint32 turnLimit);
error TurnLimitNotReached(uint32 turn, uint32 turnLimit);
error NotPlayer(address account);
error PlayerEliminated(uint8 player);
error TurnEnded(uint32 turn);

// Units
error NotYourUnit(uint8 unitId, uint8 owner);
error AlreadyMoved(uint8 unitId, uint32 turn);
error AlreadyActed(uint8 unitId, uint32 turn);
error EmptyPath();
error OffBoard(uint256 step);
error Impassable(uint8 x, uint8 y);
error TileOccupied(uint8 x, uint8 y, uint8 unitId);
error TooFar(uint256 step, uint256 cost, uint8 movement);
error NothingThere(uint8 x, uint8 y);
error OwnSide(uint8 x, uint8 y);
error OutOfRange(uint256 distance, uint8 minRange, uint8 maxRange);
error EngineMustStand(uint8 unitId);
error CannotCapture(UnitKind kind);
error CannotBesiege(UnitKind kind);

// Building
error CannotBuildHere(uint8 x, uint8 y, StructureKind kind);
error NotYourStructure(uint8 x, uint8 y, uint8 owner);
error CannotBuild(UnitKind kind);
error NotEnoughGold(uint32 gold, uint16 cost);
error ArmyFull();
