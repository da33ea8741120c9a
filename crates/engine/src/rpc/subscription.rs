//! Subscriptions of a WebSocket connection: what they ask for, and the notifications that a block makes for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use stf::Transaction;

use super::error::{RpcError, METHOD_NOT_FOUND};
use super::logs::LogMatcher;
use super::methods::random_id;
use super::metrics::Gauge;
use super::params::{LogFilter, Params};
use super::view::{BlockView, LogView, TransactionView};
use crate::chain::CommittedBlock;

enum Kind {
    Heads,
    Logs(LogMatcher),
    /// Nothing is pooled: a transaction is told of when it is in a block.
    Transactions {
        full: bool,
    },
    /// A session is never syncing, so that this one stays silent.
    Syncing,
}

pub struct Subscription {
    id: String,
    kind: Kind,
    _gauge: Gauge,
}

#[derive(Serialize)]
struct Notification<'a, T> {
    jsonrpc: &'static str,
    method: &'static str,
    params: NotificationParams<'a, T>,
}

#[derive(Serialize)]
struct NotificationParams<'a, T> {
    subscription: &'a str,
    result: T,
}

impl Subscription {
    pub fn new(params: &Params<'_>) -> Result<Self, RpcError> {
        let name: String = params.required(0)?;
        let kind = match name.as_str() {
            "newHeads" => Kind::Heads,
            "logs" => Kind::Logs(LogMatcher::new(params.optional::<LogFilter>(1)?.unwrap_or_default())),
            "newPendingTransactions" => Kind::Transactions { full: params.optional(1)?.unwrap_or(false) },
            "syncing" => Kind::Syncing,
            _ => {
                // Geth's code and words.
                let text = format!("no \"{name}\" subscription in eth namespace");
                return Err(RpcError::new(METHOD_NOT_FOUND, text));
            }
        };
        Ok(Self { id: random_id(), kind, _gauge: Gauge::subscription() })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    fn notification<T: Serialize>(&self, result: T) -> Option<String> {
        let params = NotificationParams { subscription: &self.id, result };
        serde_json::to_string(&Notification { jsonrpc: "2.0", method: "eth_subscription", params }).ok()
    }

    /// What the subscriber is to hear of a block. Rendered one by one when it is sent, as a block can have very many logs.
    pub fn events(&self, block: &CommittedBlock) -> Vec<Event> {
        match &self.kind {
            Kind::Heads => vec![Event::Head],
            Kind::Logs(matcher) => {
                matcher.filter(block).map(|(_, transaction, index)| Event::Log { transaction, index }).collect()
            }
            Kind::Transactions { .. } => {
                let transactions = block.sealed.transactions.iter().enumerate();
                let users =
                    transactions.filter(|(_, transaction)| matches!(transaction.transaction, Transaction::User(_)));
                users.map(|(index, _)| Event::Transaction(index)).collect()
            }
            Kind::Syncing => Vec::new(),
        }
    }

    /// The notification of an event of the block.
    pub fn render(&self, block: &CommittedBlock, event: Event) -> Option<String> {
        match event {
            Event::Head => self.notification(BlockView::of_header(block.header(), block.hash())),
            Event::Log { transaction, index } => {
                let receipts = &block.sealed.receipts;
                let before: usize = receipts[..transaction].iter().map(|receipt| receipt.logs.len()).sum();
                let log = &receipts[transaction].logs[index - before];
                self.notification(LogView::of(block, log, transaction, index))
            }
            Event::Transaction(index) => match self.kind {
                Kind::Transactions { full: true } => self.notification(TransactionView::of(block, index)),
                _ => self.notification(block.sealed.transactions[index].hash),
            },
        }
    }
}

/// Something in a block that a subscriber hears of.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Head,
    /// Index of the transaction in the block, and of the log in the block.
    Log {
        transaction: usize,
        index: usize,
    },
    Transaction(usize),
}

/// The subscriptions of one connection, in the order in which they were made.
#[derive(Default)]
pub struct SubscriptionTable(Mutex<BTreeMap<u64, Arc<Subscription>>>);

impl SubscriptionTable {
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub fn insert(&self, subscription: Subscription) {
        let mut table = self.0.lock();
        let next = table.last_key_value().map_or(0, |(last, _)| last + 1);
        table.insert(next, Arc::new(subscription));
    }

    pub fn remove(&self, id: &str) -> bool {
        let mut table = self.0.lock();
        let key = table.iter().find(|(_, subscription)| subscription.id == id).map(|(key, _)| *key);
        key.is_some_and(|key| table.remove(&key).is_some())
    }

    pub fn all(&self) -> Vec<Arc<Subscription>> {
        self.0.lock().values().cloned().collect()
    }
}
