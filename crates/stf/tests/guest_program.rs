//! The guest's program, run by an rv32im interpreter on recorded blocks: it reveals what `guest_entry` gives natively.
//! Run by `scripts/check-guest`, which builds the program first.

mod common;

use common::*;
use stf::alloy_primitives::B256;
use stf::*;

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    exit_code: u32,
    public_values: [u8; 32],
}

/// The machine: 32 registers, 512 MiB of memory, one input behind hints (see `crates/guest/src/zkvm.rs`).
struct Machine {
    registers: [u32; 32],
    pc: u32,
    memory: Vec<u8>,
    hints: std::vec::IntoIter<u32>,
    input: Vec<u8>,
    public_values: [u8; 32],
    instructions: u64,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

impl Machine {
    fn new(elf: &[u8], input: &[u8]) -> Self {
        let mut memory = vec![0u8; 1 << 29];
        let headers = word(elf, 28) as usize;
        for index in 0..usize::from(half(elf, 44)) {
            let header = headers + 32 * index;
            if word(elf, header) == 1 {
                let (offset, address) = (word(elf, header + 4) as usize, word(elf, header + 8) as usize);
                let size = word(elf, header + 16) as usize;
                memory[address..address + size].copy_from_slice(&elf[offset..offset + size]);
            }
        }
        Self {
            registers: [0; 32],
            pc: word(elf, 24),
            memory,
            hints: Vec::new().into_iter(),
            input: input.to_vec(),
            public_values: [0; 32],
            instructions: 0,
        }
    }

    fn run(mut self) -> Outcome {
        loop {
            if let Some(exit_code) = self.step() {
                println!("{} instructions", self.instructions);
                return Outcome { exit_code, public_values: self.public_values };
            }
        }
    }

    fn step(&mut self) -> Option<u32> {
        let code = word(&self.memory, self.pc as usize);
        self.instructions += 1;
        let (target, kind) = ((code >> 7 & 31) as usize, code >> 12 & 7);
        let left = self.registers[(code >> 15 & 31) as usize];
        let right = self.registers[(code >> 20 & 31) as usize];
        let immediate = (code as i32 >> 20) as u32;
        let mut next = self.pc.wrapping_add(4);
        let mut result = None;
        match code & 0x7f {
            0x37 => result = Some(code & 0xffff_f000),
            0x17 => result = Some(self.pc.wrapping_add(code & 0xffff_f000)),
            0x6f => {
                let sign = ((code as i32 >> 31) as u32) << 20;
                let offset = sign | (code & 0xff000) | (code >> 9 & 0x800) | (code >> 20 & 0x7fe);
                result = Some(next);
                next = self.pc.wrapping_add(offset);
            }
            0x67 => {
                result = Some(next);
                next = left.wrapping_add(immediate) & !1;
            }
            0x63 => {
                let sign = ((code as i32 >> 31) as u32) << 12;
                let offset = sign | (code << 4 & 0x800) | (code >> 20 & 0x7e0) | (code >> 7 & 0x1e);
                let is_taken = match kind {
                    0 => left == right,
                    1 => left != right,
                    4 => (left as i32) < right as i32,
                    5 => left as i32 >= right as i32,
                    6 => left < right,
                    7 => left >= right,
                    _ => panic!("branch {kind}"),
                };
                if is_taken {
                    next = self.pc.wrapping_add(offset);
                }
            }
            0x03 => {
                let address = left.wrapping_add(immediate) as usize;
                result = Some(match kind {
                    0 => self.memory[address] as i8 as u32,
                    1 => half(&self.memory, address) as i16 as u32,
                    2 => word(&self.memory, address),
                    4 => u32::from(self.memory[address]),
                    5 => u32::from(half(&self.memory, address)),
                    _ => panic!("load {kind}"),
                });
                // The zkVM refuses what isn't aligned.
                let size = 1 << (kind & 3);
                assert_eq!(address % size, 0, "load of {size} at {address:#x}");
            }
            0x23 => {
                let offset = ((code as i32 >> 25) << 5) as u32 | (code >> 7 & 31);
                let address = left.wrapping_add(offset) as usize;
                let size = 1 << kind;
                assert_eq!(address % size, 0, "store of {size} at {address:#x}");
                self.memory[address..address + size].copy_from_slice(&right.to_le_bytes()[..size]);
            }
            0x13 => result = Some(arithmetic(kind, left, immediate, kind == 5 && code >> 30 & 1 == 1)),
            0x33 if code >> 25 == 1 => result = Some(multiplication(kind, left, right)),
            0x33 if kind == 0 && code >> 30 & 1 == 1 => result = Some(left.wrapping_sub(right)),
            0x33 => result = Some(arithmetic(kind, left, right, code >> 30 & 1 == 1)),
            0x0f => {}
            0x0b => match (kind, immediate & 0xfff) {
                (0, exit_code) => return Some(exit_code),
                (1, 0) => self.hint(self.registers[target], 1),
                (1, 1) => self.hint(self.registers[target], left),
                (2, 0) => {
                    let at = self.registers[target] as usize;
                    self.public_values[at..at + 4].copy_from_slice(&left.to_le_bytes());
                }
                (3, 0) => {
                    let mut words = vec![self.input.len() as u32];
                    self.input.resize(self.input.len().next_multiple_of(4), 0);
                    words.extend((0..self.input.len()).step_by(4).map(|at| word(&self.input, at)));
                    self.hints = words.into_iter();
                }
                other => panic!("instruction {other:?} of the zkVM"),
            },
            _ => panic!("illegal instruction {code:08x} at {:08x}", self.pc),
        }
        if let (Some(result), 1..) = (result, target) {
            self.registers[target] = result;
        }
        self.pc = next;
        None
    }

    fn hint(&mut self, address: u32, words: u32) {
        for index in 0..words {
            let at = (address + 4 * index) as usize;
            assert_eq!(at % 4, 0);
            self.memory[at..at + 4].copy_from_slice(&self.hints.next().unwrap().to_le_bytes());
        }
    }
}

fn arithmetic(kind: u32, left: u32, right: u32, is_signed_shift: bool) -> u32 {
    match kind {
        0 => left.wrapping_add(right),
        1 => left << (right & 31),
        2 => u32::from((left as i32) < right as i32),
        3 => u32::from(left < right),
        4 => left ^ right,
        5 if is_signed_shift => (left as i32 >> (right & 31)) as u32,
        5 => left >> (right & 31),
        6 => left | right,
        _ => left & right,
    }
}

fn multiplication(kind: u32, left: u32, right: u32) -> u32 {
    let (signed_left, signed_right) = (left as i32, right as i32);
    match kind {
        0 => left.wrapping_mul(right),
        1 => ((i64::from(signed_left) * i64::from(signed_right)) >> 32) as u32,
        2 => ((i64::from(signed_left) * i64::from(right)) >> 32) as u32,
        3 => ((u64::from(left) * u64::from(right)) >> 32) as u32,
        4 if right == 0 => u32::MAX,
        4 => signed_left.wrapping_div(signed_right) as u32,
        5 => left.checked_div(right).unwrap_or(u32::MAX),
        6 if right == 0 => left,
        6 => signed_left.wrapping_rem(signed_right) as u32,
        _ => left.checked_rem(right).unwrap_or(left),
    }
}

#[test]
#[ignore = "needs the guest's program: run scripts/check-guest"]
fn the_guest_program_reveals_the_statement() {
    let path = std::env::var("EXCLAVE_GUEST").expect("EXCLAVE_GUEST is the guest's ELF");
    let elf = std::fs::read(path).expect("the guest's ELF can be read");
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
    for transactions in blocks {
        let block = chain.build(&transactions);
        let input = GuestInput {
            configuration: configuration().into(),
            parent: header_to_rlp(chain.head()).into(),
            block: block.encoded(),
            witness: chain.witness(&block.block()).encoded(),
        };
        let encoded = input.encoded();
        let public_values = guest_entry(&encoded).unwrap().0;
        assert_eq!(Machine::new(&elf, &encoded).run(), Outcome { exit_code: 0, public_values });
        // Nothing is revealed about a block that isn't valid, nor about no input.
        let mut wrong = block.block();
        wrong.header.gas_used += 1;
        let refused = Outcome { exit_code: 1, public_values: [0; 32] };
        let forged = GuestInput { block: wrong.encoded(), ..input };
        assert_eq!(Machine::new(&elf, &forged.encoded()).run(), refused);
        assert_eq!(Machine::new(&elf, &[]).run(), refused);
        chain.append(&block);
    }
}
