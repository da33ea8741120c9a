// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkRelayer} from "../../src/interfaces/IZkRelayer.sol";
import {
    ClaimHeader,
    ClaimedChain,
    DataMode,
    SessionConfig,
    SessionStatus,
    Settlement,
    Terms
} from "../../src/interfaces/Types.sol";
import {MerkleTree} from "../../src/libraries/MerkleTree.sol";
import {SessionHash} from "../../src/libraries/SessionHash.sol";
import {TestBase} from "./TestBase.sol";
import {TestDisputeGame} from "./TestDisputeGame.sol";

/// @dev Opens sessions and makes claims of them as the node does.
abstract contract RelayerFixture is TestBase {
    uint256 internal constant START = 1_800_000_000;
    uint32 internal constant MIN_WINDOW = 60;
    uint32 internal constant WINDOW = 600;
    bytes32 internal constant SESSION_RESULT_TYPEHASH =
        keccak256("SessionResult(bytes32 configHash,bytes32 resultHash,uint64 validUntil)");
    uint96 internal constant BOND = 0.01 ether;
    uint256 internal constant ALICE_KEY = 0xA11CE;
    uint256 internal constant BOB_KEY = 0xB0B;
    uint256 internal constant OPERATOR_KEY = 0x0be7a708;

    IZkRelayer internal relayer;
    bytes32 internal templateId;
    address internal alice;
    address internal bob;
    address internal operator;
    address internal disputes;

    function setUpRelayer() internal {
        vm.warp(START);
        vm.roll(100);
        relayer = IZkRelayer(vm.deployCode("ZkRelayer.sol:ZkRelayer", abi.encode(MIN_WINDOW)));
        templateId = relayer.registerTemplate(keccak256("state"), keccak256("data"), "");
        alice = vm.addr(ALICE_KEY);
        bob = vm.addr(BOB_KEY);
        operator = vm.addr(OPERATOR_KEY);
        vm.deal(operator, 1000 ether);
        disputes = address(new TestDisputeGame(relayer));
    }

    function hashOf(Terms memory terms) internal pure returns (bytes32) {
        return keccak256(abi.encode(terms));
    }

    function hashOf(address[] memory players) internal pure returns (bytes32) {
        return keccak256(abi.encode(players));
    }

    function defaultTerms() internal view returns (Terms memory) {
        return Terms({
            operator: operator,
            disputeGame: disputes,
            verifier: address(0),
            programId: keccak256("program"),
            claimBond: BOND,
            challengeWindow: WINDOW,
            inclusionDelay: 120,
            abortDelay: WINDOW + 1 hours,
            callbackGas: 200_000,
            dataMode: DataMode.Calldata
        });
    }

    function twoPlayers() internal view returns (address[] memory players) {
        players = new address[](2);
        (players[0], players[1]) = (alice, bob);
    }

    function defaultDeadline() internal view returns (uint64) {
        return uint64(vm.getBlockTimestamp() + 1 days);
    }

    /// @dev Opens a session with this contract's caller `game` and returns its configuration.
    function openFrom(address game, Terms memory terms, address[] memory players)
        internal
        returns (SessionConfig memory config)
    {
        uint64 deadline = defaultDeadline();
        bytes32 termsHash = relayer.registerTerms(templateId, terms);
        vm.prank(game);
        uint64 sessionId = relayer.openSession(templateId, termsHash, players, hex"1234", deadline);
        config = configOf(sessionId, game, terms, players, deadline);
        assertTrue(relayer.sessionStatus(sessionId) == SessionStatus.Open, "opened");
    }

    /// @dev The configuration of a session opened in this block by the fixture's template and init data.
    function configOf(
        uint64 sessionId,
        address game,
        Terms memory terms,
        address[] memory players,
        uint64 deadline
    ) internal view returns (SessionConfig memory) {
        return SessionConfig({
            sessionId: sessionId,
            openedAt: uint64(vm.getBlockTimestamp()),
            openedBlock: 100,
            deadline: deadline,
            game: game,
            templateId: templateId,
            playersHash: hashOf(players),
            initDataHash: keccak256(hex"1234"),
            termsHash: hashOf(terms)
        });
    }

    function setupHashOf(SessionConfig memory config) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                config.openedBlock, config.deadline, config.templateId, config.playersHash, config.initDataHash
            )
        );
    }

    /// @dev The blocks of `itemFor`.
    function chainFor(uint64 sessionId) internal pure returns (ClaimedChain memory) {
        return ClaimedChain({
            seed: keccak256(abi.encode("seed", sessionId)),
            lastNumber: 93,
            lastHash: keccak256(abi.encode("last", sessionId)),
            blockHashesRoot: keccak256(abi.encode("blocks", sessionId))
        });
    }

    function itemFor(SessionConfig memory config, bytes memory result) internal view returns (Settlement memory) {
        return Settlement({
            sessionId: config.sessionId,
            openedAt: config.openedAt,
            game: config.game,
            setupHash: setupHashOf(config),
            firstNumber: 0,
            lastTimestamp: uint64(vm.getBlockTimestamp()),
            inboxCount: 0,
            chainHash: SessionHash.chain(chainFor(config.sessionId)),
            result: result
        });
    }

    /// @dev The leaf that `item` settles, of the session of `config`.
    function leafFor(SessionConfig memory config, Settlement memory item) internal view returns (bytes32) {
        return leafFor(config, item, keccak256(item.result));
    }

    function leafFor(SessionConfig memory config, Settlement memory item, bytes32 resultHash)
        internal
        view
        returns (bytes32)
    {
        bytes32 encoded = keccak256(
            abi.encode(
                relayer.configHash(config),
                resultHash,
                relayer.inboxHash(item.sessionId, item.inboxCount),
                item.firstNumber,
                item.lastTimestamp,
                item.inboxCount,
                item.chainHash
            )
        );
        return keccak256(bytes.concat(encoded));
    }

    function headerFor(bytes32 root, uint32 count, Terms memory terms) internal view returns (ClaimHeader memory) {
        return ClaimHeader({
            root: root,
            termsHash: hashOf(terms),
            disputeGame: terms.disputeGame,
            claimBond: terms.claimBond,
            challengeWindow: terms.challengeWindow,
            callbackGas: terms.callbackGas,
            count: count,
            claimedAt: uint64(vm.getBlockTimestamp())
        });
    }

    function post(bytes32 root, uint32 count, Terms memory terms)
        internal
        returns (uint64 claimId, ClaimHeader memory header)
    {
        header = headerFor(root, count, terms);
        vm.prank(operator);
        claimId = relayer.claim{value: uint256(terms.claimBond) * count}(root, count, terms, 0, hex"da7a", "");
    }

    /// @dev A claim of one session.
    function claimOne(SessionConfig memory config, Terms memory terms, bytes memory result)
        internal
        returns (uint64 claimId, ClaimHeader memory header, Settlement memory item)
    {
        item = itemFor(config, result);
        (claimId, header) = post(leafFor(config, item), 1, terms);
    }

    /// @dev A claim of several sessions with equal terms.
    function claimAll(SessionConfig[] memory configs, Settlement[] memory items, Terms memory terms)
        internal
        returns (uint64 claimId, ClaimHeader memory header, bytes32[] memory leaves)
    {
        leaves = new bytes32[](items.length);
        bytes32[] memory tree = new bytes32[](items.length);
        for (uint256 i; i < items.length; ++i) {
            leaves[i] = leafFor(configs[i], items[i]);
            tree[i] = leaves[i];
        }
        (claimId, header) = post(MerkleTree.rootInPlace(tree), uint32(items.length), terms);
    }

    function proofOf(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory proof) {
        uint256 levels = MerkleTree.depth(leaves.length);
        bytes32[] memory level = new bytes32[](uint256(1) << levels);
        for (uint256 i; i < leaves.length; ++i) level[i] = leaves[i];
        proof = new bytes32[](levels);
        for (uint256 l; l < levels; ++l) {
            proof[l] = level[index ^ 1];
            index >>= 1;
            for (uint256 i; i < (uint256(1) << (levels - l - 1)); ++i) {
                level[i] = MerkleTree.hashPair(level[2 * i], level[2 * i + 1]);
            }
        }
    }

    function status(uint64 sessionId) internal view returns (SessionStatus) {
        return relayer.sessionStatus(sessionId);
    }

    function available(address account) internal view returns (uint256 amount) {
        (amount,) = relayer.bondAccount(account);
    }

    function locked(address account) internal view returns (uint256 amount) {
        (, amount) = relayer.bondAccount(account);
    }

    function passWindow() internal {
        vm.warp(vm.getBlockTimestamp() + WINDOW + 1);
    }

    function noProof() internal pure returns (bytes32[] memory) {
        return new bytes32[](0);
    }

    function typedDataDigest(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", relayer.domainSeparator(), structHash));
    }

    function resultDigest(bytes32 configHash, bytes memory result, uint64 validUntil) internal view returns (bytes32) {
        return typedDataDigest(
            keccak256(abi.encode(SESSION_RESULT_TYPEHASH, configHash, keccak256(result), validUntil))
        );
    }

    function signResult(uint256 key, bytes32 configHash, bytes memory result, uint64 validUntil)
        internal
        returns (bytes memory)
    {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, resultDigest(configHash, result, validUntil));
        return abi.encodePacked(r, s, v);
    }
}
