//! The prover's command line. Progress and the result are lines of JSON on standard output, errors go to standard error.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the proof is not accepted, 130 stopped by a signal.

use clap::{Parser, Subcommand};
use exclave_prover::circuits::Circuits;
use exclave_prover::encoding::Encoded;
use exclave_prover::error::ProverError;
use exclave_prover::fixtures;
use exclave_prover::machine::{program, Program};
use exclave_prover::prover::{Progress, Prover};
use exclave_prover::security::proven_security;
use exclave_prover::verifier::{verify_encoded, verifying_key, Proven};
use serde_json::{json, Value};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

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
        #[command(flatten)]
        program: ProgramFile,
        /// Its input.
        #[arg(long)]
        input: PathBuf,
        #[command(flatten)]
        limits: Limits,
    },
    /// Prove an execution. What the program made public is printed.
    Prove {
        #[command(flatten)]
        program: ProgramFile,
        /// Its input.
        #[arg(long)]
        input: PathBuf,
        /// Where the proof is written.
        #[arg(long)]
        output: PathBuf,
        #[command(flatten)]
        limits: Limits,
    },
    /// Verify a proof; print of which program it is, and what that made public.
    Verify {
        /// The proof.
        #[arg(long)]
        proof: PathBuf,
    },
    /// Print the bits of security that are proven for what L1 verifies, by component.
    Security,
    /// For developers: write the repository's files that follow from the circuits, the generated contracts among them.
    Generate {
        /// The repository.
        #[arg(long, default_value = ".")]
        root: PathBuf,
    },
    /// For developers: write the fixture that the contracts' tests verify.
    Fixture {
        /// The proof.
        #[arg(long)]
        proof: PathBuf,
        /// The repository.
        #[arg(long, default_value = ".")]
        root: PathBuf,
    },
    /// Print what a verifier of the program's proofs pins.
    Identity {
        #[command(flatten)]
        program: ProgramFile,
    },
}

/// The guest as it is committed.
const GUEST: &[u8] = include_bytes!("../../../guest/elf/exclave-guest.elf");

#[derive(clap::Args)]
struct ProgramFile {
    /// Another program's ELF file than Exclave's guest.
    #[arg(long)]
    program: Option<PathBuf>,
}

impl ProgramFile {
    fn load(&self) -> Result<Arc<Program>, Failure> {
        Ok(match &self.program {
            Some(path) => program(&read(path)?)?,
            None => program(GUEST)?,
        })
    }
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
            let (mut prover, input) = (prover(&program, &limits)?, read(&input)?);
            let mut observe = |progress| {
                println!("{}", describe(progress));
                !stopped.load(Ordering::Relaxed)
            };
            let (proven, encoded) = prover.prove(&input, &mut observe)?;
            write(&output, &encoded.bytes)?;
            Ok(describe_proof(&proven, &encoded))
        }
        Command::Verify { proof } => {
            let (proven, encoded) = verify_encoded(&read(&proof)?)?;
            Ok(describe_proof(&proven, &encoded))
        }
        Command::Security => {
            let bits = proven_security(verifying_key());
            Ok(json!({
                "total": bits.total_bits,
                "logup": bits.logup_bits,
                "gkr_sumcheck": bits.gkr_sumcheck_bits,
                "gkr_batching": bits.gkr_batching_bits,
                "zerocheck_sumcheck": bits.zerocheck_sumcheck_bits,
                "constraint_batching": bits.constraint_batching_bits,
                "stacked_reduction": bits.stacked_reduction_bits,
                "whir": bits.whir_bits,
            }))
        }
        Command::Generate { root } => {
            write_all(&root, &fixtures::of_circuits(&Circuits::new(SEGMENT_MEMORY as usize)?)?)
        }
        Command::Fixture { proof, root } => write_all(&root, &fixtures::of_proof(&read(&proof)?)?),
        Command::Identity { program } => {
            let program = program.load()?;
            let circuits = Circuits::new(SEGMENT_MEMORY as usize)?;
            let (_, identity) = circuits.commit(&program);
            let elements = |digest: &[_]| digest.iter().map(ToString::to_string).collect::<Vec<String>>();
            Ok(json!({
                "program_id": hex(&identity.program_id()),
                "program": elements(&identity.program),
                "machine": elements(&identity.machine),
                "constraints": hex(&identity.constraints),
                "verifying_key": hex(&verifying_key().pre_hash),
            }))
        }
    }
}

fn prover(program: &ProgramFile, limits: &Limits) -> Result<Prover, Failure> {
    let program = program.load()?;
    Ok(Prover::new(Circuits::new((limits.segment_memory << 20) as usize)?, program)?)
}

fn describe(progress: Progress) -> Value {
    match progress {
        Progress::Executed { instructions, segments } => {
            json!({"progress": "executed", "instructions": instructions, "segments": segments})
        }
        Progress::Segment { proven, of } => json!({"progress": "segment", "proven": proven, "of": of}),
        Progress::Layer(layer) => json!({"progress": "layer", "layer": layer}),
    }
}

/// Lengths are in bytes: of the head, which says what is proven, and up to the places where the proof may be cut.
fn describe_proof(proven: &Proven, encoded: &Encoded) -> Value {
    json!({
        "program_id": hex(&proven.program_id),
        "public": hex(&proven.public),
        "head": encoded.head,
        "parts": encoded.parts,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::File { path: path.display().to_string(), error })
}

fn write_all(root: &Path, files: &[fixtures::File]) -> Result<Value, Failure> {
    for (path, content) in files {
        write(&root.join(path), content)?;
    }
    Ok(json!({"files": files.len()}))
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
