//! Logs by query, and filters that clients poll.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Instant;

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B128, B256};
use parking_lot::Mutex;

use super::{to_json, Snapshot};
use crate::chain::Chain;
use crate::rpc::error::{RpcError, LIMIT};
use crate::rpc::limits::{FILTERS, FILTER_LIFETIME, LOG_BLOCKS};
use crate::rpc::logs::{LogCollector, LogMatcher};
use crate::rpc::params::{LogFilter, Params};

/// Which blocks a query for logs covers.
#[derive(Clone, Debug)]
enum Blocks {
    Range { from: Option<BlockNumberOrTag>, to: Option<BlockNumberOrTag> },
    Hash(B256),
}

impl Blocks {
    fn new(filter: &LogFilter) -> Result<Self, RpcError> {
        match filter.block_hash {
            Some(_) if filter.from_block.is_some() || filter.to_block.is_some() => {
                Err(RpcError::invalid_params("can't specify fromBlock/toBlock with blockHash"))
            }
            Some(hash) => Ok(Self::Hash(hash)),
            None => Ok(Self::Range { from: filter.from_block, to: filter.to_block }),
        }
    }

    /// First and last block as numbers; tags other than `earliest` mean the latest block.
    fn bounds(&self, chain: &Chain) -> Result<(u64, u64), RpcError> {
        let number = |tag: &Option<BlockNumberOrTag>| match tag {
            Some(BlockNumberOrTag::Number(number)) => *number,
            Some(BlockNumberOrTag::Earliest) => 0,
            _ => chain.number(),
        };
        match self {
            Self::Hash(hash) => match chain.block_by_hash(hash) {
                Some(block) => Ok((block.number(), block.number())),
                None => Err(RpcError::server("unknown block")),
            },
            Self::Range { from, to } => {
                let explicit = |tag: &Option<BlockNumberOrTag>| matches!(tag, Some(BlockNumberOrTag::Number(_)));
                let (first, last) = (number(from), number(to));
                if first > last && explicit(from) && explicit(to) {
                    return Err(RpcError::invalid_params("invalid block range params"));
                }
                Ok((first, last))
            }
        }
    }
}

/// Logs of the blocks that exist in the range.
fn query(snapshot: &Snapshot, blocks: &Blocks, matcher: &LogMatcher) -> Result<String, RpcError> {
    let chain = &snapshot.chain;
    let (first, last) = blocks.bounds(chain)?;
    let last = last.min(chain.number());
    if last.saturating_sub(first) >= LOG_BLOCKS {
        return Err(RpcError::new(LIMIT, format!("block range is too large, max is {LOG_BLOCKS} blocks")));
    }
    let mut collector = LogCollector::new();
    for block in (first..=last).filter_map(|number| chain.block(number)) {
        if snapshot.stop.load(Ordering::Relaxed) {
            return Err(RpcError::new(LIMIT, "query timeout exceeded: ask for fewer blocks"));
        }
        collector.add(matcher, block)?;
    }
    collector.finish()
}

pub fn logs(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let filter: LogFilter = params.required(0)?;
    query(snapshot, &Blocks::new(&filter)?, &LogMatcher::new(filter))
}

enum Kind {
    Logs { blocks: Blocks, matcher: LogMatcher },
    Blocks,
    Transactions,
}

struct Filter {
    kind: Kind,
    /// First block that was not reported yet.
    next: u64,
    used: Instant,
}

/// The polling filters of a session. They hold a position in the chain and nothing else, so they cost nothing while nobody polls.
#[derive(Default)]
pub struct FilterTable(Mutex<HashMap<String, Arc<Mutex<Filter>>>>);

impl FilterTable {
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Removes filters that nobody has polled for long.
    pub fn expire(&self) {
        // One that is locked is being polled. The table's lock is never held while a filter's is waited for.
        let used = |filter: &Arc<Mutex<Filter>>| {
            filter.try_lock().is_none_or(|filter| filter.used.elapsed() < FILTER_LIFETIME)
        };
        self.0.lock().retain(|_, filter| used(filter));
    }

    fn get(&self, id: &str) -> Result<Arc<Mutex<Filter>>, RpcError> {
        self.0.lock().get(id).cloned().ok_or_else(|| RpcError::server("filter not found"))
    }

    fn insert(&self, kind: Kind, next: u64) -> Result<String, RpcError> {
        if self.0.lock().len() >= FILTERS {
            self.expire();
        }
        let mut filters = self.0.lock();
        if filters.len() >= FILTERS {
            return Err(RpcError::new(LIMIT, format!("too many filters: limit {FILTERS} per session")));
        }
        let id = random_id();
        filters.insert(id.clone(), Arc::new(Mutex::new(Filter { kind, next, used: Instant::now() })));
        to_json(&id)
    }
}

/// An id that can't be guessed, so that nobody can take or remove another's. Like geth's, it also reads as a number.
pub fn random_id() -> String {
    format!("{:#x}", u128::from_be_bytes(B128::random().0))
}

pub fn new_log_filter(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let filter: LogFilter = params.required(0)?;
    let blocks = Blocks::new(&filter)?;
    blocks.bounds(&snapshot.chain)?;
    let matcher = LogMatcher::new(filter);
    snapshot.state.filters.insert(Kind::Logs { blocks, matcher }, snapshot.chain.number() + 1)
}

pub fn new_block_filter(snapshot: &Snapshot, _params: &Params<'_>) -> Result<String, RpcError> {
    snapshot.state.filters.insert(Kind::Blocks, snapshot.chain.number() + 1)
}

pub fn new_transaction_filter(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    if params.optional(0)?.unwrap_or(false) {
        return Err(RpcError::invalid_params("full transactions are available by eth_subscribe only"));
    }
    snapshot.state.filters.insert(Kind::Transactions, snapshot.chain.number() + 1)
}

pub fn changes(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let id: String = params.required(0)?;
    let filter = snapshot.state.filters.get(&id)?;
    let mut filter = filter.lock();
    filter.used = Instant::now();
    let chain = &snapshot.chain;
    let (first, head) = (filter.next, chain.number());
    let new = || (first..=head).filter_map(|number| chain.block(number));
    let mut next = first.max(head + 1);
    let changes = match &filter.kind {
        Kind::Blocks => to_json(&new().map(|block| block.hash()).collect::<Vec<_>>()),
        Kind::Transactions => {
            let transactions = new().flat_map(|block| &block.sealed.transactions);
            let users = transactions.filter(|transaction| matches!(transaction.transaction, stf::Transaction::User(_)));
            to_json(&users.map(|transaction| transaction.hash).collect::<Vec<_>>())
        }
        Kind::Logs { blocks, matcher } => {
            let (from, to) = match blocks {
                Blocks::Range { from, to } => (
                    from.and_then(|from| from.as_number()).unwrap_or(0),
                    to.and_then(|to| to.as_number()).unwrap_or(u64::MAX),
                ),
                // Such a block is in the past already.
                Blocks::Hash(_) => (u64::MAX, 0),
            };
            let mut collector = LogCollector::new();
            for block in new().filter(|block| (from..=to).contains(&block.number())) {
                if let Err(error) = collector.add(matcher, block) {
                    if collector.is_empty() {
                        return Err(error);
                    }
                    // The rest comes with the next poll.
                    next = block.number();
                    break;
                }
            }
            collector.finish()
        }
    }?;
    filter.next = next;
    Ok(changes)
}

pub fn filter_logs(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let id: String = params.required(0)?;
    let (blocks, matcher) = {
        let filter = snapshot.state.filters.get(&id)?;
        let mut filter = filter.lock();
        filter.used = Instant::now();
        match &filter.kind {
            Kind::Logs { blocks, matcher } => (blocks.clone(), matcher.clone()),
            _ => return Err(RpcError::server("filter not found")),
        }
    };
    query(snapshot, &blocks, &matcher)
}

pub fn uninstall(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let id: String = params.required(0)?;
    to_json(&snapshot.state.filters.0.lock().remove(&id).is_some())
}
