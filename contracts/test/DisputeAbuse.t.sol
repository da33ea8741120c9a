// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {
    Answered,
    DisputeStatus,
    Evidence,
    Kind,
    LeafName,
    ShownHash,
    ShownLeaf
} from "../src/interfaces/DisputeTypes.sol";
import {IDisputeGame} from "../src/interfaces/IDisputeGame.sol";
import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {Anchor, ClaimHeader, SessionClaim, SessionConfig, SessionStatus, Settlement} from "../src/interfaces/Types.sol";
import {MerkleTree} from "../src/libraries/MerkleTree.sol";
import {SessionHash} from "../src/libraries/SessionHash.sol";
import {Verdict} from "../src/libraries/Statement.sol";
import {DisputeFixture} from "./support/DisputeFixture.sol";
import {HostileGame, ReenteringWithdrawer, Refuser} from "./support/Games.sol";

/// @dev A verifier that does anything but verify.
contract HostileVerifier {
    enum Mode {
        Revert,
        BurnGas,
        Reenter,
        ReturnBomb
    }

    Mode public mode;
    address public target;
    bytes public call_;

    function set(Mode mode_, address target_, bytes calldata data) external {
        (mode, target, call_) = (mode_, target_, data);
    }

    function verify(bytes32, bytes32, bytes calldata) external returns (bool) {
        if (mode == Mode.Revert) revert("no");
        if (mode == Mode.BurnGas) while (true) {}
        if (mode == Mode.ReturnBomb) {
            assembly {
                return(0, 1000000)
            }
        }
        (bool success,) = target.call(call_);
        return success;
    }
}

/// @dev Claims of several sessions, ranges from checkpoints, and contracts that misbehave.
contract DisputeAbuseTest is DisputeFixture {
    function setUp() public {
        setUpDisputes();
    }

    // ---- claims of several sessions

    struct Many {
        SessionConfig[] configs;
        SessionClaim[] contents;
        bytes32[][] hashes;
        bytes32[] leaves;
    }

    Many private many;

    /// @dev One claim of three sessions; the fixture's variables are of its leaf `which` then.
    function claimThree() private {
        for (uint256 i; i < 3; ++i) {
            config = openFrom(address(game), terms, twoPlayers());
            SessionClaim memory value = trueContent();
            value.chain.blockHashesRoot = MerkleTree.rootInPlace(hashLeaves());
            many.configs.push(config);
            many.contents.push(value);
            many.hashes.push(hashes);
            many.leaves.push(SessionHash.leaf(value));
        }
        bytes32[] memory tree = many.leaves;
        (uint64 claimId, ClaimHeader memory header) = post(MerkleTree.rootInPlace(tree), 3, terms);
        name = LeafName(claimId, 0, header);
    }

    function leafOf(uint32 which) private returns (ShownLeaf memory) {
        config = many.configs[which];
        content = many.contents[which];
        hashes = many.hashes[which];
        name.index = which;
        return ShownLeaf(name, content, proofOf(many.leaves, which));
    }

    function challengeLeaf(uint32 which, uint64 number) private {
        ShownLeaf memory leaf = leafOf(which);
        (ShownHash memory parent, ShownHash memory target) = (shown(number - 1), shown(number));
        vm.prank(CHALLENGER);
        court.challenge{value: CHALLENGE_BOND}(leaf, parent, target);
    }

    function test_I5_a_dispute_of_one_session_leaves_the_others_alone() public {
        claimThree();
        challengeLeaf(1, 5);
        ShownLeaf memory leaf = leafOf(0);
        (ShownHash memory parent, ShownHash memory target) = (shown(4), shown(5));
        leaf.name.index = 1; // another leaf's content
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongLeaf.selector, name.claimId, 1));
        court.challenge(leaf, parent, target);
        leaf.name.index = 3;
        vm.expectRevert(abi.encodeWithSelector(MerkleTree.IndexOutOfRange.selector, 3, 3));
        court.challenge(leaf, parent, target);
        vm.warp(windowEnd() + 1);
        for (uint32 i; i < 3; i += 2) {
            bytes32[] memory proof = leafOf(i).proof;
            relayer.settle(name.claimId, name.header, item(), i, proof);
        }
        vm.warp(vm.getBlockTimestamp() + PROOF_WINDOW);
        leafOf(1);
        court.resolve(name, Kind.Challenge, 5);
        assertTrue(status(many.configs[0].sessionId) == SessionStatus.Settled, "settled");
        assertTrue(status(many.configs[1].sessionId) == SessionStatus.Open, "open");
        assertTrue(status(many.configs[2].sessionId) == SessionStatus.Settled, "settled");
        relayer.releaseBond(name.claimId, name.header);
        assertEq(available(operator), 2 * uint256(BOND), "two of three bonds");
    }

    function test_I8_a_proof_of_one_leaf_answers_no_other() public {
        claimThree();
        challengeLeaf(0, 5);
        challengeLeaf(1, 5);
        ShownLeaf memory leaf = leafOf(1);
        (ShownHash memory parent, ShownHash memory target) = (shown(4), shown(5));
        Evidence memory value = evidence(5);
        value = prepare(parent.blockHash, target.blockHash, Verdict.Valid, value);
        leaf = leafOf(0); // its own blocks are others
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongHash.selector, 4));
        court.prove(leaf, terms, parent, target, value, challenges(5));
        leaf = leafOf(1);
        court.prove(leaf, terms, parent, target, value, challenges(5));
        (DisputeStatus first,,) = court.disputeOf(name.claimId, 0, Kind.Challenge, 5);
        (DisputeStatus second,,) = court.disputeOf(name.claimId, 1, Kind.Challenge, 5);
        assertTrue(first == DisputeStatus.Open && second == DisputeStatus.Closed, "one of two");
    }

    // ---- ranges from checkpoints

    /// @dev A checkpoint of blocks 0 to LAST, then a range from LAST on, in dispute.
    function claimFromCheckpoint() private {
        SessionClaim memory value = trueContent();
        value.resultHash = 0;
        claimAs(operator, value);
        vm.warp(windowEnd() + 1);
        Settlement memory settlement = item();
        settlement.result = "";
        relayer.confirmCheckpoint(
            name.claimId, name.header, settlement, 0, noProof(), content.chain, Anchor(0, noProof())
        );
        bytes32 anchor = hashes[LAST];
        delete hashes;
        hashes.push(anchor);
        for (uint64 i = 1; i <= 6; ++i) {
            hashes.push(blockHash(LAST + i));
        }
        value.resultHash = keccak256("result");
        value.firstNumber = LAST;
        value.lastTimestamp = uint64(vm.getBlockTimestamp());
        (value.chain.lastNumber, value.chain.lastHash) = (LAST + 6, hashes[6]);
        claimAs(operator, value);
    }

    function test_a_range_from_a_checkpoint_is_disputed_by_its_numbers() public {
        claimFromCheckpoint();
        vm.expectRevert(abi.encodeWithSelector(IDisputeGame.WrongNumber.selector, LAST));
        demandBlock(LAST);
        challenge(LAST + 1);
        challenge(LAST + 4);
        proveRange(LAST, LAST + 6, challenges(LAST + 1));
        proveRange(LAST, LAST + 6, challenges(LAST + 4));
        vm.warp(windowEnd() + 1);
        relayer.settleFromCheckpoint(
            name.claimId, name.header, item(), 0, noProof(), content.chain, Anchor(hashes[0], proofOf(hashLeaves(), 0))
        );
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
    }

    /// @dev INVARIANT I1: a checkpoint's last hash is what later ranges start from.
    function test_I1_a_checkpoint_of_another_last_hash_is_never_confirmed() public {
        SessionClaim memory value = trueContent();
        (value.resultHash, value.chain.lastHash) = (0, keccak256("of the liar's making"));
        claimAs(operator, value);
        court.disproveRange(shownLeaf(), terms, shown(LAST));
        vm.warp(windowEnd() + 1);
        Settlement memory settlement = item();
        settlement.result = "";
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.LeafNotLive.selector, name.claimId, 0));
        relayer.confirmCheckpoint(
            name.claimId, name.header, settlement, 0, noProof(), content.chain, Anchor(0, noProof())
        );
    }

    // ---- hostile contracts

    /// @dev INVARIANT I5: the verifier is of the terms; it harms only their sessions.
    function test_I5_a_hostile_verifier_harms_only_its_own_sessions() public {
        HostileVerifier hostile = new HostileVerifier();
        claimTruly();
        ShownLeaf memory other = shownLeaf();
        challenge(5); // of a session with a right verifier
        terms.verifier = address(hostile);
        config = openFrom(address(game), terms, twoPlayers());
        claimTruly();
        challenge(5);
        bytes memory again = abi.encodeCall(court.release, (other.name));
        for (uint256 mode; mode < 4; ++mode) {
            hostile.set(HostileVerifier.Mode(mode), address(court), again);
            (bool success,) = address(this).call{gas: 5_000_000}(abi.encodeCall(this.proveLoaded, ()));
            // What it returns with a million bytes of zeros is false.
            assertTrue(!success, "nothing proven");
        }
        assertStatus(Kind.Challenge, 5, DisputeStatus.Open);
        vm.warp(vm.getBlockTimestamp() + PROOF_WINDOW + 1);
        court.resolve(name, Kind.Challenge, 5);
        assertDead("dead");
    }

    function proveLoaded() external {
        proveBlock(5);
    }

    /// @dev INVARIANT I2, I3: no payout calls anybody.
    function test_I3_a_challenger_that_refuses_ether_harms_nobody() public {
        claimTruly();
        Refuser refuser = new Refuser();
        vm.deal(address(refuser), 1 ether);
        challengeAs(address(refuser), 5);
        vm.warp(vm.getBlockTimestamp() + PROOF_WINDOW + 1);
        court.resolve(name, Kind.Challenge, 5);
        assertEq(funds(address(refuser)), CHALLENGE_BOND, "to be withdrawn");
        vm.expectRevert();
        refuser.withdrawFrom(address(court), 1);
        assertDead("dead");
    }

    function test_I3_a_reentering_withdrawer_is_paid_once() public {
        vm.deal(address(this), 2 ether);
        ReenteringWithdrawer thief = new ReenteringWithdrawer{value: 1 ether}(address(court));
        vm.prank(STRANGER);
        court.deposit{value: 1 ether}();
        thief.attack(0.5 ether);
        assertTrue(!thief.secondSucceeded(), "no second payment");
        assertEq(address(court).balance, 1.5 ether, "others' deposits stay");
    }

    function test_I3_locked_bonds_are_not_withdrawn() public {
        claimTruly();
        challenge(5);
        vm.prank(CHALLENGER);
        vm.expectRevert();
        court.withdraw(1, CHALLENGER);
    }

    /// @dev INVARIANT I5: a game that burns its gas when it is told the outcome can't undo a settlement by proof, nor reenter the court to any effect.
    function test_I5_a_hostile_game_changes_nothing_in_court() public {
        claimTruly();
        challenge(5);
        proveBlock(5);
        vm.warp(windowEnd() + 1);
        game.setMode(HostileGame.Mode.BurnGas, "");
        settle();
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "settled");
        assertTrue(relayer.callbackFailed(config.sessionId), "to be told again");
    }

    // ---- griefing

    /// @dev INVARIANT I2: whoever challenges every block of a right claim pays for each; the claim settles in time.
    function test_I2_challenge_griefing_pays_the_prover() public {
        claimTruly();
        vm.warp(windowEnd());
        for (uint64 number = 1; number <= LAST; ++number) {
            challenge(number);
        }
        uint64[] memory numbers = new uint64[](LAST);
        for (uint64 i; i < LAST; ++i) {
            numbers[i] = i + 1;
        }
        vm.warp(vm.getBlockTimestamp() + PROOF_WINDOW);
        this.proveAll(numbers);
        assertEq(funds(PROVER), LAST * CHALLENGE_BOND / 2, "one proof, paid twelve times");
        settle();
        assertTrue(vm.getBlockTimestamp() <= windowEnd() + court.maxDisputeTime(), "in time");
    }

    function proveAll(uint64[] calldata numbers) external {
        ShownHash memory first = shown(0);
        ShownHash memory last = shown(LAST);
        Evidence memory value = prepare(first.blockHash, last.blockHash, Verdict.Valid, evidence(LAST));
        court.prove(shownLeaf(), terms, first, last, value, Answered(numbers, new uint64[](0), new uint64[](0)));
    }
}
