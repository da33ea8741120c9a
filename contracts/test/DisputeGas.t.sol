// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";

import {Evidence, Kind, Preconfirmation, ShownHash, ShownLeaf} from "../src/interfaces/DisputeTypes.sol";
import {IProofSettlement} from "../src/interfaces/IProofSettlement.sol";
import {SessionClaim} from "../src/interfaces/Types.sol";
import {Verdict} from "../src/libraries/Statement.sol";
import {DisputeFixture} from "./support/DisputeFixture.sol";
import {TrieBuilder} from "./support/TrieBuilder.sol";

/// @dev What disputes cost on L1, of a session of 400 blocks. Every call is a transaction of its own (isolation), with its 21,000 gas and its calldata. A
/// proof's verification comes before (proof_gas.json).
/// forge-config: default.isolate = true
contract DisputeGasTest is DisputeFixture {
    uint256 private constant TRANSACTION_CAP = 16_777_216; // EIP-7825
    uint64 private constant END = 399;
    uint64 private constant NUMBER = 200;

    bytes private header;
    bytes[] private transactions;

    function setUp() public {
        setUpDisputes();
        delete hashes;
        hashes.push(genesisHash(trueSeed()));
        for (uint64 i = 1; i <= END; ++i) {
            hashes.push(blockHash(i));
        }
    }

    function claimBlocks() private {
        SessionClaim memory value;
        (value.configHash, value.resultHash) = (relayer.configHash(config), keccak256("result"));
        value.lastTimestamp = uint64(vm.getBlockTimestamp());
        (value.chain.seed, value.chain.lastNumber, value.chain.lastHash) = (trueSeed(), END, hashes[END]);
        claimAs(operator, value);
    }

    function note(string memory what) private returns (uint256 used) {
        used = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("dispute_gas", what, used);
        assertTrue(used <= TRANSACTION_CAP, what);
    }

    function test_gas_challenge_prove_resolve() public {
        claimBlocks();
        challenge(NUMBER);
        note("challenge");
        challenge(NUMBER + 1);
        proveBlock(NUMBER);
        note("prove");
        vm.warp(vm.getBlockTimestamp() + PROOF_WINDOW + 1);
        court.resolve(name, Kind.Challenge, NUMBER + 1);
        note("resolve_kill");
    }

    function test_gas_fault_proof() public {
        claimBlocks();
        proveFault(NUMBER);
        note("prove_fault_kill");
    }

    function test_gas_of_what_L1_sees() public {
        hashes[0] = keccak256("other");
        claimBlocks();
        (ShownLeaf memory leaf, ShownHash memory first) = (shownLeaf(), shown(0));
        court.disproveGenesis(leaf, terms, config, opening(), first);
        note("disprove_genesis_kill");
        claimBlocks();
        vm.roll(5000);
        remember(config.openedBlock + 1, keccak256(l1Header(config.openedBlock + 1, "other randao")));
        leaf = shownLeaf();
        court.disproveSeed(leaf, terms, config, l1Header(config.openedBlock + 1, "other randao"));
        note("disprove_seed_kill");
        Preconfirmation memory signed = sign(OPERATOR_KEY, config.sessionId, NUMBER, keccak256("other"));
        claimBlocks();
        leaf = shownLeaf();
        first = shown(NUMBER);
        court.contradict(leaf, terms, config, first, signed);
        note("contradict_kill");
        facts.recordBlockHash(config.openedBlock + 1);
        note("record_block_hash");
    }

    /// @dev What answers are paid by must cover them: the rules' constants, at the rules' price of gas.
    function test_gas_leaf_and_hashes() public {
        claimBlocks();
        demandLeaf();
        note("demand_leaf");
        ShownLeaf memory leaf = shownLeaf();
        vm.prank(STRANGER);
        court.answerLeaf(leaf);
        uint256 used = note("answer_leaf");
        assertTrue(used * GAS_PRICE <= funds(STRANGER), "the answer isn't covered");
        demandHashes(0);
        note("demand_hashes");
        leaf = shownLeaf();
        vm.prank(PROVER);
        court.answerHashes(leaf, 0, hashes, noProof());
        used = note("answer_hashes_400");
        assertTrue(used * GAS_PRICE <= funds(PROVER), "the answer isn't covered");
        vm.warp(windowEnd() + RESPONSE_TIME);
        court.release(name);
        note("release");
    }

    function test_gas_1024_hashes() public {
        for (uint64 i = END + 1; i < 1024; ++i) {
            hashes.push(blockHash(i));
        }
        SessionClaim memory value;
        (value.configHash, value.chain.lastNumber, value.chain.lastHash) = (keccak256("config"), 1023, hashes[1023]);
        claimAs(operator, value);
        demandHashes(0);
        ShownLeaf memory leaf = shownLeaf();
        vm.prank(PROVER);
        court.answerHashes(leaf, 0, hashes, noProof());
        uint256 used = note("answer_hashes_1024");
        assertTrue(used * GAS_PRICE <= funds(PROVER), "the answer isn't covered");
    }

    function answerBlock(uint256 count, uint256 size, string memory what) private {
        TrieBuilder builder = new TrieBuilder();
        delete transactions;
        for (uint256 i; i < count; ++i) {
            bytes memory transaction = new bytes(size);
            // No zeros: the dearest calldata.
            for (uint256 k; k < size; ++k) {
                transaction[k] = bytes1(uint8(1 + k % 255));
            }
            transactions.push(transaction);
        }
        bytes[] memory fields = new bytes[](21);
        for (uint256 i; i < fields.length; ++i) {
            fields[i] = RLP.encode(keccak256(abi.encode(i)));
        }
        fields[0] = RLP.encode(hashes[NUMBER - 1]);
        fields[4] = RLP.encode(builder.root(transactions));
        fields[6] = RLP.encode(new bytes(256));
        fields[8] = RLP.encode(uint256(NUMBER));
        header = RLP.encode(fields);
        hashes[NUMBER] = keccak256(header);
        claimBlocks();
        demandBlock(NUMBER);
        uint256 before = funds(PROVER);
        ShownLeaf memory leaf = shownLeaf();
        (ShownHash memory parent, ShownHash memory target) = (shown(NUMBER - 1), shown(NUMBER));
        bytes[] memory bodies = transactions;
        bytes memory bytes_ = header;
        vm.prank(PROVER);
        court.answerBlock(leaf, parent, target, bytes_, bodies);
        uint256 used = note(what);
        assertTrue(used * GAS_PRICE <= funds(PROVER) - before, "the answer isn't covered");
    }

    function test_gas_blocks() public {
        answerBlock(1, 200, "answer_block_1_transaction");
        answerBlock(50, 200, "answer_block_50_transactions");
        answerBlock(200, 200, "answer_block_200_transactions");
        answerBlock(1, 100_000, "answer_block_100_kilobytes");
        answerBlock(2, 3, "answer_block_tiny");
    }

    function test_gas_settle_by_proof() public {
        vm.roll(5000);
        bytes memory l1 = openingHeader();
        remember(config.openedBlock + 1, keccak256(l1));
        claimBlocks();
        Evidence memory value = prepare(hashes[0], hashes[END], Verdict.Valid, evidence(END));
        Preconfirmation memory signed = sign(OPERATOR_KEY, config.sessionId, END, hashes[END]);
        IProofSettlement settler = IProofSettlement(court.settler());
        settler.settleByProof(config, terms, opening(), l1, signed, value, 0, "result");
        note("settle_by_proof");
    }

    /// @dev It creates the other contracts: all of it fits into one transaction and into EIP-3860's and EIP-170's limits.
    function test_gas_of_deployment() public {
        bytes memory code =
            bytes.concat(vm.getCode("DisputeGame.sol:DisputeGame"), abi.encode(address(relayer), testRules()));
        assertTrue(code.length <= 49_152, "too much code to create with");
        uint256 before = gasleft();
        address created;
        assembly {
            created := create(0, add(code, 0x20), mload(code))
        }
        // A transaction's own gas, and calldata at its floor.
        uint256 used = before - gasleft() + 53_000 + 40 * code.length;
        assertTrue(created != address(0) && used <= TRANSACTION_CAP, "too dear to create");
        address[4] memory contracts = [created, address(stakes), address(facts), court.settler()];
        for (uint256 i; i < 4; ++i) {
            assertTrue(contracts[i].code.length <= 24_576, "too much code");
        }
    }

    function test_gas_equivocation() public {
        Preconfirmation memory one = sign(OPERATOR_KEY, 1, 7, keccak256("one"));
        Preconfirmation memory other = sign(OPERATOR_KEY, 1, 7, keccak256("other"));
        stakes.reportEquivocation(one, other.blockHash, other.signature);
        note("report_equivocation");
    }
}
