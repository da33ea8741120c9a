// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {ClaimHeader, SessionConfig, SessionStatus, Settlement, Terms} from "../src/interfaces/Types.sol";
import {HostileGame} from "./support/Games.sol";
import {RelayerFixture} from "./support/RelayerFixture.sol";

contract AbortTest is RelayerFixture {
    HostileGame private game;
    Terms private terms;
    SessionConfig private config;

    function setUp() public {
        setUpRelayer();
        game = new HostileGame(relayer);
        terms = defaultTerms();
        config = openFrom(address(game), terms, twoPlayers());
    }

    function abortFrom() private view returns (uint256) {
        return uint256(config.deadline) + terms.abortDelay;
    }

    function test_I3_anyone_aborts_from_its_time_on_to_the_second() public {
        vm.warp(abortFrom() - 1);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.BeforeAbort.selector, config.sessionId, abortFrom()));
        relayer.abort(config, terms);
        vm.warp(abortFrom());
        vm.prank(address(0xbeef));
        relayer.abort(config, terms);
        assertTrue(status(config.sessionId) == SessionStatus.Aborted, "aborted");
        assertEq(game.callbacks(), 1, "told the game");
        vm.expectRevert(
            abi.encodeWithSelector(IZkRelayer.NotOpen.selector, config.sessionId, SessionStatus.Aborted)
        );
        relayer.abort(config, terms);
    }

    function test_terms_and_configuration_are_the_sessions() public {
        vm.warp(abortFrom());
        terms.abortDelay = 0;
        vm.expectRevert(IZkRelayer.WrongTerms.selector);
        relayer.abort(config, terms);
        config.deadline = 0;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, config.sessionId));
        relayer.abort(config, terms);
        config.sessionId = 99;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, 99));
        relayer.abort(config, terms);
    }

    /// @dev INVARIANT I1: a claim in time has half an hour in which nobody can abort, whatever the window.
    function testFuzz_I1_a_claim_within_half_an_hour_settles_first(uint32 window, uint32 after_) public {
        terms.challengeWindow = uint32(bound(window, MIN_WINDOW, 7 days));
        terms.abortDelay = terms.challengeWindow + 1 hours;
        config = openFrom(address(game), terms, twoPlayers());
        vm.warp(uint256(config.deadline) + bound(after_, 0, 30 minutes));
        (uint64 claimId, ClaimHeader memory header, Settlement memory item) = claimOne(config, terms, "result");
        vm.warp(uint256(header.claimedAt) + terms.challengeWindow + 30 minutes - 1);
        vm.expectPartialRevert(IZkRelayer.BeforeAbort.selector);
        relayer.abort(config, terms);
        relayer.settle(claimId, header, item, 0, noProof());
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
    }

    /// @dev INVARIANT I1, I3: once both can be done, the first one counts, and only it.
    function testFuzz_I1_I3_claim_and_abort_exclude_each_other(uint256 claimedAt, uint256 when, bool abortFirst) public {
        vm.warp(bound(claimedAt, config.deadline, abortFrom()));
        (uint64 claimId, ClaimHeader memory header, Settlement memory item) = claimOne(config, terms, "result");
        uint256 windowEnd = uint256(header.claimedAt) + WINDOW;
        vm.warp(bound(when, abortFrom() - 2, windowEnd + 2 > abortFrom() ? windowEnd + 2 : abortFrom() + 2));
        uint256 now_ = vm.getBlockTimestamp();
        bytes memory abort_ = abi.encodeCall(relayer.abort, (config, terms));
        bytes memory settle_ = abi.encodeCall(relayer.settle, (claimId, header, item, 0, noProof()));
        (bool first,) = address(relayer).call(abortFirst ? abort_ : settle_);
        (bool second,) = address(relayer).call(abortFirst ? settle_ : abort_);
        bool canAbort = now_ >= abortFrom();
        bool canSettle = now_ > windowEnd;
        assertTrue(first == (abortFirst ? canAbort : canSettle), "the first");
        assertTrue(second == (!first && (abortFirst ? canSettle : canAbort)), "the second");
        assertEq(game.callbacks(), first || second ? 1 : 0, "one callback at most");
    }

    function test_a_failed_abort_callback_is_retried() public {
        game.setMode(HostileGame.Mode.Revert, "");
        vm.warp(abortFrom());
        relayer.abort(config, terms);
        assertTrue(relayer.callbackFailed(config.sessionId), "recorded");
        game.setMode(HostileGame.Mode.Honest, "");
        relayer.retryCallback(config, "");
        assertEq(game.callbacks(), 1, "delivered");
        assertEq(game.aborts(), 1, "as an abort");
        vm.expectPartialRevert(IZkRelayer.NoFailedCallback.selector);
        relayer.retryCallback(config, "");
    }
}
