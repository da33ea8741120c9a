//! The machine: 32 registers, 512 MiB of memory, one input behind hints.

use crate::elf::Elf;
use crate::instruction::{Comparison, Instruction, Kind, Operation, Product};
use std::fmt;

/// Bytes of memory.
pub const MEMORY_SIZE: usize = 1 << 29;

/// Where the guest's stack begins; it grows downwards (`crates/guest/src/zkvm.rs`).
const STACK_TOP: u32 = 0x0020_0400;

/// Bytes of a state of Keccak.
const STATE_SIZE: usize = 200;
/// Words that one instruction may hint.
const HINT_WORDS: u32 = 1023;

const STACK_POINTER: usize = 2;
const RETURN_ADDRESS: usize = 1;
const FIRST_ARGUMENT: usize = 10;

/// What the machine refuses; a proof of such an execution can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// Not an instruction of the machine, or no instruction at all.
    Instruction { pc: u32 },
    /// An access out of memory or not aligned to its size.
    Memory { pc: u32, address: u32 },
    /// More input was asked for than there is.
    Input { pc: u32 },
    /// The bound on instructions that the caller gave.
    Limit,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instruction { pc } => write!(f, "illegal instruction at {pc:#x}"),
            Self::Memory { pc, address } => write!(f, "access to {address:#x} by the instruction at {pc:#x}"),
            Self::Input { pc } => write!(f, "no input for the instruction at {pc:#x}"),
            Self::Limit => f.write_str("too many instructions"),
        }
    }
}

impl std::error::Error for Trap {}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By the program.
    Exit(u32),
    Trap(Trap),
}

/// A finished run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub ending: Ending,
    pub public_values: [u8; 32],
    /// Executed instructions.
    pub instructions: u64,
    /// Bytes between the top of the stack and its lowest use.
    pub stack: u32,
    /// The end of the highest memory that was written, as an address.
    pub memory_end: u32,
}

/// Sees each instruction before it is executed.
pub trait Observer {
    fn step(&mut self, pc: u32, registers: &[u32; 32]);
}

impl Observer for () {
    #[inline(always)]
    fn step(&mut self, _pc: u32, _registers: &[u32; 32]) {}
}

/// A program with its memory and input.
pub struct Machine {
    registers: [u32; 32],
    pc: u32,
    memory: Vec<u8>,
    /// Address of the first of `program`.
    program_start: u32,
    program: Vec<Instruction>,
    input: Vec<u32>,
    input_length: u32,
    /// Position in the input with its length as first word; None before it is asked for.
    hints: Option<usize>,
    public_values: [u8; 32],
    instructions: u64,
    lowest_stack: u32,
    memory_end: u32,
}

impl Machine {
    /// Loads a program and gives it `input`.
    pub fn new(elf: &Elf, input: &[u8]) -> Self {
        let mut memory = vec![0u8; MEMORY_SIZE];
        let (mut program_start, mut program) = (0, Vec::new());
        for (address, content, is_executable) in &elf.segments {
            memory[*address as usize..*address as usize + content.len()].copy_from_slice(content);
            if *is_executable {
                program_start = *address;
                let words =
                    content.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
                program = words.map(Instruction::decode).collect();
            }
        }
        let word = |chunk: &[u8]| {
            let mut bytes = [0; 4];
            bytes[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(bytes)
        };
        let mut registers = [0; 32];
        registers[STACK_POINTER] = STACK_TOP;
        Self {
            registers,
            pc: elf.entry,
            memory,
            program_start,
            program,
            input: input.chunks(4).map(word).collect(),
            input_length: input.len() as u32,
            hints: None,
            public_values: [0; 32],
            instructions: 0,
            lowest_stack: STACK_TOP,
            memory_end: 0,
        }
    }

    /// Runs the program to its end, but for at most `limit` instructions.
    pub fn run(mut self, limit: u64, observer: &mut impl Observer) -> Outcome {
        let ending = loop {
            if self.instructions == limit {
                break Ending::Trap(Trap::Limit);
            }
            match self.step(observer) {
                Ok(None) => {}
                Ok(Some(code)) => break Ending::Exit(code),
                Err(trap) => break Ending::Trap(trap),
            }
        };
        Outcome {
            ending,
            public_values: self.public_values,
            instructions: self.instructions,
            stack: STACK_TOP.saturating_sub(self.lowest_stack),
            memory_end: self.memory_end,
        }
    }

    /// Calls the function at `address` alone, until it returns; gives the number of instructions.
    pub fn call(&mut self, address: u32, arguments: &[u32]) -> Result<u64, Trap> {
        self.registers[FIRST_ARGUMENT..FIRST_ARGUMENT + arguments.len()].copy_from_slice(arguments);
        // No instruction is there.
        self.registers[RETURN_ADDRESS] = 0;
        self.pc = address;
        let before = self.instructions;
        while self.pc != 0 {
            if self.step(&mut ())?.is_some() {
                return Err(Trap::Instruction { pc: self.pc });
            }
        }
        Ok(self.instructions - before)
    }

    /// A register for arguments and results of functions, 0 to 7.
    pub fn argument(&self, index: usize) -> u32 {
        self.registers[FIRST_ARGUMENT + index]
    }

    /// Writes to memory.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Trap> {
        let trap = Trap::Memory { pc: self.pc, address };
        let range = address as usize..(address as usize).checked_add(bytes.len()).ok_or(trap)?;
        self.memory.get_mut(range).ok_or(trap)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Reads memory.
    pub fn read(&self, address: u32, length: usize) -> Result<&[u8], Trap> {
        let trap = Trap::Memory { pc: self.pc, address };
        self.memory.get(address as usize..(address as usize).checked_add(length).ok_or(trap)?).ok_or(trap)
    }

    #[inline(always)]
    fn step(&mut self, observer: &mut impl Observer) -> Result<Option<u32>, Trap> {
        let pc = self.pc;
        observer.step(pc, &self.registers);
        let index = pc.wrapping_sub(self.program_start) / 4;
        let instruction = match self.program.get(index as usize) {
            Some(instruction) if pc.is_multiple_of(4) => *instruction,
            _ => return Err(Trap::Instruction { pc }),
        };
        self.instructions += 1;
        let Instruction { kind, target, left, right, immediate } = instruction;
        let (left, right) = (self.registers[usize::from(left & 31)], self.registers[usize::from(right & 31)]);
        let target = usize::from(target & 31);
        let mut next = pc.wrapping_add(4);
        let result = match kind {
            Kind::LoadUpper => immediate,
            Kind::AddUpperToPc => pc.wrapping_add(immediate),
            Kind::Jump => {
                next = pc.wrapping_add(immediate);
                pc.wrapping_add(4)
            }
            Kind::JumpRegister => {
                next = left.wrapping_add(immediate) & !1;
                pc.wrapping_add(4)
            }
            Kind::LoadByte => self.load::<1>(left.wrapping_add(immediate))? as i8 as u32,
            Kind::LoadHalf => self.load::<2>(left.wrapping_add(immediate))? as i16 as u32,
            Kind::LoadWord => self.load::<4>(left.wrapping_add(immediate))?,
            Kind::LoadByteUnsigned => self.load::<1>(left.wrapping_add(immediate))?,
            Kind::LoadHalfUnsigned => self.load::<2>(left.wrapping_add(immediate))?,
            Kind::Immediate(operation) => compute(operation, left, immediate),
            Kind::Register(operation) => compute(operation, left, right),
            Kind::Multiply(product) => multiply(product, left, right),
            Kind::Branch(comparison) => {
                if holds(comparison, left, right) {
                    next = pc.wrapping_add(immediate);
                }
                self.pc = next;
                return Ok(None);
            }
            Kind::StoreByte => return self.store::<1>(left.wrapping_add(immediate), right, next),
            Kind::StoreHalf => return self.store::<2>(left.wrapping_add(immediate), right, next),
            Kind::StoreWord => return self.store::<4>(left.wrapping_add(immediate), right, next),
            Kind::Fence => {
                self.pc = next;
                return Ok(None);
            }
            _ => return self.custom(kind, target, left, immediate),
        };
        if target != 0 {
            self.registers[target] = result;
            if target == STACK_POINTER {
                self.lowest_stack = self.lowest_stack.min(result);
            }
        }
        self.pc = next;
        Ok(None)
    }

    fn load<const SIZE: u32>(&self, address: u32) -> Result<u32, Trap> {
        let at = address as usize;
        if !address.is_multiple_of(SIZE) || at >= MEMORY_SIZE {
            return Err(Trap::Memory { pc: self.pc, address });
        }
        let mut bytes = [0; 4];
        bytes[..SIZE as usize].copy_from_slice(&self.memory[at..at + SIZE as usize]);
        Ok(u32::from_le_bytes(bytes))
    }

    fn store<const SIZE: u32>(&mut self, address: u32, value: u32, next: u32) -> Result<Option<u32>, Trap> {
        let at = address as usize;
        if !address.is_multiple_of(SIZE) || at >= MEMORY_SIZE {
            return Err(Trap::Memory { pc: self.pc, address });
        }
        self.memory[at..at + SIZE as usize].copy_from_slice(&value.to_le_bytes()[..SIZE as usize]);
        self.memory_end = self.memory_end.max(address + SIZE);
        self.pc = next;
        Ok(None)
    }

    fn custom(&mut self, kind: Kind, target: usize, left: u32, immediate: u32) -> Result<Option<u32>, Trap> {
        let pc = self.pc;
        let next = pc.wrapping_add(4);
        match kind {
            Kind::Terminate => return Ok(Some(immediate)),
            Kind::HintInput => self.hints = Some(0),
            Kind::HintStore => self.hint(self.registers[target], 1)?,
            Kind::HintBuffer if (1..=HINT_WORDS).contains(&left) => self.hint(self.registers[target], left)?,
            Kind::Reveal => {
                let at = self.registers[target] as usize;
                let values = self.public_values.get_mut(at..at.saturating_add(4));
                values.ok_or(Trap::Memory { pc, address: at as u32 })?.copy_from_slice(&left.to_le_bytes());
            }
            Kind::KeccakF => self.permute(self.registers[target])?,
            _ => return Err(Trap::Instruction { pc }),
        }
        self.pc = next;
        Ok(None)
    }

    /// Keccak-f on the 200 bytes at an address, 25 little-endian lanes.
    fn permute(&mut self, address: u32) -> Result<(), Trap> {
        let start = address as usize;
        if !address.is_multiple_of(4) || start > MEMORY_SIZE - STATE_SIZE {
            return Err(Trap::Memory { pc: self.pc, address });
        }
        let bytes = &mut self.memory[start..start + STATE_SIZE];
        let mut lanes = [0; STATE_SIZE / 8];
        for (lane, bytes) in lanes.iter_mut().zip(bytes.chunks_exact(8)) {
            *lane = bytes.iter().rev().fold(0, |lane, byte| lane << 8 | u64::from(*byte));
        }
        keccak::f1600(&mut lanes);
        for (lane, bytes) in lanes.iter().zip(bytes.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&lane.to_le_bytes());
        }
        self.memory_end = self.memory_end.max(address + STATE_SIZE as u32);
        Ok(())
    }

    fn hint(&mut self, address: u32, words: u32) -> Result<(), Trap> {
        let pc = self.pc;
        for index in 0..words {
            let position = self.hints.ok_or(Trap::Input { pc })?;
            let word = match position.checked_sub(1) {
                None => self.input_length,
                Some(position) => *self.input.get(position).ok_or(Trap::Input { pc })?,
            };
            self.hints = Some(position + 1);
            self.store::<4>(address.wrapping_add(4 * index), word, pc)?;
        }
        Ok(())
    }
}

fn holds(comparison: Comparison, left: u32, right: u32) -> bool {
    match comparison {
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
        Comparison::Less => (left as i32) < right as i32,
        Comparison::NotLess => left as i32 >= right as i32,
        Comparison::LessUnsigned => left < right,
        Comparison::NotLessUnsigned => left >= right,
    }
}

fn compute(operation: Operation, left: u32, right: u32) -> u32 {
    match operation {
        Operation::Add => left.wrapping_add(right),
        Operation::Subtract => left.wrapping_sub(right),
        Operation::ShiftLeft => left << (right & 31),
        Operation::SetLess => u32::from((left as i32) < right as i32),
        Operation::SetLessUnsigned => u32::from(left < right),
        Operation::Xor => left ^ right,
        Operation::ShiftRight => left >> (right & 31),
        Operation::ShiftRightSigned => (left as i32 >> (right & 31)) as u32,
        Operation::Or => left | right,
        Operation::And => left & right,
    }
}

fn multiply(product: Product, left: u32, right: u32) -> u32 {
    let (signed_left, signed_right) = (left as i32, right as i32);
    match product {
        Product::Low => left.wrapping_mul(right),
        Product::HighSigned => ((i64::from(signed_left) * i64::from(signed_right)) >> 32) as u32,
        Product::HighSignedUnsigned => ((i64::from(signed_left) * i64::from(right)) >> 32) as u32,
        Product::HighUnsigned => ((u64::from(left) * u64::from(right)) >> 32) as u32,
        Product::Divide if right == 0 => u32::MAX,
        Product::Divide => signed_left.wrapping_div(signed_right) as u32,
        Product::DivideUnsigned => left.checked_div(right).unwrap_or(u32::MAX),
        Product::Remainder if right == 0 => left,
        Product::Remainder => signed_left.wrapping_rem(signed_right) as u32,
        Product::RemainderUnsigned => left.checked_rem(right).unwrap_or(left),
    }
}
