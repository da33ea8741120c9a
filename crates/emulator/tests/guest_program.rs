//! The guest's program in the interpreter: it reveals what the same code gives natively, about any block, and fails on
//! wrong advice only. The program is the committed one.

#[path = "../../stf/tests/common/mod.rs"]
mod common;

use common::*;
use emulator::{Elf, Ending, Machine, Outcome};
use stf::alloy_consensus::TxEip1559;
use stf::alloy_primitives::{hex, Address, Bytes, B256, U256};
use stf::revm::state::Bytecode;
use stf::*;

/// More instructions than any of these runs takes.
const LIMIT: u64 = 1 << 36;

/// Bytes below the program, which are the stack's.
const STACK_SIZE: u32 = 0x0020_0400;

fn program() -> Elf {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest/elf/exclave-guest.elf");
    Elf::parse(&std::fs::read(file).expect("the program is committed")).expect("the program is an ELF")
}

fn run(program: &Elf, input: &Bytes) -> Outcome {
    Machine::new(program, input).run(LIMIT, &mut ())
}

/// Runs a block in the machine and natively; both must state the same.
fn judged(program: &Elf, chain: &Chain, block: RawBlock, public_recoveries: usize) -> (Verdict, Outcome) {
    let (input, statement) = chain.prove(vec![block], public_recoveries).expect("the state is whole");
    let encoded = input.encoded();
    assert_eq!(guest_entry(&encoded), Ok(statement));
    let outcome = run(program, &encoded);
    assert_eq!((outcome.ending, outcome.public_values), (Ending::Exit(0), statement.hash().0));
    (statement.verdict, outcome)
}

fn refused(program: &Elf, input: &GuestInput) {
    let outcome = run(program, &input.encoded());
    assert_eq!((outcome.ending, outcome.public_values), (Ending::Exit(1), [0; 32]));
}

fn raw(block: &SealedBlock) -> RawBlock {
    RawBlock::from(&block.block())
}

/// A chain whose template has more contracts.
fn chain_with(contracts: &[(Address, Vec<u8>)]) -> Chain {
    let mut chain = Chain::new(B256::ZERO);
    let state = &mut chain.states[0];
    for (address, code) in contracts {
        state.set_nonce(address, 1).unwrap();
        state.set_code(address, Bytecode::new_legacy(code.clone().into())).unwrap();
    }
    chain.headers[0].state_root = state.root();
    chain
}

/// The greatest transaction: all the gas that one may have.
fn greatest(to: Address, data: impl Into<Bytes>) -> TxEip1559 {
    TxEip1559 { gas_limit: TRANSACTION_GAS_LIMIT_CAP, ..call_to(to, 0, data) }
}

// ---------------------------------------------------------------------------------------------- statements

#[test]
fn i8_the_program_states_what_the_native_code_states() {
    let program = program();
    let mut chain = Chain::new(B256::ZERO);
    let blocks = [
        vec![message(0, address(3), OBSERVER, []).into()],
        vec![
            recovered(sign(call_to(WRITER, 0, words(&[1, 0, 2, 22, 50, 5])), 0)),
            recovered(sign(legacy(HASHES, 1, words(&[0])), 0)),
            recovered(sign(with_access_list(DESTROYER, 0, []), 1)),
        ],
        vec![recovered(sign(call_to(PREDEPLOY, 2, words(&[77])), 0))],
    ];
    let mut range = Vec::new();
    for transactions in blocks {
        let block = chain.build(&transactions);
        // With all signatures public, and with one that the program checks itself.
        for public_recoveries in [10, transactions.len() - 1] {
            assert_eq!(judged(&program, &chain, raw(&block), public_recoveries).0, Verdict::Valid);
        }
        range.push(raw(&block));
        chain.append(&block);
    }
    let (input, statement) = chain.prove_from(0, range, 10).unwrap();
    let outcome = run(&program, &input.encoded());
    assert_eq!((outcome.ending, outcome.public_values), (Ending::Exit(0), statement.hash().0));
}

#[test]
fn i1_the_program_gives_a_verdict_about_any_block() {
    let program = program();
    let init = init_message();
    let chain = Chain::new(init.message_hash());
    let forced = message(0, address(3), LOGGER, words(&[3]));
    let user = recovered(sign(call_to(WRITER, 0, words(&[1, 0])), 0));
    let sealed = chain.build(&[init.clone().into(), forced.clone().into(), user.clone()]);
    let body = |transactions: Vec<Bytes>| {
        let mut block = sealed.block();
        block.header.transactions_root = ordered_trie_root(&transactions);
        block.transactions = transactions;
        RawBlock::from(&block)
    };
    let header = |change: fn(&mut Header)| {
        let mut block = sealed.block();
        change(&mut block.header);
        RawBlock::from(&block)
    };
    let (init, forced) = (init.encoded(), forced.encoded());
    let stranger = encode(sign(call_to(WRITER, 7, words(&[1, 0])), 9));
    let unsigned = {
        let signature = stf::alloy_primitives::Signature::new(U256::from(5), U256::from(1), false);
        encode(stf::alloy_consensus::SignableTransaction::into_signed(call_to(WRITER, 0, []), signature).into())
    };
    let invalid = [
        RawBlock { header: Bytes::new(), transactions: Vec::new() },
        RawBlock { header: vec![0xf8; 700].into(), transactions: Vec::new() },
        RawBlock { header: raw(&sealed).header.slice(..500), transactions: Vec::new() },
        header(|header| header.state_root = B256::ZERO),
        header(|header| header.receipts_root = B256::ZERO),
        header(|header| header.logs_bloom.0[0] ^= 1),
        header(|header| header.gas_used += 1),
        header(|header| header.timestamp = 1),
        header(|header| header.number = u64::MAX),
        header(|header| header.parent_beacon_block_root = None),
        header(|header| header.requests_hash = Some(B256::ZERO)),
        body(vec![]),
        body(vec![init.clone(), user.raw.clone()]),
        body(vec![init.clone(), user.raw.clone(), forced.clone()]),
        body(vec![forced.clone(), user.raw.clone()]),
        body(vec![init.clone(), forced.clone(), stranger]),
        body(vec![init.clone(), forced.clone(), unsigned]),
        body(vec![init.clone(), forced.clone(), Bytes::new()]),
        body(vec![init.clone(), forced.clone(), vec![0xff; 5000].into()]),
        body(vec![init.clone(), forced.clone(), vec![0x7e; 50].into()]),
        body(vec![init, forced, vec![0; 1 << 20].into()]),
    ];
    for (index, block) in invalid.into_iter().enumerate() {
        assert_eq!(judged(&program, &chain, block, 10).0, Verdict::Invalid, "block {index}");
    }
    assert_eq!(judged(&program, &chain, raw(&sealed), 10).0, Verdict::Valid);
}

#[test]
fn i1_the_program_fails_on_wrong_advice() {
    let program = program();
    let chain = Chain::new(B256::ZERO);
    let block = chain.build(&[recovered(sign(call_to(WRITER, 0, words(&[1, 0, 2, 22])), 0))]);
    let (input, _) = chain.prove(vec![raw(&block)], 10).unwrap();
    let changes: [&dyn Fn(&mut GuestInput); 12] = [
        &|input| input.configuration = [&configuration()[..95], &[9], &configuration()[96..]].concat().into(),
        &|input| input.configuration = Bytes::new(),
        &|input| input.from = vec![0xc0].into(),
        &|input| input.blocks.clear(),
        &|input| input.blocks.push(input.blocks[0].clone()),
        &|input| input.blocks[0].transactions.clear(),
        &|input| input.recoveries.push(Address::ZERO),
        &|input| drop(input.witness.nodes.pop()),
        &|input| input.witness.nodes.push(Bytes::new()),
        &|input| input.witness.nodes[0] = Bytes::new(),
        &|input| input.witness.codes.clear(),
        &|input| input.witness.ancestors.push(input.from.clone()),
    ];
    for change in changes {
        let mut changed = input.clone();
        change(&mut changed);
        refused(&program, &changed);
    }
    let encoded = input.encoded();
    for length in [0, 4, 100, encoded.len() - 4] {
        let outcome = run(&program, &encoded.slice(..length));
        assert_eq!(outcome.ending, Ending::Exit(1));
    }
    // Lengths that would take more memory than there is.
    for at in (0..encoded.len()).step_by(4).take(200) {
        let mut changed = encoded.to_vec();
        changed[at..at + 4].fill(0xff);
        let changed = Bytes::from(changed);
        // Some numbers are the prover's choice, and become another statement.
        let expected = match guest_entry(&changed) {
            Ok(statement) => (Ending::Exit(0), statement.hash().0),
            Err(_) => (Ending::Exit(1), [0; 32]),
        };
        let outcome = run(&program, &changed);
        assert_eq!((outcome.ending, outcome.public_values), expected, "word {at}");
    }
}

/// What was recorded by `python -m benchmarks.guest_inputs`.
#[test]
fn recorded_blocks_are_proven_by_the_program() {
    let program = program();
    for name in ["transfer", "erc20", "light_action", "heavy_action", "block_20"] {
        let path = format!("{}/inputs/{name}.bin", env!("CARGO_MANIFEST_DIR"));
        let input = Bytes::from(std::fs::read(path).expect("inputs are committed"));
        let statement = guest_entry(&input).expect("a recorded input is whole");
        assert_eq!(statement.verdict, Verdict::Valid);
        let outcome = run(&program, &input);
        assert_eq!((outcome.ending, outcome.public_values), (Ending::Exit(0), statement.hash().0));
        println!("{name}: {} instructions", outcome.instructions);
    }
}

// ---------------------------------------------------------------------------------------------- greatest blocks

/// Executes one transaction with all the gas that it may have; gives what the machine needed.
fn exhaust(name: &str, contracts: &[(Address, Vec<u8>)], transaction: TxEip1559) -> Outcome {
    exhaust_on(name, &chain_with(contracts), transaction)
}

fn exhaust_on(name: &str, chain: &Chain, transaction: TxEip1559) -> Outcome {
    let block = chain.build(&[recovered(sign(transaction, 0))]);
    let (verdict, outcome) = judged(&program(), chain, raw(&block), 10);
    assert_eq!(verdict, Verdict::Valid);
    let per_gas = outcome.instructions as f64 / block.header.gas_used as f64;
    println!(
        "{name}: {} gas, {} instructions ({per_gas:.0} a gas), stack {}, memory {} MiB",
        block.header.gas_used,
        outcome.instructions,
        outcome.stack,
        outcome.memory_end >> 20
    );
    assert!(outcome.stack < STACK_SIZE / 4, "the stack is large enough several times");
    outcome
}

const TARGET: Address = Address::repeat_byte(0xc1);

fn exhaust_code(name: &str, code: &[u8]) -> Outcome {
    exhaust(name, &[(TARGET, code.to_vec())], greatest(TARGET, []))
}

#[test]
fn loops_end_when_their_gas_does() {
    exhaust_code("empty loop", &hex!("5b5f56"));
    // JUMPDEST, then many times MULMOD(2^256 - 1, 2^256 - 1, 2^256 - 2) and POP, PUSH0, JUMP.
    let code = [&hex!("5b")[..], &hex!("60015f19035f195f190950").repeat(100), &hex!("5f56")].concat();
    exhaust_code("arithmetic", &code);
}

#[test]
fn calls_go_as_deep_as_their_gas() {
    // CALL(gas, address, 0, 0, 0, 0, 0).
    exhaust_code("calls", &hex!("5f5f5f5f5f305af1"));
    // The same with memory of its own in each frame.
    exhaust_code("calls with memory", &hex!("6001618000525f5f5f5f5f305af1"));
    // CREATE with its own code as init code, again and again.
    exhaust_code("creations", &hex!("5b385f5f39385f5ff0505f56"));
}

#[test]
fn memory_is_used_again() {
    // MSTORE8 at 2,900,000.
    exhaust_code("large memory", &hex!("6001622c402053"));
    // A loop of copies of 96 KiB by the identity precompile, into return data.
    let outcome = exhaust_code("copies", &hex!("5b5f5f620180005f60045afa505f56"));
    assert!(outcome.memory_end < 128 << 20);
    // A loop of calls that return 96 KiB of their own memory.
    let returns = hex!("620180005ff3");
    let caller = Address::repeat_byte(0xc2);
    let code = hex!("5b5f5f5f5f73c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c15afa505f56").to_vec();
    let contracts = [(TARGET, returns.to_vec()), (caller, code)];
    let outcome = exhaust("return data", &contracts, greatest(caller, []));
    assert!(outcome.memory_end < 128 << 20);
    // Logs of 64 KiB.
    exhaust_code("logs", &hex!("5b620100005fa05f56"));
}

#[test]
fn a_transaction_reads_as_much_state_as_it_can_pay_for() {
    // Slots, one after the other: SLOAD(i); i += 1.
    let mut chain = chain_with(&[(TARGET, hex!("5f5b805450600101600156").to_vec())]);
    for slot in 0..8_000u64 {
        chain.states[0].set_storage(&TARGET, U256::from(slot), U256::MAX - U256::from(slot)).unwrap();
    }
    chain.headers[0].state_root = chain.states[0].root();
    exhaust_on("slots", &chain, greatest(TARGET, []));
    // Codes of the greatest size, each of another contract: EXTCODESIZE costs 2,600 gas. A tenth of what can be paid for.
    let count = 645u32;
    let contracts: Vec<(Address, Vec<u8>)> = (0..count)
        .map(|index| {
            let mut code = vec![0x5b; 24_576];
            code[..4].copy_from_slice(&index.to_be_bytes());
            code[0] = 0x60;
            (Address::from_word(U256::from(0x10_0000 + index).into()), code)
        })
        .collect();
    let mut all = contracts.clone();
    // i = 0x100000; while true: EXTCODESIZE(i); i += 1
    all.push((TARGET, hex!("621000005b803b50600101600456").to_vec()));
    let gas_limit = 21_000 + 645 * 2_630;
    let transaction = TxEip1559 { gas_limit, ..greatest(TARGET, []) };
    let outcome = exhaust("codes", &all, transaction);
    // Ten times as much fits as well: the program and what doesn't grow counts ten times here.
    assert!(u64::from(outcome.memory_end) * 10 < 512 << 20, "{}", outcome.memory_end);
}

#[test]
fn every_precompile_gives_what_it_gives_natively() {
    let vectors = include_str!("../../stf/tests/precompiles.txt");
    let mut seen = std::collections::BTreeSet::new();
    for line in vectors.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let (number, input, output) = (fields[0], hex::decode(fields[1]).unwrap(), fields[2]);
        if output == "-" || output == "0x" || !seen.insert(number) {
            continue;
        }
        let data = [&U256::from_str_radix(number, 16).unwrap().to_be_bytes::<32>()[..], &input].concat();
        exhaust(&format!("precompile {number}"), &[(TARGET, CALL_PRECOMPILE.to_vec())], greatest(TARGET, data));
    }
    assert!(seen.len() >= 12, "{seen:?}");
}

/// Calls the address in the calldata's first word with the rest, and stores success and the answer's hash.
const CALL_PRECOMPILE: [u8; 32] =
    hex!("60203603" "60205f37" "5f5f60203603" "5f5f5f355af1" "5f55" "3d5f5f3e" "3d5f20600155");
