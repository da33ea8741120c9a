//! Group commit: one call of the store for the sealed blocks of all sessions, and only then anyone hears of them.

use std::collections::HashSet;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::Receiver;
use std::sync::Arc;
use std::time::Instant;

use crate::builder::Candidate;
use crate::chain::CommittedBlock;
use crate::error::{PersistError, SubmitError};
use crate::host::Host;
use crate::metrics::Counters;
use crate::session::Context;

/// Runs until the builders are gone. `refuse` takes a session that isn't ours any more out of memory.
pub(crate) fn run(
    candidates: Receiver<Candidate>,
    host: &dyn Host,
    context: &Context,
    refuse: impl Fn(u64, SubmitError),
) {
    // While a group is being written the next one gathers in the channel.
    while let Ok(first) = candidates.recv() {
        let mut group = vec![first];
        group.extend(candidates.try_iter().take(context.limits.persist_group - 1));
        commit(group, host, &context.counters, &refuse);
    }
}

fn commit(mut group: Vec<Candidate>, host: &dyn Host, counters: &Counters, refuse: &impl Fn(u64, SubmitError)) {
    while !group.is_empty() {
        let blocks: Vec<Arc<CommittedBlock>> = group.iter().map(|candidate| candidate.block.clone()).collect();
        let started = Instant::now();
        let persisted = persist(host, &blocks);
        if persisted.is_err() {
            counters.record_failed_commit();
        }
        match persisted {
            Ok(()) => {
                let transactions = blocks.iter().map(|block| block.sealed.transactions.len()).sum();
                counters.record_commit(transactions, started.elapsed());
                group.into_iter().for_each(accept);
                return;
            }
            Err(PersistError::SessionsRefused(ids)) => {
                let ids: HashSet<u64> = ids.into_iter().collect();
                let (refused, rest): (Vec<_>, Vec<_>) =
                    group.into_iter().partition(|candidate| ids.contains(&candidate.session.id));
                let progress = !refused.is_empty();
                for candidate in refused {
                    let id = candidate.session.id;
                    host.warn(&format!(
                        "session {id}: block {} refused by the store; session dropped",
                        candidate.block.number()
                    ));
                    refuse(id, SubmitError::SessionDropped(id));
                    withdraw(candidate, &SubmitError::SessionDropped(id));
                }
                group = rest;
                if !progress {
                    let reason = "the store refused sessions that it was not asked about".to_owned();
                    group
                        .drain(..)
                        .for_each(|candidate| withdraw(candidate, &SubmitError::StoreUnavailable(reason.clone())));
                }
            }
            Err(PersistError::Unavailable(reason)) => {
                host.warn(&format!("{} blocks not stored: {reason}", group.len()));
                group
                    .drain(..)
                    .for_each(|candidate| withdraw(candidate, &SubmitError::StoreUnavailable(reason.clone())));
            }
        }
    }
}

/// A host that panics hasn't stored anything that counts, and must not end the committer.
fn persist(host: &dyn Host, blocks: &[Arc<CommittedBlock>]) -> Result<(), PersistError> {
    catch_unwind(AssertUnwindSafe(|| host.persist(blocks)))
        .unwrap_or_else(|_| Err(PersistError::Unavailable("the store's caller panicked".into())))
}

/// The block is durable: publish it, then answer.
fn accept(candidate: Candidate) {
    let Candidate { session, block, waiters } = candidate;
    // Only this thread appends to an active session's chain: nobody has to wait at the lock while it grows.
    let chain = Arc::new(session.chain().with_block(block.clone()));
    let delegates = block.sealed.transactions.iter().any(|transaction| transaction.transaction.is_set_code());
    {
        let mut queue = session.lock_queue();
        session.publish(chain, block.clone());
        let settled: Vec<_> = waiters.iter().map(|submission| (submission.sender, submission.hash)).collect();
        queue.settle(&settled, None);
        queue.init = None;
        queue.messages = queue.messages.split_off(&block.inbox_count);
        queue.messages_taken = 0;
        // Authorisations raise the nonces of accounts that sent nothing (EIP-7702).
        if delegates && queue.admit_all(|sender| session.committed_nonce(sender)) {
            queue.work = true;
        }
    }
    for submission in waiters {
        // INVARIANT I6: acknowledged after the store said that it is on disk.
        let _ = submission.waiter.send(Ok(submission.hash));
    }
    session.rest();
}

/// The block is not: the session stays as it was. Messages are still queued and will be tried again.
fn withdraw(candidate: Candidate, reason: &SubmitError) {
    let Candidate { session, waiters, .. } = candidate;
    let waiting = {
        let mut queue = session.lock_queue();
        let withdrawn: Vec<_> = waiters.iter().map(|submission| (submission.sender, submission.hash)).collect();
        queue.messages_taken = 0;
        queue.work |= queue.init.is_some() || !queue.messages.is_empty();
        queue.settle(&withdrawn, Some(Instant::now()))
    };
    for submission in waiters {
        let _ = submission.waiter.send(Err(reason.clone()));
    }
    for sender in waiting {
        session.expire_later(sender);
    }
    session.rest_and_retry();
}
