//! Decoding of instructions: RV32IM (The RISC-V Instruction Set Manual, volume I, chapters 2 and 12) and those of
//! OpenVM that the guest uses, in the custom-0 opcode space (`openvm-rv32im-transpiler`).

/// What an instruction does, with its operation where several share a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    LoadUpper,
    AddUpperToPc,
    Jump,
    JumpRegister,
    Branch(Comparison),
    LoadByte,
    LoadHalf,
    LoadWord,
    LoadByteUnsigned,
    LoadHalfUnsigned,
    StoreByte,
    StoreHalf,
    StoreWord,
    Immediate(Operation),
    Register(Operation),
    Multiply(Product),
    Fence,
    Terminate,
    HintStore,
    HintBuffer,
    Reveal,
    HintInput,
    /// Permutes the 200 bytes at the target register's address (`openvm-keccak256-transpiler`).
    KeccakF,
    Illegal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    NotLess,
    LessUnsigned,
    NotLessUnsigned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Add,
    Subtract,
    ShiftLeft,
    SetLess,
    SetLessUnsigned,
    Xor,
    ShiftRight,
    ShiftRightSigned,
    Or,
    And,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    Low,
    HighSigned,
    HighSignedUnsigned,
    HighUnsigned,
    Divide,
    DivideUnsigned,
    Remainder,
    RemainderUnsigned,
}

/// A decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub kind: Kind,
    pub target: u8,
    pub left: u8,
    pub right: u8,
    pub immediate: u32,
}

impl Instruction {
    pub fn decode(code: u32) -> Self {
        let selector = code >> 12 & 7;
        let signed = code as i32;
        let from_i = (signed >> 20) as u32;
        let from_s = ((signed >> 25) << 5) as u32 | (code >> 7 & 31);
        let from_b = ((signed >> 31) << 12) as u32 | (code << 4 & 0x800) | (code >> 20 & 0x7e0) | (code >> 7 & 0x1e);
        let from_j = ((signed >> 31) << 20) as u32 | (code & 0xff000) | (code >> 9 & 0x800) | (code >> 20 & 0x7fe);
        let (kind, immediate) = match code & 0x7f {
            0x37 => (Kind::LoadUpper, code & 0xffff_f000),
            0x17 => (Kind::AddUpperToPc, code & 0xffff_f000),
            0x6f => (Kind::Jump, from_j),
            0x67 if selector == 0 => (Kind::JumpRegister, from_i),
            0x63 => (branch(selector), from_b),
            0x03 => (load(selector), from_i),
            0x23 => (store(selector), from_s),
            0x13 => (immediate_operation(selector, code >> 25), from_i),
            0x33 => (register_operation(selector, code >> 25), 0),
            0x0f => (Kind::Fence, 0),
            0x0b => (custom(selector, from_i & 0xfff), from_i & 0xfff),
            _ => (Kind::Illegal, 0),
        };
        let register = |shift: u32| (code >> shift & 31) as u8;
        Self { kind, target: register(7), left: register(15), right: register(20), immediate }
    }
}

fn branch(selector: u32) -> Kind {
    Kind::Branch(match selector {
        0 => Comparison::Equal,
        1 => Comparison::NotEqual,
        4 => Comparison::Less,
        5 => Comparison::NotLess,
        6 => Comparison::LessUnsigned,
        7 => Comparison::NotLessUnsigned,
        _ => return Kind::Illegal,
    })
}

fn load(selector: u32) -> Kind {
    match selector {
        0 => Kind::LoadByte,
        1 => Kind::LoadHalf,
        2 => Kind::LoadWord,
        4 => Kind::LoadByteUnsigned,
        5 => Kind::LoadHalfUnsigned,
        _ => Kind::Illegal,
    }
}

fn store(selector: u32) -> Kind {
    match selector {
        0 => Kind::StoreByte,
        1 => Kind::StoreHalf,
        2 => Kind::StoreWord,
        _ => Kind::Illegal,
    }
}

fn immediate_operation(selector: u32, high: u32) -> Kind {
    match (selector, high) {
        (1, 0) => Kind::Immediate(Operation::ShiftLeft),
        (5, 0) => Kind::Immediate(Operation::ShiftRight),
        (5, 0x20) => Kind::Immediate(Operation::ShiftRightSigned),
        (1 | 5, _) => Kind::Illegal,
        _ => Kind::Immediate(operation(selector)),
    }
}

fn register_operation(selector: u32, high: u32) -> Kind {
    match (selector, high) {
        (0, 0x20) => Kind::Register(Operation::Subtract),
        (5, 0x20) => Kind::Register(Operation::ShiftRightSigned),
        (_, 0) => Kind::Register(operation(selector)),
        (_, 1) => Kind::Multiply(match selector {
            0 => Product::Low,
            1 => Product::HighSigned,
            2 => Product::HighSignedUnsigned,
            3 => Product::HighUnsigned,
            4 => Product::Divide,
            5 => Product::DivideUnsigned,
            6 => Product::Remainder,
            _ => Product::RemainderUnsigned,
        }),
        _ => Kind::Illegal,
    }
}

fn operation(selector: u32) -> Operation {
    match selector {
        0 => Operation::Add,
        1 => Operation::ShiftLeft,
        2 => Operation::SetLess,
        3 => Operation::SetLessUnsigned,
        4 => Operation::Xor,
        5 => Operation::ShiftRight,
        6 => Operation::Or,
        _ => Operation::And,
    }
}

fn custom(selector: u32, immediate: u32) -> Kind {
    match (selector, immediate) {
        (0, _) => Kind::Terminate,
        (1, 0) => Kind::HintStore,
        (1, 1) => Kind::HintBuffer,
        (2, 0) => Kind::Reveal,
        (3, 0) => Kind::HintInput,
        (4, 0) => Kind::KeccakF,
        _ => Kind::Illegal,
    }
}
