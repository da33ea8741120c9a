// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {
    Answered,
    DisputeRules,
    DisputeStatus,
    Evidence,
    Kind,
    LeafName,
    Opening,
    Preconfirmation,
    ShownHash,
    ShownLeaf
} from "../../src/interfaces/DisputeTypes.sol";
import {IBlockFacts} from "../../src/interfaces/IBlockFacts.sol";
import {IDisputeGame} from "../../src/interfaces/IDisputeGame.sol";
import {IOperatorStakes} from "../../src/interfaces/IOperatorStakes.sol";
import {
    Anchor,
    ClaimHeader,
    ClaimedChain,
    SessionClaim,
    SessionConfig,
    Settlement,
    Terms
} from "../../src/interfaces/Types.sol";
import {MerkleTree} from "../../src/libraries/MerkleTree.sol";
import {Recovery} from "../../src/libraries/RecoveryList.sol";
import {SessionHash} from "../../src/libraries/SessionHash.sol";
import {ProvenStatement, Statement, Verdict} from "../../src/libraries/Statement.sol";
import {HostileGame} from "./Games.sol";
import {L1Chain} from "./L1Chain.sol";
import {RelayerFixture} from "./RelayerFixture.sol";
import {TestVerifier} from "./TestDisputeGame.sol";

/// @dev Sessions whose claims are disputed. Blocks are hashes of arbitrary words but for block 0; their proofs are the statements themselves.
abstract contract DisputeFixture is RelayerFixture, L1Chain {
    uint32 internal constant PROOF_WINDOW = 3600;
    uint32 internal constant ANSWER_WINDOW = 300;
    uint32 internal constant RESPONSE_TIME = 200;
    uint256 internal constant GAS_PRICE = 5 gwei;
    uint96 internal constant CHALLENGE_BOND = 0.21 ether;
    uint256 internal constant LEAF_BOND = 0.00075 ether; // 150,000 gas
    uint256 internal constant HASHES_BOND = 0.00843 ether; // 150,000 gas and 1,500 for each of 1,024
    uint256 internal constant BLOCK_BOND = 0.05 ether; // 10,000,000 gas
    uint96 internal constant STAKE = 1 ether;
    uint64 internal constant LAST = 12;

    address internal constant CHALLENGER = address(0xc4a11e);
    address internal constant PROVER = address(0x9207e2);
    address internal constant STRANGER = address(0x57a26e);

    IDisputeGame internal court;
    IOperatorStakes internal stakes;
    IBlockFacts internal facts;
    HostileGame internal game;

    Terms internal terms;
    SessionConfig internal config;
    bytes32[] internal hashes; // of the claimed blocks
    SessionClaim internal content;
    LeafName internal name;

    function testRules() internal pure returns (DisputeRules memory) {
        return DisputeRules({
            gasPrice: uint96(GAS_PRICE),
            provingCost: 0.001 ether,
            challengeBond: CHALLENGE_BOND,
            operatorStake: STAKE,
            burntShare: 5_000,
            proofWindow: PROOF_WINDOW,
            answerWindow: ANSWER_WINDOW,
            responseTime: RESPONSE_TIME,
            stakeDelay: 14 days
        });
    }

    function setUpDisputes() internal {
        setUpRelayer();
        setUpHistory();
        court = IDisputeGame(vm.deployCode("DisputeGame.sol:DisputeGame", abi.encode(address(relayer), testRules())));
        (stakes, facts) = (court.stakes(), court.facts());
        game = new HostileGame(relayer);
        terms = defaultTerms();
        terms.disputeGame = address(court);
        terms.verifier = address(new TestVerifier());
        terms.abortDelay = uint32(WINDOW + court.maxDisputeTime() + 1 hours);
        for (uint256 i; i < 3; ++i) {
            vm.deal([CHALLENGER, PROVER, STRANGER][i], 1000 ether);
        }
        vm.prank(operator);
        stakes.depositStake{value: 2 * STAKE}();
        config = openFrom(address(game), terms, twoPlayers());
    }

    /// @dev What setUpRelayer's template and openFrom's session are made of.
    function opening() internal view returns (Opening memory) {
        return Opening(keccak256("state"), keccak256("data"), twoPlayers(), hex"1234");
    }

    function randao() internal pure returns (bytes32) {
        return keccak256("randao");
    }

    function trueSeed() internal view returns (bytes32) {
        return keccak256(abi.encode(randao(), config.sessionId));
    }

    function openingHeader() internal view returns (bytes memory) {
        return l1Header(config.openedBlock + 1, randao());
    }

    function genesisHash(bytes32 seed) internal view returns (bytes32) {
        uint64 chainId = relayer.chainIdBase() + config.sessionId;
        return facts.genesisOf(config, relayer.configHash(config), chainId, opening(), seed);
    }

    function blockHash(uint64 number) internal view returns (bytes32) {
        return keccak256(abi.encode("block", config.sessionId, number));
    }

    // ---- claims

    /// @dev Of blocks 0 to LAST, all as they were played.
    function trueContent() internal returns (SessionClaim memory value) {
        delete hashes;
        hashes.push(genesisHash(trueSeed()));
        for (uint64 number = 1; number <= LAST; ++number) {
            hashes.push(blockHash(number));
        }
        value.configHash = relayer.configHash(config);
        value.resultHash = keccak256("result");
        value.lastTimestamp = uint64(vm.getBlockTimestamp());
        value.chain = ClaimedChain(trueSeed(), LAST, hashes[LAST], 0);
    }

    /// @dev Claims `value` with `hashes`, as `claimant`.
    function claimAs(address claimant, SessionClaim memory value) internal {
        bytes32[] memory leaves = hashLeaves();
        if (leaves.length != 0) value.chain.blockHashesRoot = MerkleTree.rootInPlace(leaves);
        content = value;
        ClaimHeader memory header = headerFor(SessionHash.leaf(value), 1, terms);
        vm.deal(claimant, claimant.balance + BOND);
        vm.prank(claimant);
        uint64 claimId = relayer.claim{value: BOND}(header.root, 1, terms, 0, hex"da7a", "");
        name = LeafName(claimId, 0, header);
    }

    function claimTruly() internal {
        claimAs(operator, trueContent());
    }

    function hashLeaves() internal view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](hashes.length);
        for (uint256 i; i < leaves.length; ++i) {
            leaves[i] = SessionHash.blockHashLeaf(hashes[i]);
        }
    }

    function shownLeaf() internal view returns (ShownLeaf memory) {
        return ShownLeaf(name, content, noProof());
    }

    function shown(uint64 number) internal view returns (ShownHash memory) {
        uint256 index = number - content.firstNumber;
        return ShownHash(number, hashes[index], proofOf(hashLeaves(), index));
    }

    function item() internal view returns (Settlement memory) {
        return Settlement({
            sessionId: config.sessionId,
            openedAt: config.openedAt,
            game: config.game,
            setupHash: setupHashOf(config),
            firstNumber: content.firstNumber,
            lastTimestamp: content.lastTimestamp,
            inboxCount: content.inboxCount,
            chainHash: SessionHash.chain(content.chain),
            result: "result"
        });
    }

    function settle() internal {
        relayer.settle(name.claimId, name.header, item(), 0, noProof());
    }

    function bind() internal {
        relayer.bindLeaf(
            name.claimId, name.header, item(), content.resultHash, 0, noProof(), content.chain, Anchor(0, noProof())
        );
    }

    // ---- disputes

    function challengeAs(address who, uint64 number) internal {
        ShownLeaf memory leaf = shownLeaf();
        (ShownHash memory parent, ShownHash memory target) = (shown(number - 1), shown(number));
        vm.prank(who);
        court.challenge{value: CHALLENGE_BOND}(leaf, parent, target);
    }

    function challenge(uint64 number) internal {
        challengeAs(CHALLENGER, number);
    }

    function demandLeaf() internal {
        vm.prank(CHALLENGER);
        court.demandLeaf{value: LEAF_BOND}(name);
    }

    function demandHashes(uint64 position) internal {
        ShownLeaf memory leaf = shownLeaf();
        vm.prank(CHALLENGER);
        court.demandHashes{value: HASHES_BOND}(leaf, position);
    }

    function demandBlock(uint64 number) internal {
        ShownLeaf memory leaf = shownLeaf();
        vm.prank(CHALLENGER);
        court.demandBlock{value: BLOCK_BOND}(leaf, number);
    }

    /// @dev What a true proof about a block in the middle of the claim says.
    function evidence(uint64 toNumber) internal view returns (Evidence memory value) {
        value.prover = PROVER;
        value.toNumber = toNumber;
        value.toTimestamp = content.lastTimestamp;
        if (toNumber == content.chain.lastNumber) value.resultHash = content.resultHash;
        value.inboxHash = content.inboxHash;
    }

    /// @dev Makes the statement its own proof.
    function prepare(bytes32 fromHash, bytes32 toHash, Verdict verdict, Evidence memory value)
        internal
        view
        returns (Evidence memory)
    {
        bytes32 statement = Statement.hash(
            ProvenStatement({
                configHash: content.configHash,
                fromHash: fromHash,
                toHash: toHash,
                verdict: verdict,
                resultHash: value.resultHash,
                inboxHash: value.inboxHash,
                toNumber: value.toNumber,
                toTimestamp: value.toTimestamp,
                recoveriesHash: recoveriesHash(value.recoveries),
                prover: value.prover
            })
        );
        value.head = abi.encode(terms.programId, statement);
        return value;
    }

    function recoveriesHash(Recovery[] memory list) internal pure returns (bytes32) {
        bytes memory words;
        for (uint256 i; i < list.length; ++i) {
            words = bytes.concat(words, abi.encode(list[i]));
        }
        return keccak256(words);
    }

    function proveRange(uint64 from, uint64 to, Evidence memory value, Answered memory answered) internal {
        ShownHash memory first = shown(from);
        ShownHash memory last = shown(to);
        value = prepare(first.blockHash, last.blockHash, Verdict.Valid, value);
        court.prove(shownLeaf(), terms, first, last, value, answered);
    }

    function proveRange(uint64 from, uint64 to, Answered memory answered) internal {
        proveRange(from, to, evidence(to), answered);
    }

    /// @dev The challenge of block `number` by the proof of this block.
    function proveBlock(uint64 number) internal {
        proveRange(number - 1, number, challenges(number));
    }

    function challenges(uint64 number) internal pure returns (Answered memory answered) {
        answered.challenges = new uint64[](1);
        answered.challenges[0] = number;
    }

    function nothing() internal pure returns (Answered memory answered) {}

    function proveFault(uint64 number) internal {
        Evidence memory value;
        value.prover = PROVER;
        (ShownHash memory parent, ShownHash memory target) = (shown(number - 1), shown(number));
        value = prepare(parent.blockHash, target.blockHash, Verdict.Invalid, value);
        court.proveFault(shownLeaf(), terms, parent, target, value);
    }

    // ---- money

    function funds(address who) internal view returns (uint256 amount) {
        (amount,) = court.bondAccount(who);
    }

    function lockedFunds(address who) internal view returns (uint256 amount) {
        (, amount) = court.bondAccount(who);
    }

    function stake() internal view returns (uint256 staying) {
        (staying,,) = stakes.stakeOf(operator);
    }

    // ---- preconfirmations

    function sign(uint256 key, uint64 sessionId, uint64 number, bytes32 hash)
        internal
        returns (Preconfirmation memory signed)
    {
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Preconfirmation(uint64 sessionId,uint64 number,bytes32 blockHash)"), sessionId, number, hash
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, typedDataDigest(message));
        return Preconfirmation(sessionId, number, hash, abi.encodePacked(r, s, v));
    }

    // ---- what must be

    function assertDead(string memory what) internal {
        (,, bool killed,,) = court.leafState(name.claimId, 0);
        (, bool atRelayer,) = relayer.leafRecord(name.claimId, 0);
        assertTrue(killed && atRelayer, what);
        vm.warp(vm.getBlockTimestamp() + 60 days);
        vm.expectPartialRevert(bytes4(keccak256("LeafNotLive(uint64,uint32)")));
        settle();
    }

    function assertStatus(Kind kind, uint64 number, DisputeStatus expected) internal view {
        (DisputeStatus actual,,) = court.disputeOf(name.claimId, 0, kind, number);
        assertTrue(actual == expected, "status of a dispute");
    }

    function windowEnd() internal view returns (uint256) {
        return uint256(name.header.claimedAt) + name.header.challengeWindow;
    }
}
