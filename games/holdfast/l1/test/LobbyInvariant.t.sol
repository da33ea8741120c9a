// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {HoldfastLobby} from "../src/HoldfastLobby.sol";
import {MatchSettings, MatchStatus} from "../src/IHoldfastLobby.sol";
import {LobbyFixture} from "./Lobby.t.sol";

/// @dev Does whatever players and the relayer can, in any order.
contract LobbyActor is LobbyFixture {
    uint256 public paidOut;
    uint256 public paidIn;

    constructor() {
        setUp();
    }

    function lobbyContract() external view returns (HoldfastLobby) {
        return lobby;
    }

    function open(uint8 count, uint96 stake, uint256 who) external {
        MatchSettings memory settings = settingsFor(uint8(bound(count, 2, 4)), uint96(bound(stake, 0, 1 ether)));
        address creator = player(who % 6);
        vm.prank(creator);
        lobby.createMatch{value: settings.stake}(settings);
        paidIn += settings.stake;
    }

    function enter(uint256 matchSeed, uint256 who) external {
        (uint256 matchId, MatchStatus status, uint96 stake, bytes32 settingsHash, address[] memory players) =
            _some(matchSeed);
        if (status != MatchStatus.Waiting) return;
        address joiner = player(who % 6);
        for (uint256 i; i < players.length; ++i) {
            if (players[i] == joiner) return;
        }
        uint8 count = 2;
        MatchSettings memory settings = settingsFor(count, stake);
        while (keccak256(abi.encode(settings)) != settingsHash) settings = settingsFor(++count, stake);
        vm.prank(joiner);
        lobby.joinMatch{value: stake}(matchId, settings);
        paidIn += stake;
    }

    function leaveMatch(uint256 matchSeed, uint256 who) external {
        (uint256 matchId, MatchStatus status,,, address[] memory players) = _some(matchSeed);
        if (status != MatchStatus.Waiting) return;
        address leaver = players[who % players.length];
        vm.prank(leaver);
        lobby.leaveMatch(matchId);
    }

    function finish(uint256 matchSeed, uint256 how) external {
        (uint256 matchId, MatchStatus status,,, address[] memory players) = _some(matchSeed);
        if (status != MatchStatus.Playing) return;
        (, uint64 sessionId,,,) = lobby.matchOf(matchId);
        if (how % 3 == 0) {
            vm.prank(address(relayer));
            lobby.onSessionAborted(sessionId);
            return;
        }
        if (how % 3 == 1) players[how % players.length] = address(uint160(how));
        settle(sessionId, ranked(players));
    }

    function withdraw(uint256 who) external {
        address account = player(who % 6);
        if (lobby.balanceOf(account) == 0) return;
        vm.prank(account);
        paidOut += lobby.withdraw(payable(account));
    }

    /// @return sum Wei of stakes in matches that wait or play, and of balances.
    function owed() external returns (uint256 sum) {
        sum = balances();
        for (uint256 matchId = 1; matchId <= lobby.matchCount(); ++matchId) {
            (MatchStatus status,, uint96 stake,, address[] memory players) = lobby.matchOf(matchId);
            if (status == MatchStatus.Waiting || status == MatchStatus.Playing) sum += stake * players.length;
        }
    }

    function _some(uint256 matchSeed)
        private
        view
        returns (uint256 matchId, MatchStatus status, uint96 stake, bytes32 settingsHash, address[] memory players)
    {
        uint256 count = lobby.matchCount();
        if (count == 0) return (0, MatchStatus.None, 0, 0, players);
        matchId = 1 + matchSeed % count;
        (status,, stake, settingsHash, players) = lobby.matchOf(matchId);
    }
}

contract LobbyInvariantTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    LobbyActor private _actor;

    error Insolvent(uint256 held, uint256 owed);

    function setUp() public {
        _actor = new LobbyActor();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_actor);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](5);
        selectors[0] = LobbyActor.open.selector;
        selectors[1] = LobbyActor.enter.selector;
        selectors[2] = LobbyActor.leaveMatch.selector;
        selectors[3] = LobbyActor.finish.selector;
        selectors[4] = LobbyActor.withdraw.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_actor), selectors);
    }

    /// @dev INVARIANT I3
    function invariant_I3_TheLobbyHoldsWhatItOwes() public {
        uint256 held = address(_actor.lobbyContract()).balance;
        uint256 owed = _actor.owed();
        if (held != owed) revert Insolvent(held, owed);
        if (_actor.paidIn() != _actor.paidOut() + held) revert Insolvent(held, _actor.paidIn() - _actor.paidOut());
    }
}
