//! Execution of blocks without an engine around it, for the differential tests against the execution specifications.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::fmt::Display;
use stf::alloy_primitives::B256;
use stf::{
    header_to_rlp, record_witness, verify_block, verify_block_with_witness, Block, BlockBuilder, BlockHashes, Genesis,
    Header, RecoveredTransaction, SealedBlock, State, Witness,
};

/// RLP of the header (None if no transaction is valid), why each transaction is invalid, encoded receipts of the
/// others.
type ExecutedBlock = (Option<Py<PyBytes>>, Vec<Option<String>>, Vec<Py<PyBytes>>);

/// The headers so far, by number.
struct Chain(Vec<Header>);

impl BlockHashes for Chain {
    fn block_hash(&self, number: u64) -> Option<B256> {
        self.0.get(usize::try_from(number).ok()?).map(Header::hash_slow)
    }
}

/// Builds blocks, each a timestamp in seconds and transactions in EIP-2718 encoding, on a template; an invalid
/// transaction is left out. Each block is then verified on the full state and on its witness, with and without known
/// senders. Raises ValueError for a malformed template and RuntimeError if these executions don't agree.
#[pyfunction]
pub fn execute_blocks(
    py: Python<'_>,
    template: &[u8],
    chain_id: u64,
    seed: [u8; 32],
    timestamp: u64,
    blocks: Vec<(u64, Vec<Vec<u8>>)>,
) -> PyResult<Vec<ExecutedBlock>> {
    let (mut state, _) = State::from_template(template).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let genesis = Genesis {
        state_root: state.root(),
        config_hash: B256::ZERO,
        seed: B256::from(seed),
        timestamp,
        init_message_hash: B256::ZERO,
    };
    let mut chain = Chain(vec![genesis.header()]);
    let mut parent = genesis.header();
    let mut executed = Vec::with_capacity(blocks.len());
    for (timestamp, transactions) in blocks {
        let mut builder = BlockBuilder::new(&parent, parent.hash_slow(), state.clone(), chain_id, timestamp, &chain)
            .map_err(failed)?;
        let mut errors = Vec::with_capacity(transactions.len());
        for raw in transactions {
            errors.push(match RecoveredTransaction::decode(raw.into()) {
                Err(error) => Some(error.to_string()),
                Ok(transaction) => builder.push(transaction.into()).err().map(|error| error.to_string()),
            });
        }
        if builder.transaction_count() == 0 {
            executed.push((None, errors, Vec::new()));
            continue;
        }
        let sealed = builder.seal().map_err(failed)?;
        compare_executions(&parent, &state, &sealed, chain_id, &chain)?;
        let header = PyBytes::new(py, &header_to_rlp(&sealed.header)).unbind();
        let receipts = sealed.receipts.iter().map(|receipt| PyBytes::new(py, &receipt.encoded()).unbind()).collect();
        executed.push((Some(header), errors, receipts));
        parent = sealed.header.clone();
        chain.0.push(sealed.header);
        state = sealed.state;
    }
    Ok(executed)
}

fn compare_executions(
    parent: &Header,
    state: &State,
    sealed: &SealedBlock,
    chain_id: u64,
    chain: &Chain,
) -> PyResult<()> {
    let block = Block::decode(&sealed.encoded()).map_err(failed)?;
    let senders: Vec<_> = sealed.transactions.iter().map(|transaction| transaction.sender).collect();
    let header = |number: u64| chain.0.get(usize::try_from(number).ok()?).cloned();
    let witness = record_witness(parent, state, &block, None, chain_id, &header).map_err(failed)?;
    let witness = Witness::decode(&witness.encoded()).map_err(failed)?;
    for senders in [None, Some(&senders[..])] {
        let on_state = verify_block(parent, state.clone(), &block, senders, chain_id, chain).map_err(failed)?;
        let on_witness = verify_block_with_witness(parent, &block, &witness, senders, chain_id).map_err(failed)?;
        for verified in [on_state, on_witness] {
            if verified.hash != sealed.hash || verified.receipts != sealed.receipts {
                return Err(PyRuntimeError::new_err("executions of a block differ"));
            }
        }
    }
    // The state of incremental changes is the same as one made anew.
    let (mut again, _) = State::from_template(&sealed.state.to_template().map_err(failed)?).map_err(failed)?;
    if again.root() != sealed.header.state_root {
        return Err(PyRuntimeError::new_err("the incremental state root is wrong"));
    }
    Ok(())
}

fn failed(error: impl Display) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
