// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ClaimHeader, DataMode, SessionConfig, Settlement, Terms} from "../src/interfaces/Types.sol";
import {MerkleTree} from "../src/libraries/MerkleTree.sol";
import {QuietGame} from "./support/Games.sol";
import {RelayerFixture} from "./support/RelayerFixture.sol";

/// @dev What an undisputed match costs on L1. Every call is a transaction of its own (isolation), with its 21,000 gas and its calldata.
/// forge-config: default.isolate = true
contract GasTest is RelayerFixture {
    uint256 private constant TRANSACTION_CAP = 16_777_216; // EIP-7825
    uint256 private constant MAX_ALONE = 250_000;
    uint256 private constant MAX_BATCHED = 60_000;

    QuietGame private game;
    mapping(uint64 sessionId => bytes32) private _leaves;

    function setUp() public {
        setUpRelayer();
        game = new QuietGame();
        vm.deal(address(this), 100 ether);
        // A running system: counters, accounts and their words are in use.
        vm.prank(operator);
        relayer.deposit{value: 50 ether}();
        relayer.registerTerms(templateId, gasTerms());
        _claim(_items(1), 1, gasTerms());
        passWindow();
    }

    /// @dev Forge has no blobs in isolation. On-demand data costs the same to a few hundred gas; blob gas is apart anyway.
    function gasTerms() private view returns (Terms memory terms) {
        terms = defaultTerms();
        terms.dataMode = DataMode.OnDemand;
    }

    function test_gas_match_alone() public {
        (Settlement[] memory items, uint256 open) = _openMatches(1);
        (uint64 claimId, ClaimHeader memory header, uint256 claim) = _claim(items, 1, gasTerms());
        passWindow();
        relayer.settle(claimId, header, items[0], 0, noProof());
        uint256 settle = vm.lastCallGas().gasTotalUsed;
        relayer.releaseBond(claimId, header);
        uint256 release = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("match_gas", "openSession", open);
        vm.snapshotValue("match_gas", "claim", claim);
        vm.snapshotValue("match_gas", "settle", settle);
        vm.snapshotValue("match_gas", "releaseBond", release);
        vm.snapshotValue("match_gas", "alone", open + claim + settle + release);
        assertTrue(open + claim + settle + release <= MAX_ALONE, "a match alone is too dear");
    }

    function test_gas_match_batched_100() public {
        (Settlement[] memory items, uint256 open) = _openMatches(100);
        (uint64 claimId, ClaimHeader memory header, uint256 claim) = _claim(items, 100, gasTerms());
        passWindow();
        relayer.settleAll(claimId, header, items, 0);
        uint256 settle = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("match_gas", "settleAll_100", settle);
        uint256 each = (open + claim + settle) / 100;
        vm.snapshotValue("match_gas", "batched_100", each);
        assertTrue(settle <= TRANSACTION_CAP, "settling a hundred sessions doesn't fit into a transaction");
        assertTrue(each <= MAX_BATCHED, "a match in a batch is too dear");
    }

    function _items(uint256 count) private returns (Settlement[] memory items) {
        (items,) = _openMatches(count);
    }

    /// @dev `gas` is what openSession adds to the games' own transactions, all together.
    function _openMatches(uint256 count) private returns (Settlement[] memory items, uint256 gas) {
        items = new Settlement[](count);
        for (uint256 i; i < count; ++i) {
            uint64 deadline = defaultDeadline();
            Terms memory terms = gasTerms();
            address[] memory players = twoPlayers();
            uint64 sessionId = game.open(
                address(relayer),
                abi.encodeCall(relayer.openSession, (templateId, hashOf(terms), players, hex"1234", deadline))
            );
            gas += game.gasOfOpening();
            SessionConfig memory config = configOf(sessionId, address(game), terms, players, deadline);
            items[i] = itemFor(config, abi.encode(players));
            _leaves[sessionId] = leafFor(config, items[i]);
        }
    }

    function _claim(Settlement[] memory items, uint32 count, Terms memory terms)
        private
        returns (uint64 claimId, ClaimHeader memory header, uint256 gas)
    {
        bytes32[] memory leaves = new bytes32[](items.length);
        for (uint256 i; i < items.length; ++i) {
            leaves[i] = _leaves[items[i].sessionId];
        }
        bytes32 root = MerkleTree.rootInPlace(leaves);
        header = headerFor(root, count, terms);
        vm.prank(operator);
        claimId = relayer.claim(root, count, terms, keccak256("data"), "", "");
        gas = vm.lastCallGas().gasTotalUsed;
    }
}
