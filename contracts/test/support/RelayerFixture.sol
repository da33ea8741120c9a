// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {
    ClaimHeader,
    DataMode,
    SessionClaim,
    SessionConfig,
    SessionStatus,
    Settlement,
    Terms
} from "../../src/interfaces/Types.sol";
import {MerkleTree} from "../../src/libraries/MerkleTree.sol";
import {SessionHash} from "../../src/libraries/SessionHash.sol";
import {ZkRelayer} from "../../src/ZkRelayer.sol";
import {TestBase} from "./TestBase.sol";

/// @dev Opens sessions and makes claims of them as the node does.
abstract contract RelayerFixture is TestBase {
    uint256 internal constant START = 1_800_000_000;
    uint32 internal constant WINDOW = 600;
    uint96 internal constant BOND = 0.01 ether;
    uint256 internal constant ALICE_KEY = 0xA11CE;
    uint256 internal constant BOB_KEY = 0xB0B;

    ZkRelayer internal relayer;
    bytes32 internal templateId;
    address internal alice;
    address internal bob;
    address internal operator = address(0x0be7a708);
    address internal disputes = address(0xd15b0735);

    function setUpRelayer() internal {
        vm.warp(START);
        vm.roll(100);
        relayer = new ZkRelayer(60);
        templateId = relayer.registerTemplate(keccak256("state"), keccak256("data"), "");
        alice = vm.addr(ALICE_KEY);
        bob = vm.addr(BOB_KEY);
        vm.deal(operator, 1000 ether);
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
        vm.prank(game);
        uint64 sessionId = relayer.openSession(templateId, players, hex"1234", deadline, terms);
        config = SessionConfig({
            sessionId: sessionId,
            openedAt: uint64(vm.getBlockTimestamp()),
            openedBlock: 100,
            deadline: deadline,
            game: game,
            templateId: templateId,
            playersHash: SessionHash.players(players),
            initDataHash: keccak256(hex"1234"),
            termsHash: SessionHash.terms(terms)
        });
        assertTrue(relayer.sessionStatus(sessionId) == SessionStatus.Open, "opened");
    }

    function itemFor(SessionConfig memory config, bytes memory result) internal view returns (Settlement memory) {
        return Settlement({
            sessionId: config.sessionId,
            openedAt: config.openedAt,
            openedBlock: config.openedBlock,
            deadline: config.deadline,
            firstNumber: 0,
            lastNumber: 93,
            lastTimestamp: uint64(vm.getBlockTimestamp()),
            inboxCount: 0,
            game: config.game,
            templateId: config.templateId,
            playersHash: config.playersHash,
            initDataHash: config.initDataHash,
            seed: keccak256(abi.encode("seed", config.sessionId)),
            lastHash: keccak256(abi.encode("last", config.sessionId)),
            blockHashesRoot: keccak256(abi.encode("blocks", config.sessionId)),
            result: result
        });
    }

    function leafOf(SessionConfig memory config, Settlement memory item) internal view returns (SessionClaim memory) {
        return SessionClaim({
            sessionId: item.sessionId,
            configHash: relayer.configHash(config),
            seed: item.seed,
            firstNumber: item.firstNumber,
            lastNumber: item.lastNumber,
            lastTimestamp: item.lastTimestamp,
            lastHash: item.lastHash,
            blockHashesRoot: item.blockHashesRoot,
            resultHash: keccak256(item.result),
            inboxCount: item.inboxCount,
            inboxHash: relayer.inboxHash(item.sessionId, item.inboxCount)
        });
    }

    function headerFor(bytes32 root, uint32 count, Terms memory terms) internal view returns (ClaimHeader memory) {
        return ClaimHeader({
            root: root,
            termsHash: SessionHash.terms(terms),
            disputeGame: terms.disputeGame,
            claimBond: terms.claimBond,
            challengeWindow: terms.challengeWindow,
            inclusionDelay: terms.inclusionDelay,
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
        claimId = relayer.claim{value: uint256(terms.claimBond) * count}(root, count, terms, 0, hex"da7a");
    }

    /// @dev A claim of one session.
    function claimOne(SessionConfig memory config, Terms memory terms, bytes memory result)
        internal
        returns (uint64 claimId, ClaimHeader memory header, Settlement memory item)
    {
        item = itemFor(config, result);
        (claimId, header) = post(SessionHash.leaf(leafOf(config, item)), 1, terms);
    }

    function passWindow() internal {
        vm.warp(vm.getBlockTimestamp() + WINDOW + 1);
    }

    function noProof() internal pure returns (bytes32[] memory) {
        return new bytes32[](0);
    }

    function signResult(uint256 key, bytes32 configHash, bytes memory result) internal returns (bytes memory) {
        bytes32 structHash = keccak256(abi.encode(relayer.SESSION_RESULT_TYPEHASH(), configHash, keccak256(result)));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", relayer.domainSeparator(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }
}
