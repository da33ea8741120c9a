// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {
    Anchor,
    ClaimHeader,
    ClaimedChain,
    SessionConfig,
    SessionStatus,
    Settlement,
    Terms
} from "../src/interfaces/Types.sol";
import {IsolatedCall} from "../src/libraries/IsolatedCall.sol";
import {MerkleTree} from "../src/libraries/MerkleTree.sol";
import {SessionHash} from "../src/libraries/SessionHash.sol";
import {HostileGame} from "./support/Games.sol";
import {RelayerFixture} from "./support/RelayerFixture.sol";

contract SettlementTest is RelayerFixture {
    HostileGame private game;
    Terms private terms;

    function setUp() public {
        setUpRelayer();
        game = new HostileGame(relayer);
        terms = defaultTerms();
    }

    function openMany(uint256 count) private returns (SessionConfig[] memory configs, Settlement[] memory items) {
        configs = new SessionConfig[](count);
        items = new Settlement[](count);
        for (uint256 i; i < count; ++i) {
            configs[i] = openFrom(address(game), terms, twoPlayers());
            items[i] = itemFor(configs[i], abi.encode("winner", i));
        }
    }

    function openAndClaim()
        private
        returns (SessionConfig memory config, uint64 claimId, ClaimHeader memory header, Settlement memory item)
    {
        config = openFrom(address(game), terms, twoPlayers());
        (claimId, header, item) = claimOne(config, terms, "result");
    }

    // ---- one session

    function test_I1_a_claim_settles_after_its_window_to_the_second() public {
        (SessionConfig memory config, uint64 claimId, ClaimHeader memory header, Settlement memory item) =
            openAndClaim();
        uint256 end = uint256(header.claimedAt) + WINDOW;
        vm.warp(end);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WindowOpen.selector, claimId, end));
        relayer.settle(claimId, header, item, 0, noProof());
        vm.warp(end + 1);
        vm.expectEmit(true, true, true, true);
        emit IZkRelayer.SessionSettled(config.sessionId, claimId, keccak256("result"));
        relayer.settle(claimId, header, item, 0, noProof());
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
        assertEq(game.callbacks(), 1, "told the game");
        assertEq(keccak256(game.lastResult()), keccak256("result"), "the result");
    }

    function test_I1_a_session_settles_once() public {
        (SessionConfig memory config, uint64 claimId, ClaimHeader memory header, Settlement memory item) =
            openAndClaim();
        (uint64 second, ClaimHeader memory secondHeader, Settlement memory other) = claimOne(config, terms, "other");
        passWindow();
        relayer.settle(claimId, header, item, 0, noProof());
        bytes memory reason =
            abi.encodeWithSelector(IZkRelayer.NotOpen.selector, config.sessionId, SessionStatus.Settled);
        vm.expectRevert(reason);
        relayer.settle(claimId, header, item, 0, noProof());
        vm.expectRevert(reason);
        relayer.settle(second, secondHeader, other, 0, noProof());
        assertEq(game.callbacks(), 1, "one callback");
    }

    function test_I1_every_field_of_the_item_counts() public {
        SessionConfig memory config = openFrom(address(game), terms, twoPlayers());
        vm.warp(config.openedAt + 100);
        (uint64 claimId, ClaimHeader memory header,) = claimOne(config, terms, "result");
        uint64 claimedAt = header.claimedAt;
        passWindow();
        bytes memory wrongConfig = abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, config.sessionId);
        bytes memory wrongLeaf = abi.encodeWithSelector(IZkRelayer.WrongLeaf.selector, claimId, 0);
        for (uint256 field; field < 9; ++field) {
            Settlement memory item = itemFor(config, "result");
            item.lastTimestamp = claimedAt;
            bytes memory reason = field < 4 ? wrongConfig : wrongLeaf;
            if (field == 0) item.openedAt -= 1;
            if (field == 1) item.game = address(this);
            if (field == 2) item.setupHash = keccak256("other");
            if (field == 3) {
                item.sessionId += 1;
                reason = abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, item.sessionId);
            }
            if (field == 4) item.chainHash = keccak256("other");
            if (field == 5) item.result = "other";
            if (field == 6) item.lastTimestamp -= 1;
            if (field == 7) {
                item.lastTimestamp = claimedAt + 1;
                reason = abi.encodeWithSelector(IZkRelayer.WrongTimestamp.selector, config.sessionId, claimedAt + 1);
            }
            if (field == 8) {
                item.firstNumber = 1;
                reason = abi.encodeWithSelector(IZkRelayer.NotAnchored.selector, config.sessionId, 1);
            }
            vm.expectRevert(reason);
            relayer.settle(claimId, header, item, 0, noProof());
        }
        assertTrue(status(config.sessionId) == SessionStatus.Open, "still open");
    }

    function test_I1_a_session_ends_between_its_opening_and_its_claim() public {
        SessionConfig memory config = openFrom(address(game), terms, twoPlayers());
        vm.warp(config.openedAt + 100);
        uint64[4] memory times = [config.openedAt - 1, config.openedAt, config.openedAt + 100, config.openedAt + 101];
        for (uint256 i; i < 4; ++i) {
            vm.warp(config.openedAt + 100);
            Settlement memory item = itemFor(config, "result");
            item.lastTimestamp = times[i];
            (uint64 claimId, ClaimHeader memory header) =
                post(leafFor(config, item), 1, terms);
            passWindow();
            bool valid = i == 1 || i == 2;
            if (!valid) vm.expectPartialRevert(IZkRelayer.WrongTimestamp.selector);
            else if (i == 2) vm.expectPartialRevert(IZkRelayer.NotOpen.selector);
            relayer.settle(claimId, header, item, 0, noProof());
        }
    }

    function test_I1_the_header_is_the_claims() public {
        (, uint64 claimId, ClaimHeader memory header, Settlement memory item) = openAndClaim();
        passWindow();
        header.challengeWindow = 0;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongClaim.selector, claimId));
        relayer.settle(claimId, header, item, 0, noProof());
    }

    /// @dev INVARIANT I1: a claim can't bring its own, shorter window to another's session.
    function test_I1_the_terms_are_the_sessions() public {
        SessionConfig memory config = openFrom(address(game), terms, twoPlayers());
        Terms memory own = defaultTerms();
        own.challengeWindow = 0;
        own.claimBond = 0;
        (uint64 claimId, ClaimHeader memory header, Settlement memory item) = claimOne(config, own, "stolen");
        vm.warp(vm.getBlockTimestamp() + 1);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, config.sessionId));
        relayer.settle(claimId, header, item, 0, noProof());
    }

    /// @dev INVARIANT I1: what is settled is what was open to challenge; a leaf with bits beyond its types could not be challenged.
    function testFuzz_I1_dirty_words_are_refused(uint8 word, uint8 shift) public {
        (SessionConfig memory config, uint64 claimId, ClaimHeader memory header, Settlement memory item) =
            openAndClaim();
        passWindow();
        bytes memory data = abi.encodeCall(relayer.settle, (claimId, header, item, 0, noProof()));
        // selector, claimId, 8 words of the header, offset of the item, index, offset of the proof; then the item: an address and five numbers
        uint8[6] memory words = [0, 1, 2, 4, 5, 6];
        uint256 member = words[word % 6];
        uint256 offset = 4 + 32 * (1 + 8 + 3) + 32 * member;
        uint256 dirt = uint256(1) << (member == 2 ? bound(shift, 160, 255) : bound(shift, 64, 255));
        assembly {
            let at := add(add(data, 0x20), offset)
            mstore(at, or(mload(at), dirt))
        }
        (bool success,) = address(relayer).call(data);
        assertTrue(!success, "settled");
        assertTrue(status(config.sessionId) == SessionStatus.Open, "still open");
    }

    // ---- many sessions

    function testFuzz_each_session_of_a_claim_settles_by_itself(uint256 count, uint256 index) public {
        count = bound(count, 1, 12);
        index = bound(index, 0, count - 1);
        (SessionConfig[] memory configs, Settlement[] memory items) = openMany(count);
        (uint64 claimId, ClaimHeader memory header, bytes32[] memory leaves) = claimAll(configs, items, terms);
        passWindow();
        bytes32[] memory proof = proofOf(leaves, index);
        if (count > 1) {
            vm.expectPartialRevert(IZkRelayer.WrongLeaf.selector);
            relayer.settle(claimId, header, items[index], uint32(index ^ 1) % uint32(count), proof);
            vm.expectPartialRevert(MerkleTree.WrongProofLength.selector);
            relayer.settle(claimId, header, items[index], uint32(index), noProof());
        }
        vm.expectPartialRevert(MerkleTree.IndexOutOfRange.selector);
        relayer.settle(claimId, header, items[index], uint32(count), proof);
        relayer.settle(claimId, header, items[index], uint32(index), proof);
        for (uint256 i; i < count; ++i) {
            assertTrue((status(configs[i].sessionId) == SessionStatus.Settled) == (i == index), "that one alone");
        }
        // The others follow, the settled one is passed over.
        relayer.settleAll(claimId, header, items, 0);
        for (uint256 i; i < count; ++i) assertTrue(status(configs[i].sessionId) == SessionStatus.Settled, "all");
        assertEq(game.callbacks(), count, "one callback each");
        relayer.settleAll(claimId, header, items, 0);
        assertEq(game.callbacks(), count, "and no more");
    }

    function test_settleAll_wants_all_in_order() public {
        (SessionConfig[] memory configs, Settlement[] memory items) = openMany(3);
        (uint64 claimId, ClaimHeader memory header,) = claimAll(configs, items, terms);
        passWindow();
        (items[0], items[1]) = (items[1], items[0]);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongLeaf.selector, claimId, 0));
        relayer.settleAll(claimId, header, items, 0);
        Settlement[] memory two = new Settlement[](2);
        (two[0], two[1]) = (items[1], items[0]);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongCount.selector, 2));
        relayer.settleAll(claimId, header, two, 0);
    }

    function test_I1_a_claim_that_names_a_session_twice_settles_it_once() public {
        SessionConfig[] memory configs = new SessionConfig[](2);
        Settlement[] memory items = new Settlement[](2);
        configs[0] = openFrom(address(game), terms, twoPlayers());
        configs[1] = configs[0];
        (items[0], items[1]) = (itemFor(configs[0], "a"), itemFor(configs[0], "b"));
        (uint64 claimId, ClaimHeader memory header,) = claimAll(configs, items, terms);
        passWindow();
        relayer.settleAll(claimId, header, items, 0);
        assertEq(game.callbacks(), 1, "once");
        assertEq(keccak256(game.lastResult()), keccak256("a"), "the first");
    }

    // ---- checkpoints

    /// @dev A claimed range of a session's blocks.
    struct Range {
        uint64 claimId;
        ClaimHeader header;
        Settlement item;
        ClaimedChain chain;
        Anchor anchor;
        bytes32[] hashes;
    }

    function rangeOf(SessionConfig memory config, uint64 firstNumber, uint64 lastNumber, bytes memory result)
        private
        returns (Range memory range)
    {
        Settlement memory item = itemFor(config, result);
        item.firstNumber = firstNumber;
        range.hashes = new bytes32[](lastNumber - firstNumber + 1);
        bytes32[] memory tree = new bytes32[](range.hashes.length);
        for (uint256 i; i < tree.length; ++i) {
            range.hashes[i] = tree[i] = SessionHash.blockHashLeaf(blockHash(firstNumber + i));
        }
        bytes32 seed = chainFor(config.sessionId).seed;
        range.chain = ClaimedChain(seed, lastNumber, blockHash(lastNumber), MerkleTree.rootInPlace(tree));
        item.chainHash = SessionHash.chain(range.chain);
        range.item = item;
        range.anchor = Anchor(blockHash(firstNumber), proofOf(range.hashes, 0));
        bytes32 resultHash = result.length == 0 ? bytes32(0) : keccak256(result);
        (range.claimId, range.header) = post(leafFor(config, item, resultHash), 1, terms);
    }

    function confirm(Range memory range) private {
        relayer.confirmCheckpoint(range.claimId, range.header, range.item, 0, noProof(), range.chain, range.anchor);
    }

    function settleFromCheckpoint(Range memory range) private {
        relayer.settleFromCheckpoint(range.claimId, range.header, range.item, 0, noProof(), range.chain, range.anchor);
    }

    function expectUnanchored(Range memory range) private {
        vm.expectRevert(
            abi.encodeWithSelector(IZkRelayer.NotAnchored.selector, range.item.sessionId, range.item.firstNumber)
        );
    }

    function blockHash(uint256 number) private pure returns (bytes32) {
        return keccak256(abi.encode("block", number));
    }

    /// @dev INVARIANT I1: a range of one's own making has no anchor.
    function test_I1_a_range_counts_from_a_confirmed_checkpoint_only() public {
        SessionConfig memory config = openFrom(address(game), terms, twoPlayers());
        Range memory first = rangeOf(config, 0, 5, "");
        Range memory second = rangeOf(config, 5, 9, "");
        Range memory last = rangeOf(config, 9, 12, "result");

        vm.expectPartialRevert(IZkRelayer.WindowOpen.selector);
        confirm(first);
        passWindow();
        expectUnanchored(last);
        relayer.settle(last.claimId, last.header, last.item, 0, noProof());
        expectUnanchored(last);
        settleFromCheckpoint(last);
        Settlement[] memory items = new Settlement[](1);
        items[0] = last.item;
        relayer.settleAll(last.claimId, last.header, items, 0);
        assertTrue(status(config.sessionId) == SessionStatus.Open, "passed over");
        expectUnanchored(second);
        confirm(second);

        confirm(first);
        assertTrue(relayer.checkpointConfirmed(config.sessionId, 5, blockHash(5)), "first confirmed");
        confirm(first);
        confirm(second);
        // A confirmed block, but not the first of this range; and the first of it, but not by this proof.
        Anchor memory right = last.anchor;
        last.anchor = second.anchor;
        expectUnanchored(last);
        settleFromCheckpoint(last);
        last.anchor = Anchor(right.blockHash, proofOf(last.hashes, 1));
        expectUnanchored(last);
        settleFromCheckpoint(last);
        last.anchor = right;
        settleFromCheckpoint(last);
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
        assertEq(game.callbacks(), 1, "told the game");
        vm.expectPartialRevert(IZkRelayer.NotOpen.selector);
        confirm(first);
    }

    /// @dev INVARIANT I1: nobody can execute a range while what it starts from isn't public.
    function test_I1_a_range_claimed_before_its_checkpoint_never_settles() public {
        SessionConfig memory config = openFrom(address(game), terms, twoPlayers());
        Range memory early = rangeOf(config, 5, 9, "result");
        vm.warp(block.timestamp + 1);
        Range memory checkpoint = rangeOf(config, 0, 5, "");
        Range memory late = rangeOf(config, 5, 9, "result");
        passWindow();
        confirm(checkpoint);
        expectUnanchored(early);
        settleFromCheckpoint(early);
        settleFromCheckpoint(late);
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
    }

    /// @dev Claimed twice, the earlier of its claims counts, whichever is confirmed first.
    function test_a_checkpoint_counts_from_the_first_of_its_claims() public {
        SessionConfig memory config = openFrom(address(game), terms, twoPlayers());
        Range memory checkpoint = rangeOf(config, 0, 5, "");
        Range memory last = rangeOf(config, 5, 9, "result");
        vm.warp(block.timestamp + 1);
        Range memory again = rangeOf(config, 0, 5, "");
        passWindow();
        confirm(again);
        expectUnanchored(last);
        settleFromCheckpoint(last);
        confirm(checkpoint);
        confirm(again);
        settleFromCheckpoint(last);
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
    }

    function test_I1_a_checkpoint_is_no_result_and_a_result_no_checkpoint() public {
        SessionConfig memory config = openFrom(address(game), terms, twoPlayers());
        Range memory checkpoint = rangeOf(config, 0, 5, "");
        Range memory ended = rangeOf(config, 0, 6, "result");
        passWindow();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongLeaf.selector, checkpoint.claimId, 0));
        relayer.settle(checkpoint.claimId, checkpoint.header, checkpoint.item, 0, noProof());
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongLeaf.selector, ended.claimId, 0));
        confirm(ended);
    }

    /// @dev Another session's confirmed block is no anchor, nor is another number or hash.
    function testFuzz_I1_a_checkpoint_is_of_one_session_number_and_hash(
        uint64 session,
        uint64 number,
        bytes32 hash,
        uint8 which
    ) public {
        openFrom(address(game), terms, twoPlayers());
        SessionConfig memory config = openFrom(address(game), terms, twoPlayers());
        openFrom(address(game), terms, twoPlayers());
        Range memory range = rangeOf(config, 0, 5, "");
        passWindow();
        vm.expectEmit(true, true, true, true);
        emit IZkRelayer.CheckpointConfirmed(config.sessionId, range.claimId, 5, blockHash(5));
        confirm(range);
        assertTrue(relayer.checkpointConfirmed(config.sessionId, 5, blockHash(5)), "confirmed");
        // Its neighbours, and anything that differs from it in one, two or three members.
        assertTrue(!relayer.checkpointConfirmed(config.sessionId - 1, 5, blockHash(5)), "the session before");
        assertTrue(!relayer.checkpointConfirmed(config.sessionId + 1, 5, blockHash(5)), "the session after");
        assertTrue(!relayer.checkpointConfirmed(config.sessionId, 4, blockHash(5)), "the number before");
        assertTrue(!relayer.checkpointConfirmed(config.sessionId, 6, blockHash(5)), "the number after");
        assertTrue(!relayer.checkpointConfirmed(config.sessionId, 5, blockHash(4)), "another block");
        if (which & 1 == 0) session = config.sessionId;
        if (which & 2 == 0) number = 5;
        if (which & 4 == 0) hash = blockHash(5);
        bool same = session == config.sessionId && number == 5 && hash == blockHash(5);
        assertTrue(relayer.checkpointConfirmed(session, number, hash) == same, "it alone");
    }

    function test_I1_a_checkpoint_is_of_the_leafs_blocks() public {
        SessionConfig memory config = openFrom(address(game), terms, twoPlayers());
        Range memory range = rangeOf(config, 0, 5, "");
        passWindow();
        ClaimedChain memory chain = range.chain;
        for (uint256 i; i < 4; ++i) {
            range.chain = ClaimedChain(chain.seed, chain.lastNumber, chain.lastHash, chain.blockHashesRoot);
            if (i == 0) range.chain.seed = keccak256("other");
            if (i == 1) range.chain.lastNumber = 6;
            if (i == 2) range.chain.lastHash = blockHash(6);
            if (i == 3) range.chain.blockHashesRoot = keccak256("other");
            vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongChain.selector, config.sessionId));
            confirm(range);
        }
    }

    // ---- callbacks

    function settleHostile(HostileGame.Mode mode) private returns (SessionConfig memory config) {
        uint64 claimId;
        ClaimHeader memory header;
        Settlement memory item;
        (config, claimId, header, item) = openAndClaim();
        game.setMode(mode, "");
        passWindow();
        uint256 before = gasleft();
        relayer.settle{gas: 2_000_000}(claimId, header, item, 0, noProof());
        assertTrue(before - gasleft() < terms.callbackGas + 200_000, "bounded");
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled all the same");
        assertTrue(relayer.callbackFailed(config.sessionId), "recorded");
    }

    function test_a_failed_callback_changes_nothing_else_and_can_be_retried() public {
        for (uint256 i = 1; i <= 3; ++i) {
            SessionConfig memory config = settleHostile(HostileGame.Mode(i));
            vm.expectRevert(abi.encodeWithSelector(IZkRelayer.CallbackReverted.selector, config.sessionId));
            relayer.retryCallback{gas: 1_000_000}(config, "result");
            assertTrue(relayer.callbackFailed(config.sessionId), "still to be delivered");
            game.setMode(HostileGame.Mode.Honest, "");
            vm.expectRevert(abi.encodeWithSelector(IZkRelayer.NoFailedCallback.selector, config.sessionId));
            relayer.retryCallback(config, "another result");
            uint256 callbacks = game.callbacks();
            relayer.retryCallback(config, "result");
            assertEq(game.callbacks(), callbacks + 1, "delivered");
            assertTrue(!relayer.callbackFailed(config.sessionId), "done");
            vm.expectRevert(abi.encodeWithSelector(IZkRelayer.NoFailedCallback.selector, config.sessionId));
            relayer.retryCallback(config, "result");
        }
    }

    function test_a_callback_that_succeeded_is_not_repeated() public {
        (SessionConfig memory config, uint64 claimId, ClaimHeader memory header, Settlement memory item) =
            openAndClaim();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.NoFailedCallback.selector, config.sessionId));
        relayer.retryCallback(config, "result");
        passWindow();
        relayer.settle(claimId, header, item, 0, noProof());
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.NoFailedCallback.selector, config.sessionId));
        relayer.retryCallback(config, "result");
    }

    /// @dev Whatever gas the transaction has: it reverts, or the callback gets all of its own.
    function testFuzz_nobody_starves_a_callback(uint256 gas) public {
        (SessionConfig memory config, uint64 claimId, ClaimHeader memory header, Settlement memory item) =
            openAndClaim();
        game.setMode(HostileGame.Mode.NeedsGas, "");
        passWindow();
        gas = bound(gas, 30_000, 400_000);
        (bool success,) =
            address(relayer).call{gas: gas}(abi.encodeCall(relayer.settle, (claimId, header, item, 0, noProof())));
        assertTrue(success == (status(config.sessionId) == SessionStatus.Settled), "all or nothing");
        assertTrue(!relayer.callbackFailed(config.sessionId), "starved");
    }

    function testFuzz_nobody_starves_a_retried_callback(uint256 gas) public {
        SessionConfig memory config = settleHostile(HostileGame.Mode.Revert);
        game.setMode(HostileGame.Mode.NeedsGas, "");
        gas = bound(gas, 30_000, 400_000);
        uint256 callbacks = game.callbacks();
        (bool success,) =
            address(relayer).call{gas: gas}(abi.encodeCall(relayer.retryCallback, (config, "result")));
        assertTrue(success == (game.callbacks() == callbacks + 1), "all or nothing");
        assertTrue(success != relayer.callbackFailed(config.sessionId), "recorded");
        vm.expectPartialRevert(success ? IZkRelayer.NoFailedCallback.selector : IsolatedCall.NotEnoughGas.selector);
        relayer.retryCallback{gas: 150_000}(config, "result");
    }

    function test_a_reentering_game_gains_nothing() public {
        (SessionConfig memory config, uint64 claimId, ClaimHeader memory header, Settlement memory item) =
            openAndClaim();
        passWindow();
        bytes[3] memory calls = [
            abi.encodeCall(relayer.settle, (claimId, header, item, 0, noProof())),
            abi.encodeCall(relayer.abort, (config, terms)),
            abi.encodeCall(relayer.retryCallback, (config, "result"))
        ];
        uint256 snapshot = vm.snapshotState();
        for (uint256 i; i < calls.length; ++i) {
            game.setMode(HostileGame.Mode.Reenter, calls[i]);
            relayer.settle(claimId, header, item, 0, noProof());
            assertTrue(!game.reentrySucceeded(), "reentered");
            assertEq(game.callbacks(), 1, "one callback");
            vm.revertToState(snapshot);
        }
    }

    /// @dev A game in a batch settles another session of the batch from its callback: still once each.
    function test_I1_a_game_that_settles_the_next_of_the_batch_settles_it_once() public {
        terms.callbackGas = 1_000_000;
        (SessionConfig[] memory configs, Settlement[] memory items) = openMany(2);
        (uint64 claimId, ClaimHeader memory header, bytes32[] memory leaves) = claimAll(configs, items, terms);
        passWindow();
        game.setMode(
            HostileGame.Mode.Reenter,
            abi.encodeCall(relayer.settle, (claimId, header, items[1], 1, proofOf(leaves, 1)))
        );
        relayer.settleAll(claimId, header, items, 0);
        assertTrue(status(configs[1].sessionId) == SessionStatus.Settled, "settled");
        assertEq(game.callbacks(), 2, "once each");
    }

    /// @dev One gas-burning game among a hundred doesn't keep the others from their result.
    function test_a_hostile_game_in_a_batch_harms_itself_only() public {
        (SessionConfig[] memory configs, Settlement[] memory items) = openMany(3);
        HostileGame burner = new HostileGame(relayer);
        burner.setMode(HostileGame.Mode.BurnGas, "");
        configs[1] = openFrom(address(burner), terms, twoPlayers());
        items[1] = itemFor(configs[1], "burnt");
        (uint64 claimId, ClaimHeader memory header,) = claimAll(configs, items, terms);
        passWindow();
        relayer.settleAll(claimId, header, items, 0);
        for (uint256 i; i < 3; ++i) {
            assertTrue(status(configs[i].sessionId) == SessionStatus.Settled, "settled");
            assertTrue(relayer.callbackFailed(configs[i].sessionId) == (i == 1), "one failed");
        }
    }

    /// @dev A claim of sessions whose games burn all the gas they get, but for the first.
    function claimOfBurners(uint256 burners)
        private
        returns (uint64 claimId, ClaimHeader memory header, Settlement[] memory items)
    {
        SessionConfig[] memory configs;
        (configs, items) = openMany(burners + 1);
        items[0].result = "result";
        HostileGame burner = new HostileGame(relayer);
        burner.setMode(HostileGame.Mode.BurnGas, "");
        for (uint256 i = 1; i <= burners; ++i) {
            configs[i] = openFrom(address(burner), terms, twoPlayers());
            items[i] = itemFor(configs[i], "burnt");
        }
        (claimId, header,) = claimAll(configs, items, terms);
        passWindow();
    }

    function settledOf(Settlement[] memory items) private view returns (uint256 count) {
        for (uint256 i; i < items.length; ++i) {
            if (status(items[i].sessionId) == SessionStatus.Settled) ++count;
        }
    }

    /// @dev INVARIANT I2: games that burn more than the transaction was given for don't undo the others' settlement.
    function test_I2_a_batch_settles_as_far_as_its_gas_goes() public {
        (uint64 claimId, ClaimHeader memory header, Settlement[] memory items) = claimOfBurners(5);
        relayer.settleAll{gas: 1_000_000}(claimId, header, items, 1);
        uint256 settled = settledOf(items);
        assertTrue(settled > 1 && settled < 6, "some");
        assertTrue(status(items[0].sessionId) == SessionStatus.Settled, "the honest one among them");
        relayer.settleAll{gas: 3_000_000}(claimId, header, items, 6 - settled);
        assertEq(settledOf(items), 6, "the rest later");
    }

    /// @dev Any gas: the call reverts without effect, or keeps what it settled, at least as much as was asked for; no callback is starved.
    function testFuzz_I2_a_batch_settles_what_was_asked_for_or_nothing(uint256 gas, uint256 least) public {
        (uint64 claimId, ClaimHeader memory header, Settlement[] memory items) = claimOfBurners(3);
        game.setMode(HostileGame.Mode.NeedsGas, "");
        gas = bound(gas, 100_000, 2_000_000);
        least = bound(least, 0, 5);
        (bool success,) =
            address(relayer).call{gas: gas}(abi.encodeCall(relayer.settleAll, (claimId, header, items, least)));
        uint256 settled = settledOf(items);
        assertTrue(success ? settled >= least : settled == 0, "all or nothing");
        assertTrue(!relayer.callbackFailed(items[0].sessionId), "starved");
        if (gas > 1_500_000) assertTrue(success == (least <= 4), "enough for all");
    }

    function test_settleAll_settles_at_least_what_it_was_asked_for() public {
        (uint64 claimId, ClaimHeader memory header, Settlement[] memory items) = claimOfBurners(1);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.TooFewSettled.selector, 2, 3));
        relayer.settleAll(claimId, header, items, 3);
        relayer.settleAll(claimId, header, items, 2);
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.TooFewSettled.selector, 0, 1));
        relayer.settleAll(claimId, header, items, 1);
    }
}
