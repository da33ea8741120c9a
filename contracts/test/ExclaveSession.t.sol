// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IExclaveSession, IExclaveSessionGame} from "../src/interfaces/IExclaveSession.sol";
import {TestBase} from "./support/TestBase.sol";

contract ScriptedSessionGame is IExclaveSessionGame {
    bytes public outcome;
    bool public outcomeReverts;
    bool public initReverts;
    bytes public seenInitData;
    uint256 public seenPlayers;

    function set(bytes calldata outcome_, bool outcomeReverts_, bool initReverts_) external {
        (outcome, outcomeReverts, initReverts) = (outcome_, outcomeReverts_, initReverts_);
    }

    function end(IExclaveSession session, bytes calldata result) external {
        session.endSession(result);
    }

    function exclaveInit(uint64, bytes32, address[] calldata players, bytes calldata initData) external {
        require(!initReverts, "init");
        (seenInitData, seenPlayers) = (initData, players.length);
    }

    function exclaveOutcomeIfStopped() external view returns (bytes memory) {
        require(!outcomeReverts, "outcome");
        return outcome;
    }
}

contract ExclaveSessionTest is TestBase {
    address private constant PREDEPLOY = 0x4578636c61766500000000000000000000000001;
    address private constant SYSTEM_ADDRESS = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;
    uint64 private constant DEADLINE = 1_800_000_000;

    IExclaveSession private session;
    ScriptedSessionGame private game;

    function setUp() public {
        // As in a template: the runtime code at the predeploy address, no constructor run.
        vm.etch(PREDEPLOY, vm.getDeployedCode("ExclaveSession.sol:ExclaveSession"));
        session = IExclaveSession(PREDEPLOY);
        game = new ScriptedSessionGame();
        vm.warp(DEADLINE - 1000);
    }

    function start() private {
        session.bindGame(address(game));
        init();
    }

    function init() private {
        address[] memory players = new address[](2);
        (players[0], players[1]) = (address(1), address(2));
        vm.prank(SYSTEM_ADDRESS);
        session.init(keccak256("config"), 7, DEADLINE, keccak256("seed"), players, hex"beef");
    }

    function slot0() private view returns (bytes32) {
        return vm.load(PREDEPLOY, 0);
    }

    function test_init_keeps_what_it_is_told_and_sets_the_match_up() public {
        start();
        assertEq(session.configHash(), keccak256("config"), "configHash");
        assertEq(session.sessionId(), 7, "sessionId");
        assertEq(session.deadline(), DEADLINE, "deadline");
        assertEq(session.seed(), keccak256("seed"), "seed");
        assertEq(session.game(), address(game), "game");
        assertEq(session.players().length, 2, "players");
        assertEq(session.players()[1], address(2), "second player");
        assertEq(game.seenPlayers(), 2, "the game's players");
        assertEq(keccak256(game.seenInitData()), keccak256(hex"beef"), "the game's init data");
        assertEq(slot0(), 0, "not ended");
    }

    function test_init_is_for_the_system_address_once() public {
        session.bindGame(address(game));
        vm.expectRevert(abi.encodeWithSelector(IExclaveSession.NotSystem.selector, address(this)));
        session.init(0, 7, DEADLINE, 0, new address[](1), "");
        init();
        vm.expectRevert(IExclaveSession.AlreadyInitialised.selector);
        vm.prank(SYSTEM_ADDRESS);
        session.init(0, 8, DEADLINE, 0, new address[](1), "");
    }

    function test_init_needs_a_bound_game() public {
        vm.expectRevert(IExclaveSession.NoGameBound.selector);
        vm.prank(SYSTEM_ADDRESS);
        session.init(0, 7, DEADLINE, 0, new address[](1), "");
    }

    function test_a_game_that_refuses_init_leaves_the_session_unstarted() public {
        session.bindGame(address(game));
        game.set("", false, true);
        vm.expectRevert();
        vm.prank(SYSTEM_ADDRESS);
        session.init(0, 7, DEADLINE, 0, new address[](1), "");
        assertEq(session.sessionId(), 0, "unstarted");
        vm.expectRevert(IExclaveSession.NotInitialised.selector);
        session.stop();
        vm.expectRevert(IExclaveSession.NotInitialised.selector);
        game.end(session, "early");
    }

    function test_a_game_is_bound_once_and_before_init() public {
        session.bindGame(address(game));
        vm.expectRevert(abi.encodeWithSelector(IExclaveSession.AlreadyBound.selector, address(game)));
        session.bindGame(address(this));
        init();
        vm.expectRevert(IExclaveSession.AlreadyInitialised.selector);
        session.bindGame(address(this));
    }

    function testFuzz_the_game_ends_the_session_with_slot_0(bytes calldata result) public {
        start();
        game.end(session, result);
        assertEq(slot0(), keccak256(result), "slot 0");
        assertEq(session.resultHash(), keccak256(result), "resultHash");
        assertTrue(slot0() != 0, "ended");
    }

    function test_a_session_ends_once() public {
        start();
        // An empty result is a result.
        game.end(session, "");
        assertEq(slot0(), keccak256(""), "slot 0");
        vm.expectRevert(IExclaveSession.AlreadyEnded.selector);
        game.end(session, "again");
        vm.warp(DEADLINE);
        vm.expectRevert(IExclaveSession.AlreadyEnded.selector);
        session.stop();
    }

    function test_only_the_game_ends_the_session() public {
        start();
        vm.expectRevert(abi.encodeWithSelector(IExclaveSession.NotGame.selector, address(this)));
        session.endSession("mine");
    }

    function test_the_largest_result_ends_the_session() public {
        start();
        game.end(session, new bytes(8192));
        assertEq(slot0(), keccak256(new bytes(8192)), "slot 0");
    }

    function test_an_oversize_result_is_refused() public {
        start();
        vm.expectRevert(abi.encodeWithSelector(IExclaveSession.ResultTooLarge.selector, 8193));
        game.end(session, new bytes(8193));
        assertEq(slot0(), 0, "running");
        game.set(new bytes(8193), false, false);
        vm.warp(DEADLINE);
        vm.expectRevert(abi.encodeWithSelector(IExclaveSession.ResultTooLarge.selector, 8193));
        session.stop();
        assertEq(slot0(), 0, "still running");
    }

    function test_anyone_stops_from_the_deadline_on() public {
        start();
        game.set("draw", false, false);
        vm.warp(DEADLINE - 1);
        vm.expectRevert(abi.encodeWithSelector(IExclaveSession.BeforeDeadline.selector, DEADLINE));
        session.stop();
        vm.warp(DEADLINE);
        vm.prank(address(0xbeef));
        session.stop();
        assertEq(slot0(), keccak256("draw"), "slot 0");
    }

    function test_an_outcome_that_reverts_does_not_brick_the_session() public {
        start();
        game.set("late", true, false);
        vm.warp(DEADLINE);
        vm.expectPartialRevert(IExclaveSession.OutcomeReverted.selector);
        session.stop();
        assertEq(slot0(), 0, "running");
        game.end(session, "played on");
        assertEq(slot0(), keccak256("played on"), "slot 0");
    }
}
