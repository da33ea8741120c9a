// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkRelayer} from "@exclave/interfaces/IZkRelayer.sol";
import {Terms} from "@exclave/interfaces/Types.sol";

enum MatchStatus {
    None,
    Waiting, // for players
    Playing, // in its session
    Paid, // by the ranking
    Refunded, // aborted, or ended with a result that makes no sense
    Cancelled // everybody left before the start
}

/// @notice What is agreed on before a match. L1 keeps its hash only; who joins brings it again, and so says what he agrees to.
struct MatchSettings {
    uint96 stake; // wei per player
    uint8 playerCount; // 2 to 4
    uint8 levelId; // a map of the game, with at least so many keeps
    uint32 turnSeconds;
    uint32 turnLimit;
    uint32 duration; // seconds from the opening until anyone may stop the match; at least all turns and a quarter of an hour
}

/// @title Where matches of Holdfast are made, staked and paid out.
interface IHoldfastLobby {
    event MatchCreated(uint256 indexed matchId, address indexed creator, MatchSettings settings);
    event PlayerJoined(uint256 indexed matchId, address indexed player);
    event PlayerLeft(uint256 indexed matchId, address indexed player);
    event MatchStarted(uint256 indexed matchId, uint64 indexed sessionId, address[] players);
    event MatchPaid(uint256 indexed matchId, address[] ranking, uint256[] amounts);
    event MatchRefunded(uint256 indexed matchId);
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    error WrongTerms();
    error WrongSettings();
    error WrongStake(uint256 sent, uint256 stake);
    error NotWaiting(uint256 matchId, MatchStatus status);
    error AlreadyJoined(address player);
    error NotInMatch(address player);
    error NotRelayer(address caller);
    error NotPlaying(uint64 sessionId);
    error NothingToWithdraw(address account);
    error WithdrawalFailed(address to);

    /// @notice Makes a match and joins it; the value sent is the stake.
    function createMatch(MatchSettings calldata settings) external payable returns (uint256 matchId);

    /// @notice Joins a match; the value sent is the stake. The last one to join starts it.
    function joinMatch(uint256 matchId, MatchSettings calldata settings) external payable;

    /// @notice Leaves a match that has not started; the stake can be withdrawn.
    function leaveMatch(uint256 matchId) external;

    /// @notice Pays out all that is the caller's: stakes back and prizes.
    function withdraw(address payable to) external returns (uint256 amount);

    /// @return Wei that `account` can withdraw.
    function balanceOf(address account) external view returns (uint256);

    /// @return Where sessions are opened.
    function relayer() external view returns (IZkRelayer);

    /// @return The game of all matches.
    function templateId() external view returns (bytes32);

    /// @return The terms of all matches' sessions: who operates them, who judges claims, and how long these are open to it.
    function terms() external view returns (Terms memory);

    function matchCount() external view returns (uint256);

    function matchOf(uint256 matchId)
        external
        view
        returns (MatchStatus status, uint64 sessionId, uint96 stake, bytes32 settingsHash, address[] memory players);

    /// @return The match of a session; 0 if there is none.
    function matchOfSession(uint64 sessionId) external view returns (uint256);
}
