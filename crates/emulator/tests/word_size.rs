//! The machine's addresses have 32 bits, those of a node 64: operands beyond either must do the same on both.

#[path = "../../stf/tests/common/mod.rs"]
mod common;

use common::*;
use emulator::{Elf, Ending, Machine};
use stf::alloy_consensus::TxEip1559;
use stf::alloy_primitives::{Address, B256, U256};
use stf::revm::state::Bytecode;
use stf::*;

/// Instructions with memory, code or data positions, or shifts, among their operands; and how many operands they take.
const INSTRUCTIONS: [(u8, usize); 34] = [
    (0x0a, 2), // EXP
    (0x0b, 2), // SIGNEXTEND
    (0x1a, 2), // BYTE
    (0x1b, 2), // SHL
    (0x1c, 2), // SHR
    (0x1d, 2), // SAR
    (0x20, 2), // KECCAK256
    (0x31, 1), // BALANCE
    (0x35, 1), // CALLDATALOAD
    (0x37, 3), // CALLDATACOPY
    (0x39, 3), // CODECOPY
    (0x3c, 4), // EXTCODECOPY
    (0x3e, 3), // RETURNDATACOPY
    (0x40, 1), // BLOCKHASH
    (0x49, 1), // BLOBHASH
    (0x51, 1), // MLOAD
    (0x52, 2), // MSTORE
    (0x53, 2), // MSTORE8
    (0x54, 1), // SLOAD
    (0x56, 1), // JUMP
    (0x57, 2), // JUMPI
    (0x5c, 1), // TLOAD
    (0x5d, 2), // TSTORE
    (0x5e, 3), // MCOPY
    (0xa0, 2), // LOG0
    (0xa1, 3), // LOG1
    (0xf0, 3), // CREATE
    (0xf1, 7), // CALL
    (0xf2, 7), // CALLCODE
    (0xf3, 2), // RETURN
    (0xf4, 6), // DELEGATECALL
    (0xf5, 4), // CREATE2
    (0xfa, 6), // STATICCALL
    (0xfd, 2), // REVERT
];

/// Gas of each try.
const TRY_GAS: u64 = 60_000;

const DRIVER: Address = Address::repeat_byte(0xd1);

fn values() -> Vec<U256> {
    let powers = [24, 31, 32, 33, 63, 64, 255];
    let around = powers.into_iter().flat_map(|power| {
        let power = U256::from(1) << power;
        [power - U256::from(33), power - U256::from(1), power, power + U256::from(4)]
    });
    around.chain([U256::MAX]).collect()
}

fn push(value: U256, code: &mut Vec<u8>) {
    code.push(0x7f);
    code.extend_from_slice(&value.to_be_bytes::<32>());
}

/// A contract that executes an instruction with `value` as one operand and `other` as the others, then stores the result.
fn try_code(instruction: u8, operands: usize, position: usize, value: U256, other: u64) -> Vec<u8> {
    // Something to copy and to return.
    let mut code = vec![0x5f, 0x19, 0x5f, 0x52];
    for operand in (0..operands).rev() {
        push(if operand == position { value } else { U256::from(other) }, &mut code);
    }
    code.extend_from_slice(&[instruction, 0x5b, 0x59, 0x5f, 0x55, 0x00]);
    code
}

#[test]
fn i1_operands_beyond_the_machines_words_do_the_same() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest/elf/exclave-guest.elf");
    let program = Elf::parse(&std::fs::read(file).unwrap()).unwrap();
    let mut tries = Vec::new();
    for (instruction, operands) in INSTRUCTIONS {
        for position in 0..operands {
            for value in values() {
                tries.extend([0, 32].map(|other| try_code(instruction, operands, position, value, other)));
            }
        }
    }
    println!("{} tries", tries.len());
    for group in tries.chunks(150) {
        let mut chain = Chain::new(B256::ZERO);
        let state = &mut chain.states[0];
        // CALL(TRY_GAS, address, 0, 0, 0, 0, 0), and its success into a slot.
        let mut driver = Vec::new();
        for (index, code) in group.iter().enumerate() {
            let number = 0x1000 + index as u16;
            let [high, low] = number.to_be_bytes();
            let address = Address::from_word(B256::from(U256::from(number)));
            state.set_nonce(&address, 1).unwrap();
            state.set_code(&address, Bytecode::new_legacy(code.clone().into())).unwrap();
            driver.extend_from_slice(&[0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x61, high, low, 0x61]);
            driver.extend_from_slice(&(TRY_GAS as u16).to_be_bytes());
            driver.extend_from_slice(&[0xf1, 0x61, high, low, 0x55]);
        }
        state.set_nonce(&DRIVER, 1).unwrap();
        state.set_code(&DRIVER, Bytecode::new_legacy(driver.into())).unwrap();
        chain.headers[0].state_root = state.root();
        let transaction = TxEip1559 { gas_limit: TRANSACTION_GAS_LIMIT_CAP, ..call_to(DRIVER, 0, []) };
        let block = chain.build(&[recovered(sign(transaction, 0))]);
        assert!(block.receipts[0].status, "the driver has gas for all tries");
        let (input, statement) = chain.prove(vec![(&block.block()).into()], 10).unwrap();
        let outcome = Machine::new(&program, &input.encoded()).run(1 << 36, &mut ());
        assert_eq!((outcome.ending, outcome.public_values), (Ending::Exit(0), statement.hash().0));
    }
}
