//! Runs the guest's program on recorded inputs and prints where its instructions go.
//! usage: guest-profile [--functions] PROGRAM INPUT...     (see scripts/profile-guest)
//! With --functions also the functions that execute the most.

use emulator::{Elf, Ending, Machine, Outcome, Profile};
use std::error::Error;
use std::path::Path;
use stf::alloy_primitives::Bytes;

/// More instructions than any of the inputs takes.
const LIMIT: u64 = 1 << 36;

/// How many functions are shown.
const FUNCTIONS: usize = 30;

const KECCAK: usize = 0;

/// Phases and the functions that begin them; the last has the rest.
const PHASES: [(&str, &[&str]); 8] = [
    ("keccak", &["native_keccak256"]),
    ("signatures", &["10Recoveries7recover", "15recoveries_hash"]),
    ("input", &["read_input", "GuestInput6decode"]),
    ("witness", &["5State12from_witness"]),
    ("transactions", &["18check_transactions"]),
    ("execution", &["Verification7execute"]),
    ("state root", &["15execute_changes"]),
    ("rest", &[]),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    let with_functions = arguments.next_if(|argument| argument == "--functions").is_some();
    let program = arguments.next().ok_or("usage: guest-profile PROGRAM INPUT...")?;
    let elf = Elf::parse(&std::fs::read(program)?)?;
    for (name, parts) in &PHASES[..PHASES.len() - 1] {
        if !parts.iter().any(|part| elf.function(part).is_some()) {
            return Err(format!("the program has no function of the phase {name}: it needs its symbols").into());
        }
    }
    for path in arguments {
        let input = Bytes::from(std::fs::read(&path)?);
        let statement = stf::guest_entry(&input)?;
        let mut profile = Profile::new(&elf, &PHASES, "keccak_f", KECCAK);
        let outcome = Machine::new(&elf, &input).run(LIMIT, &mut profile);
        match outcome.ending {
            Ending::Exit(0) if outcome.public_values == statement.hash().0 => {}
            Ending::Exit(code) => return Err(format!("{path}: the program ended with {code}").into()),
            Ending::Trap(trap) => return Err(trap.into()),
        }
        let name = Path::new(&path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        print(&name, input.len(), &outcome, &profile);
        if with_functions {
            for (function, instructions) in profile.functions(&elf).iter().take(FUNCTIONS) {
                println!("  {instructions:>12} {function}");
            }
        }
    }
    Ok(())
}

fn print(name: &str, input_length: usize, outcome: &Outcome, profile: &Profile) {
    let total = outcome.instructions;
    println!(
        "{name}: {total} instructions, {input_length} bytes of input, stack {} bytes, memory up to {:.1} MiB",
        outcome.stack,
        f64::from(outcome.memory_end) / f64::from(1 << 20)
    );
    println!("  {:14} {:>12} {:>6} {:>10}", "phase", "instructions", "%", "keccak-f");
    for phase in &profile.phases {
        let percent = 100.0 * phase.instructions as f64 / total as f64;
        println!("  {:14} {:>12} {percent:>6.1} {:>10}", phase.name, phase.instructions, phase.calls);
    }
    println!(
        "  {:14} {:>12} {:>6} {:>10}",
        "total",
        total,
        "",
        profile.phases.iter().map(|phase| phase.calls).sum::<u64>()
    );
}
