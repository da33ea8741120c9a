//! The state-transition function of an Exclave session.
//!
//! A session is an Ethereum chain under Osaka rules whose blocks follow section 5 of `docs/protocol.md`. This crate
//! builds such blocks ([`BlockBuilder`]) and checks them ([`verify_block`]), on a full state or on a [`Witness`], with
//! one and the same executor. It is `no_std`: natively it runs sessions, in the zkVM guest it is what is proven.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod block;
mod builder;
#[cfg(feature = "call")]
mod call;
mod constants;
mod error;
mod execution;
mod genesis;
mod guest;
mod guest_input;
mod precompiles;
mod receipt;
mod recovery;
mod state;
mod statement;
mod template;
mod transaction;
mod trie;
mod verification;
mod witness;

pub use alloy_consensus::Header;
pub use block::{header_from_rlp, header_to_rlp, ordered_trie_root, Block};
pub use builder::{BlockBuilder, SealedBlock};
#[cfg(feature = "call")]
pub use call::{call, call_with_access_list, BlockEnvironment, CallError, CallOutcome, CallRequest, CallStatus};
pub use constants::*;
pub use error::{
    BlockError, GuestError, MalformedTransaction, PushError, StateError, TemplateError, TrieError, WitnessError,
};
pub use execution::{BlockHashes, NoBlockHashes};
pub use genesis::Genesis;
pub use guest::{guest_entry, record_guest_run, GuestRun};
pub use guest_input::{GuestInput, RawBlock};
pub use receipt::{logs_bloom, receipts_root, Receipt};
pub use recovery::{
    encode_recoveries, recoveries_hash, AnsweredRecoveries, ComputedRecoveries, RecordedRecoveries, Recoveries,
    Recovery,
};
pub use state::{Account, AccountProof, State, StorageProof};
pub use statement::{Statement, Verdict, STATEMENT_DOMAIN};
pub use transaction::{fold_inbox, RecoveredTransaction, SystemTransaction, Transaction};
pub use verification::verify_block;
pub use witness::{record_witness, verify_block_with_witness, AncestorHeaders, Witness};

/// The libraries that appear in this crate's interface.
pub use {alloy_consensus, alloy_primitives, alloy_rlp, revm};

#[cfg(test)]
mod trie_tests;
