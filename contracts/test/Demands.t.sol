// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";

import {Answered, DisputeStatus, Kind, ShownHash, ShownLeaf} from "../src/interfaces/DisputeTypes.sol";
import {IBlockFacts} from "../src/interfaces/IBlockFacts.sol";
import {IDisputeGame} from "../src/interfaces/IDisputeGame.sol";
import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {ClaimHeader, SessionClaim, SessionStatus} from "../src/interfaces/Types.sol";
import {MerkleTree} from "../src/libraries/MerkleTree.sol";
import {SessionHash} from "../src/libraries/SessionHash.sol";
import {DisputeFixture} from "./support/DisputeFixture.sol";
import {TrieBuilder} from "./support/TrieBuilder.sol";

/// @dev Demands of what nobody but the claimant may know: leaves, block hashes, blocks.
contract DemandsTest is DisputeFixture {
    uint64 private constant NUMBER = 5;

    TrieBuilder private builder;
    bytes private header;
    bytes[] private transactions;

    function setUp() public {
        setUpDisputes();
        builder = new TrieBuilder();
        SessionClaim memory value = trueContent();
        for (uint256 i; i < 3; ++i) {
            transactions.push(abi.encodePacked(hex"02", keccak256(abi.encode(i))));
        }
        header = headerOf(hashes[NUMBER - 1], NUMBER);
        hashes[NUMBER] = keccak256(header);
        claimAs(operator, value);
    }

    function headerOf(bytes32 parent, uint256 number) private view returns (bytes memory) {
        bytes[] memory fields = new bytes[](21);
        for (uint256 i; i < fields.length; ++i) {
            fields[i] = RLP.encode(bytes32(i));
        }
        fields[0] = RLP.encode(parent);
        fields[4] = RLP.encode(builder.root(transactions));
        fields[8] = RLP.encode(number);
        return RLP.encode(fields);
    }

    function pass(uint256 seconds_) private {
        vm.warp(vm.getBlockTimestamp() + seconds_);
    }

    /// @dev A claim of so many blocks.
    function claimLong(uint64 count) private {
        delete hashes;
        hashes.push(genesisHash(trueSeed()));
        for (uint64 i = 1; i < count; ++i) {
            hashes.push(blockHash(i));
        }
        SessionClaim memory value = content;
        value.chain.lastNumber = count - 1;
        value.chain.lastHash = hashes[count - 1];
        claimAs(operator, value);
    }

    // ---- leaves

    function test_a_leaf_is_shown_and_paid_for() public {
        demandLeaf();
        ShownLeaf memory leaf = shownLeaf();
        vm.prank(STRANGER); // anyone who knows it
        court.answerLeaf(leaf);
        assertEq(funds(STRANGER), LEAF_BOND, "paid");
        assertEq(lockedFunds(CHALLENGER) + funds(CHALLENGER), 0, "by the demander");
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotOpen.selector, Kind.Leaf, 0));
        court.answerLeaf(leaf);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.AlreadyOpened.selector, Kind.Leaf, 0));
        demandLeaf();
    }

    /// @dev INVARIANT I1: what is under a garbage root nobody can show.
    function test_I1_a_garbage_root_dies_unproven() public {
        ClaimHeader memory garbage = headerFor(keccak256("garbage"), 1, terms);
        vm.prank(operator);
        name.claimId = relayer.claim{value: BOND}(garbage.root, 1, terms, 0, hex"da7a", "");
        name.header = garbage;
        demandLeaf();
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongLeaf.selector, name.claimId, 0));
        court.answerLeaf(shownLeaf());
        uint256 deadline = vm.getBlockTimestamp() + ANSWER_WINDOW;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.TooEarly.selector, deadline));
        court.resolve(name, Kind.Leaf, 0);
        pass(1);
        court.resolve(name, Kind.Leaf, 0);
        assertEq(available(CHALLENGER), BOND / 2, "half of the claim's bond");
        assertEq(funds(CHALLENGER), LEAF_BOND, "the demander's own is back");
        assertEq(stake(), 2 * STAKE, "silence isn't a lie");
    }

    function test_a_demand_names_a_leaf_of_the_claim() public {
        name.index = 1;
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongLeaf.selector, name.claimId, 1));
        demandLeaf();
        name.index = 0;
        name.header.count = 2;
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongClaim.selector, name.claimId));
        demandLeaf();
    }

    function test_an_answer_that_is_late_is_none() public {
        demandLeaf();
        uint256 deadline = vm.getBlockTimestamp() + ANSWER_WINDOW;
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.TooLate.selector, deadline));
        court.answerLeaf(shownLeaf());
    }

    // ---- block hashes

    function slice(uint256 start, uint256 end) private view returns (bytes32[] memory part) {
        part = new bytes32[](end - start);
        for (uint256 i = start; i < end; ++i) {
            part[i - start] = hashes[i];
        }
    }

    function test_hashes_are_shown_and_paid_by_their_number() public {
        demandHashes(0);
        vm.prank(STRANGER);
        court.answerHashes(shownLeaf(), 0, slice(0, LAST + 1), noProof());
        uint256 paid = (150_000 + 1_500 * (LAST + 1)) * GAS_PRICE;
        assertEq(funds(STRANGER), paid, "paid");
        assertEq(funds(CHALLENGER), HASHES_BOND - paid, "the rest is back");
    }

    function test_hashes_that_are_not_the_trees_are_refused() public {
        demandHashes(0);
        ShownLeaf memory leaf = shownLeaf();
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, 0));
        court.answerHashes(leaf, 0, slice(0, LAST), noProof());
        bytes32[] memory other = slice(0, LAST + 1);
        other[3] = keccak256("other");
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongHash.selector, 0));
        court.answerHashes(leaf, 0, other, noProof());
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, 1));
        demandHashes(1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotOpen.selector, Kind.Hashes, 0));
        this.answerTwice(leaf);
    }

    function answerTwice(ShownLeaf calldata leaf) external {
        court.answerHashes(leaf, 0, slice(0, LAST + 1), noProof());
        court.answerHashes(leaf, 0, slice(0, LAST + 1), noProof());
    }

    /// @dev Long ranges are shown in parts of 1,024.
    function test_hashes_of_a_long_range() public {
        claimLong(2100);
        ShownLeaf memory leaf = shownLeaf();
        for (uint64 position; position < 3; ++position) {
            demandHashes(position);
        }
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, 3));
        demandHashes(3);
        for (uint64 position; position < 3; ++position) {
            uint256 end = position == 2 ? 2100 : 1024 * (position + 1);
            court.answerHashes(leaf, position, slice(1024 * position, end), nodeProof(position));
            assertStatus(Kind.Hashes, position, DisputeStatus.Closed);
        }
        assertEq(funds(address(this)), (3 * 150_000 + 1_500 * 2100) * GAS_PRICE, "paid");
    }

    /// @dev Of a node over 1,024 hashes in the tree of 2,100, padded to 4,096.
    function nodeProof(uint256 position) private view returns (bytes32[] memory) {
        bytes32[] memory nodes = new bytes32[](4);
        for (uint256 k; k < 4; ++k) {
            bytes32[] memory leaves = new bytes32[](1024);
            for (uint256 i; i < 1024 && 1024 * k + i < hashes.length; ++i) {
                leaves[i] = SessionHash.blockHashLeaf(hashes[1024 * k + i]);
            }
            nodes[k] = MerkleTree.rootInPlace(leaves);
        }
        return proofOf(nodes, position);
    }

    /// @dev INVARIANT I1: a tree that ends otherwise than the leaf says can't be shown.
    function test_I1_another_last_hash_than_the_leafs_has_no_answer() public {
        SessionClaim memory value = content;
        value.chain.lastHash = keccak256("other");
        claimAs(operator, value);
        demandHashes(0);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongHash.selector, LAST));
        court.answerHashes(shownLeaf(), 0, slice(0, LAST + 1), noProof());
        demandBlock(LAST);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongHash.selector, LAST));
        court.answerBlock(shownLeaf(), shown(LAST - 1), shown(LAST), header, transactions);
    }

    function test_an_absurd_range_has_no_answer() public {
        SessionClaim memory value = content;
        (value.chain.lastNumber, value.firstNumber) = (type(uint64).max, 0);
        delete hashes;
        value.chain.blockHashesRoot = keccak256("a tree of 2^64 leaves");
        claimAs(operator, value);
        demandHashes(type(uint64).max >> 10);
        demandBlock(type(uint64).max);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, uint64(1) << 54));
        demandHashes(uint64(1) << 54);
        pass(ANSWER_WINDOW + 1);
        court.resolve(name, Kind.Hashes, type(uint64).max >> 10);
        court.reclaim(name.claimId, 0, Kind.Block, type(uint64).max);
        assertEq(funds(CHALLENGER), HASHES_BOND + BLOCK_BOND, "all is back");
    }

    // ---- blocks

    function answerBlock() private {
        court.answerBlock(shownLeaf(), shown(NUMBER - 1), shown(NUMBER), header, transactions);
    }

    function test_a_block_is_shown_and_paid_by_its_bytes() public {
        demandBlock(NUMBER);
        vm.prank(STRANGER);
        answerBlock();
        uint256 paid = (250_000 + 50 * (header.length + 3 * 33) + 3 * 10_000) * GAS_PRICE;
        assertEq(funds(STRANGER), paid, "paid");
        assertEq(funds(CHALLENGER), BLOCK_BOND - paid, "the rest is back");
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotOpen.selector, Kind.Block, NUMBER));
        answerBlock();
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.AlreadyOpened.selector, Kind.Block, NUMBER));
        demandBlock(NUMBER);
    }

    function expectNoAnswer(bytes memory reason) private {
        ShownLeaf memory leaf = shownLeaf();
        (ShownHash memory parent, ShownHash memory target) = (shown(NUMBER - 1), shown(NUMBER));
        vm.expectRevert(reason);
        court.answerBlock(leaf, parent, target, header, transactions);
    }

    function test_another_block_is_no_answer() public {
        demandBlock(NUMBER);
        bytes memory right = header;
        header = bytes.concat(right, hex"00");
        expectNoAnswer(abi.encodeWithSelector(IBlockFacts.WrongHeader.selector, NUMBER));
        header = right;
        transactions.push("one more");
        expectNoAnswer(abi.encodeWithSelector(IBlockFacts.WrongTransactions.selector, NUMBER));
        transactions.pop();
        transactions.pop();
        expectNoAnswer(abi.encodeWithSelector(IBlockFacts.WrongTransactions.selector, NUMBER));
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongRange.selector, 2, NUMBER));
        court.answerBlock(shownLeaf(), shown(2), shown(NUMBER), header, transactions);
    }

    function expectUnshowable(bytes memory wrong) private {
        header = wrong;
        hashes[NUMBER] = keccak256(wrong);
        claimAs(operator, content);
        demandBlock(NUMBER);
        expectNoAnswer(abi.encodeWithSelector(IBlockFacts.WrongHeader.selector, NUMBER));
        pass(ANSWER_WINDOW + 1);
        court.resolve(name, Kind.Block, NUMBER);
        assertDead("unproven");
    }

    function test_a_header_of_another_parent_has_no_answer() public {
        expectUnshowable(headerOf(hashes[NUMBER], NUMBER));
    }

    function test_a_header_of_another_number_has_no_answer() public {
        expectUnshowable(headerOf(hashes[NUMBER - 1], NUMBER + 1));
    }

    /// @dev Every hash has bytes; which are no header have no answer.
    function test_what_is_no_header_has_no_answer() public {
        bytes[4] memory wrong = [bytes(""), hex"00", hex"c0", abi.encodePacked(keccak256("garbage"))];
        for (uint256 i; i < wrong.length; ++i) {
            header = wrong[i];
            hashes[NUMBER] = keccak256(header);
            claimAs(operator, content);
            demandBlock(NUMBER);
            (bool success,) = address(court)
                .call(
                    abi.encodeCall(
                        court.answerBlock, (shownLeaf(), shown(NUMBER - 1), shown(NUMBER), header, transactions)
                    )
                );
            assertTrue(!success, "no header");
        }
    }

    function test_blocks_of_the_range_are_demanded() public {
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, 0));
        demandBlock(0);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, LAST + 1));
        demandBlock(LAST + 1);
        demandBlock(LAST);
        demandBlock(1);
    }

    /// @dev Of a block that is too large for a transaction, a proof is the answer.
    function test_a_proof_answers_a_demand() public {
        demandBlock(NUMBER);
        demandHashes(0);
        Answered memory answered;
        answered.blocks = new uint64[](1);
        answered.blocks[0] = NUMBER;
        proveRange(NUMBER - 1, NUMBER, answered);
        assertEq(funds(PROVER), BLOCK_BOND / 2, "the prover's");
        assertEq(funds(address(0)), BLOCK_BOND / 2, "burnt");
        // Nobody keeps data back to be paid for a proof.
        assertTrue(funds(PROVER) < 20_000_000 * GAS_PRICE, "less than it costs");
        answered.blocks = new uint64[](0);
        answered.hashes = new uint64[](1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotCovered.selector, Kind.Hashes, 0));
        proveRange(0, LAST - 1, answered);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotCovered.selector, Kind.Hashes, 0));
        proveRange(4, LAST, answered);
        proveRange(0, LAST, nothing());
        // Who proves a block doesn't earn what the proof of the whole does.
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NotCovered.selector, Kind.Hashes, 0));
        proveRange(2, 3, answered);
        proveRange(0, LAST, answered);
        assertStatus(Kind.Hashes, 0, DisputeStatus.Closed);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.AlreadyProven.selector, LAST));
        demandHashes(0);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.AlreadyProven.selector, LAST));
        demandBlock(3);
    }

    // ---- response times

    function test_I1_what_was_shown_late_can_be_challenged_after_the_window() public {
        vm.warp(windowEnd());
        demandHashes(0);
        pass(ANSWER_WINDOW);
        court.answerHashes(shownLeaf(), 0, slice(0, LAST + 1), noProof());
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotLive.selector, name.claimId, 0));
        settle();
        pass(RESPONSE_TIME);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.TooEarly.selector, vm.getBlockTimestamp()));
        court.release(name);
        challenge(7); // the last second
        pass(1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NothingHeld.selector, name.claimId, 0));
        court.release(name);
        vm.expectPartialRevert(IDisputeGame.TooLate.selector);
        challenge(8);
        pass(PROOF_WINDOW);
        court.resolve(name, Kind.Challenge, 7);
        assertDead("dead");
    }

    function test_I2_an_answered_demand_is_released_by_anyone() public {
        vm.warp(windowEnd());
        demandLeaf();
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NothingHeld.selector, name.claimId, 0));
        court.release(name);
        court.answerLeaf(shownLeaf());
        pass(RESPONSE_TIME + 1);
        vm.prank(STRANGER);
        court.release(name);
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.NothingHeld.selector, name.claimId, 0));
        court.release(name);
        vm.expectPartialRevert(IDisputeGame.TooLate.selector);
        challenge(5);
        settle();
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
    }

    /// @dev INVARIANT I2: the deepest nesting there is, each step at its last second.
    function test_I2_the_longest_dispute_has_its_bound() public {
        vm.warp(windowEnd());
        demandLeaf();
        pass(ANSWER_WINDOW);
        court.answerLeaf(shownLeaf());
        pass(RESPONSE_TIME);
        demandHashes(0);
        pass(ANSWER_WINDOW);
        court.answerHashes(shownLeaf(), 0, slice(0, LAST + 1), noProof());
        pass(RESPONSE_TIME);
        vm.expectPartialRevert(IDisputeGame.AlreadyOpened.selector);
        demandHashes(0);
        demandBlock(NUMBER);
        pass(ANSWER_WINDOW);
        answerBlock();
        pass(RESPONSE_TIME);
        vm.expectPartialRevert(IDisputeGame.TooLate.selector);
        demandBlock(NUMBER + 1); // no demand after a demand of its kind
        challenge(7);
        pass(PROOF_WINDOW);
        assertEq(vm.getBlockTimestamp(), windowEnd() + court.maxDisputeTime(), "the bound");
        proveBlock(7);
        settle();
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
    }

    function test_I2_a_later_kind_opens_no_earlier_one() public {
        vm.warp(windowEnd());
        demandBlock(NUMBER);
        answerBlock();
        vm.warp(windowEnd() + 1);
        vm.expectPartialRevert(IDisputeGame.TooLate.selector);
        demandLeaf();
        vm.expectPartialRevert(IDisputeGame.TooLate.selector);
        demandHashes(0);
        vm.expectPartialRevert(IDisputeGame.TooLate.selector);
        demandBlock(NUMBER + 1);
        challenge(NUMBER);
    }

    function test_I2_hashes_open_no_other_hashes() public {
        claimLong(2100);
        vm.warp(windowEnd());
        demandHashes(0);
        court.answerHashes(shownLeaf(), 0, slice(0, 1024), nodeProof(0));
        pass(1);
        vm.expectPartialRevert(IDisputeGame.TooLate.selector);
        demandHashes(1); // those that are of interest are demanded together
        demandBlock(NUMBER);
    }

    /// @dev INVARIANT I1: a proof that answers a demand may be the first to show where the range starts.
    function test_I1_a_demand_answered_by_proof_leaves_time_to_look_at_block_0() public {
        SessionClaim memory value = content;
        hashes[0] = keccak256("of the liar's making");
        claimAs(operator, value);
        vm.warp(windowEnd());
        demandHashes(0);
        pass(ANSWER_WINDOW);
        Answered memory answered;
        answered.hashes = new uint64[](1);
        proveRange(0, LAST, answered);
        vm.expectPartialRevert(IDisputeGame.TooEarly.selector);
        court.release(name);
        pass(RESPONSE_TIME);
        court.disproveGenesis(shownLeaf(), terms, config, opening(), shown(0));
        assertDead("dead");
    }

    function test_reclaiming_needs_a_dead_leaf() public {
        demandLeaf();
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.LeafAlive.selector, name.claimId, 0));
        court.reclaim(name.claimId, 0, Kind.Leaf, 0);
    }
}
