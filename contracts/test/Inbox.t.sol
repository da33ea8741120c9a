// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {ClaimHeader, SessionConfig, SessionStatus, Settlement, Terms} from "../src/interfaces/Types.sol";
import {QuietGame} from "./support/Games.sol";
import {RelayerFixture} from "./support/RelayerFixture.sol";

/// @dev Forces a message before it has code: what is called, its deployer tells.
contract ForcingConstructor {
    constructor() {
        (address relayer, bytes memory call) = InboxTest(msg.sender).forced();
        (bool success,) = relayer.call(call);
        require(success);
    }
}

contract InboxTest is RelayerFixture {
    address private constant TARGET = address(0x7a76e7);
    uint160 private constant ALIAS = uint160(0x1111000000000000000000000000000000001111);

    SessionConfig private config;
    Terms private terms;
    address private game;
    bytes private forcedCall;

    function setUp() public {
        setUpRelayer();
        game = address(new QuietGame());
        terms = defaultTerms();
        config = openFrom(game, terms, twoPlayers());
    }

    function force(address sender, bytes memory data) private returns (uint64) {
        vm.prank(sender, sender);
        return relayer.forceTransaction(config, terms, twoPlayers(), TARGET, 100_000, data);
    }

    function messageHash(uint64 index, address from, bytes memory data) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                relayer.chainIdBase() + config.sessionId,
                index,
                from,
                TARGET,
                uint64(100_000),
                uint64(vm.getBlockTimestamp() + terms.inclusionDelay),
                keccak256(data)
            )
        );
    }

    function test_messages_accumulate_in_order() public {
        assertEq(relayer.inboxHash(config.sessionId, 0), 0, "empty");
        assertEq(force(alice, "one"), 0, "first");
        assertEq(force(bob, "two"), 1, "second");
        bytes32 first = keccak256(abi.encode(bytes32(0), messageHash(0, alice, "one")));
        bytes32 second = keccak256(abi.encode(first, messageHash(1, bob, "two")));
        assertEq(relayer.inboxHash(config.sessionId, 1), first, "after one");
        assertEq(relayer.inboxHash(config.sessionId, 2), second, "after two");
        assertEq(relayer.inboxCount(config.sessionId), 2, "count");
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongInboxCount.selector, config.sessionId, 3, 2));
        relayer.inboxHash(config.sessionId, 3);
    }

    /// @dev INVARIANT I4: the time by which the message must be in the session is the terms', and part of the message.
    function test_I4_a_message_tells_when_it_is_due() public {
        vm.warp(config.openedAt + 7);
        uint64 dueAt = config.openedAt + 7 + terms.inclusionDelay;
        bytes32 accumulated = keccak256(abi.encode(bytes32(0), messageHash(0, alice, "one")));
        vm.expectEmit(true, true, true, true);
        emit IZkRelayer.MessageEnqueued(config.sessionId, 0, alice, TARGET, 100_000, dueAt, "one", accumulated);
        force(alice, "one");
        terms.inclusionDelay += 1;
        vm.expectRevert(IZkRelayer.WrongTerms.selector);
        force(alice, "two");
    }

    function test_a_contract_comes_as_its_alias() public {
        force(game, "");
        address alias_;
        unchecked {
            alias_ = address(uint160(game) + ALIAS);
        }
        bytes32 expected = keccak256(abi.encode(bytes32(0), messageHash(0, alias_, "")));
        assertEq(relayer.inboxHash(config.sessionId, 1), expected, "aliased");
    }

    function forced() external view returns (address, bytes memory) {
        return (address(relayer), forcedCall);
    }

    /// @dev A contract under construction has no code, and is none the less no key's account.
    function test_a_contract_under_construction_comes_as_its_alias() public {
        address[] memory players = new address[](1);
        bytes32 initHash = keccak256(type(ForcingConstructor).creationCode);
        players[0] = address(
            uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(this), bytes32(0), initHash))))
        );
        config = openFrom(game, terms, players);
        forcedCall = abi.encodeCall(relayer.forceTransaction, (config, terms, players, TARGET, 100_000, ""));
        new ForcingConstructor{salt: 0}();
        address alias_;
        unchecked {
            alias_ = address(uint160(players[0]) + ALIAS);
        }
        bytes32 expected = keccak256(abi.encode(bytes32(0), messageHash(0, alias_, "")));
        assertEq(relayer.inboxHash(config.sessionId, 1), expected, "aliased");
    }

    function test_an_alias_wraps_around() public {
        address[] memory players = new address[](1);
        Terms memory own = terms;
        players[0] = address(type(uint160).max);
        config = openFrom(game, terms, players);
        vm.etch(players[0], hex"00");
        vm.prank(players[0]);
        relayer.forceTransaction(config, own, players, TARGET, 100_000, "");
        bytes32 expected = keccak256(abi.encode(bytes32(0), messageHash(0, address(ALIAS - 1), "")));
        assertEq(relayer.inboxHash(config.sessionId, 1), expected, "aliased");
    }

    function test_an_account_that_delegated_its_code_is_itself() public {
        vm.etch(alice, abi.encodePacked(hex"ef0100", game));
        force(alice, "");
        bytes32 expected = keccak256(abi.encode(bytes32(0), messageHash(0, alice, "")));
        assertEq(relayer.inboxHash(config.sessionId, 1), expected, "not aliased");
    }

    function test_only_players_and_the_game_force() public {
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.NotParticipant.selector, operator));
        force(operator, "");
        address[] memory others = twoPlayers();
        Terms memory own = terms;
        others[0] = operator;
        vm.expectRevert(IZkRelayer.WrongPlayers.selector);
        vm.prank(operator);
        relayer.forceTransaction(config, own, others, TARGET, 100_000, "");
    }

    function test_a_configuration_of_ones_own_is_refused() public {
        config.game = operator;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, config.sessionId));
        force(operator, "");
    }

    function test_caps() public {
        address[] memory players = twoPlayers();
        Terms memory own = terms;
        vm.startPrank(alice);
        relayer.forceTransaction(config, own, players, TARGET, 21_000, "");
        relayer.forceTransaction(config, own, players, TARGET, 500_000, new bytes(32_768));
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongMessageGas.selector, 20_999));
        relayer.forceTransaction(config, own, players, TARGET, 20_999, "");
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongMessageGas.selector, 500_001));
        relayer.forceTransaction(config, own, players, TARGET, 500_001, "");
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.MessageTooLarge.selector, 32_769));
        relayer.forceTransaction(config, own, players, TARGET, 21_000, new bytes(32_769));
        vm.stopPrank();
    }

    function test_the_inbox_closes_at_the_deadline_and_with_the_session() public {
        vm.warp(config.deadline - 1);
        force(alice, "");
        vm.warp(config.deadline);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.AfterDeadline.selector, config.deadline));
        force(alice, "");
        vm.warp(config.deadline + terms.abortDelay);
        relayer.abort(config, terms);
        vm.expectRevert(
            abi.encodeWithSelector(IZkRelayer.NotOpen.selector, config.sessionId, SessionStatus.Aborted)
        );
        force(alice, "");
    }

    // ---- INVARIANT I4

    function claimWith(uint64 inboxCount, uint64 lastTimestamp)
        private
        returns (uint64 claimId, ClaimHeader memory header, Settlement memory item)
    {
        item = itemFor(config, "result");
        item.inboxCount = inboxCount;
        item.lastTimestamp = lastTimestamp;
        (claimId, header) = post(leafFor(config, item), 1, terms);
        passWindow();
    }

    /// @dev INVARIANT I4, to the second.
    function test_I4_a_message_left_out_beyond_its_time_stops_the_settlement() public {
        uint64 enqueuedAt = uint64(vm.getBlockTimestamp());
        force(alice, "let me in");
        vm.warp(enqueuedAt + 1000);
        (uint64 claimId, ClaimHeader memory header, Settlement memory item) =
            claimWith(0, enqueuedAt + terms.inclusionDelay + 1);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.MessageLeftOut.selector, config.sessionId, 0));
        relayer.settle(claimId, header, item, 0, noProof());
        Settlement[] memory items = new Settlement[](1);
        items[0] = item;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.MessageLeftOut.selector, config.sessionId, 0));
        relayer.settleAll(claimId, header, items, 0);

        // One second less, and it was not due yet when the session ended.
        (claimId, header, item) = claimWith(0, enqueuedAt + terms.inclusionDelay);
        relayer.settle(claimId, header, item, 0, noProof());
        assertTrue(status(config.sessionId) == SessionStatus.Settled);
    }

    /// @dev INVARIANT I4
    function test_I4_a_session_that_took_its_messages_settles() public {
        uint64 enqueuedAt = uint64(vm.getBlockTimestamp());
        force(alice, "let me in");
        force(bob, "me too");
        vm.warp(enqueuedAt + 1000);
        // The second is as due as the first.
        (uint64 claimId, ClaimHeader memory header, Settlement memory item) = claimWith(1, enqueuedAt + 1000);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.MessageLeftOut.selector, config.sessionId, 1));
        relayer.settle(claimId, header, item, 0, noProof());
        (claimId, header, item) = claimWith(2, enqueuedAt + 1000);
        relayer.settle(claimId, header, item, 0, noProof());
        assertTrue(status(config.sessionId) == SessionStatus.Settled);
    }

    function test_I4_messages_that_never_were_cannot_be_claimed() public {
        Settlement memory item = itemFor(config, "result");
        (uint64 claimId, ClaimHeader memory header) = post(keccak256("any"), 1, terms);
        passWindow();
        item.inboxCount = 1;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongInboxCount.selector, config.sessionId, 1, 0));
        relayer.settle(claimId, header, item, 0, noProof());
        force(alice, "one");
        item.inboxCount = 2;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongInboxCount.selector, config.sessionId, 2, 1));
        relayer.settle(claimId, header, item, 0, noProof());
    }

    /// @dev INVARIANT I4: a false accumulator makes another leaf.
    function test_I4_another_accumulator_is_another_leaf() public {
        force(alice, "one");
        Settlement memory item = itemFor(config, "result");
        item.inboxCount = 1;
        bytes32 leaf = leafFor(config, item);
        item.inboxCount = 0;
        (uint64 claimId, ClaimHeader memory header) = post(leaf, 1, terms);
        passWindow();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongLeaf.selector, claimId, 0));
        relayer.settle(claimId, header, item, 0, noProof());
    }
}
