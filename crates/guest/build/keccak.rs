//! Writes Keccak-f[1600] (FIPS 202, section 3.3) as rv32im assembly.
//!
//! A lane is two words, low and high. Rounds go back and forth between two buffers, so that each lane is loaded once, xored
//! with its column's D, rotated into its row of B, and the row's results are stored. Parities of the first three columns
//! are summed up in registers meanwhile. Six lanes are kept complemented, which spares four of five negations ("lane
//! complementing", Keccak implementation overview, section 2.2).

use std::fmt::{Display, Write};

/// Rotation of the lane at (x, y), at 5 y + x (FIPS 202, table 2).
const ROTATIONS: [u32; 25] =
    [0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14];

const ROUND_CONSTANTS: [u64; 24] = [
    0x0000000000000001,
    0x0000000000008082,
    0x800000000000808a,
    0x8000000080008000,
    0x000000000000808b,
    0x0000000080000001,
    0x8000000080008081,
    0x8000000000008009,
    0x000000000000008a,
    0x0000000000000088,
    0x0000000080008009,
    0x000000008000000a,
    0x000000008000808b,
    0x800000000000008b,
    0x8000000000008089,
    0x8000000000008003,
    0x8000000000008002,
    0x8000000000000080,
    0x000000000000800a,
    0x800000008000000a,
    0x8000000080008081,
    0x8000000000008080,
    0x0000000080000001,
    0x8000000080008008,
];

/// Lanes that are kept complemented.
const COMPLEMENTED: [usize; 6] = [1, 2, 8, 12, 17, 20];

/// A result of chi: `first ^ (second OP third)`, whose operands are lanes of the row, or the complement of one.
type Chi = (Operand, &'static str, Operand, Operand);

#[derive(Clone, Copy)]
enum Operand {
    Lane(usize),
    /// The complement of the row's only lane that is complemented.
    Not,
}

use Operand::{Lane, Not};

/// For each row the lane whose complement is needed, and the results.
const CHI: [(usize, [Chi; 5]); 5] = [
    (
        2,
        [
            (Lane(0), "or", Lane(1), Lane(2)),
            (Lane(1), "or", Not, Lane(3)),
            (Lane(2), "and", Lane(3), Lane(4)),
            (Lane(3), "or", Lane(4), Lane(0)),
            (Lane(4), "and", Lane(0), Lane(1)),
        ],
    ),
    (
        4,
        [
            (Lane(0), "or", Lane(1), Lane(2)),
            (Lane(1), "and", Lane(2), Lane(3)),
            (Lane(2), "or", Lane(3), Not),
            (Lane(3), "or", Lane(4), Lane(0)),
            (Lane(4), "and", Lane(0), Lane(1)),
        ],
    ),
    (
        3,
        [
            (Lane(0), "or", Lane(1), Lane(2)),
            (Lane(1), "and", Lane(2), Lane(3)),
            (Lane(2), "and", Not, Lane(4)),
            (Not, "or", Lane(4), Lane(0)),
            (Lane(4), "and", Lane(0), Lane(1)),
        ],
    ),
    (
        3,
        [
            (Lane(0), "and", Lane(1), Lane(2)),
            (Lane(1), "or", Lane(2), Lane(3)),
            (Lane(2), "or", Not, Lane(4)),
            (Not, "and", Lane(4), Lane(0)),
            (Lane(4), "or", Lane(0), Lane(1)),
        ],
    ),
    (
        1,
        [
            (Lane(0), "and", Not, Lane(2)),
            (Not, "or", Lane(2), Lane(3)),
            (Lane(2), "and", Lane(3), Lane(4)),
            (Lane(3), "or", Lane(4), Lane(0)),
            (Lane(4), "and", Lane(0), Lane(1)),
        ],
    ),
];

/// All registers but zero, the stack pointer and the buffers' address, which is in `a0`.
const REGISTERS: [&str; 29] = [
    "ra", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "s2", "s3", "s4", "s5",
    "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];

/// Registers that a caller expects to find as they were.
const SAVED: [&str; 15] = ["ra", "gp", "tp", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11"];

/// Where the frame has the address of the next round's constant.
const CONSTANT_SLOT: usize = 4 * SAVED.len();
const FRAME: usize = 64;

/// Bytes of a buffer; the second follows the first.
const BUFFER: usize = 200;

/// Columns whose parities are summed up while rows are stored.
const SUMMED: usize = 3;

struct Assembly(String);

impl Assembly {
    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "    {line}").expect("a string takes all");
    }

    fn load(&mut self, register: &str, buffer: usize, lane: usize, half: usize) {
        self.line(format_args!("lw {register}, {}(a0)", buffer + 8 * lane + 4 * half));
    }

    fn store(&mut self, register: &str, buffer: usize, lane: usize, half: usize) {
        self.line(format_args!("sw {register}, {}(a0)", buffer + 8 * lane + 4 * half));
    }

    fn operation(&mut self, name: &str, target: &str, left: &str, right: &str) {
        self.line(format_args!("{name} {target}, {left}, {right}"));
    }

    /// `target = rol(source, count)`; no register of the target is one of the source's. Spoils `scratch`.
    fn rotate(&mut self, target: [&str; 2], source: [&str; 2], scratch: &str, count: u32) {
        let [low, high] = if count >= 32 { [source[1], source[0]] } else { source };
        let count = count % 32;
        self.line(format_args!("slli {}, {low}, {count}", target[0]));
        self.line(format_args!("srli {scratch}, {high}, {}", 32 - count));
        self.operation("or", target[0], target[0], scratch);
        self.line(format_args!("slli {}, {high}, {count}", target[1]));
        self.line(format_args!("srli {scratch}, {low}, {}", 32 - count));
        self.operation("or", target[1], target[1], scratch);
    }

    /// Loads the parity of a column of a buffer.
    fn parity(&mut self, target: [&str; 2], scratch: &str, buffer: usize, column: usize) {
        for (half, target) in target.into_iter().enumerate() {
            self.load(target, buffer, column, half);
            for row in 1..5 {
                self.load(scratch, buffer, 5 * row + column, half);
                self.operation("xor", target, target, scratch);
            }
        }
    }

    /// One round from a buffer to the other. The parities of the summed columns are in registers before and after.
    fn round(&mut self, from: usize, to: usize) {
        let pair = |index: usize| [REGISTERS[2 * index], REGISTERS[2 * index + 1]];
        let summed: [[&str; 2]; SUMMED] = core::array::from_fn(pair);
        let d: [[&str; 2]; 5] = core::array::from_fn(|column| pair(SUMMED + column));
        let b: [[&str; 2]; 5] = core::array::from_fn(|column| pair(SUMMED + 5 + column));
        let [x, y, z] = [REGISTERS[26], REGISTERS[27], REGISTERS[28]];
        // Theta: the parities C, then D[i] = C[i - 1] ^ rol(C[i + 1], 1).
        let c = [summed[0], summed[1], summed[2], b[3], b[4]];
        for column in SUMMED..5 {
            self.parity(c[column], x, from, column);
        }
        for column in 0..5 {
            self.rotate(d[column], c[(column + 1) % 5], x, 1);
            for half in 0..2 {
                self.operation("xor", d[column][half], d[column][half], c[(column + 4) % 5][half]);
            }
        }
        for row in 0..5 {
            // Rho and pi: the lane at (column, row) comes from (column + 3 row, column).
            for column in 0..5 {
                let source = (column + 3 * row) % 5;
                let lane = 5 * column + source;
                let count = ROTATIONS[lane];
                self.load(x, from, lane, 0);
                self.load(y, from, lane, 1);
                if count == 0 {
                    self.operation("xor", b[column][0], x, d[source][0]);
                    self.operation("xor", b[column][1], y, d[source][1]);
                    continue;
                }
                self.operation("xor", x, x, d[source][0]);
                self.operation("xor", y, y, d[source][1]);
                self.rotate(b[column], [x, y], z, count);
            }
            // Chi and iota.
            let (complement, results) = &CHI[row];
            for half in 0..2 {
                self.line(format_args!("not {z}, {}", b[*complement][half]));
                let register = |operand: Operand| match operand {
                    Lane(column) => b[column][half],
                    Not => z,
                };
                for (column, (first, name, second, third)) in results.iter().enumerate() {
                    let target = if column < SUMMED && row == 0 { summed[column][half] } else { x };
                    self.operation(name, target, register(*second), register(*third));
                    self.operation("xor", target, target, register(*first));
                    if column == 0 && row == 0 {
                        self.line(format_args!("lw {y}, {CONSTANT_SLOT}(sp)"));
                        self.line(format_args!("lw {y}, {}({y})", 4 * half));
                        self.operation("xor", target, target, y);
                    }
                    self.store(target, to, 5 * row + column, half);
                    if column < SUMMED && row != 0 {
                        self.operation("xor", summed[column][half], summed[column][half], x);
                    }
                }
            }
        }
        self.line(format_args!("lw {x}, {CONSTANT_SLOT}(sp)"));
        self.line(format_args!("addi {x}, {x}, 8"));
        self.line(format_args!("sw {x}, {CONSTANT_SLOT}(sp)"));
    }

    fn complement(&mut self) {
        for lane in COMPLEMENTED {
            for half in 0..2 {
                self.load(REGISTERS[28], 0, lane, half);
                self.line(format_args!("not {0}, {0}", REGISTERS[28]));
                self.store(REGISTERS[28], 0, lane, half);
            }
        }
    }
}

/// The function `keccak_f`: permutes the 200 bytes at `a0`, and spoils the 200 bytes after them.
pub fn assembly() -> String {
    let mut code = Assembly(String::new());
    // The global pointer is used for something else here.
    code.0.push_str(".option push\n.option norelax\n");
    code.0.push_str(".section .rodata.keccak_f, \"a\", @progbits\n.balign 8\nkeccak_round_constants:\n");
    for constant in ROUND_CONSTANTS {
        code.line(format_args!(".word {:#x}, {:#x}", constant as u32, constant >> 32));
    }
    code.0.push_str(
        ".section .text.keccak_f, \"ax\", @progbits\n.globl keccak_f\n.type keccak_f, @function\nkeccak_f:\n",
    );
    code.line(format_args!("addi sp, sp, -{FRAME}"));
    for (index, register) in SAVED.iter().enumerate() {
        code.line(format_args!("sw {register}, {}(sp)", 4 * index));
    }
    code.line("la t0, keccak_round_constants");
    code.line(format_args!("sw t0, {CONSTANT_SLOT}(sp)"));
    code.complement();
    for column in 0..SUMMED {
        code.parity([REGISTERS[2 * column], REGISTERS[2 * column + 1]], REGISTERS[28], 0, column);
    }
    code.0.push_str("1:\n");
    code.round(0, BUFFER);
    code.round(BUFFER, 0);
    // The register still has the address of the next constant.
    code.line(format_args!("la {}, keccak_round_constants + {}", REGISTERS[27], 8 * ROUND_CONSTANTS.len()));
    code.line(format_args!("beq {}, {}, 2f", REGISTERS[26], REGISTERS[27]));
    code.line("j 1b");
    code.0.push_str("2:\n");
    code.complement();
    for (index, register) in SAVED.iter().enumerate() {
        code.line(format_args!("lw {register}, {}(sp)", 4 * index));
    }
    code.line(format_args!("addi sp, sp, {FRAME}"));
    code.line("ret");
    code.0.push_str(".size keccak_f, . - keccak_f\n.option pop\n");
    code.0
}
