//! The extension module `exclave._engine`. Typed in `src/exclave/_engine.pyi`, which documents it.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Arc, Weak};

use alloy_primitives::{Address, Bytes, B256};
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyModule, PyTuple, PyType};

use crate::chain::CommittedBlock;
use crate::engine::{self, EngineOptions, SessionOpening};
use crate::error::{CallError, EngineError, PersistError, RestoreError};
use crate::host::{Host, Woken};
use crate::limits::Limits;
use crate::rpc::Listener;
use crate::session::{Phase, SessionRules};

/// The exception classes, made from `exceptions.py`.
struct Exceptions {
    engine: Py<PyType>,
    submit: Py<PyType>,
    template: Py<PyType>,
    restore: Py<PyType>,
    refused: Py<PyType>,
    rpc: Py<PyType>,
}

const EXCEPTION_NAMES: [&str; 6] =
    ["EngineError", "SubmitError", "TemplateError", "RestoreError", "SessionsRefused", "RpcError"];

static EXCEPTIONS: PyOnceLock<Exceptions> = PyOnceLock::new();

fn exceptions(py: Python<'_>) -> PyResult<&Exceptions> {
    EXCEPTIONS.get_or_try_init(py, || {
        let code = CString::new(include_str!("exceptions.py"))?;
        let module = PyModule::from_code(py, &code, c"exceptions.py", c"exclave._engine_exceptions")?;
        let class = |name: &str| -> PyResult<Py<PyType>> {
            Ok(module.getattr(name)?.cast_into::<PyType>().map_err(PyErr::from)?.unbind())
        };
        Ok(Exceptions {
            engine: class("EngineError")?,
            submit: class("SubmitError")?,
            template: class("TemplateError")?,
            restore: class("RestoreError")?,
            refused: class("SessionsRefused")?,
            rpc: class("RpcError")?,
        })
    })
}

/// An instance of one of the exception classes.
fn raise<A>(py: Python<'_>, class: impl Fn(&Exceptions) -> &Py<PyType>, args: A) -> PyErr
where
    A: for<'py> pyo3::call::PyCallArgs<'py>,
{
    match exceptions(py).and_then(|exceptions| class(exceptions).bind(py).call1(args)) {
        Ok(value) => PyErr::from_value(value),
        Err(error) => error,
    }
}

fn engine_error(py: Python<'_>, error: &EngineError) -> PyErr {
    raise(py, |exceptions| &exceptions.engine, (error.to_string(),))
}

fn restore_error(py: Python<'_>, error: &RestoreError) -> PyErr {
    raise(py, |exceptions| &exceptions.restore, (error.to_string(),))
}

/// Calls the Python callbacks, on the engine's own threads.
struct PythonHost {
    persist: Py<PyAny>,
    wake: Py<PyAny>,
    call: Py<PyAny>,
    logger: Py<PyAny>,
}

const NO_INTERPRETER: &str = "the Python interpreter is shutting down";

impl Host for PythonHost {
    fn persist(&self, blocks: &[Arc<CommittedBlock>]) -> Result<(), PersistError> {
        let unavailable = |error: PyErr| PersistError::Unavailable(error.to_string());
        let persisted = Python::try_attach(|py| {
            let blocks: Vec<Py<PyBlock>> = blocks
                .iter()
                .map(|block| Py::new(py, PyBlock { block: block.clone() }))
                .collect::<PyResult<_>>()
                .map_err(unavailable)?;
            let list = PyList::new(py, blocks).map_err(unavailable)?;
            match self.persist.call1(py, (list,)) {
                Ok(_) => Ok(()),
                Err(error) => Err(refused_sessions(py, &error).unwrap_or_else(|| unavailable(error))),
            }
        });
        persisted.unwrap_or_else(|| Err(PersistError::Unavailable(NO_INTERPRETER.into())))
    }

    fn wake(&self, session_id: u64) -> Result<Woken, String> {
        let woken = Python::try_attach(|py| {
            let answer = self.wake.call1(py, (session_id,)).map_err(|error| error.to_string())?;
            if let Ok(url) = answer.extract::<String>(py) {
                return Ok(Woken::Elsewhere(url));
            }
            let is_here = answer.is_truthy(py).map_err(|error| error.to_string())?;
            Ok(if is_here { Woken::Here } else { Woken::Unknown })
        });
        woken.unwrap_or_else(|| Err(NO_INTERPRETER.into()))
    }

    fn call(&self, method: &str, params: &str) -> Result<String, CallError> {
        let internal = |message: String| CallError { code: -32603, message, data: None };
        let answer = Python::try_attach(|py| match self.call.call1(py, (method, params)) {
            Ok(answer) => answer.extract::<String>(py).map_err(|error| internal(error.to_string())),
            Err(error) => Err(rpc_error(py, &error).unwrap_or_else(|| {
                // Not meant for the caller: the exception may speak of anything.
                self.log(py, &format!("{method} failed: {error}"));
                internal("internal error".into())
            })),
        });
        answer.unwrap_or_else(|| Err(internal(NO_INTERPRETER.into())))
    }

    fn warn(&self, message: &str) {
        let _ = Python::try_attach(|py| self.log(py, message));
    }
}

impl PythonHost {
    fn log(&self, py: Python<'_>, message: &str) {
        // A logger that fails must not stop the engine.
        if let Err(error) = self.logger.call_method1(py, "warning", ("%s", message)) {
            error.write_unraisable(py, None);
        }
    }
}

fn refused_sessions(py: Python<'_>, error: &PyErr) -> Option<PersistError> {
    let class = &exceptions(py).ok()?.refused;
    let value = error.matches(py, class).ok()?.then(|| error.value(py))?;
    let ids = value.getattr("ids").ok()?.extract::<Vec<u64>>().ok()?;
    Some(PersistError::SessionsRefused(ids))
}

fn rpc_error(py: Python<'_>, error: &PyErr) -> Option<CallError> {
    let class = &exceptions(py).ok()?.rpc;
    let value = error.matches(py, class).ok()?.then(|| error.value(py))?;
    Some(CallError {
        code: value.getattr("code").ok()?.extract().ok()?,
        message: value.getattr("message").ok()?.extract().ok()?,
        data: value.getattr("data").ok()?.extract().ok()?,
    })
}

fn word(name: &str, bytes: &[u8]) -> PyResult<B256> {
    B256::try_from(bytes).map_err(|_| PyValueError::new_err(format!("{name} must have 32 bytes, not {}", bytes.len())))
}

fn address(name: &str, bytes: &[u8]) -> PyResult<Address> {
    Address::try_from(bytes)
        .map_err(|_| PyValueError::new_err(format!("{name} must have 20 bytes, not {}", bytes.len())))
}

fn owned(list: Vec<Vec<u8>>) -> Vec<Bytes> {
    list.into_iter().map(Bytes::from).collect()
}

fn rlp_list<T: std::borrow::Borrow<Bytes>>(items: &[T]) -> Vec<u8> {
    let mut out = Vec::new();
    alloy_rlp::encode_list::<T, Bytes>(items, &mut out);
    out
}

/// Engines of this process, to be shut down when the interpreter exits.
static ENGINES: Mutex<Vec<Weak<engine::Engine>>> = Mutex::new(Vec::new());

#[pyfunction]
fn _shutdown_all(py: Python<'_>) {
    py.detach(|| {
        let engines: Vec<_> = ENGINES.lock().drain(..).collect();
        for engine in engines.iter().filter_map(Weak::upgrade) {
            engine.shutdown();
        }
    });
}

#[pyclass(name = "Template", module = "exclave._engine", frozen)]
struct PyTemplate(engine::Template);

#[pymethods]
impl PyTemplate {
    #[getter]
    fn state_root(&self) -> &[u8] {
        self.0.state_root.as_slice()
    }

    #[getter]
    fn data_hash(&self) -> &[u8] {
        self.0.data_hash.as_slice()
    }

    #[getter]
    fn template_id(&self) -> &[u8] {
        self.0.template_id.as_slice()
    }
}

#[pyclass(name = "SessionInfo", module = "exclave._engine", frozen)]
struct PySessionInfo {
    head: Arc<CommittedBlock>,
    #[pyo3(get)]
    session_id: u64,
    #[pyo3(get)]
    chain_id: u64,
    #[pyo3(get)]
    active: bool,
    result: Option<Bytes>,
}

#[pymethods]
impl PySessionInfo {
    #[getter]
    fn number(&self) -> u64 {
        self.head.number()
    }

    #[getter]
    fn hash(&self) -> &[u8] {
        self.head.sealed.hash.as_slice()
    }

    #[getter]
    fn timestamp(&self) -> u64 {
        self.head.header().timestamp
    }

    #[getter]
    fn inbox_count(&self) -> u64 {
        self.head.inbox_count
    }

    #[getter]
    fn inbox_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.head.inbox_hash().as_slice())
    }

    #[getter]
    fn ended(&self) -> bool {
        self.head.has_ended()
    }

    #[getter]
    fn result_hash(&self) -> &[u8] {
        self.head.sealed.result_hash.as_slice()
    }

    #[getter]
    fn result(&self) -> Option<&[u8]> {
        self.result.as_ref().map(|result| &result[..])
    }
}

#[pyclass(name = "Block", module = "exclave._engine", frozen)]
struct PyBlock {
    block: Arc<CommittedBlock>,
}

#[pymethods]
impl PyBlock {
    #[getter]
    fn session_id(&self) -> u64 {
        self.block.session_id
    }

    #[getter]
    fn number(&self) -> u64 {
        self.block.number()
    }

    #[getter]
    fn hash(&self) -> &[u8] {
        self.block.sealed.hash.as_slice()
    }

    #[getter]
    fn parent_hash(&self) -> &[u8] {
        self.block.header().parent_hash.as_slice()
    }

    #[getter]
    fn timestamp(&self) -> u64 {
        self.block.header().timestamp
    }

    #[getter]
    fn state_root(&self) -> &[u8] {
        self.block.header().state_root.as_slice()
    }

    #[getter]
    fn gas_used(&self) -> u64 {
        self.block.header().gas_used
    }

    #[getter]
    fn header<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &stf::header_to_rlp(self.block.header()))
    }

    #[getter]
    fn preconfirmation(&self) -> &[u8] {
        self.block.preconfirmation.as_ref().map_or(&[], |signature| signature.as_slice())
    }

    #[getter]
    fn inbox_count(&self) -> u64 {
        self.block.inbox_count
    }

    #[getter]
    fn inbox_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.block.inbox_hash().as_slice())
    }

    #[getter]
    fn result_hash(&self) -> &[u8] {
        self.block.sealed.result_hash.as_slice()
    }

    #[getter]
    fn result(&self) -> Option<&[u8]> {
        self.block.result.as_ref().map(|result| &result[..])
    }

    #[getter]
    fn transactions<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        use alloy_consensus::Transaction as _;
        let sealed = &self.block.sealed;
        let pairs = sealed.transactions.iter().zip(&sealed.receipts).enumerate();
        pairs
            .map(|(index, (transaction, receipt))| {
                let (nonce, to) = match &transaction.transaction {
                    stf::Transaction::System(message) => (message.index, Some(message.to)),
                    stf::Transaction::User(envelope) => (envelope.nonce(), envelope.to()),
                };
                (
                    index,
                    transaction.hash.as_slice(),
                    receipt.transaction_type,
                    transaction.sender.as_slice(),
                    nonce,
                    to.as_ref().map(|to| to.as_slice()),
                    &transaction.raw[..],
                    receipt.status,
                    receipt.gas_used,
                    receipt.cumulative_gas_used,
                    receipt.contract_address.as_ref().map(|created| created.as_slice()),
                )
                    .into_pyobject(py)
            })
            .collect()
    }

    #[getter]
    fn encoded_transactions<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let raw: Vec<&Bytes> = self.block.sealed.transactions.iter().map(|transaction| &transaction.raw).collect();
        PyBytes::new(py, &rlp_list(&raw))
    }

    #[getter]
    fn senders<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let senders: Vec<u8> = self.block.sealed.transactions.iter().flat_map(|item| item.sender.0 .0).collect();
        PyBytes::new(py, &senders)
    }

    #[getter]
    fn encoded_receipts<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let encoded: Vec<Bytes> = self.block.sealed.receipts.iter().map(stf::Receipt::encoded).collect();
        PyBytes::new(py, &rlp_list(&encoded))
    }

    #[getter]
    fn logs<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let receipts = self.block.sealed.receipts.iter().enumerate();
        let logs = receipts.flat_map(|(transaction, receipt)| receipt.logs.iter().map(move |log| (transaction, log)));
        logs.enumerate()
            .map(|(index, (transaction, log))| {
                let topic = |at: usize| log.topics().get(at).map(|topic| topic.as_slice());
                (index, transaction, log.address.as_slice(), topic(0), topic(1), topic(2), topic(3), &log.data.data[..])
                    .into_pyobject(py)
            })
            .collect()
    }

    fn __repr__(&self) -> String {
        format!("<Block {} of session {}, {}>", self.number(), self.session_id(), self.block.hash())
    }
}

#[pyclass(name = "Engine", module = "exclave._engine", frozen, weakref)]
struct PyEngine {
    engine: Arc<engine::Engine>,
}

#[pymethods]
impl PyEngine {
    #[new]
    #[pyo3(signature = (*, persist, wake, call, preconfirmation_key, l1_chain_id, zk_relayer, rpc_threads = 2, limits = None))]
    #[allow(clippy::too_many_arguments)] // Keyword arguments in Python.
    fn new(
        py: Python<'_>,
        persist: Py<PyAny>,
        wake: Py<PyAny>,
        call: Py<PyAny>,
        preconfirmation_key: Option<&[u8]>,
        l1_chain_id: u64,
        zk_relayer: &[u8],
        rpc_threads: usize,
        limits: Option<HashMap<String, u64>>,
    ) -> PyResult<Self> {
        let mut bounds = Limits::default();
        for (name, value) in limits.unwrap_or_default() {
            if !bounds.set(&name, value) {
                return Err(PyValueError::new_err(format!("limit '{name}' is unknown or can't be {value}")));
            }
        }
        let logger = py.import("logging")?.call_method1("getLogger", ("exclave.engine",))?.unbind();
        let options = EngineOptions {
            preconfirmation_key: preconfirmation_key
                .map(|key| word("preconfirmation_key", key))
                .transpose()?
                .map(|key| key.0),
            l1_chain_id,
            zk_relayer: address("zk_relayer", zk_relayer)?,
            rpc_threads,
            limits: bounds,
        };
        let host = Arc::new(PythonHost { persist, wake, call, logger });
        let engine = py.detach(|| engine::Engine::new(options, host)).map_err(|error| engine_error(py, &error))?;
        let mut engines = ENGINES.lock();
        engines.retain(|engine| engine.strong_count() > 0);
        engines.push(Arc::downgrade(&engine));
        Ok(Self { engine })
    }

    fn add_template(&self, py: Python<'_>, data: Vec<u8>) -> PyResult<PyTemplate> {
        let added = py.detach(|| self.engine.add_template(&data));
        added.map(PyTemplate).map_err(|error| raise(py, |exceptions| &exceptions.template, (error.to_string(),)))
    }

    #[pyo3(signature = (session_id, chain_id, state_root, config_hash, seed, timestamp, init_transaction, inclusion_delay = None, block_bytes = None))]
    #[allow(clippy::too_many_arguments)] // As documented for Python.
    fn open_session<'py>(
        &self,
        py: Python<'py>,
        session_id: u64,
        chain_id: u64,
        state_root: &[u8],
        config_hash: &[u8],
        seed: &[u8],
        timestamp: u64,
        init_transaction: Option<Vec<u8>>,
        inclusion_delay: Option<u64>,
        block_bytes: Option<usize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let opening = SessionOpening {
            session_id,
            chain_id,
            state_root: word("state_root", state_root)?,
            config_hash: word("config_hash", config_hash)?,
            seed: word("seed", seed)?,
            timestamp,
            init_transaction: init_transaction.map(Bytes::from),
            rules: SessionRules { inclusion_delay: inclusion_delay.filter(|delay| *delay > 0), block_bytes },
        };
        let hash = py.detach(|| self.engine.open_session(opening)).map_err(|error| engine_error(py, &error))?;
        Ok(PyBytes::new(py, hash.as_slice()))
    }

    fn restore_block(
        &self,
        py: Python<'_>,
        session_id: u64,
        header: Vec<u8>,
        transactions: Vec<Vec<u8>>,
        senders: Vec<Vec<u8>>,
    ) -> PyResult<()> {
        let senders: Vec<Address> = senders.iter().map(|sender| address("sender", sender)).collect::<PyResult<_>>()?;
        py.detach(|| self.engine.restore_block(session_id, &header, owned(transactions), &senders))
            .map_err(|error| restore_error(py, &error))
    }

    fn execute_block(
        &self,
        py: Python<'_>,
        session_id: u64,
        timestamp: u64,
        transactions: Vec<Vec<u8>>,
    ) -> PyResult<PyBlock> {
        py.detach(|| self.engine.execute_block(session_id, timestamp, owned(transactions)))
            .map(|block| PyBlock { block })
            .map_err(|error| restore_error(py, &error))
    }

    fn activate(&self, py: Python<'_>, session_id: u64) -> PyResult<()> {
        py.detach(|| self.engine.activate(session_id)).map_err(|error| engine_error(py, &error))
    }

    fn enqueue_messages(&self, py: Python<'_>, session_id: u64, transactions: Vec<Vec<u8>>) -> PyResult<()> {
        py.detach(|| self.engine.enqueue_messages(session_id, owned(transactions)))
            .map_err(|error| engine_error(py, &error))
    }

    fn followed_until(&self, l1_timestamp: u64) {
        self.engine.followed_until(l1_timestamp);
    }

    fn submit<'py>(
        &self,
        py: Python<'py>,
        session_id: u64,
        transactions: Vec<Vec<u8>>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let hashes = py.detach(|| self.engine.submit(session_id, owned(transactions))).map_err(|(index, error)| {
            raise(py, |exceptions| &exceptions.submit, (error.kind(), error.to_string(), index))
        })?;
        Ok(hashes.iter().map(|hash| PyBytes::new(py, hash.as_slice())).collect())
    }

    fn drop_session(&self, py: Python<'_>, session_id: u64) -> bool {
        py.detach(|| self.engine.drop_session(session_id))
    }

    fn session_info(&self, session_id: u64) -> Option<PySessionInfo> {
        let session = self.engine.loaded(session_id)?;
        let chain = session.chain();
        // The ending block is the last one.
        let head = chain.head().clone();
        Some(PySessionInfo {
            session_id,
            chain_id: session.chain_id,
            active: session.phase() == Phase::Active,
            result: head.result.clone(),
            head,
        })
    }

    fn session_ids(&self) -> Vec<u64> {
        self.engine.loaded_ids()
    }

    fn session_memory(&self, py: Python<'_>) -> HashMap<u64, usize> {
        py.detach(|| self.engine.session_memory())
    }

    fn transaction_count(&self, py: Python<'_>, session_id: u64, account: &[u8]) -> PyResult<u64> {
        let account = address("account", account)?;
        let session = self.engine.loaded(session_id).ok_or(EngineError::UnknownSession(session_id));
        session.map(|session| session.committed_nonce(&account)).map_err(|error| engine_error(py, &error))
    }

    fn export_template<'py>(&self, py: Python<'py>, session_id: u64) -> PyResult<Bound<'py, PyBytes>> {
        let file = py.detach(|| self.engine.export_template(session_id)).map_err(|error| engine_error(py, &error))?;
        Ok(PyBytes::new(py, &file))
    }

    fn witness<'py>(&self, py: Python<'py>, session_id: u64, number: u64) -> PyResult<Bound<'py, PyBytes>> {
        let witness =
            py.detach(|| self.engine.witness(session_id, number)).map_err(|error| engine_error(py, &error))?;
        Ok(PyBytes::new(py, &witness))
    }

    #[pyo3(signature = (session_id, from_number, last_number, *, configuration, prover, public_recoveries))]
    #[allow(clippy::too_many_arguments)]
    fn guest_run<'py>(
        &self,
        py: Python<'py>,
        session_id: u64,
        from_number: u64,
        last_number: u64,
        configuration: Vec<u8>,
        prover: &[u8],
        public_recoveries: usize,
    ) -> PyResult<GuestRunBytes<'py>> {
        let prover = address("prover", prover)?;
        let range = (from_number, last_number);
        let run = py
            .detach(|| self.engine.guest_run(session_id, range, configuration.into(), prover, public_recoveries))
            .map_err(|error| engine_error(py, &error))?;
        Ok(guest_run_bytes(py, &run))
    }

    #[pyo3(signature = (session_id, from_number, header, transactions, *, configuration, prover, public_recoveries))]
    #[allow(clippy::too_many_arguments)]
    fn guest_judgement<'py>(
        &self,
        py: Python<'py>,
        session_id: u64,
        from_number: u64,
        header: Vec<u8>,
        transactions: Vec<Vec<u8>>,
        configuration: Vec<u8>,
        prover: &[u8],
        public_recoveries: usize,
    ) -> PyResult<GuestRunBytes<'py>> {
        let prover = address("prover", prover)?;
        let block = stf::RawBlock { header: header.into(), transactions: owned(transactions) };
        let configuration = configuration.into();
        let run = py
            .detach(|| {
                self.engine.guest_judgement(session_id, from_number, block, configuration, prover, public_recoveries)
            })
            .map_err(|error| engine_error(py, &error))?;
        Ok(guest_run_bytes(py, &run))
    }

    fn set_leader(&self, url: Option<&str>) {
        self.engine.set_leader(url);
    }

    #[pyo3(signature = (host, port, *, share_port = false, peers = false))]
    fn serve(&self, py: Python<'_>, host: &str, port: u16, share_port: bool, peers: bool) -> PyResult<u16> {
        Ok(py.detach(|| self.engine.serve(host, port, Listener { share_port, peers }))?)
    }

    fn metrics_text(&self, py: Python<'_>) -> String {
        py.detach(|| self.engine.metrics_text())
    }

    fn shutdown(&self, py: Python<'_>) {
        py.detach(|| self.engine.shutdown());
    }
}

/// The guest's input, the statement's encoding, the encoded recoveries.
type GuestRunBytes<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

fn guest_run_bytes<'py>(py: Python<'py>, run: &stf::GuestRun) -> GuestRunBytes<'py> {
    let recoveries = stf::encode_recoveries(&run.recoveries);
    let [input, statement, recoveries] =
        [&run.input.encoded()[..], &run.statement.encoded(), &recoveries].map(|bytes| PyBytes::new(py, bytes));
    (input, statement, recoveries)
}

impl Drop for PyEngine {
    /// An engine that nobody can reach is shut down too, on a thread that may wait for Python.
    fn drop(&mut self) {
        let engine = self.engine.clone();
        std::thread::spawn(move || engine.shutdown());
    }
}

/// The JSON-RPC server's counters in Prometheus' text format.
#[pyfunction]
fn metrics_text() -> String {
    crate::rpc::metrics_text()
}

/// Root of the trie of a block's encoded transactions or receipts.
#[pyfunction]
#[pyo3(signature = (items, /))]
fn ordered_trie_root(py: Python<'_>, items: Vec<Vec<u8>>) -> Bound<'_, PyBytes> {
    let root = py.detach(|| stf::ordered_trie_root(&owned(items)));
    PyBytes::new(py, root.as_slice())
}

/// Keccak-256: the Python packages for it take 10 microseconds a call.
#[pyfunction]
#[pyo3(signature = (data, /))]
fn keccak256<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, alloy_primitives::keccak256(data).as_slice())
}

/// The items of an RLP list of byte strings.
#[pyfunction]
#[pyo3(signature = (data, /))]
fn split_rlp_strings<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let malformed = |error: alloy_rlp::Error| PyValueError::new_err(format!("not an RLP list of strings: {error}"));
    let strings: Vec<Bytes> = alloy_rlp::decode_exact(data).map_err(malformed)?;
    Ok(strings.iter().map(|item| PyBytes::new(py, item)).collect())
}

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<PyEngine>()?;
    module.add_class::<PyBlock>()?;
    module.add_class::<PyTemplate>()?;
    module.add_class::<PySessionInfo>()?;
    let exceptions = exceptions(py)?;
    let classes = [
        &exceptions.engine,
        &exceptions.submit,
        &exceptions.template,
        &exceptions.restore,
        &exceptions.refused,
        &exceptions.rpc,
    ];
    for (name, class) in EXCEPTION_NAMES.iter().zip(classes) {
        module.add(*name, class)?;
    }
    module.add_function(wrap_pyfunction!(metrics_text, module)?)?;
    module.add_function(wrap_pyfunction!(ordered_trie_root, module)?)?;
    module.add_function(wrap_pyfunction!(keccak256, module)?)?;
    module.add_function(wrap_pyfunction!(split_rlp_strings, module)?)?;
    module.add_function(wrap_pyfunction!(crate::conformance::execute_blocks, module)?)?;
    let shutdown = wrap_pyfunction!(_shutdown_all, module)?;
    py.import("atexit")?.call_method1("register", (shutdown,))?;
    Ok(())
}
