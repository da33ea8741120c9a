//! OpenVM's rv32im machine without proofs: it runs the guest's program (`crates/guest`), counts instructions and tells
//! where they went.
#![forbid(unsafe_code)]

mod elf;
mod instruction;
mod machine;
mod profile;

pub use elf::{Elf, ElfError};
pub use machine::{Ending, Machine, Observer, Outcome, Trap, MEMORY_SIZE};
pub use profile::{Phase, Profile};
