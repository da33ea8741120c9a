// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Results and prizes.
library Prizes {
    /// @dev abi.encode(address[] ranking, uint32[] scores, uint32 turn): the ranking's offset, then its length.
    uint256 private constant RANKING_OFFSET = 96;
    uint256 private constant RANKING_START = RANKING_OFFSET + 32;

    /// @notice Reads the ranking out of a result, without ever reverting.
    /// @return ranking The players, best first; empty unless it names each of `players` exactly once.
    function rankingOf(bytes calldata result, address[] memory players)
        internal
        pure
        returns (address[] memory ranking)
    {
        uint256 count = players.length;
        address[] memory none;
        if (result.length < RANKING_START + 32 * count) return none;
        if (uint256(bytes32(result[:32])) != RANKING_OFFSET) return none;
        if (uint256(bytes32(result[RANKING_OFFSET:RANKING_START])) != count) return none;
        ranking = new address[](count);
        uint256 seen;
        for (uint256 place; place < count; ++place) {
            uint256 word = uint256(bytes32(result[RANKING_START + 32 * place:RANKING_START + 32 * (place + 1)]));
            for (uint256 i; i < count; ++i) {
                if (word == uint160(players[i])) seen |= 1 << i;
            }
            ranking[place] = address(uint160(word));
        }
        // `count` words that cover all of `count` different players name each once.
        if (seen != (1 << count) - 1) return none;
    }

    /// @notice Splits the pot: all to the best of two; 70 and 30 % of three; 60, 30 and 10 % of four. What rounding leaves goes to the best.
    function split(uint256 pot, uint256 count) internal pure returns (uint256[] memory amounts) {
        amounts = new uint256[](count);
        if (count >= 3) amounts[1] = pot * 30 / 100;
        if (count >= 4) amounts[2] = pot * 10 / 100;
        amounts[0] = pot;
        for (uint256 i = 1; i < count; ++i) {
            amounts[0] -= amounts[i];
        }
    }
}
