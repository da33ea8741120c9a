//! Where the instructions of a run went, by functions of the program. The program must have its symbols.

use crate::elf::Elf;
use crate::machine::Observer;

/// Part of a run: a function and what it calls, but for what belongs to another phase.
#[derive(Clone, Debug)]
pub struct Phase {
    pub name: &'static str,
    /// Parts of the names of its functions.
    pub functions: &'static [&'static str],
    /// Instructions.
    pub instructions: u64,
    /// Calls of the counted function from this phase.
    pub calls: u64,
}

struct Frame {
    phase: usize,
    return_address: u32,
    stack_pointer: u32,
}

/// Counts instructions by phase, and calls of one function by the phase that they come from.
pub struct Profile {
    pub phases: Vec<Phase>,
    start: u32,
    /// For each instruction the phase that it begins, plus one.
    entries: Vec<u8>,
    counted: u32,
    /// The phase of the counted function, whose callers count instead.
    counted_phase: usize,
    frames: Vec<Frame>,
    /// How often each instruction was executed.
    counts: Vec<u64>,
}

impl Profile {
    /// The last phase gets what no other one has. `counted` is part of the name of the function whose calls are counted,
    /// `counted_phase` the phase that it is in.
    pub fn new(
        elf: &Elf,
        phases: &[(&'static str, &'static [&'static str])],
        counted: &str,
        counted_phase: usize,
    ) -> Self {
        let (start, length) = elf
            .segments
            .iter()
            .find(|(_, _, is_executable)| *is_executable)
            .map_or((0, 0), |(address, content, _)| (*address, content.len() / 4));
        let mut entries = vec![0; length];
        for (name, address) in &elf.functions {
            let phase = phases.iter().position(|(_, parts)| parts.iter().any(|part| name.contains(part)));
            if let (Some(phase), Some(entry)) = (phase, entries.get_mut(address.wrapping_sub(start) as usize / 4)) {
                *entry = phase as u8 + 1;
            }
        }
        let phases = phases.iter().map(|(name, functions)| Phase { name, functions, instructions: 0, calls: 0 });
        Self {
            phases: phases.collect(),
            start,
            entries,
            counted: elf.function(counted).unwrap_or_default(),
            counted_phase,
            frames: Vec::new(),
            counts: vec![0; length],
        }
    }

    /// Names of functions with the instructions that they executed themselves, the most first.
    pub fn functions(&self, elf: &Elf) -> Vec<(String, u64)> {
        let mut functions: Vec<(u32, &str)> = elf.functions.iter().map(|(name, at)| (*at, name.as_str())).collect();
        functions.sort_unstable();
        let mut totals = Vec::new();
        for (index, (address, name)) in functions.iter().enumerate() {
            let start = (address.wrapping_sub(self.start) / 4) as usize;
            let end = functions
                .get(index + 1)
                .map_or(self.counts.len(), |(next, _)| (next.wrapping_sub(self.start) / 4) as usize);
            totals.push(((*name).to_owned(), self.counts.get(start..end).unwrap_or_default().iter().sum()));
        }
        totals.sort_unstable_by_key(|(_, total)| std::cmp::Reverse(*total));
        totals
    }

    fn current(&self) -> usize {
        self.frames.last().map_or(self.phases.len() - 1, |frame| frame.phase)
    }
}

impl Observer for Profile {
    #[inline(always)]
    fn step(&mut self, pc: u32, registers: &[u32; 32]) {
        while let Some(frame) = self.frames.last() {
            if frame.return_address != pc || frame.stack_pointer != registers[2] {
                break;
            }
            self.frames.pop();
        }
        let index = pc.wrapping_sub(self.start) as usize / 4;
        let entry = self.entries.get(index).copied().unwrap_or_default();
        if let Some(count) = self.counts.get_mut(index) {
            *count += 1;
        }
        if pc == self.counted {
            let caller = self.frames.iter().rev().map(|frame| frame.phase).find(|phase| *phase != self.counted_phase);
            let caller = caller.unwrap_or(self.phases.len() - 1);
            self.phases[caller].calls += 1;
        }
        if entry != 0 {
            let frame =
                Frame { phase: usize::from(entry) - 1, return_address: registers[1], stack_pointer: registers[2] };
            self.frames.push(frame);
        }
        let current = self.current();
        self.phases[current].instructions += 1;
    }
}
