// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkRelayer} from "@exclave/interfaces/IZkRelayer.sol";
import {DataMode, SessionConfig, SessionStatus, Terms} from "@exclave/interfaces/Types.sol";
import {ZkRelayer} from "@exclave/ZkRelayer.sol";
import {TestBase} from "@exclave-test/TestBase.sol";

import {HoldfastLobby} from "../src/HoldfastLobby.sol";
import {IHoldfastLobby, MatchSettings, MatchStatus} from "../src/IHoldfastLobby.sol";

/// @dev A lobby on the real relayer.
abstract contract LobbyFixture is TestBase {
    uint256 internal constant START = 1_800_000_000;
    uint96 internal constant STAKE = 1 ether;
    uint256 internal constant FIRST_KEY = 0xA11CE;
    bytes32 internal constant SESSION_RESULT_TYPEHASH =
        keccak256("SessionResult(bytes32 configHash,bytes32 resultHash,uint64 validUntil)");

    IZkRelayer internal relayer;
    HoldfastLobby internal lobby;
    bytes32 internal templateId;

    function setUp() public virtual {
        vm.warp(START);
        vm.roll(100);
        relayer = IZkRelayer(address(new ZkRelayer(60)));
        templateId = relayer.registerTemplate(keccak256("state"), keccak256("data"), "");
        lobby = new HoldfastLobby(relayer, templateId, lobbyTerms());
        for (uint256 i; i < 6; ++i) {
            vm.deal(player(i), 1000 ether);
        }
    }

    function player(uint256 index) internal returns (address) {
        return vm.addr(FIRST_KEY + index);
    }

    function settingsFor(uint8 count, uint96 stake) internal pure returns (MatchSettings memory) {
        return MatchSettings({
            stake: stake,
            playerCount: count,
            levelId: 3,
            turnSeconds: 60,
            turnLimit: 30,
            duration: 1 hours
        });
    }

    function lobbyTerms() internal pure returns (Terms memory) {
        return Terms({
            operator: address(0x0be7a708),
            disputeGame: address(0),
            verifier: address(0),
            programId: 0,
            claimBond: 0.01 ether,
            challengeWindow: 600,
            inclusionDelay: 120,
            abortDelay: 600 + 1 hours,
            callbackGas: 400_000,
            dataMode: DataMode.Blob
        });
    }

    function create(MatchSettings memory settings) internal returns (uint256 matchId) {
        address creator = player(0);
        vm.prank(creator);
        matchId = lobby.createMatch{value: settings.stake}(settings);
    }

    function join(uint256 matchId, uint256 index, MatchSettings memory settings) internal {
        address joiner = player(index);
        vm.prank(joiner);
        lobby.joinMatch{value: settings.stake}(matchId, settings);
    }

    /// @return sessionId The session of a match that has just started.
    function startMatch(uint8 count, uint96 stake) internal returns (uint64 sessionId) {
        MatchSettings memory settings = settingsFor(count, stake);
        uint256 matchId = create(settings);
        for (uint256 i = 1; i < count; ++i) {
            join(matchId, i, settings);
        }
        (, sessionId,,,) = lobby.matchOf(matchId);
    }

    function playersOf(uint8 count) internal returns (address[] memory players) {
        players = new address[](count);
        for (uint256 i; i < count; ++i) {
            players[i] = player(i);
        }
    }

    /// @dev The configuration of a session that `startMatch` opened in this block.
    function configOf(uint64 sessionId, uint8 count) internal returns (SessionConfig memory) {
        MatchSettings memory settings = settingsFor(count, 0);
        return SessionConfig({
            sessionId: sessionId,
            openedAt: uint64(START),
            openedBlock: 100,
            deadline: uint64(START) + settings.duration,
            game: address(lobby),
            templateId: templateId,
            playersHash: keccak256(abi.encode(playersOf(count))),
            initDataHash: keccak256(abi.encode(settings.levelId, settings.turnSeconds, settings.turnLimit)),
            termsHash: keccak256(abi.encode(lobbyTerms()))
        });
    }

    function ranked(address[] memory ranking) internal pure returns (bytes memory) {
        return abi.encode(ranking, new uint32[](ranking.length), uint32(17));
    }

    /// @dev The players from the last to the first.
    function backwards(uint8 count) internal returns (address[] memory ranking) {
        ranking = new address[](count);
        for (uint256 i; i < count; ++i) {
            ranking[i] = player(count - 1 - i);
        }
    }

    function settle(uint64 sessionId, bytes memory result) internal {
        vm.prank(address(relayer));
        lobby.onSessionSettled(sessionId, result);
    }

    function balances() internal returns (uint256 sum) {
        for (uint256 i; i < 6; ++i) {
            sum += lobby.balanceOf(player(i));
        }
    }
}

contract LobbyTest is LobbyFixture {
    function testTheLastToJoinOpensTheSession() public {
        MatchSettings memory settings = settingsFor(3, STAKE);
        uint256 matchId = create(settings);
        join(matchId, 1, settings);
        assertTrue(relayer.lastSessionId() == 0, "not yet");
        join(matchId, 2, settings);
        (MatchStatus status, uint64 sessionId,,, address[] memory players) = lobby.matchOf(matchId);
        assertTrue(status == MatchStatus.Playing, "playing");
        assertEq(lobby.matchOfSession(sessionId), matchId, "match of session");
        assertTrue(relayer.sessionStatus(sessionId) == SessionStatus.Open, "open");
        assertEq(players.length, 3, "players");
        assertEq(address(lobby).balance, 3 * uint256(STAKE), "stakes");
    }

    function testPaysByRanking() public {
        uint256[3][5] memory shares =
            [[uint256(0), 0, 0], [uint256(0), 0, 0], [uint256(100), 0, 0], [uint256(70), 30, 0], [uint256(60), 30, 10]];
        for (uint8 count = 2; count <= 4; ++count) {
            setUp();
            settle(startMatch(count, STAKE), ranked(backwards(count)));
            uint256 pot = uint256(STAKE) * count;
            for (uint256 place; place < count; ++place) {
                uint256 share = place < 3 ? shares[count][place] : 0;
                assertEq(lobby.balanceOf(player(count - 1 - place)), pot * share / 100, "prize");
            }
        }
    }

    function testRoundingGoesToTheWinner() public {
        settle(startMatch(3, 7), ranked(backwards(3)));
        assertEq(lobby.balanceOf(player(1)), 6, "30 % of 21, rounded down");
        assertEq(lobby.balanceOf(player(2)), 15, "the rest");
    }

    function testWithdraws() public {
        settle(startMatch(2, STAKE), ranked(backwards(2)));
        address winner = player(1);
        vm.prank(winner);
        lobby.withdraw(payable(address(0xFEED)));
        assertEq(address(0xFEED).balance, 2 * uint256(STAKE), "paid");
        vm.prank(winner);
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.NothingToWithdraw.selector, winner));
        lobby.withdraw(payable(winner));
        assertEq(address(lobby).balance, 0, "nothing is left");
    }

    function testAFailedWithdrawalLosesNothing() public {
        settle(startMatch(2, STAKE), ranked(backwards(2)));
        address winner = player(1);
        vm.prank(winner);
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.WithdrawalFailed.selector, address(relayer)));
        lobby.withdraw(payable(address(relayer)));
        assertEq(lobby.balanceOf(winner), 2 * uint256(STAKE), "still there");
    }

    function testAbortRefunds() public {
        uint64 sessionId = startMatch(4, STAKE);
        vm.prank(address(relayer));
        lobby.onSessionAborted(sessionId);
        for (uint256 i; i < 4; ++i) {
            assertEq(lobby.balanceOf(player(i)), STAKE, "stake back");
        }
    }

    function testMalformedResultsRefund() public {
        address[] memory twice = backwards(3);
        twice[1] = twice[0];
        address[] memory stranger = backwards(3);
        stranger[2] = address(0xBAD);
        address[] memory short = backwards(2);
        bytes memory dirty = ranked(backwards(3));
        dirty[128] = 0x01; // above the first address
        bytes memory cut = ranked(backwards(3));
        assembly {
            mstore(cut, 223)
        }
        bytes[8] memory results = [
            bytes(""),
            hex"1234",
            ranked(twice),
            ranked(stranger),
            ranked(short),
            dirty,
            cut,
            abi.encode(type(uint256).max, type(uint256).max, type(uint256).max, type(uint256).max)
        ];
        for (uint256 i; i < results.length; ++i) {
            setUp();
            settle(startMatch(3, STAKE), results[i]);
            for (uint256 j; j < 3; ++j) {
                assertEq(lobby.balanceOf(player(j)), STAKE, "stake back");
            }
        }
    }

    function testMayLeaveBeforeTheStart() public {
        MatchSettings memory settings = settingsFor(3, STAKE);
        uint256 matchId = create(settings);
        join(matchId, 1, settings);
        address creator = player(0);
        vm.prank(creator);
        lobby.leaveMatch(matchId);
        assertEq(lobby.balanceOf(creator), STAKE, "stake back");
        vm.prank(creator);
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.NotInMatch.selector, creator));
        lobby.leaveMatch(matchId);
        join(matchId, 2, settings);
        join(matchId, 0, settings);
        vm.prank(creator);
        vm.expectRevert(
            abi.encodeWithSelector(IHoldfastLobby.NotWaiting.selector, matchId, MatchStatus.Playing)
        );
        lobby.leaveMatch(matchId);
    }

    function testAMatchThatAllLeftIsClosed() public {
        MatchSettings memory settings = settingsFor(2, STAKE);
        uint256 matchId = create(settings);
        address creator = player(0);
        vm.prank(creator);
        lobby.leaveMatch(matchId);
        address joiner = player(1);
        vm.prank(joiner);
        vm.expectRevert(
            abi.encodeWithSelector(IHoldfastLobby.NotWaiting.selector, matchId, MatchStatus.Cancelled)
        );
        lobby.joinMatch{value: STAKE}(matchId, settings);
    }

    function testJoinersSayWhatTheyAgreeTo() public {
        MatchSettings memory settings = settingsFor(2, STAKE);
        uint256 matchId = create(settings);
        settings.levelId = 2;
        address joiner = player(1);
        vm.prank(joiner);
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.WrongSettings.selector));
        lobby.joinMatch{value: STAKE}(matchId, settings);
    }

    function testWrongStakesAreRefused() public {
        MatchSettings memory settings = settingsFor(2, STAKE);
        address creator = player(0);
        vm.prank(creator);
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.WrongStake.selector, STAKE - 1, STAKE));
        lobby.createMatch{value: STAKE - 1}(settings);
        uint256 matchId = create(settings);
        address joiner = player(1);
        vm.prank(joiner);
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.WrongStake.selector, STAKE + 1, STAKE));
        lobby.joinMatch{value: STAKE + 1}(matchId, settings);
    }

    function testNobodyPlaysAgainstHimself() public {
        MatchSettings memory settings = settingsFor(2, STAKE);
        uint256 matchId = create(settings);
        address creator = player(0);
        vm.prank(creator);
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.AlreadyJoined.selector, creator));
        lobby.joinMatch{value: STAKE}(matchId, settings);
    }

    function testWrongSettingsAreRefused() public {
        for (uint256 i; i < 7; ++i) {
            MatchSettings memory settings = settingsFor(2, 0);
            if (i == 0) settings.playerCount = 1;
            else if (i == 1) settings.playerCount = 5;
            else if (i == 2) settings.turnSeconds = 0;
            else if (i == 3) settings.turnSeconds = 1 days + 1;
            else if (i == 4) settings.turnLimit = 0;
            else if (i == 5) settings.turnLimit = 1001;
            else settings.duration = 60 * 30 + 15 minutes - 1;
            vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.WrongSettings.selector));
            lobby.createMatch(settings);
        }
    }

    /// @dev Whoever makes a match chooses neither operator nor game: `testSettlesThroughTheRelayer` shows that sessions are opened with
    /// these.
    function testGameAndTermsAreTheLobbys() public view {
        assertEq(keccak256(abi.encode(lobby.terms())), keccak256(abi.encode(lobbyTerms())), "terms");
        assertEq(lobby.templateId(), templateId, "game");
        assertEq(address(lobby.relayer()), address(relayer), "relayer");
    }

    function testALobbyThatCouldNotPayIsNotMade() public {
        Terms memory terms = lobbyTerms();
        terms.callbackGas = 299_999;
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.WrongTerms.selector));
        new HoldfastLobby(relayer, templateId, terms);
    }

    function testALobbyWithTermsThatTheRelayerRefusesIsNotMade() public {
        Terms memory terms = lobbyTerms();
        terms.abortDelay = 0;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongTerms.selector));
        new HoldfastLobby(relayer, templateId, terms);
    }

    /// @dev A deadline too far away for the relayer.
    function testAMatchThatTheRelayerRefusesTrapsNobody() public {
        MatchSettings memory settings = settingsFor(2, STAKE);
        settings.duration = 31 days;
        uint256 matchId = create(settings);
        address joiner = player(1);
        vm.prank(joiner);
        vm.expectRevert(
            abi.encodeWithSelector(IZkRelayer.WrongDeadline.selector, uint64(START) + settings.duration)
        );
        lobby.joinMatch{value: STAKE}(matchId, settings);
        address creator = player(0);
        vm.prank(creator);
        lobby.leaveMatch(matchId);
        assertEq(lobby.balanceOf(creator), STAKE, "stake back");
    }

    function testOnlyTheRelayerCallsBack() public {
        uint64 sessionId = startMatch(2, STAKE);
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.NotRelayer.selector, address(this)));
        lobby.onSessionSettled(sessionId, ranked(backwards(2)));
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.NotRelayer.selector, address(this)));
        lobby.onSessionAborted(sessionId);
    }

    function testPaysOnce() public {
        uint64 sessionId = startMatch(2, STAKE);
        settle(sessionId, ranked(backwards(2)));
        vm.prank(address(relayer));
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.NotPlaying.selector, sessionId));
        lobby.onSessionSettled(sessionId, ranked(backwards(2)));
        vm.prank(address(relayer));
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.NotPlaying.selector, sessionId));
        lobby.onSessionAborted(sessionId);
        vm.prank(address(relayer));
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.NotPlaying.selector, 99));
        lobby.onSessionAborted(99);
    }

    function testReentrancy() public {
        Thief thief = new Thief(lobby);
        vm.deal(address(thief), STAKE);
        MatchSettings memory settings = settingsFor(2, STAKE);
        uint256 matchId = thief.enter(settings);
        startMatch(2, STAKE);
        thief.leaveMatch(matchId);
        vm.expectRevert(abi.encodeWithSelector(IHoldfastLobby.WithdrawalFailed.selector, address(thief)));
        thief.steal();
        assertEq(lobby.balanceOf(address(thief)), STAKE, "his own, no more");
    }

    /// @dev Through the real relayer, by all players' signatures.
    function testSettlesThroughTheRelayer() public {
        uint64 sessionId = startMatch(2, STAKE);
        SessionConfig memory config = configOf(sessionId, 2);
        address[] memory players = playersOf(2);
        bytes memory result = ranked(backwards(2));
        uint64 validUntil = uint64(START) + 1 hours;
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Exclave"),
                keccak256("1"),
                block.chainid,
                address(relayer)
            )
        );
        bytes32 digest = keccak256(
            abi.encodePacked(
                hex"1901",
                domain,
                keccak256(
                    abi.encode(SESSION_RESULT_TYPEHASH, relayer.configHash(config), keccak256(result), validUntil)
                )
            )
        );
        bytes[] memory signatures = new bytes[](2);
        for (uint256 i; i < 2; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(FIRST_KEY + i, digest);
            signatures[i] = abi.encodePacked(r, s, v);
        }
        relayer.settleUnanimously(config, lobbyTerms(), players, result, validUntil, signatures);
        assertTrue(!relayer.callbackFailed(sessionId), "callback");
        assertEq(lobby.balanceOf(player(1)), 2 * uint256(STAKE), "prize");
    }

    /// @dev INVARIANT I3: what goes in comes out, to the wei, for every ranking.
    function testFuzz_I3_PrizesAreTheStakes(uint96 stake, uint8 count, uint256 order) public {
        stake = uint96(bound(stake, 0, 100 ether));
        count = uint8(bound(count, 2, 4));
        uint64 sessionId = startMatch(count, stake);
        address[] memory ranking = backwards(count);
        for (uint256 i = count - 1; i > 0; --i) {
            uint256 j = (order >> (16 * i)) % (i + 1);
            (ranking[i], ranking[j]) = (ranking[j], ranking[i]);
        }
        settle(sessionId, ranked(ranking));
        assertEq(balances(), uint256(stake) * count, "conserved");
        assertEq(address(lobby).balance, uint256(stake) * count, "solvent");
        for (uint256 i; i + 1 < count; ++i) {
            assertTrue(lobby.balanceOf(ranking[i]) >= lobby.balanceOf(ranking[i + 1]), "in order");
        }
    }

    /// @dev INVARIANT I3: no bytes whatsoever leave a stake stuck.
    function testFuzz_I3_AnyBytesPayOrRefund(bytes calldata result) public {
        uint64 sessionId = startMatch(3, STAKE);
        vm.prank(address(relayer));
        lobby.onSessionSettled(sessionId, result);
        assertEq(balances(), 3 * uint256(STAKE), "conserved");
    }
}

/// @dev Tries to withdraw again while it is being paid.
contract Thief {
    HoldfastLobby private immutable _lobby;

    constructor(HoldfastLobby lobby) {
        _lobby = lobby;
    }

    function enter(MatchSettings calldata settings) external returns (uint256) {
        return _lobby.createMatch{value: settings.stake}(settings);
    }

    function leaveMatch(uint256 matchId) external {
        _lobby.leaveMatch(matchId);
    }

    function steal() external {
        _lobby.withdraw(payable(address(this)));
    }

    receive() external payable {
        _lobby.withdraw(payable(address(this)));
    }
}
