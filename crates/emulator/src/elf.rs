//! The part of the ELF format that the guest's program uses (System V ABI, chapters 4 and 5).

use crate::machine::MEMORY_SIZE;
use std::fmt;

/// Program header type of what is loaded.
const LOAD: u32 = 1;
/// Section type of a symbol table.
const SYMBOL_TABLE: u32 = 2;
/// Symbol type of a function.
const FUNCTION: u8 = 2;

/// Bytes that aren't a 32-bit little-endian ELF whose parts lie in the file and in the machine's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElfError;

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an ELF of the guest's machine")
    }
}

impl std::error::Error for ElfError {}

/// A program.
#[derive(Clone, Debug)]
pub struct Elf {
    /// Address of the first instruction.
    pub entry: u32,
    /// Address and content of what is loaded; whether it can be executed.
    pub segments: Vec<(u32, Vec<u8>, bool)>,
    /// Names and addresses of functions; none in a stripped program.
    pub functions: Vec<(String, u32)>,
}

impl Elf {
    /// Reads a program.
    pub fn parse(file: &[u8]) -> Result<Self, ElfError> {
        if file.get(..6) != Some(b"\x7fELF\x01\x01") {
            return Err(ElfError);
        }
        let mut segments = Vec::new();
        for index in 0..half(file, 44)? {
            let header = table_entry(word(file, 28)?, 32, index.into())?;
            if word(file, header)? != LOAD {
                continue;
            }
            let address = word(file, header + 8)?;
            let content = slice(file, word(file, header + 4)?, word(file, header + 16)?)?;
            let end = (address as usize).checked_add(content.len()).ok_or(ElfError)?;
            if end > MEMORY_SIZE || !address.is_multiple_of(4) {
                return Err(ElfError);
            }
            segments.push((address, content.to_vec(), word(file, header + 24)? & 1 == 1));
        }
        Ok(Self { entry: word(file, 24)?, segments, functions: functions(file)? })
    }

    /// Address of the first function whose name contains `part`.
    pub fn function(&self, part: &str) -> Option<u32> {
        self.functions.iter().find(|(name, _)| name.contains(part)).map(|(_, address)| *address)
    }
}

fn functions(file: &[u8]) -> Result<Vec<(String, u32)>, ElfError> {
    let mut functions = Vec::new();
    let sections = word(file, 32)?;
    for index in 0..half(file, 48)? {
        let section = table_entry(sections, 40, index.into())?;
        if word(file, section + 4)? != SYMBOL_TABLE {
            continue;
        }
        let symbols = slice(file, word(file, section + 16)?, word(file, section + 20)?)?;
        let strings = table_entry(sections, 40, word(file, section + 24)?)?;
        let strings = slice(file, word(file, strings + 16)?, word(file, strings + 20)?)?;
        for symbol in symbols.chunks_exact(16) {
            if symbol[12] & 15 == FUNCTION {
                let name = strings.get(word(symbol, 0)? as usize..).ok_or(ElfError)?;
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                functions.push((String::from_utf8_lossy(name).into_owned(), word(symbol, 4)?));
            }
        }
    }
    Ok(functions)
}

fn table_entry(table: u32, size: u32, index: u32) -> Result<usize, ElfError> {
    let offset = size.checked_mul(index).and_then(|offset| offset.checked_add(table)).ok_or(ElfError)?;
    Ok(offset as usize)
}

fn slice(file: &[u8], offset: u32, length: u32) -> Result<&[u8], ElfError> {
    let end = offset.checked_add(length).ok_or(ElfError)?;
    file.get(offset as usize..end as usize).ok_or(ElfError)
}

fn word(file: &[u8], at: usize) -> Result<u32, ElfError> {
    let bytes = file.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(ElfError)?;
    Ok(u32::from_le_bytes(*bytes))
}

fn half(file: &[u8], at: usize) -> Result<u16, ElfError> {
    let bytes = file.get(at..).and_then(|rest| rest.first_chunk::<2>()).ok_or(ElfError)?;
    Ok(u16::from_le_bytes(*bytes))
}
