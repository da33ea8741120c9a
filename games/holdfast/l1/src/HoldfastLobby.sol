// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IExclaveGame} from "@exclave/interfaces/IExclaveGame.sol";
import {IZkRelayer} from "@exclave/interfaces/IZkRelayer.sol";
import {Terms} from "@exclave/interfaces/Types.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IHoldfastLobby, MatchSettings, MatchStatus} from "./IHoldfastLobby.sol";
import {Prizes} from "./Prizes.sol";

/// @title Where matches of Holdfast are made, staked and paid out. It has no owner, and its game and terms never change: whoever makes a
/// match can't choose an operator or a game of his own to win it by.
/// @dev INVARIANT I3: the contract's wei are the stakes of matches that wait or play, and the balances; a match's stakes become balances
/// exactly once. Nothing is sent to anybody but by `withdraw`, so that no player can block another's prize.
contract HoldfastLobby is IHoldfastLobby, IExclaveGame, ReentrancyGuardTransient {
    struct Match {
        bytes32 settingsHash;
        uint96 stake;
        uint64 sessionId;
        MatchStatus status;
        address[] players;
    }

    uint256 internal constant MIN_PLAYERS = 2;
    uint256 internal constant MAX_PLAYERS = 4;
    uint32 internal constant MAX_TURN_SECONDS = 1 days;
    uint32 internal constant MAX_TURN_LIMIT = 1000;
    /// @dev Sessions start some time after they are opened, when L1's blocks are deep enough for their node. Without this margin the
    /// deadline, from which anyone may stop the match, would cut off its last turns.
    uint32 internal constant START_MARGIN = 15 minutes;
    /// @dev Enough to pay four players who never had a balance.
    uint32 internal constant MIN_CALLBACK_GAS = 300_000;

    /// @inheritdoc IHoldfastLobby
    IZkRelayer public immutable relayer;
    /// @inheritdoc IHoldfastLobby
    bytes32 public immutable templateId;

    bytes32 private immutable _termsHash;
    Terms private _terms;
    /// @inheritdoc IHoldfastLobby
    uint256 public matchCount;
    /// @inheritdoc IHoldfastLobby
    mapping(address account => uint256 wei_) public balanceOf;
    /// @inheritdoc IHoldfastLobby
    mapping(uint64 sessionId => uint256 matchId) public matchOfSession;
    mapping(uint256 matchId => Match) private _matches;

    /// @param templateId_ The game, byte for byte.
    /// @param terms_ Of all sessions (docs/protocol.md, section 3).
    constructor(IZkRelayer relayer_, bytes32 templateId_, Terms memory terms_) {
        if (terms_.callbackGas < MIN_CALLBACK_GAS) revert WrongTerms();
        relayer = relayer_;
        templateId = templateId_;
        _termsHash = relayer_.registerTerms(templateId_, terms_);
        _terms = terms_;
    }

    /// @inheritdoc IHoldfastLobby
    function createMatch(MatchSettings calldata settings) external payable nonReentrant returns (uint256 matchId) {
        _check(settings);
        matchId = ++matchCount;
        Match storage game = _matches[matchId];
        game.settingsHash = keccak256(abi.encode(settings));
        game.stake = settings.stake;
        game.status = MatchStatus.Waiting;
        emit MatchCreated(matchId, msg.sender, settings);
        _seat(matchId, game);
    }

    /// @inheritdoc IHoldfastLobby
    function joinMatch(uint256 matchId, MatchSettings calldata settings) external payable nonReentrant {
        Match storage game = _waiting(matchId);
        // After a reorg the same id may be another match.
        if (keccak256(abi.encode(settings)) != game.settingsHash) revert WrongSettings();
        _seat(matchId, game);
        if (game.players.length == settings.playerCount) _start(matchId, game, settings);
    }

    /// @inheritdoc IHoldfastLobby
    function leaveMatch(uint256 matchId) external nonReentrant {
        Match storage game = _waiting(matchId);
        uint256 index = _indexOf(game.players, msg.sender);
        uint256 count = game.players.length;
        if (index == count) revert NotInMatch(msg.sender);
        game.players[index] = game.players[count - 1];
        game.players.pop();
        if (count == 1) game.status = MatchStatus.Cancelled;
        balanceOf[msg.sender] += game.stake;
        emit PlayerLeft(matchId, msg.sender);
    }

    /// @inheritdoc IHoldfastLobby
    function withdraw(address payable to) external nonReentrant returns (uint256 amount) {
        amount = balanceOf[msg.sender];
        if (amount == 0) revert NothingToWithdraw(msg.sender);
        balanceOf[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amount);
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert WithdrawalFailed(to);
    }

    /// @inheritdoc IExclaveGame
    /// @dev The callbacks call nobody, and must work while `withdraw` does: else who is being paid could settle matches in between,
    /// and their callbacks would fail.
    function onSessionSettled(uint64 sessionId, bytes calldata result) external {
        (uint256 matchId, Match storage game) = _playing(sessionId);
        address[] memory ranking = Prizes.rankingOf(result, game.players);
        if (ranking.length == 0) {
            _refund(matchId, game);
            return;
        }
        game.status = MatchStatus.Paid;
        uint256[] memory amounts = Prizes.split(uint256(game.stake) * ranking.length, ranking.length);
        for (uint256 place; place < ranking.length; ++place) {
            if (amounts[place] != 0) balanceOf[ranking[place]] += amounts[place];
        }
        emit MatchPaid(matchId, ranking, amounts);
    }

    /// @inheritdoc IExclaveGame
    function onSessionAborted(uint64 sessionId) external {
        (uint256 matchId, Match storage game) = _playing(sessionId);
        _refund(matchId, game);
    }

    /// @inheritdoc IHoldfastLobby
    function matchOf(uint256 matchId)
        external
        view
        returns (MatchStatus status, uint64 sessionId, uint96 stake, bytes32 settingsHash, address[] memory players)
    {
        Match storage game = _matches[matchId];
        return (game.status, game.sessionId, game.stake, game.settingsHash, game.players);
    }

    /// @inheritdoc IHoldfastLobby
    function terms() external view returns (Terms memory) {
        return _terms;
    }

    function _check(MatchSettings calldata settings) private pure {
        if (
            settings.playerCount < MIN_PLAYERS || settings.playerCount > MAX_PLAYERS || settings.turnSeconds == 0
                || settings.turnSeconds > MAX_TURN_SECONDS || settings.turnLimit == 0
                || settings.turnLimit > MAX_TURN_LIMIT
                || settings.duration < uint256(settings.turnSeconds) * settings.turnLimit + START_MARGIN
        ) revert WrongSettings();
    }

    function _seat(uint256 matchId, Match storage game) private {
        if (msg.value != game.stake) revert WrongStake(msg.value, game.stake);
        if (_indexOf(game.players, msg.sender) != game.players.length) revert AlreadyJoined(msg.sender);
        game.players.push(msg.sender);
        emit PlayerJoined(matchId, msg.sender);
    }

    function _start(uint256 matchId, Match storage game, MatchSettings calldata settings) private {
        game.status = MatchStatus.Playing;
        uint64 sessionId = relayer.openSession(
            templateId,
            _termsHash,
            game.players,
            abi.encode(settings.levelId, settings.turnSeconds, settings.turnLimit),
            uint64(block.timestamp) + settings.duration
        );
        game.sessionId = sessionId;
        matchOfSession[sessionId] = matchId;
        emit MatchStarted(matchId, sessionId, game.players);
    }

    function _refund(uint256 matchId, Match storage game) private {
        game.status = MatchStatus.Refunded;
        uint256 stake = game.stake;
        uint256 count = game.players.length;
        for (uint256 i; i < count; ++i) {
            balanceOf[game.players[i]] += stake;
        }
        emit MatchRefunded(matchId);
    }

    function _waiting(uint256 matchId) private view returns (Match storage game) {
        game = _matches[matchId];
        if (game.status != MatchStatus.Waiting) revert NotWaiting(matchId, game.status);
    }

    function _playing(uint64 sessionId) private view returns (uint256 matchId, Match storage game) {
        if (msg.sender != address(relayer)) revert NotRelayer(msg.sender);
        matchId = matchOfSession[sessionId];
        game = _matches[matchId];
        if (game.status != MatchStatus.Playing) revert NotPlaying(sessionId);
    }

    /// @return The index, or the length if `player` isn't there.
    function _indexOf(address[] storage players, address player) private view returns (uint256) {
        uint256 count = players.length;
        for (uint256 i; i < count; ++i) {
            if (players[i] == player) return i;
        }
        return count;
    }
}
