// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Opening} from "../src/interfaces/DisputeTypes.sol";
import {IBlockFacts} from "../src/interfaces/IBlockFacts.sol";
import {SessionConfig} from "../src/interfaces/Types.sol";
import {Genesis} from "../src/libraries/Genesis.sol";
import {L1History} from "../src/libraries/L1History.sol";
import {L1Chain} from "./support/L1Chain.sol";
import {TrieBuilder} from "./support/TrieBuilder.sol";

/// @dev What L1 knows without a proof, against other implementations (fixtures/dispute_fixtures.py).
contract BlockFactsTest is L1Chain {
    /// @dev Of the fixture's older block.
    uint256 private constant NUMBER = 20_101;

    IBlockFacts private facts;
    TrieBuilder private builder;
    string private json;

    function setUp() public {
        setUpHistory();
        facts = IBlockFacts(vm.deployCode("BlockFacts.sol:BlockFacts", ""));
        builder = new TrieBuilder();
        json = vm.readFile("test/fixtures/dispute.json");
    }

    function arbitrary(string memory name, uint256 length) private pure returns (bytes memory value) {
        for (uint256 i; value.length < length; ++i) {
            value = bytes.concat(value, sha256(abi.encodePacked(name, " ", toString(i))));
        }
        assembly {
            mstore(value, length)
        }
    }

    function word(string memory name) private pure returns (bytes32) {
        return bytes32(arbitrary(name, 32));
    }

    // ---- transactions

    function checkRoot(bytes[] memory values, string memory name) private view {
        bytes32 expected = vm.parseJsonBytes32(json, string.concat(".tries.", name));
        assertEq(builder.root(values), expected, string.concat("root of ", name));
    }

    function test_roots_of_lists_of_every_shape() public view {
        uint16[18] memory counts = [0, 1, 2, 3, 15, 16, 17, 100, 127, 128, 129, 130, 200, 255, 256, 257, 300, 700];
        for (uint256 k; k < counts.length; ++k) {
            bytes[] memory values = new bytes[](counts[k]);
            for (uint256 i; i < values.length; ++i) {
                values[i] = arbitrary(string.concat("transaction ", toString(i)), 100 + i % 60);
            }
            checkRoot(values, toString(counts[k]));
        }
    }

    /// @dev Values that are no transactions: nodes so short that they stand in their parents.
    function test_roots_of_short_values() public view {
        bytes[] memory values = new bytes[](200);
        for (uint256 i; i < values.length; ++i) {
            values[i] = abi.encodePacked(uint8(i));
        }
        checkRoot(values, "short");
        values = new bytes[](20);
        for (uint256 i; i < values.length; ++i) {
            values[i] = hex"01";
        }
        checkRoot(values, "empty");
    }

    function test_roots_of_long_values() public view {
        bytes[] memory values = new bytes[](2);
        (values[0], values[1]) = (arbitrary("long", 70_000), arbitrary("longer", 20_000));
        checkRoot(values, "long");
    }

    function test_every_value_counts(uint256 which, uint8 bit) public view {
        bytes[] memory values = new bytes[](140);
        for (uint256 i; i < values.length; ++i) {
            values[i] = abi.encodePacked(i);
        }
        bytes32 before = builder.root(values);
        values[which % values.length][bit % 32] ^= 0x10;
        assertTrue(builder.root(values) != before, "a changed value");
    }

    // ---- blocks of sessions

    function fixtureConfig() private pure returns (SessionConfig memory config, Opening memory opening) {
        opening.players = new address[](3);
        for (uint256 i; i < 3; ++i) {
            opening.players[i] = address(bytes20(arbitrary(string.concat("player ", toString(i)), 20)));
        }
        (opening.stateRoot, opening.dataHash, opening.initData) = (word("state"), word("data"), arbitrary("init", 77));
        config = SessionConfig({
            sessionId: 9,
            openedAt: 1_800_000_123,
            openedBlock: 100,
            deadline: 1_800_086_400,
            game: address(bytes20(arbitrary("game", 20))),
            templateId: keccak256(abi.encode(opening.stateRoot, opening.dataHash)),
            playersHash: keccak256(abi.encode(opening.players)),
            initDataHash: keccak256(opening.initData),
            termsHash: word("terms")
        });
    }

    function genesisOf(SessionConfig memory config, Opening memory opening, bytes32 seed)
        private
        view
        returns (bytes32)
    {
        uint64 chainId = uint64(vm.parseJsonUint(json, ".genesis.chainId"));
        return facts.genesisOf(config, vm.parseJsonBytes32(json, ".genesis.configHash"), chainId, opening, seed);
    }

    function test_block_0_is_the_nodes() public view {
        (SessionConfig memory config, Opening memory opening) = fixtureConfig();
        bytes32 seed = vm.parseJsonBytes32(json, ".genesis.seed");
        assertEq(genesisOf(config, opening, seed), vm.parseJsonBytes32(json, ".genesis.hash"), "block 0");
        assertTrue(genesisOf(config, opening, ~seed) != vm.parseJsonBytes32(json, ".genesis.hash"), "another seed");
        config.openedAt = 0;
        assertTrue(genesisOf(config, opening, seed) != vm.parseJsonBytes32(json, ".genesis.hash"), "another time");
    }

    function test_block_0_of_another_opening_is_refused() public {
        for (uint256 i; i < 4; ++i) {
            (SessionConfig memory config, Opening memory opening) = fixtureConfig();
            if (i == 0) opening.stateRoot = ~opening.stateRoot;
            if (i == 1) opening.dataHash = ~opening.dataHash;
            if (i == 2) opening.players[1] = address(1);
            if (i == 3) opening.initData = "other";
            vm.expectRevert(Genesis.WrongOpening.selector);
            facts.genesisOf(config, 0, 0, opening, 0);
        }
    }

    // ---- hashes of L1

    function seedOf(uint256 number, bytes32 prevRandao) private view returns (bytes32) {
        return facts.seedOf(9, uint64(number - 1), l1Header(number, prevRandao));
    }

    function test_the_seed_is_of_the_next_block() public {
        vm.roll(5000);
        bytes32 prevRandao = vm.parseJsonBytes32(json, ".genesis.prevRandao");
        remember(101, keccak256(l1Header(101, prevRandao)));
        assertEq(seedOf(101, prevRandao), vm.parseJsonBytes32(json, ".genesis.seed"), "seed");
        vm.expectRevert(abi.encodeWithSelector(L1History.WrongL1Header.selector, 101));
        seedOf(101, ~prevRandao);
        vm.expectRevert(abi.encodeWithSelector(L1History.UnknownBlockHash.selector, 102));
        seedOf(102, prevRandao);
    }

    function test_a_recent_hash_is_known_by_the_opcode() public {
        vm.roll(200);
        vm.setBlockhash(199, keccak256(l1Header(199, "randao")));
        assertEq(seedOf(199, "randao"), keccak256(abi.encode(bytes32("randao"), uint64(9))), "seed");
        vm.expectRevert(abi.encodeWithSelector(L1History.UnknownBlockHash.selector, 200));
        facts.recordBlockHash(200);
        vm.expectRevert(abi.encodeWithSelector(L1History.UnknownBlockHash.selector, 201));
        facts.recordBlockHash(201);
    }

    function test_a_recorded_hash_outlives_L1s_memory() public {
        bytes32 hash = keccak256(l1Header(101, "randao"));
        remember(101, hash);
        vm.roll(101 + RING);
        facts.recordBlockHash(101);
        vm.roll(101 + RING + 1);
        vm.expectRevert(abi.encodeWithSelector(L1History.UnknownBlockHash.selector, 101));
        facts.recordBlockHash(101);
        remember(101, bytes32(uint256(1))); // the ring goes on
        assertEq(facts.recordedBlockHash(101), hash, "recorded");
        assertEq(seedOf(101, "randao"), keccak256(abi.encode(bytes32("randao"), uint64(9))), "seed");
    }

    function recordOlder(uint256 number, bytes memory header) private {
        facts.recordOlderBlockHash(
            number,
            vm.parseJsonUint(json, ".history.later"),
            header,
            vm.parseJsonBytesArray(json, ".history.accountProof"),
            vm.parseJsonBytesArray(json, ".history.storageProof")
        );
    }

    function test_an_older_hash_is_proven_from_a_later_state() public {
        uint256 later = vm.parseJsonUint(json, ".history.later");
        bytes memory header = vm.parseJsonBytes(json, ".history.laterHeader");
        vm.roll(later + 5000);
        vm.expectRevert(abi.encodeWithSelector(L1History.UnknownBlockHash.selector, later));
        recordOlder(NUMBER, header);
        remember(later, vm.parseJsonBytes32(json, ".history.laterHash"));
        vm.expectRevert(abi.encodeWithSelector(L1History.UnknownBlockHash.selector, NUMBER));
        facts.recordBlockHash(NUMBER);
        recordOlder(NUMBER, header);
        assertEq(facts.recordedBlockHash(NUMBER), vm.parseJsonBytes32(json, ".history.hash"), "recorded");
        bytes32 seed = facts.seedOf(9, uint64(NUMBER - 1), vm.parseJsonBytes(json, ".history.header"));
        assertEq(seed, keccak256(abi.encode(word("randao"), uint64(9))), "seed");
        // No other block than the proof's.
        vm.expectRevert();
        recordOlder(NUMBER + 1, header);
        vm.expectRevert(abi.encodeWithSelector(L1History.UnknownBlockHash.selector, later));
        recordOlder(later, header);
        vm.expectRevert(abi.encodeWithSelector(L1History.WrongL1Header.selector, later));
        recordOlder(NUMBER, bytes.concat(header, hex"00"));
    }

    /// @dev The ring holds its length of blocks: one slot is of several blocks' numbers.
    function test_a_slot_of_the_ring_is_of_one_block() public {
        uint256 later = vm.parseJsonUint(json, ".history.later");
        vm.roll(later + 5000);
        remember(later, vm.parseJsonBytes32(json, ".history.laterHash"));
        bytes memory header = vm.parseJsonBytes(json, ".history.laterHeader");
        vm.expectRevert(abi.encodeWithSelector(L1History.UnknownBlockHash.selector, NUMBER + RING));
        recordOlder(NUMBER + RING, header);
        vm.expectRevert(abi.encodeWithSelector(L1History.UnknownBlockHash.selector, NUMBER - RING));
        recordOlder(NUMBER - RING, header);
    }
}
