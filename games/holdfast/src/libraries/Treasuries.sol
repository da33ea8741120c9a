// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { StructureKind } from "../codegen/common.sol";
import { Treasury, TreasuryData } from "../codegen/index.sol";
import { NotEnoughGold } from "../Errors.sol";

/// @title Gold. Income is booked when a treasury is touched, for all turns that began since.
library Treasuries {
  uint32 internal constant STARTING_GOLD = 300;

  /// @return Gold per turn.
  function incomeOf(StructureKind kind) internal pure returns (uint32) {
    if (kind == StructureKind.Keep) return 60;
    if (kind == StructureKind.Mine) return 40;
    if (kind == StructureKind.Workshop) return 10;
    return 0;
  }

  function balance(uint8 player, uint32 turn) internal view returns (uint32) {
    TreasuryData memory treasury = Treasury._get(player);
    return treasury.gold + treasury.income * (turn - treasury.settledTurn);
  }

  /// @notice Books the income up to `turn`, so that the table shows what there is.
  function book(uint8 player, uint32 turn) internal {
    Treasury._set(player, balance(player, turn), Treasury._getIncome(player), turn);
  }

  function spend(uint8 player, uint32 turn, uint16 cost) internal {
    uint32 gold = balance(player, turn);
    if (gold < cost) revert NotEnoughGold(gold, cost);
    Treasury._set(player, gold - cost, Treasury._getIncome(player), turn);
  }

  function gainStructure(uint8 player, uint32 turn, StructureKind kind) internal {
    Treasury._set(player, balance(player, turn), Treasury._getIncome(player) + incomeOf(kind), turn);
  }

  function loseStructure(uint8 player, uint32 turn, StructureKind kind) internal {
    Treasury._set(player, balance(player, turn), Treasury._getIncome(player) - incomeOf(kind), turn);
  }
}
