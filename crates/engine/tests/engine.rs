//! The engine without Python: what a witness is worth, and hosts that misbehave.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use _engine::engine::{EngineOptions, SessionOpening};
use _engine::error::PersistError;
use _engine::host::{Host, Woken};
use _engine::limits::Limits;
use _engine::preconfirmation::PreconfirmationDomain;
use _engine::session::SessionRules;
use _engine::{CallError, CommittedBlock, Engine, SessionError, SubmitError};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{address, keccak256, Address, Bytes, Signature, TxKind, B256, U256};
use parking_lot::Mutex;
use secp256k1::{ecdsa::RecoverableSignature, ecdsa::RecoveryId, Message, Secp256k1, SecretKey};
use stf::{Block, State, Witness};

const CHAIN_ID: u64 = 77;
const COUNTER: Address = address!("00000000000000000000000000000000000000c1");
const SECRET: [u8; 32] = [7; 32];

/// Keeps blocks in memory.
#[derive(Default)]
struct Memory {
    blocks: Mutex<Vec<Arc<CommittedBlock>>>,
    panics: AtomicBool,
}

impl Host for Memory {
    fn persist(&self, blocks: &[Arc<CommittedBlock>]) -> Result<(), PersistError> {
        if self.panics.load(Ordering::Relaxed) {
            panic!("the host has a defect");
        }
        self.blocks.lock().extend_from_slice(blocks);
        Ok(())
    }

    fn wake(&self, session_id: u64) -> Result<Woken, String> {
        match session_id {
            404 => Ok(Woken::Unknown),
            500 => panic!("the host has a defect"),
            // Says that it opened the session, and did not.
            _ => Ok(Woken::Here),
        }
    }

    fn call(&self, _method: &str, _params: &str) -> Result<String, CallError> {
        panic!("the host has a defect")
    }

    fn warn(&self, _message: &str) {}
}

fn start(host: Arc<Memory>) -> Arc<Engine> {
    let options = EngineOptions {
        preconfirmation_key: Some(SECRET),
        l1_chain_id: 1,
        zk_relayer: Address::repeat_byte(5),
        rpc_threads: 1,
        limits: Limits::default(),
    };
    Engine::new(options, host).unwrap()
}

fn sender() -> Address {
    let key = SecretKey::from_byte_array(&SECRET).unwrap().public_key(&Secp256k1::new());
    Address::from_raw_public_key(&key.serialize_uncompressed()[1..])
}

fn open(engine: &Engine, session_id: u64) {
    let mut state = State::empty();
    state.set_balance(&sender(), U256::from(10).pow(U256::from(18))).unwrap();
    // Counts its calls in slot 0.
    let code = Bytes::from_static(&[0x5f, 0x54, 0x60, 1, 0x01, 0x5f, 0x55, 0x00]);
    state.set_nonce(&COUNTER, 1).unwrap();
    state.set_code(&COUNTER, stf::revm::bytecode::Bytecode::new_legacy(code)).unwrap();
    let template = engine.add_template(&state.to_template().unwrap()).unwrap();
    let opening = SessionOpening {
        session_id,
        chain_id: CHAIN_ID,
        state_root: template.state_root,
        config_hash: B256::repeat_byte(1),
        seed: B256::repeat_byte(2),
        timestamp: 1_700_000_000,
        init_transaction: None,
        rules: SessionRules::default(),
    };
    engine.open_session(opening).unwrap();
    engine.activate(session_id).unwrap();
}

fn call(nonce: u64, to: TxKind, input: Bytes) -> Bytes {
    let transaction = TxEip1559 { chain_id: CHAIN_ID, nonce, gas_limit: 200_000, to, input, ..TxEip1559::default() };
    let digest = Message::from_digest(transaction.signature_hash().0);
    let signed: RecoverableSignature =
        Secp256k1::new().sign_ecdsa_recoverable(&digest, &SecretKey::from_byte_array(&SECRET).unwrap());
    let (recovery, bytes) = signed.serialize_compact();
    let signature = Signature::from_bytes_and_parity(&bytes, recovery == RecoveryId::One);
    TxEnvelope::from(transaction.into_signed(signature)).encoded_2718().into()
}

#[test]
fn a_witness_proves_its_block() {
    let engine = start(Arc::default());
    open(&engine, 1);
    for nonce in 0..4 {
        let create = call(2 * nonce + 1, TxKind::Create, Bytes::from_static(&[0x5f, 0x5f, 0xf3]));
        engine.submit(1, vec![call(2 * nonce, TxKind::Call(COUNTER), Bytes::new()), create]).unwrap();
    }
    let chain = engine.loaded(1).unwrap().chain();
    assert!(chain.number() >= 1);
    for number in 1..=chain.number() {
        let (parent, block) = (chain.block(number - 1).unwrap(), chain.block(number).unwrap());
        let witness = Witness::decode(&engine.witness(1, number).unwrap()).unwrap();
        let body = Block {
            header: block.header().clone(),
            transactions: block.sealed.transactions.iter().map(|transaction| transaction.raw.clone()).collect(),
        };
        let verified = stf::verify_block_with_witness(parent.header(), &body, &witness, None, CHAIN_ID).unwrap();
        assert_eq!((verified.hash, verified.receipts), (block.hash(), block.sealed.receipts.clone()));
    }
    engine.shutdown();
}

#[test]
fn snapshots_stay_as_they_were() {
    let engine = start(Arc::default());
    open(&engine, 1);
    let session = engine.loaded(1).unwrap();
    let before = session.chain();
    let mut blocks = session.subscribe();
    let hashes = engine.submit(1, vec![call(0, TxKind::Call(COUNTER), Bytes::new())]).unwrap();
    let after = session.chain();
    assert_eq!((before.number(), after.number()), (0, 1));
    assert!(before.transaction(&hashes[0]).is_none());
    let (block, index) = after.transaction(&hashes[0]).unwrap();
    assert_eq!((block.number(), index), (1, 0));
    assert_eq!(after.block_by_hash(&block.hash()).unwrap().number(), 1);
    assert_eq!(blocks.try_recv().unwrap().hash(), block.hash());
    assert_eq!(before.state().storage(&COUNTER, &U256::ZERO).unwrap(), U256::ZERO);
    assert_eq!(after.state().storage(&COUNTER, &U256::ZERO).unwrap(), U256::ONE);
    assert_eq!(session.pending_nonce(&sender()), 1);
    engine.shutdown();
}

#[test]
fn preconfirmations_recover_to_the_key() {
    let engine = start(Arc::default());
    open(&engine, 1);
    engine.submit(1, vec![call(0, TxKind::Call(COUNTER), Bytes::new())]).unwrap();
    let block = engine.loaded(1).unwrap().chain().head().clone();
    let digest = PreconfirmationDomain::new(1, Address::repeat_byte(5)).digest(1, 1, &block.hash());
    let signature = Signature::from_raw(&block.preconfirmation.unwrap()).unwrap();
    assert_eq!(signature.recover_address_from_prehash(&digest).unwrap(), sender());
    assert_ne!(keccak256(digest), digest);
    engine.shutdown();
}

#[test]
fn a_host_that_panics_is_an_error_and_no_end() {
    let host = Arc::new(Memory::default());
    let engine = start(host.clone());
    open(&engine, 1);
    host.panics.store(true, Ordering::Relaxed);
    let (_, error) = engine.submit(1, vec![call(0, TxKind::Call(COUNTER), Bytes::new())]).unwrap_err();
    assert_eq!(error.kind(), "StoreUnavailable");
    host.panics.store(false, Ordering::Relaxed);
    engine.submit(1, vec![call(0, TxKind::Call(COUNTER), Bytes::new())]).unwrap();
    let call = engine.runtime().block_on(engine.call("zkcop_x".into(), "[]".into()));
    assert_eq!(call.unwrap_err().code, -32603);
    engine.shutdown();
}

#[test]
fn a_wake_has_typed_outcomes() {
    let engine = start(Arc::default());
    let session = |id| engine.runtime().block_on(engine.session(id)).err();
    assert_eq!(session(404), Some(SessionError::Unknown(404)));
    assert!(matches!(session(500), Some(SessionError::Wake { id: 500, .. })));
    assert!(matches!(session(9), Some(SessionError::Wake { id: 9, .. })));
    let (_, error) = engine.submit(404, vec![Bytes::new()]).unwrap_err();
    assert_eq!(error, SubmitError::UnknownSession(404));
    engine.shutdown();
    assert_eq!(session(404), Some(SessionError::ShuttingDown));
}
