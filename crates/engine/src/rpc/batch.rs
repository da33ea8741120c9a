//! What the entries of a batch share: the thread of their connection, the bytes of their answer, the way into a session's queue.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Instant;

use alloy_primitives::{Address, Bytes, B256};
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use stf::RecoveredTransaction;
use tokio::sync::{oneshot, Semaphore, SemaphorePermit};

use super::error::{RpcError, REJECTED};
use super::limits::{BATCH_SLICE, BATCH_TRANSACTIONS, RECOVERY_CHUNK, RESPONSE_BYTES, SMALL_RESULT_BYTES};
use crate::error::SubmitError;
use crate::session::Session;

/// A batch being answered.
pub struct Batch {
    /// Bytes of the results so far.
    bytes: AtomicUsize,
    /// A result did not fit.
    full: AtomicBool,
    /// Held by the entry that works on the connection's thread or in Python: one at a time.
    turn: Semaphore,
    /// When the thread was last left to others.
    resumed: Mutex<Instant>,
}

impl Batch {
    pub fn new() -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            turn: Semaphore::new(1),
            resumed: Mutex::new(Instant::now()),
        }
    }

    /// Waits until the entry may work where it is. Between two entries all other connections of the thread are served if the batch
    /// has worked for long enough.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, RpcError> {
        let turn = self.turn.acquire().await.map_err(|error| RpcError::internal(error.to_string()))?;
        let used = self.resumed.lock().elapsed();
        if used >= BATCH_SLICE {
            tokio::task::yield_now().await;
            *self.resumed.lock() = Instant::now();
        }
        // It may have become full during the wait.
        self.check_room()?;
        Ok(turn)
    }

    /// Fails once a result did not fit: nothing is executed any more of which nobody would hear.
    pub fn check_room(&self) -> Result<(), RpcError> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(too_large()),
            false => Ok(()),
        }
    }

    /// The result if it fits. The first one always does.
    pub fn admit(&self, result: Result<String, RpcError>) -> Result<String, RpcError> {
        let length = result.as_ref().map_or(0, String::len);
        let before = self.bytes.fetch_add(length, Ordering::Relaxed);
        if length > SMALL_RESULT_BYTES && before > 0 && before + length > RESPONSE_BYTES {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
            self.full.store(true, Ordering::Relaxed);
            return Err(too_large());
        }
        result
    }
}

fn too_large() -> RpcError {
    RpcError::new(REJECTED, "response too large")
}

/// How a submitted transaction fared.
pub type Submitted = Result<B256, SubmitError>;

/// A raw transaction of a batch, and whoever waits for it.
pub struct Submission {
    pub raw: Bytes,
    pub answer: oneshot::Sender<Submitted>,
}

/// Recovers the senders of a batch's transactions on several threads, then queues them, each sender's in order of nonce: otherwise
/// a transaction could wait for one that is still behind it in this batch.
pub async fn submit(session: &Arc<Session>, threads: &Arc<Semaphore>, submissions: Vec<Submission>) {
    let (raws, answers): (Vec<_>, Vec<_>) = submissions.into_iter().map(|one| (one.raw, one.answer)).unzip();
    let recovered = recover(session, threads, &raws).await;
    let nonces: Vec<_> = recovered
        .iter()
        .map(|recovered| recovered.as_ref().ok().map(|(transaction, nonce)| (transaction.sender, *nonce)))
        .collect();
    let mut waiting: Vec<_> = recovered.into_iter().zip(answers).map(Some).collect();
    let mut queued = FuturesUnordered::new();
    for index in order(&nonces) {
        let Some((recovered, answer)) = waiting[index].take() else { continue };
        if queued.len() >= BATCH_TRANSACTIONS {
            queued.next().await;
        }
        match recovered.and_then(|(transaction, nonce)| session.enqueue_recovered(transaction, nonce)) {
            Ok(receiver) => queued.push(async move {
                let submitted = receiver.await.unwrap_or(Err(SubmitError::SessionDropped(session.id)));
                // The entry may have given up waiting.
                let _ = answer.send(submitted);
            }),
            Err(error) => {
                let _ = answer.send(Err(error));
            }
        }
    }
    while queued.next().await.is_some() {}
}

type Recovered = Result<(Arc<RecoveredTransaction>, u64), SubmitError>;

async fn recover(session: &Arc<Session>, threads: &Arc<Semaphore>, raws: &[Bytes]) -> Vec<Recovered> {
    let chunks = raws.chunks(RECOVERY_CHUNK).map(|chunk| async move {
        let length = chunk.len();
        let (chunk, session) = (chunk.to_vec(), session.clone());
        let failed = |reason: String| vec![Err(SubmitError::Internal(reason)); length];
        let thread = match threads.clone().acquire_owned().await {
            Ok(thread) => thread,
            Err(error) => return failed(error.to_string()),
        };
        let work = move || {
            let _thread = thread;
            chunk.into_iter().map(|raw| session.recover(raw)).collect()
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| failed(error.to_string()))
    });
    join_all(chunks).await.into_iter().flatten().collect()
}

/// The order in which to queue transactions of these senders and nonces: a sender's own places, his lowest nonce first.
fn order(transactions: &[Option<(Address, u64)>]) -> Vec<usize> {
    let mut places: HashMap<Address, Vec<usize>> = HashMap::new();
    for (index, transaction) in transactions.iter().enumerate() {
        if let Some((sender, _)) = transaction {
            places.entry(*sender).or_default().push(index);
        }
    }
    let mut order: Vec<usize> = (0..transactions.len()).collect();
    for places in places.into_values() {
        let mut sorted = places.clone();
        sorted.sort_by_key(|index| transactions[*index]);
        for (place, index) in places.into_iter().zip(sorted) {
            order[place] = index;
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_keep_their_senders_places_in_order_of_nonce() {
        let sender = |byte, nonce| Some((Address::repeat_byte(byte), nonce));
        let transactions =
            [sender(1, 9), sender(2, 5), None, sender(1, 7), sender(2, 6), sender(1, 8), None, sender(1, 7)];
        assert_eq!(order(&transactions), [3, 1, 2, 7, 4, 5, 6, 0]);
        assert!(order(&[]).is_empty());
    }

    #[test]
    fn results_are_admitted_until_one_does_not_fit() {
        let batch = Batch::new();
        let large = || Ok("x".repeat(RESPONSE_BYTES / 2 + 1));
        assert!(batch.admit(Ok("x".repeat(RESPONSE_BYTES + 1))).is_ok());
        assert!(batch.check_room().is_ok());
        assert_eq!(batch.admit(large()).unwrap_err().code, REJECTED);
        assert_eq!(batch.check_room().unwrap_err().code, REJECTED);
        assert!(batch.admit(Ok("\"a transaction's hash\"".into())).is_ok());
        let batch = Batch::new();
        assert!(batch.admit(large()).is_ok());
        assert!(batch.admit(large()).is_err());
    }

    #[tokio::test]
    async fn a_batch_lets_others_have_the_thread() {
        let batch = Batch::new();
        let mut yields = 0;
        for _ in 0..20 {
            let turn = batch.turn();
            tokio::pin!(turn);
            if futures_util::poll!(turn.as_mut()).is_pending() {
                yields += 1;
                drop(turn.await.unwrap());
            }
            std::thread::sleep(BATCH_SLICE / 2);
        }
        assert!(yields >= 9, "{yields}");
    }
}
