//! Statements and recoveries as a Solidity source, with which the contracts' tests check that L1 hashes them in the same
//! way. The committed file must be what this makes; EXCLAVE_WRITE_FIXTURES=1 writes it anew.

mod common;

use common::*;
use std::fmt::Write;
use stf::alloy_consensus::{SignableTransaction, TxEnvelope};
use stf::alloy_primitives::{keccak256, Bytes, Signature, B256, U256};
use stf::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/test/fixtures/StatementFixtures.sol");

const HEAD: &str = "// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Recovery} from \"../../src/libraries/RecoveryList.sol\";
import {ProvenStatement, Verdict} from \"../../src/libraries/Statement.sol\";

/// @dev Written by crates/stf/tests/solidity_fixtures.rs: what the guest's code states about blocks, and the hashes that it gives.
library StatementFixtures {
";

/// What is proven: valid and invalid blocks, with some and without public recoveries.
fn runs() -> Vec<GuestRun> {
    let init = init_message();
    let mut chain = Chain::new(init.message_hash());
    let first = chain.build(&[init.into(), message(0, address(3), LOGGER, words(&[3])).into()]);
    let mut runs = vec![run(&chain, &first.block(), 5)];
    chain.append(&first);
    let transactions = [
        recovered(sign(call_to(RECOVERER, 0, recovery_input()), 0)),
        recovered(sign(legacy(WRITER, 0, words(&[1, 0])), 1)),
        recovered(sign(call_to(PREDEPLOY, 0, words(&[77])), 2)),
    ];
    let last = chain.build(&transactions);
    runs.push(run(&chain, &last.block(), 2));
    runs.push(run(&chain, &last.block(), 100));
    let mut forged = last.block();
    forged.header.state_root = B256::ZERO;
    runs.push(run(&chain, &forged, 0));
    // The second transaction's signature is nobody's.
    let signature = Signature::new(U256::from(5), U256::from(1), false);
    let unsigned: TxEnvelope = call_to(WRITER, 0, []).into_signed(signature).into();
    let unsigned = vec![transactions[0].raw.clone(), encode(unsigned)];
    let mut block = last.block();
    block.transactions.clone_from(&unsigned);
    block.header.transactions_root = ordered_trie_root(&unsigned);
    runs.push(run(&chain, &block, 100));
    runs
}

fn run(chain: &Chain, block: &Block, public_recoveries: usize) -> GuestRun {
    let header = |number: u64| chain.headers.get(number as usize).cloned();
    let parent = (chain.head(), chain.state());
    record_guest_run(configuration().into(), PROVER, parent, vec![block.into()], public_recoveries, &header).unwrap()
}

/// Input of the ecrecover precompile that account 3 signed, with the high value of s that only the precompile takes.
fn recovery_input() -> Bytes {
    let hash = keccak256(b"signed");
    let signature = stf::alloy_consensus::crypto::secp256k1::sign_message(secret(3), hash).unwrap();
    let order = U256::from_be_slice(&stf::alloy_primitives::hex!(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
    ));
    let v = U256::from(27 + u8::from(!signature.v()));
    [hash.0, v.to_be_bytes(), signature.r().to_be_bytes(), (order - signature.s()).to_be_bytes()].concat().into()
}

fn source() -> String {
    let runs = runs();
    let mut out = String::from(HEAD);
    let count = runs.len();
    writeln!(out, "    uint256 internal constant COUNT = {count};\n").unwrap();
    out.push_str("    /// @dev The statement with this index, and its hash.\n");
    out.push_str(
        "    function statement(uint256 index) internal pure returns (ProvenStatement memory value, bytes32 hash) {\n",
    );
    for (index, run) in runs.iter().enumerate() {
        let Statement { config_hash, from_hash, to_hash, verdict, result_hash, inbox_hash, .. } = run.statement;
        let Statement { to_number, to_timestamp, recoveries_hash, prover, .. } = run.statement;
        writeln!(out, "        if (index == {index}) {{").unwrap();
        out.push_str("            value = ProvenStatement({\n");
        for (name, value) in [
            ("configHash", config_hash.to_string()),
            ("fromHash", from_hash.to_string()),
            ("toHash", to_hash.to_string()),
            ("verdict", format!("Verdict.{verdict:?}")),
            ("resultHash", result_hash.to_string()),
            ("inboxHash", inbox_hash.to_string()),
            ("toNumber", to_number.to_string()),
            ("toTimestamp", to_timestamp.to_string()),
            ("recoveriesHash", recoveries_hash.to_string()),
        ] {
            writeln!(out, "                {name}: {value},").unwrap();
        }
        writeln!(out, "                prover: {prover}\n            }});").unwrap();
        writeln!(out, "            hash = {};\n        }}", run.statement.hash()).unwrap();
    }
    out.push_str("    }\n\n    /// @dev The recoveries of the statement with this index.\n");
    out.push_str("    function recoveries(uint256 index) internal pure returns (Recovery[] memory list) {\n");
    for (index, run) in runs.iter().enumerate() {
        writeln!(out, "        if (index == {index}) {{").unwrap();
        writeln!(out, "            list = new Recovery[]({});", run.recoveries.len()).unwrap();
        for (position, recovery) in run.recoveries.iter().enumerate() {
            writeln!(out, "            list[{position}] = Recovery({{").unwrap();
            writeln!(out, "                hash: {},", recovery.hash).unwrap();
            writeln!(out, "                v: {},", 27 + u8::from(recovery.is_odd)).unwrap();
            writeln!(out, "                r: {},", B256::from(recovery.r)).unwrap();
            writeln!(out, "                s: {},", B256::from(recovery.s)).unwrap();
            writeln!(out, "                signer: {}\n            }});", recovery.signer).unwrap();
        }
        out.push_str("        }\n");
    }
    out.push_str("    }\n}\n");
    out
}

#[test]
fn i8_the_contracts_fixtures_are_what_the_guest_states() {
    let source = source();
    if std::env::var_os("EXCLAVE_WRITE_FIXTURES").is_some() {
        std::fs::write(FILE, &source).unwrap();
    }
    let committed = std::fs::read_to_string(FILE).expect("the fixtures are committed");
    assert!(committed == source, "{FILE} isn't what this test makes: run it with EXCLAVE_WRITE_FIXTURES=1");
}
