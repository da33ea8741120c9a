//! The prover's command line. Results are lines of JSON on standard output, progress and errors go to standard error.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the proof is not accepted, 130 stopped by a signal.

use clap::{Parser, Subcommand};
use exclave_prover::circuits::Circuits;
use exclave_prover::error::ProverError;
use exclave_prover::machine::program;
use exclave_prover::prover::{Progress, Prover};
use exclave_prover::verifier::Verifier;
use serde_json::{json, Value};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

/// Proves executions of Exclave's guest, and verifies such proofs.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Execute the program without a proof; print its instructions and segments.
    Execute {
        /// The program's ELF file.
        #[arg(long)]
        program: PathBuf,
        /// Its input.
        #[arg(long)]
        input: PathBuf,
        #[command(flatten)]
        limits: Limits,
    },
    /// Prove an execution. What the program made public is printed.
    Prove {
        /// The program's ELF file.
        #[arg(long)]
        program: PathBuf,
        /// Its input.
        #[arg(long)]
        input: PathBuf,
        /// Where the proof is written.
        #[arg(long)]
        output: PathBuf,
        #[command(flatten)]
        limits: Limits,
    },
    /// Verify a proof; print what the program made public.
    Verify {
        /// The program's ELF file.
        #[arg(long)]
        program: PathBuf,
        /// The proof.
        #[arg(long)]
        proof: PathBuf,
    },
    /// Print what a verifier of the program's proofs pins.
    Identity {
        /// The program's ELF file.
        #[arg(long)]
        program: PathBuf,
    },
}

#[derive(clap::Args)]
struct Limits {
    /// MiB that the proof of one segment may take, by the library's estimate; less makes more segments.
    #[arg(long, default_value_t = SEGMENT_MEMORY >> 20, value_parser = clap::value_parser!(u64).range(256..=65_536))]
    segment_memory: u64,
}

/// Bytes that the proof of one segment may take unless the user says otherwise. The estimate is nearly twice what is taken.
const SEGMENT_MEMORY: u64 = 9 << 30;

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{path}: {error}")]
    File { path: String, error: io::Error },
    #[error(transparent)]
    Prover(#[from] ProverError),
    #[error("can't handle signals: {0}")]
    Signals(io::Error),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("exclave-prover: {failure}");
            ExitCode::from(match failure {
                Failure::Prover(ProverError::Cancelled) => 130,
                Failure::Prover(ProverError::Encoding(_) | ProverError::Recursion(_)) => 3,
                _ => 1,
            })
        }
    }
}

fn run(command: Command) -> Result<Value, Failure> {
    match command {
        Command::Execute { program, input, limits } => {
            let (prover, input) = (prover(&program, &limits)?, read(&input)?);
            let execution = prover.execute(&input)?;
            Ok(json!({"instructions": execution.instructions, "segments": execution.segments}))
        }
        Command::Prove { program, input, output, limits } => {
            let stopped = Arc::new(AtomicBool::new(false));
            for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
                signal_hook::flag::register_conditional_shutdown(signal, 130, stopped.clone())
                    .and_then(|_| signal_hook::flag::register(signal, stopped.clone()))
                    .map_err(Failure::Signals)?;
            }
            let started = Instant::now();
            let (mut prover, input) = (prover(&program, &limits)?, read(&input)?);
            let mut observe = |progress| {
                eprintln!("{:>7.1} s  {}", started.elapsed().as_secs_f64(), describe(progress));
                !stopped.load(Ordering::Relaxed)
            };
            let (public, proof) = prover.prove(&input, &mut observe)?;
            write(&output, &proof)?;
            Ok(json!({"public": hex(&public), "bytes": proof.len(), "seconds": started.elapsed().as_secs_f64()}))
        }
        Command::Verify { program: path, proof } => {
            let program = program(&read(&path)?)?;
            let circuits = Circuits::new(SEGMENT_MEMORY as usize)?;
            let public = Verifier::new(&circuits, &program).verify(&read(&proof)?)?;
            Ok(json!({"public": hex(&public)}))
        }
        Command::Identity { program: path } => {
            let program = program(&read(&path)?)?;
            let circuits = Circuits::new(SEGMENT_MEMORY as usize)?;
            let (_, identity) = circuits.commit(&program);
            let elements = |digest: &[_]| digest.iter().map(ToString::to_string).collect::<Vec<String>>();
            Ok(json!({
                "program_id": hex(&identity.program_id()),
                "program": elements(&identity.program),
                "machine": elements(&identity.machine),
                "constraints": hex(&identity.constraints),
                "verifying_key": hex(&circuits.last.vk().pre_hash),
            }))
        }
    }
}

fn prover(path: &Path, limits: &Limits) -> Result<Prover, Failure> {
    let program = program(&read(path)?)?;
    Ok(Prover::new(Circuits::new((limits.segment_memory << 20) as usize)?, program)?)
}

fn describe(progress: Progress) -> String {
    match progress {
        Progress::Executed { instructions, segments } => {
            format!("executed: {instructions} instructions, {segments} segments")
        }
        Progress::Segment { proven, of } => format!("segment {proven} of {of} proven"),
        Progress::Layer(layer) => format!("{layer} layer proven"),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::File { path: path.display().to_string(), error })
}

/// Writes a file so that it is whole or not there.
fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let failed = |error| Failure::File { path: path.display().to_string(), error };
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    fs::write(&part, content).map_err(failed)?;
    fs::rename(&part, path).map_err(failed)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
