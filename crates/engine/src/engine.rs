//! All sessions of a process: templates, registry, builders, committer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{channel, Sender};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use alloy_primitives::{keccak256, Address, Bytes, B256};
use parking_lot::{Mutex, RwLock};
use stf::{Block, BlockBuilder, Genesis, Header, RecoveredTransaction, State};
use tokio::runtime::Runtime;
use tokio::sync::{watch, Semaphore};

use crate::admission;
use crate::builder::{self, Candidate, Turn};
use crate::chain::{Chain, CommittedBlock};
use crate::committer;
use crate::error::{CallError, EngineError, RestoreError, SessionError, SubmitError};
use crate::host::{Host, Woken};
use crate::limits::Limits;
use crate::metrics::{self, Counters, Levels};
use crate::places::Places;
use crate::preconfirmation::{PreconfirmationDomain, PreconfirmationSigner};
use crate::registry::Registry;
use crate::rpc::{Listener, RpcServer, Target};
use crate::scheduler::Scheduler;
use crate::session::{Context, Phase, Session, SessionRules};
use crate::wakes::{Wake, WakeResult, Wakes};

/// How long a request waits for a session that someone else is restoring.
const RESTORE_PATIENCE: Duration = Duration::from_secs(60);

/// Python-served JSON-RPC calls that may wait for their turn.
const CALL_BACKLOG: usize = 256;
/// How long such a call may take, its wait included.
const CALL_PATIENCE: Duration = Duration::from_secs(60);

/// A genesis state that sessions start from, shared by all of them.
#[derive(Clone)]
pub struct Template {
    pub state_root: B256,
    /// keccak256 of the template's file.
    pub data_hash: B256,
    /// `keccak256(abi.encode(stateRoot, dataHash))`
    pub template_id: B256,
    state: State,
}

/// All that fixes a session's block 0.
#[derive(Clone, Debug)]
pub struct SessionOpening {
    pub session_id: u64,
    pub chain_id: u64,
    pub state_root: B256,
    pub config_hash: B256,
    pub seed: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// The raw init message; None for a template-building session.
    pub init_transaction: Option<Bytes>,
    pub rules: SessionRules,
}

/// What the engine is made with.
pub struct EngineOptions {
    /// secp256k1 key; without it blocks have no preconfirmation.
    pub preconfirmation_key: Option<[u8; 32]>,
    pub l1_chain_id: u64,
    pub zk_relayer: Address,
    /// Threads that serve JSON-RPC.
    pub rpc_threads: usize,
    pub limits: Limits,
}

/// Everything in memory of one process. Shared by `Arc`; all methods may be called from any thread.
pub struct Engine {
    context: Arc<Context>,
    host: Arc<dyn Host>,
    signer: Option<Arc<PreconfirmationSigner>>,
    l1_chain_id: u64,
    templates: RwLock<HashMap<B256, Template>>,
    sessions: Arc<Registry>,
    wakes: Mutex<Wakes>,
    places: Places,
    wake_permits: Arc<Semaphore>,
    /// Sessions that this process has never had are woken with one of these too: made-up ids can't take all `wake_permits`.
    stranger_permits: Arc<Semaphore>,
    call_permits: Arc<Semaphore>,
    /// Calls that run or wait.
    call_places: Arc<Semaphore>,
    runtime: Mutex<Option<Runtime>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    servers: Mutex<Vec<RpcServer>>,
    stopped: Mutex<bool>,
}

impl Engine {
    /// Starts the threads. Fails if the key is invalid or the system gives no threads.
    pub fn new(options: EngineOptions, host: Arc<dyn Host>) -> Result<Arc<Self>, EngineError> {
        let failed = |error: std::io::Error| EngineError::State(error.to_string());
        let domain = PreconfirmationDomain::new(options.l1_chain_id, options.zk_relayer);
        let signer = options
            .preconfirmation_key
            .map(|key| PreconfirmationSigner::new(key, domain).map(Arc::new))
            .transpose()
            .map_err(|_| EngineError::State("the preconfirmation key is not a valid secp256k1 key".into()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.rpc_threads.max(1))
            .thread_name("exclave-rpc")
            .enable_all()
            .build()
            .map_err(failed)?;
        let limits = options.limits;
        let wakes = Wakes::new(limits.unknown_life);
        let engine = Arc::new(Self {
            wake_permits: Arc::new(Semaphore::new(limits.wakes)),
            stranger_permits: Arc::new(Semaphore::new(limits.wakes.div_ceil(2))),
            call_permits: Arc::new(Semaphore::new(limits.calls)),
            call_places: Arc::new(Semaphore::new(limits.calls + CALL_BACKLOG)),
            context: Arc::new(Context {
                scheduler: Scheduler::new(),
                runtime: runtime.handle().clone(),
                limits,
                counters: Counters::default(),
                stopping: AtomicBool::new(false),
                followed_until: AtomicU64::new(0),
            }),
            host,
            signer,
            l1_chain_id: options.l1_chain_id,
            templates: RwLock::default(),
            sessions: Arc::default(),
            wakes: Mutex::new(wakes),
            places: Places::default(),
            runtime: Mutex::new(Some(runtime)),
            threads: Mutex::default(),
            servers: Mutex::default(),
            stopped: Mutex::default(),
        });
        engine.start_threads().map_err(failed)?;
        Ok(engine)
    }

    fn start_threads(&self) -> std::io::Result<()> {
        let (candidates, sealed) = channel();
        let mut threads = self.threads.lock();
        for index in 0..self.context.limits.builder_threads {
            let builder = BuilderThread {
                context: self.context.clone(),
                sessions: self.sessions.clone(),
                host: self.host.clone(),
                signer: self.signer.clone(),
                candidates: candidates.clone(),
            };
            let name = format!("exclave-build-{index}");
            threads.push(std::thread::Builder::new().name(name).spawn(move || builder.run())?);
        }
        let (host, sessions, context) = (self.host.clone(), self.sessions.clone(), self.context.clone());
        threads.push(std::thread::Builder::new().name("exclave-commit".into()).spawn(move || {
            committer::run(sealed, host.as_ref(), &context, |id, reason| {
                sessions.remove(id, reason);
            });
        })?);
        Ok(())
    }

    pub fn l1_chain_id(&self) -> u64 {
        self.l1_chain_id
    }

    pub fn limits(&self) -> &Limits {
        &self.context.limits
    }

    /// The runtime that serves JSON-RPC.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        &self.context.runtime
    }

    /// Keeps a template in memory; adding it again changes nothing.
    pub fn add_template(&self, data: &[u8]) -> Result<Template, stf::TemplateError> {
        let (mut state, data_hash) = State::from_template(data)?;
        let state_root = state.root();
        let template_id = keccak256([state_root.0, data_hash.0].concat());
        let template = Template { state_root, data_hash, template_id, state };
        self.templates.write().insert(state_root, template.clone());
        Ok(template)
    }

    /// Makes a session's block 0. Stored blocks can be restored then; it builds none before `activate`. Returns block 0's hash.
    pub fn open_session(&self, opening: SessionOpening) -> Result<B256, EngineError> {
        self.check_running()?;
        let id = opening.session_id;
        let state = {
            let templates = self.templates.read();
            let template = templates.get(&opening.state_root);
            template.ok_or(EngineError::UnknownTemplate(opening.state_root))?.state.clone()
        };
        let init = match opening.init_transaction {
            Some(raw) => Some(admission::message(raw, opening.chain_id)?),
            None => None,
        };
        let genesis = Genesis {
            state_root: opening.state_root,
            config_hash: opening.config_hash,
            seed: opening.seed,
            timestamp: opening.timestamp,
            init_message_hash: init.as_ref().map_or(B256::ZERO, |(message, _)| message.message_hash()),
        };
        let block = self.genesis_block(id, genesis.header(), state)?;
        let hash = block.hash();
        let init = init.map(|(_, recovered)| recovered);
        // A block of an earlier instance that is still being committed must be in the store before the host reads it.
        if !self.sessions.wait_gone(id, Instant::now() + RESTORE_PATIENCE) {
            return Err(EngineError::State(format!(
                "session {id} was dropped and its last block is still being stored"
            )));
        }
        let context = self.context.clone();
        self.sessions.insert(Session::new(id, opening.chain_id, block, init, opening.rules, context))?;
        self.wakes.lock().opened(id);
        self.places.forget(id);
        Ok(hash)
    }

    fn genesis_block(&self, session_id: u64, header: Header, state: State) -> Result<Arc<CommittedBlock>, EngineError> {
        let hash = header.hash_slow();
        let result_hash = state
            .storage(&stf::PREDEPLOY, &Default::default())
            .map_err(|error| EngineError::State(error.to_string()))?;
        let sealed = stf::SealedBlock {
            header,
            hash,
            transactions: Vec::new(),
            receipts: Vec::new(),
            state,
            result_hash: result_hash.into(),
        };
        Ok(Arc::new(CommittedBlock {
            session_id,
            preconfirmation: self.signer.as_ref().map(|signer| signer.sign(session_id, 0, &hash)),
            size: sealed.encoded_length(),
            inbox_count: 0,
            result: None,
            sealed,
        }))
    }

    /// Executes a stored block again on top of the session's last one and compares the hash. `senders` are those that were recovered before it was stored.
    /// On failure the session is dropped.
    pub fn restore_block(
        &self,
        id: u64,
        header: &[u8],
        transactions: Vec<Bytes>,
        senders: &[Address],
    ) -> Result<(), RestoreError> {
        let session = self.loaded(id).ok_or(RestoreError::UnknownSession(id))?;
        let restored = self
            .verify_stored(&session, header, transactions, senders)
            .and_then(|block| session.restore(Arc::new(block)));
        if !matches!(restored, Ok(()) | Err(RestoreError::AlreadyActive(_))) {
            self.sessions.remove(id, SubmitError::SessionDropped(id));
        }
        restored
    }

    fn verify_stored(
        &self,
        session: &Session,
        header: &[u8],
        transactions: Vec<Bytes>,
        senders: &[Address],
    ) -> Result<CommittedBlock, RestoreError> {
        let id = session.id;
        if session.phase() == Phase::Active {
            return Err(RestoreError::AlreadyActive(id));
        }
        let header =
            stf::header_from_rlp(header).map_err(|error| RestoreError::Malformed { id, reason: error.to_string() })?;
        let chain = session.chain();
        let parent = chain.head();
        let number = header.number;
        let block = Block { header, transactions };
        let sealed = stf::verify_block(
            parent.header(),
            chain.state().clone(),
            &block,
            Some(senders),
            session.chain_id,
            chain.as_ref(),
        )
        .map_err(|error| RestoreError::InvalidBlock { id, number, reason: error.to_string() })?;
        Ok(builder::committed(id, parent, chain.has_init(), sealed, self.signer.as_deref()))
    }

    /// Executes transactions as the next block of a session that isn't active, at this time: the block that a claim's data
    /// describes. If they make no valid block the session stays as it was.
    pub fn execute_block(
        &self,
        id: u64,
        timestamp: u64,
        transactions: Vec<Bytes>,
    ) -> Result<Arc<CommittedBlock>, RestoreError> {
        let session = self.loaded(id).ok_or(RestoreError::UnknownSession(id))?;
        if session.phase() == Phase::Active {
            return Err(RestoreError::AlreadyActive(id));
        }
        let chain = session.chain();
        let parent = chain.head();
        let number = parent.number() + 1;
        let invalid = |reason: String| RestoreError::InvalidBlock { id, number, reason };
        if timestamp < parent.header().timestamp {
            return Err(invalid(format!("its time {timestamp} is before that of its parent")));
        }
        let state = chain.state().clone();
        let ancestors = chain.as_ref();
        let mut block =
            BlockBuilder::new(parent.header(), parent.hash(), state, session.chain_id, timestamp, ancestors)
                .map_err(|error| invalid(error.to_string()))?;
        if transactions.is_empty() {
            return Err(invalid("it has no transactions".into()));
        }
        for (index, raw) in transactions.into_iter().enumerate() {
            let transaction =
                RecoveredTransaction::decode(raw).map_err(|error| invalid(format!("transaction {index}: {error}")))?;
            block.push(Arc::new(transaction)).map_err(|error| invalid(format!("transaction {index}: {error}")))?;
        }
        let sealed = block.seal().map_err(|error| invalid(error.to_string()))?;
        let block = Arc::new(builder::committed(id, parent, chain.has_init(), sealed, self.signer.as_deref()));
        session.restore(block.clone())?;
        Ok(block)
    }

    /// Lets an opened (and restored) session build blocks; its init message is executed if block 1 isn't there yet.
    pub fn activate(&self, id: u64) -> Result<(), EngineError> {
        self.check_running()?;
        self.loaded(id).ok_or(EngineError::UnknownSession(id))?.activate()
    }

    /// Queues forced messages, raw transactions of type 0x7e, in order of index. Known ones are ignored.
    pub fn enqueue_messages(&self, id: u64, transactions: Vec<Bytes>) -> Result<(), EngineError> {
        self.check_running()?;
        let session = self.loaded(id).ok_or(EngineError::UnknownSession(id))?;
        let messages = transactions
            .into_iter()
            .map(|raw| admission::message(raw, session.chain_id).map(|(message, recovered)| (message.index, recovered)))
            .collect::<Result<_, _>>()?;
        session.enqueue_messages(messages)
    }

    /// All forced messages that L1 enqueued up to this time, in seconds since 1970, have been given to their sessions (or
    /// are in the store, for those not in memory). It may go back after a reorganisation of L1.
    pub fn followed_until(&self, l1_timestamp: u64) {
        self.context.followed_until.store(l1_timestamp, Ordering::Release);
    }

    /// Takes a session out of memory. A block that is being built or committed is finished first. False if it wasn't there.
    pub fn drop_session(&self, id: u64) -> bool {
        let Some(session) = self.sessions.remove(id, SubmitError::SessionDropped(id)) else { return false };
        // From within `persist` this can't wait for the very call that it is made in.
        if std::thread::current().name() != Some("exclave-commit") {
            session.wait_idle(Instant::now() + self.context.limits.shutdown);
        }
        true
    }

    /// Bytes that each session in memory takes, as an estimate.
    pub fn session_memory(&self) -> HashMap<u64, usize> {
        self.sessions.all().iter().map(|session| (session.id, session.chain().memory())).collect()
    }

    /// The session if it is in memory, in whatever phase.
    pub fn loaded(&self, id: u64) -> Option<Arc<Session>> {
        self.sessions.get(id)
    }

    /// Ids of the sessions in memory, in ascending order.
    pub fn loaded_ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.sessions.all().iter().map(|session| session.id).collect();
        ids.sort_unstable();
        ids
    }

    /// The session, woken through the host if it isn't in memory. Concurrent callers share one wake.
    pub async fn session(self: &Arc<Self>, id: u64) -> Result<Arc<Session>, SessionError> {
        let mut outcome = loop {
            if let Some(session) = self.active(id).await? {
                return Ok(session);
            }
            if let Some(url) = self.places.session(id) {
                return Err(SessionError::Elsewhere { id, url });
            }
            // None: it came into memory just now.
            if let Some(outcome) = self.join_wake(id)? {
                break outcome;
            }
        };
        let woken = tokio::time::timeout(RESTORE_PATIENCE, outcome.wait_for(Option::is_some)).await;
        match woken.map(|outcome| outcome.map(|outcome| outcome.clone())) {
            Ok(Ok(Some(Ok(())))) => {}
            Ok(Ok(Some(Err(error)))) => return Err(error),
            Ok(Ok(None) | Err(_)) => return Err(SessionError::ShuttingDown),
            Err(_) => return Err(SessionError::Busy),
        }
        let woken = self.active(id).await?;
        woken.ok_or_else(|| SessionError::Wake { id, reason: "it was dropped again at once".into() })
    }

    /// The session in memory, once it is active.
    async fn active(&self, id: u64) -> Result<Option<Arc<Session>>, SessionError> {
        if self.is_stopping() {
            return Err(SessionError::ShuttingDown);
        }
        let Some(session) = self.loaded(id) else { return Ok(None) };
        match session.phase() {
            Phase::Active => Ok(Some(session)),
            Phase::Dropped => Ok(None),
            Phase::Restoring => match tokio::time::timeout(RESTORE_PATIENCE, session.settled_phase()).await {
                Ok(Phase::Active) => Ok(Some(session)),
                Ok(_) => Ok(None),
                Err(_) => Err(SessionError::Busy),
            },
        }
    }

    /// The present wake of the session, or a new one. None if it came into memory meanwhile.
    fn join_wake(self: &Arc<Self>, id: u64) -> Result<Option<watch::Receiver<WakeResult>>, SessionError> {
        let mut wakes = self.wakes.lock();
        if self.loaded(id).is_some() {
            return Ok(None);
        }
        let (finished, outcome, is_stranger) = match wakes.join(id, Instant::now())? {
            Wake::Running(outcome) => return Ok(Some(outcome)),
            Wake::Started { finished, outcome, is_stranger } => (finished, outcome, is_stranger),
        };
        drop(wakes);
        let engine = self.clone();
        self.context.runtime.spawn(async move {
            let result = engine.wake(id, is_stranger).await;
            let mut wakes = engine.wakes.lock();
            // Under the lock: a session that is opened from now on is taken off the list of unknown ones.
            let is_unknown = matches!(result, Err(SessionError::Unknown(_))) && engine.loaded(id).is_none();
            wakes.finish(id, is_stranger, is_unknown, Instant::now());
            drop(wakes);
            finished.send_replace(Some(result));
        });
        Ok(Some(outcome))
    }

    async fn wake(&self, id: u64, is_stranger: bool) -> Result<(), SessionError> {
        let stopped = |_| SessionError::ShuttingDown;
        let _stranger = match is_stranger {
            true => Some(self.stranger_permits.clone().acquire_owned().await.map_err(stopped)?),
            false => None,
        };
        let _permit = self.wake_permits.clone().acquire_owned().await.map_err(stopped)?;
        let host = self.host.clone();
        match tokio::task::spawn_blocking(move || host.wake(id)).await {
            Ok(Ok(Woken::Here)) => match self.loaded(id) {
                Some(_) => Ok(()),
                None => Err(SessionError::Wake { id, reason: "it was not opened".into() }),
            },
            Ok(Ok(Woken::Unknown)) => Err(SessionError::Unknown(id)),
            Ok(Ok(Woken::Elsewhere(url))) => Err(SessionError::Elsewhere { id, url: self.places.learn(id, url) }),
            Ok(Err(reason)) => {
                self.host.warn(&format!("session {id} could not be loaded: {reason}"));
                Err(SessionError::Wake { id, reason })
            }
            Err(error) => Err(SessionError::Wake { id, reason: error.to_string() }),
        }
    }

    /// Asks the host to answer a JSON-RPC method; parameters and result are JSON texts.
    pub async fn call(&self, method: String, params: String) -> Result<String, CallError> {
        let failed = |code, message: String| CallError { code, message, data: None };
        let place = self.call_places.clone().try_acquire_owned();
        let place =
            place.map_err(|_| failed(-32005, "too many requests wait for the coprocessor; try again".into()))?;
        let answered = async {
            let permit = self.call_permits.clone().acquire_owned().await;
            let permit = permit.map_err(|error| failed(-32603, error.to_string()))?;
            if self.context.stopping.load(Ordering::Acquire) {
                return Err(failed(-32603, "node is shutting down".into()));
            }
            let host = self.host.clone();
            let work = move || {
                // Given back when Python is done, even if nobody waits for it any more.
                let _permits = (place, permit);
                host.call(&method, &params)
            };
            let answer = tokio::task::spawn_blocking(work).await;
            answer.unwrap_or_else(|error| Err(failed(-32603, error.to_string())))
        };
        let late = || failed(-32002, format!("no answer within {} s; try again", CALL_PATIENCE.as_secs()));
        tokio::time::timeout(CALL_PATIENCE, answered).await.unwrap_or_else(|_| Err(late()))
    }

    /// Executes signed transactions and returns their hashes when all are durable; blocks. The first error is returned with its position; the others may have been executed.
    pub fn submit(self: &Arc<Self>, id: u64, transactions: Vec<Bytes>) -> Result<Vec<B256>, (usize, SubmitError)> {
        let session = self.context.runtime.block_on(self.session(id)).map_err(|error| {
            let error = match error {
                SessionError::Unknown(id) => SubmitError::UnknownSession(id),
                SessionError::ShuttingDown => SubmitError::ShuttingDown,
                error => SubmitError::Internal(error.to_string()),
            };
            (0, error)
        })?;
        let queued: Vec<_> = transactions.into_iter().map(|raw| session.enqueue(raw)).collect();
        let answers = queued.into_iter().map(|queued| {
            queued.and_then(|receiver| receiver.blocking_recv().unwrap_or(Err(SubmitError::SessionDropped(id))))
        });
        // All are waited for, so that on return nothing of this call is in flight.
        let answers: Vec<_> = answers.collect();
        answers.into_iter().enumerate().map(|(index, answer)| answer.map_err(|error| (index, error))).collect()
    }

    /// The session's present state as a template file.
    pub fn export_template(&self, id: u64) -> Result<Vec<u8>, EngineError> {
        let session = self.loaded(id).ok_or(EngineError::UnknownSession(id))?;
        let state = session.chain().state().clone();
        state.to_template().map_err(|error| EngineError::State(error.to_string()))
    }

    /// The encoded witness of a block: what its execution reads of its parent's state.
    pub fn witness(&self, id: u64, number: u64) -> Result<Bytes, EngineError> {
        let session = self.loaded(id).ok_or(EngineError::UnknownSession(id))?;
        let chain = session.chain();
        let unknown = EngineError::UnknownBlock { id, number };
        let block = chain.block(number).ok_or_else(|| unknown.clone())?;
        let parent = number.checked_sub(1).and_then(|parent| chain.block(parent)).ok_or(unknown)?;
        let senders: Vec<Address> = block.sealed.transactions.iter().map(|transaction| transaction.sender).collect();
        let body = Block {
            header: block.header().clone(),
            transactions: block.sealed.transactions.iter().map(|transaction| transaction.raw.clone()).collect(),
        };
        let header = |number: u64| chain.block(number).map(|block| block.header().clone());
        stf::record_witness(parent.header(), &parent.sealed.state, &body, Some(&senders), session.chain_id, &header)
            .map(|witness| witness.encoded())
            .map_err(|error| EngineError::State(error.to_string()))
    }

    /// What the guest needs to prove that block `last` descends from block `from`, and what it will state.
    pub fn guest_run(
        &self,
        id: u64,
        range: (u64, u64),
        configuration: Bytes,
        prover: Address,
        public_recoveries: usize,
    ) -> Result<stf::GuestRun, EngineError> {
        let session = self.loaded(id).ok_or(EngineError::UnknownSession(id))?;
        let chain = session.chain();
        let (from, last) = range;
        let block = |number: u64| chain.block(number).ok_or(EngineError::UnknownBlock { id, number });
        let parent = block(from)?;
        let blocks: Result<Vec<stf::RawBlock>, EngineError> =
            (from.saturating_add(1)..=last).map(|number| Ok((&block(number)?.sealed.block()).into())).collect();
        let header = |number: u64| chain.block(number).map(|block| block.header().clone());
        let parent = (parent.header(), &parent.sealed.state);
        stf::record_guest_run(configuration, prover, parent, blocks?, public_recoveries, &header)
            .map_err(|error| EngineError::State(error.to_string()))
    }

    /// What the guest needs to judge a block that somebody claims to be a child of block `from`, and what it will state.
    pub fn guest_judgement(
        &self,
        id: u64,
        from: u64,
        block: stf::RawBlock,
        configuration: Bytes,
        prover: Address,
        public_recoveries: usize,
    ) -> Result<stf::GuestRun, EngineError> {
        let session = self.loaded(id).ok_or(EngineError::UnknownSession(id))?;
        let chain = session.chain();
        let parent = chain.block(from).ok_or(EngineError::UnknownBlock { id, number: from })?;
        let header = |number: u64| chain.block(number).map(|block| block.header().clone());
        let parent = (parent.header(), &parent.sealed.state);
        stf::record_guest_run(configuration, prover, parent, vec![block], public_recoveries, &header)
            .map_err(|error| EngineError::State(error.to_string()))
    }

    /// The process to which requests to `/` are passed on; None answers them here.
    pub fn set_leader(&self, url: Option<&str>) {
        self.places.set_leader(url);
    }

    /// Which other process answers for a target; None when this one does, or knows why nobody can.
    pub(crate) async fn place(self: &Arc<Self>, target: Target) -> Option<Arc<str>> {
        match target {
            Target::Root => self.places.leader(),
            Target::Session(id) => match self.session(id).await {
                Err(SessionError::Elsewhere { url, .. }) => Some(url),
                _ => None,
            },
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.context.stopping.load(Ordering::Acquire)
    }

    /// Asks the host again where a session is.
    pub(crate) fn forget_place(&self, target: Target) {
        if let Target::Session(id) = target {
            self.places.forget(id);
        }
    }

    /// Starts a JSON-RPC server (HTTP and WebSocket on one port) and returns its port.
    pub fn serve(self: &Arc<Self>, host: &str, port: u16, listener: Listener) -> std::io::Result<u16> {
        let server = self.context.runtime.block_on(crate::rpc::serve(self.clone(), host, port, listener))?;
        let port = server.port();
        self.servers.lock().push(server);
        Ok(port)
    }

    /// What is counted and what waits here, in Prometheus' text format.
    pub fn metrics_text(&self) -> String {
        let mut levels = Levels {
            waiting_sessions: self.context.scheduler.len(),
            wakes: self.wakes.lock().len(),
            ..Levels::default()
        };
        for session in self.sessions.all() {
            let queue = session.lock_queue();
            levels.memory += session.chain().memory();
            levels.queued_transactions += queue.len();
            levels.queued_bytes += queue.bytes();
            levels.longest_queue = levels.longest_queue.max(queue.len());
        }
        metrics::text(&self.context.counters, &levels)
    }

    fn check_running(&self) -> Result<(), EngineError> {
        match self.is_stopping() {
            true => Err(EngineError::ShuttingDown),
            false => Ok(()),
        }
    }

    /// Takes no more transactions, lets those accepted finish within `limits.shutdown`, answers the rest with "shutting down" and stops all threads. Idempotent.
    pub fn shutdown(&self) {
        // A second caller returns when the first is done.
        let mut stopped = self.stopped.lock();
        self.context.stopping.store(true, Ordering::Release);
        if !std::mem::replace(&mut *stopped, true) {
            let deadline = Instant::now() + self.context.limits.shutdown;
            let sessions = self.sessions.all();
            for session in &sessions {
                session.wait_idle(deadline);
            }
            for session in &sessions {
                self.sessions.remove(session.id, SubmitError::ShuttingDown);
            }
            for session in &sessions {
                session.wait_idle(deadline);
            }
            for server in self.servers.lock().drain(..) {
                server.stop();
            }
            self.context.scheduler.stop();
            let this = std::thread::current().id();
            for thread in self.threads.lock().drain(..).filter(|thread| thread.thread().id() != this) {
                // A thread that panicked has nothing to finish.
                let _ = thread.join();
            }
            if let Some(runtime) = self.runtime.lock().take() {
                runtime.shutdown_timeout(Duration::from_secs(2));
            }
        }
    }
}

impl Drop for Engine {
    /// Without `shutdown` nothing is waited for.
    fn drop(&mut self) {
        self.context.scheduler.stop();
        if let Some(runtime) = self.runtime.get_mut().take() {
            runtime.shutdown_background();
        }
    }
}

/// One of the threads that build blocks.
struct BuilderThread {
    context: Arc<Context>,
    sessions: Arc<Registry>,
    host: Arc<dyn Host>,
    signer: Option<Arc<PreconfirmationSigner>>,
    candidates: Sender<Candidate>,
}

impl BuilderThread {
    fn run(self) {
        while let Some(session) = self.context.scheduler.next() {
            session.lock_queue().activity = crate::queue::Activity::Busy;
            let started = Instant::now();
            let turn = builder::take_turn(&session, self.signer.as_deref(), &self.context.limits);
            let elapsed = started.elapsed();
            self.context.scheduler.charge(&session, elapsed);
            self.context.counters.record_build(elapsed);
            match turn {
                Turn::Sealed(candidate) => {
                    // The committer outlives the builders.
                    let _ = self.candidates.send(candidate);
                }
                Turn::Empty => session.rest(),
                Turn::Failed { reason, waiters } => self.poison(&session, &reason, waiters),
            }
        }
    }

    /// INVARIANT I5: a session that crashed is dropped, alone. It can be woken again from what is durable.
    fn poison(&self, session: &Session, reason: &str, waiters: Vec<builder::Submission>) {
        self.host.warn(&format!("session {} failed and was dropped: {reason}", session.id));
        let error = SubmitError::Internal(reason.to_owned());
        self.sessions.remove(session.id, error.clone());
        for submission in waiters {
            let _ = submission.waiter.send(Err(error.clone()));
        }
        session.rest();
    }
}

impl stf::BlockHashes for Chain {
    fn block_hash(&self, number: u64) -> Option<B256> {
        self.block(number).map(|block| block.hash())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::PersistError;
    use stf::SystemTransaction;

    struct Accepting;

    impl Host for Accepting {
        fn persist(&self, _blocks: &[Arc<CommittedBlock>]) -> Result<(), PersistError> {
            Ok(())
        }

        fn wake(&self, _session_id: u64) -> Result<Woken, String> {
            Ok(Woken::Unknown)
        }

        fn call(&self, _method: &str, _params: &str) -> Result<String, CallError> {
            Ok("null".into())
        }

        fn warn(&self, _message: &str) {}
    }

    #[test]
    fn invariant_i5_a_session_that_fails_is_dropped_alone() {
        let options = EngineOptions {
            preconfirmation_key: None,
            l1_chain_id: 1,
            zk_relayer: Address::ZERO,
            rpc_threads: 1,
            limits: Limits::default(),
        };
        let engine = Engine::new(options, Arc::new(Accepting)).unwrap();
        let template = engine.add_template(&State::empty().to_template().unwrap()).unwrap();
        let message = |chain_id| SystemTransaction {
            chain_id,
            index: 0,
            from: stf::SYSTEM_ADDRESS,
            to: stf::PREDEPLOY,
            gas_limit: 100_000,
            due_at: u64::MAX,
            data: Bytes::new(),
        };
        let open = |session_id| {
            let opening = SessionOpening {
                session_id,
                chain_id: session_id,
                state_root: template.state_root,
                config_hash: B256::ZERO,
                seed: B256::ZERO,
                timestamp: 1,
                init_transaction: Some(message(session_id).encoded()),
                rules: SessionRules::default(),
            };
            engine.open_session(opening).unwrap();
            engine.loaded(session_id).unwrap()
        };
        let (broken, sound) = (open(1), open(2));
        // Can't happen from outside: the message to which block 0 commits is gone.
        broken.lock_queue().init = None;
        broken.enqueue_messages(vec![(0, message(1).into())]).unwrap();
        for session in [1, 2] {
            engine.activate(session).unwrap();
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        assert!(broken.wait_idle(deadline) && sound.wait_idle(deadline));
        assert_eq!(engine.loaded_ids(), [2]);
        assert_eq!((broken.phase(), broken.chain().number(), sound.chain().number()), (Phase::Dropped, 0, 1));

        // One that is dropped while it waits for its turn has not failed.
        let dropped = open(3);
        dropped.enqueue_messages(vec![(0, message(3).into())]).unwrap();
        engine.sessions.remove(3, SubmitError::SessionDropped(3));
        assert!(matches!(builder::take_turn(&dropped, None, engine.limits()), Turn::Empty));

        // It can come back.
        let again = open(1);
        engine.activate(1).unwrap();
        assert!(again.wait_idle(deadline));
        assert_eq!(again.chain().number(), 1);
        engine.shutdown();
    }
}
