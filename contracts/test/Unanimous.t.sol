// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {ClaimHeader, SessionConfig, SessionStatus, Settlement, Terms} from "../src/interfaces/Types.sol";
import {ContractPlayer, HostileGame} from "./support/Games.sol";
import {RelayerFixture} from "./support/RelayerFixture.sol";

contract UnanimousTest is RelayerFixture {
    HostileGame private game;
    Terms private terms;
    SessionConfig private config;
    bytes private result = "we agree";
    uint64 private validUntil;

    function setUp() public {
        setUpRelayer();
        game = new HostileGame(relayer);
        terms = defaultTerms();
        config = openFrom(address(game), terms, twoPlayers());
        validUntil = uint64(vm.getBlockTimestamp() + 1 hours);
    }

    function signatures(SessionConfig memory of_) private returns (bytes[] memory both) {
        bytes32 hash = relayer.configHash(of_);
        both = new bytes[](2);
        both[0] = signResult(ALICE_KEY, hash, result, validUntil);
        both[1] = signResult(BOB_KEY, hash, result, validUntil);
    }

    function settle(bytes[] memory signatures_) private {
        relayer.settleUnanimously(config, terms, twoPlayers(), result, validUntil, signatures_);
    }

    function test_all_players_settle_at_once() public {
        bytes[] memory both = signatures(config);
        vm.expectEmit(true, true, true, true);
        emit IZkRelayer.SessionSettled(config.sessionId, 0, keccak256(result));
        settle(both);
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
        assertEq(keccak256(game.lastResult()), keccak256(result), "the game's result");
        vm.expectRevert(
            abi.encodeWithSelector(IZkRelayer.NotOpen.selector, config.sessionId, SessionStatus.Settled)
        );
        settle(both);
    }

    function test_I1_a_claim_of_a_session_settled_unanimously_does_nothing() public {
        (uint64 claimId, ClaimHeader memory header, Settlement memory item) = claimOne(config, terms, "other");
        settle(signatures(config));
        passWindow();
        vm.expectPartialRevert(IZkRelayer.NotOpen.selector);
        relayer.settle(claimId, header, item, 0, noProof());
        relayer.releaseBond(claimId, header);
        assertEq(locked(operator), 0, "the bond comes back");
    }

    /// @dev What was signed for an hour can't be brought up when the match has turned.
    function test_I1_signatures_count_until_their_last_second() public {
        bytes[] memory both = signatures(config);
        uint256 snapshot = vm.snapshotState();
        vm.warp(validUntil);
        settle(both);
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "in time");
        vm.revertToState(snapshot);
        vm.warp(uint256(validUntil) + 1);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.SignaturesExpired.selector, validUntil));
        settle(both);
        validUntil += 1;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongSignature.selector, alice));
        settle(both);
    }

    function test_I1_one_signature_too_few_or_wrong_is_none() public {
        bytes[] memory both = signatures(config);
        bytes[] memory one = new bytes[](1);
        one[0] = both[0];
        vm.expectRevert(IZkRelayer.WrongPlayers.selector);
        settle(one);
        (both[0], both[1]) = (both[1], both[0]);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongSignature.selector, alice));
        settle(both);
        both = signatures(config);
        both[1] = "";
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongSignature.selector, bob));
        settle(both);
        both = signatures(config);
        result = "I win";
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongSignature.selector, alice));
        settle(both);
    }

    function test_I1_players_and_terms_are_the_sessions() public {
        bytes[] memory both = signatures(config);
        address[] memory players = twoPlayers();
        players[1] = alice;
        both[1] = both[0];
        vm.expectRevert(IZkRelayer.WrongPlayers.selector);
        relayer.settleUnanimously(config, terms, players, result, validUntil, both);
        terms.callbackGas = 0;
        both = signatures(config);
        vm.expectRevert(IZkRelayer.WrongTerms.selector);
        settle(both);
    }

    /// @dev INVARIANT I8's counterpart for signatures: of no use in another session, on another contract or another chain.
    function test_I8_signatures_serve_one_session_on_one_contract_and_chain() public {
        SessionConfig memory next = openFrom(address(game), terms, twoPlayers());
        bytes[] memory both = signatures(config);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongSignature.selector, alice));
        relayer.settleUnanimously(next, terms, twoPlayers(), result, validUntil, both);

        vm.chainId(4242);
        // The configuration's hash changes with the chain, so that the session isn't even known.
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, config.sessionId));
        settle(both);
        vm.chainId(31337);

        setUpRelayer();
        config = openFrom(address(game), terms, twoPlayers());
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongSignature.selector, alice));
        settle(both);
    }

    function test_contracts_sign_by_EIP_1271() public {
        address[] memory players = twoPlayers();
        players[0] = address(new ContractPlayer(alice));
        config = openFrom(address(game), terms, players);
        bytes32 hash = relayer.configHash(config);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ALICE_KEY, resultDigest(hash, result, validUntil));
        bytes[] memory both = new bytes[](2);
        (both[0], both[1]) = (abi.encode(r, s, v), signResult(BOB_KEY, hash, result, validUntil));
        uint256 snapshot = vm.snapshotState();
        relayer.settleUnanimously(config, terms, players, result, validUntil, both);
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
        vm.revertToState(snapshot);
        both[0] = abi.encode(r, s, v ^ 7);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongSignature.selector, players[0]));
        relayer.settleUnanimously(config, terms, players, result, validUntil, both);
    }

    /// @dev EIP-7702: code at a player's address that knows no EIP-1271 doesn't take its key's signature away.
    function test_a_player_with_delegated_code_still_signs() public {
        bytes[] memory both = signatures(config);
        vm.etch(alice, abi.encodePacked(hex"ef0100", address(game)));
        (bool success,) = address(relayer).call(
            abi.encodeCall(relayer.settleUnanimously, (config, terms, twoPlayers(), result, validUntil, both))
        );
        assertTrue(success, "settled");
    }
}
