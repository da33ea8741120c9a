// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkRelayer} from "@exclave/interfaces/IZkRelayer.sol";
import {ClaimHeader, SessionConfig, Settlement, Terms} from "@exclave/interfaces/Types.sol";
import {ZkRelayer} from "@exclave/ZkRelayer.sol";
import {RelayerFixture} from "@exclave-test/RelayerFixture.sol";

import {HoldfastLobby} from "../src/HoldfastLobby.sol";
import {MatchSettings, MatchStatus} from "../src/IHoldfastLobby.sol";

/// @dev From stakes to prizes by a claim on the real relayer, with the least gas that a lobby's terms may give its callbacks. Isolated:
/// each call is a transaction, so that storage is as cold as on L1.
/// forge-config: default.isolate = true
/// forge-config: slow.isolate = true
contract LobbyClaimTest is RelayerFixture {
    uint96 private constant STAKE = 1 ether;
    uint32 private constant LEAST_GAS = 300_000;

    HoldfastLobby private _lobby;
    Terms private _terms;

    function setUp() public {
        vm.warp(START);
        vm.roll(100);
        relayer = IZkRelayer(address(new ZkRelayer(MIN_WINDOW)));
        templateId = relayer.registerTemplate(keccak256("state"), keccak256("data"), "");
        operator = vm.addr(OPERATOR_KEY);
        vm.deal(operator, 1000 ether);
        Terms memory terms = defaultTerms();
        terms.callbackGas = LEAST_GAS;
        _terms = terms;
        _lobby = new HoldfastLobby(relayer, templateId, terms);
    }

    function testAClaimPaysFourFreshPlayersWithTheLeastGas() public {
        (SessionConfig memory config, address[] memory players) = _startMatch(4);
        address[] memory ranking = new address[](4);
        for (uint256 i; i < 4; ++i) {
            ranking[i] = players[3 - i];
        }
        _settle(config, abi.encode(ranking, new uint32[](4), uint32(17)));
        assertTrue(!relayer.callbackFailed(config.sessionId), "callback");
        uint256 pot = 4 * uint256(STAKE);
        uint256[4] memory prizes = [pot * 60 / 100, pot * 30 / 100, pot * 10 / 100, uint256(0)];
        for (uint256 place; place < 4; ++place) {
            assertEq(_lobby.balanceOf(ranking[place]), prizes[place], "prize");
        }
        _assertPaysOut(ranking[0], prizes[0]);
    }

    function testAClaimRefundsFourFreshPlayersWithTheLeastGas() public {
        (SessionConfig memory config, address[] memory players) = _startMatch(4);
        _settle(config, "nonsense");
        assertTrue(!relayer.callbackFailed(config.sessionId), "callback");
        _assertRefunded(players);
    }

    function testAnAbortRefundsFourFreshPlayersWithTheLeastGas() public {
        (SessionConfig memory config, address[] memory players) = _startMatch(4);
        vm.warp(uint256(config.deadline) + _terms.abortDelay);
        relayer.abort(config, _terms);
        assertTrue(!relayer.callbackFailed(config.sessionId), "callback");
        _assertRefunded(players);
    }

    /// @dev Who settles a claim while the lobby pays him can't make the callbacks fail.
    function testSettlingWithinAWithdrawalPays() public {
        Meddler meddler = new Meddler(_lobby, address(relayer));
        vm.deal(address(meddler), STAKE);
        meddler.enterAndLeave(_settings(2));
        (SessionConfig memory config, address[] memory players) = _startMatch(2);
        bytes memory result = abi.encode(players, new uint32[](2), uint32(17));
        (uint64 claimId, ClaimHeader memory header, Settlement memory item) = claimOne(config, _terms, result);
        passWindow();
        Settlement[] memory items = new Settlement[](1);
        items[0] = item;
        meddler.withdrawAnd(abi.encodeCall(IZkRelayer.settleAll, (claimId, header, items, 1)));
        assertTrue(meddler.settled(), "settled within the withdrawal");
        assertTrue(!relayer.callbackFailed(config.sessionId), "callback");
        (MatchStatus status,,,,) = _lobby.matchOf(_lobby.matchOfSession(config.sessionId));
        assertTrue(status == MatchStatus.Paid, "paid");
        assertEq(_lobby.balanceOf(players[0]), 2 * uint256(STAKE), "prize");
        assertEq(address(meddler).balance, STAKE, "his own, no more");
        assertEq(address(_lobby).balance, 2 * uint256(STAKE), "solvent");
    }

    function _settings(uint8 count) private pure returns (MatchSettings memory) {
        return MatchSettings({
            stake: STAKE,
            playerCount: count,
            levelId: 3,
            turnSeconds: 60,
            turnLimit: 30,
            duration: 1 hours
        });
    }

    /// @dev A match of players who are new to the lobby, and all that L1 knows of it.
    function _startMatch(uint8 count) private returns (SessionConfig memory config, address[] memory players) {
        MatchSettings memory settings = _settings(count);
        uint256 matchId = _lobby.matchCount() + 1;
        players = new address[](count);
        for (uint256 i; i < count; ++i) {
            players[i] = vm.addr(0xF00D + i);
            vm.deal(players[i], STAKE);
            vm.prank(players[i]);
            if (i == 0) _lobby.createMatch{value: STAKE}(settings);
            else _lobby.joinMatch{value: STAKE}(matchId, settings);
        }
        (, uint64 sessionId,,,) = _lobby.matchOf(matchId);
        config = configOf(sessionId, address(_lobby), _terms, players, uint64(START) + settings.duration);
        config.initDataHash = keccak256(abi.encode(settings.levelId, settings.turnSeconds, settings.turnLimit));
    }

    function _settle(SessionConfig memory config, bytes memory result) private {
        (uint64 claimId, ClaimHeader memory header, Settlement memory item) = claimOne(config, _terms, result);
        passWindow();
        relayer.settle(claimId, header, item, 0, noProof());
    }

    function _assertPaysOut(address account, uint256 amount) private {
        uint256 before = account.balance;
        vm.prank(account);
        _lobby.withdraw(payable(account));
        assertEq(account.balance - before, amount, "paid out");
    }

    function _assertRefunded(address[] memory players) private {
        for (uint256 i; i < players.length; ++i) {
            assertEq(_lobby.balanceOf(players[i]), STAKE, "stake back");
            _assertPaysOut(players[i], STAKE);
        }
        assertEq(address(_lobby).balance, 0, "nothing is left");
    }
}

/// @dev Makes a call of its own to the relayer while the lobby pays it.
contract Meddler {
    HoldfastLobby private immutable _lobby;
    address private immutable _relayer;
    bytes private _call;
    bool public settled;

    constructor(HoldfastLobby lobby, address relayer) {
        _lobby = lobby;
        _relayer = relayer;
    }

    function enterAndLeave(MatchSettings calldata settings) external {
        _lobby.leaveMatch(_lobby.createMatch{value: settings.stake}(settings));
    }

    function withdrawAnd(bytes calldata call_) external {
        _call = call_;
        _lobby.withdraw(payable(address(this)));
    }

    receive() external payable {
        (settled,) = _relayer.call(_call);
    }
}
