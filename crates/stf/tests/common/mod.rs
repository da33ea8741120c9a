//! A session to test with: accounts with keys, contracts in byte code, blocks on a chain.
#![allow(dead_code)]

use std::sync::Arc;
use stf::alloy_consensus::crypto::secp256k1::{recover_signer, sign_message};
use stf::alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxEnvelope, TxLegacy};
use stf::alloy_primitives::{hex, keccak256, Address, Bytes, TxKind, B256, U256};
use stf::revm::state::Bytecode;
use stf::*;

pub const CHAIN_ID: u64 = (5 << 32) + 1;

/// `SSTORE(calldata[i], calldata[i + 32])` for each pair of words.
pub const WRITER: Address = Address::repeat_byte(0xa1);
/// `SSTORE(n, BLOCKHASH(n))` for the number in the calldata.
pub const HASHES: Address = Address::repeat_byte(0xa2);
/// Reverts after a write and a log.
pub const REVERTER: Address = Address::repeat_byte(0xa3);
/// LOG1 with the calldata's first word.
pub const LOGGER: Address = Address::repeat_byte(0xa4);
/// Creates a contract that destroys itself in its constructor, in favour of the creator.
pub const DESTROYER: Address = Address::repeat_byte(0xa5);
/// Stores caller, origin, gas price and block values.
pub const OBSERVER: Address = Address::repeat_byte(0xa6);

/// Asks the ecrecover precompile with the calldata, and stores the answer's word and length.
pub const RECOVERER: Address = Address::repeat_byte(0xa7);

pub const PROVER: Address = Address::repeat_byte(0xbb);

pub fn secret(index: u8) -> B256 {
    keccak256([index, 1])
}

pub fn address(index: u8) -> Address {
    let hash = keccak256(b"address");
    recover_signer(&sign_message(secret(index), hash).unwrap(), hash).unwrap()
}

pub fn sign<T: SignableTransaction<stf::alloy_primitives::Signature>>(transaction: T, signer: u8) -> TxEnvelope
where
    TxEnvelope: From<stf::alloy_consensus::Signed<T>>,
{
    let signature = sign_message(secret(signer), transaction.signature_hash()).unwrap();
    transaction.into_signed(signature).into()
}

pub fn encode(envelope: TxEnvelope) -> Bytes {
    Transaction::User(envelope).encoded()
}

pub fn recovered(envelope: TxEnvelope) -> Arc<RecoveredTransaction> {
    RecoveredTransaction::decode(encode(envelope)).unwrap().into()
}

pub fn call_to(to: Address, nonce: u64, data: impl Into<Bytes>) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 1_000_000,
        to: TxKind::Call(to),
        input: data.into(),
        ..TxEip1559::default()
    }
}

pub fn legacy(to: Address, nonce: u64, data: impl Into<Bytes>) -> TxLegacy {
    TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce,
        gas_limit: 1_000_000,
        to: TxKind::Call(to),
        input: data.into(),
        ..TxLegacy::default()
    }
}

pub fn with_access_list(to: Address, nonce: u64, data: impl Into<Bytes>) -> TxEip2930 {
    TxEip2930 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 1_000_000,
        to: TxKind::Call(to),
        input: data.into(),
        ..TxEip2930::default()
    }
}

pub fn delegation(to: Address, nonce: u64) -> TxEip7702 {
    TxEip7702 { chain_id: CHAIN_ID, nonce, gas_limit: 1_000_000, to, ..TxEip7702::default() }
}

pub fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| U256::from(*value).to_be_bytes::<32>()).collect()
}

/// Accounts 0 to 3 with a balance, the contracts above and a session contract that sets slot 0 to its calldata's
/// first word.
pub fn template_state() -> State {
    let mut state = State::empty();
    for index in 0..4 {
        state.set_balance(&address(index), U256::from(10u64.pow(18))).unwrap();
    }
    let mut deploy = |address: Address, code: &[u8]| {
        state.set_nonce(&address, 1).unwrap();
        state.set_code(&address, Bytecode::new_legacy(code.to_vec().into())).unwrap();
    };
    deploy(PREDEPLOY, &hex!("5f355f5500"));
    deploy(WRITER, &hex!("60005b8036111560185780602001358135556040016002565b00"));
    deploy(HASHES, &hex!("5f3580409055"));
    deploy(REVERTER, &hex!("600160015560015f5fa160205ffd"));
    deploy(LOGGER, &hex!("5f355f5fa1"));
    deploy(DESTROYER, &hex!("6133ff5f526002601e5ff000"));
    deploy(OBSERVER, &hex!("335f55326001553a600255426003554460045543600555466006555a60075500"));
    // CALLDATACOPY(0, 0, size); STATICCALL(gas, 1, 0, size, 0x80, 32); SSTORE(1, returndatasize); SSTORE(0, mload(0x80))
    deploy(RECOVERER, &hex!("365f5f3760206080365f60015afa503d6001556080515f5500"));
    for slot in 1..40u64 {
        state.set_storage(&WRITER, U256::from(slot), U256::from(slot)).unwrap();
    }
    state.root();
    state
}

pub fn message(index: u64, from: Address, to: Address, data: impl Into<Bytes>) -> SystemTransaction {
    SystemTransaction { chain_id: CHAIN_ID, index, from, to, gas_limit: 500_000, due_at: 10_000, data: data.into() }
}

pub fn init_message() -> SystemTransaction {
    SystemTransaction { due_at: 0, ..message(0, SYSTEM_ADDRESS, WRITER, words(&[100, 7])) }
}

/// A chain of sealed blocks; block 0 has no transactions.
pub struct Chain {
    pub headers: Vec<Header>,
    pub states: Vec<State>,
}

pub struct Headers<'a>(pub &'a [Header]);

impl BlockHashes for Headers<'_> {
    fn block_hash(&self, number: u64) -> Option<B256> {
        self.0.get(number as usize).map(Header::hash_slow)
    }
}

pub fn configuration() -> Vec<u8> {
    let mut words = vec![0u8; 8 * 32];
    words[31] = 1;
    words[64 + 24..96].copy_from_slice(&CHAIN_ID.to_be_bytes());
    words
}

impl Chain {
    pub fn new(init_message_hash: B256) -> Self {
        let mut state = template_state();
        let genesis = Genesis {
            state_root: state.root(),
            config_hash: keccak256(configuration()),
            seed: B256::repeat_byte(5),
            timestamp: 1_000,
            init_message_hash,
        };
        Self { headers: vec![genesis.header()], states: vec![state] }
    }

    pub fn head(&self) -> &Header {
        self.headers.last().unwrap()
    }

    pub fn state(&self) -> &State {
        self.states.last().unwrap()
    }

    pub fn builder<'a>(&self, ancestors: &'a dyn BlockHashes) -> BlockBuilder<'a> {
        let head = self.head();
        let timestamp = head.timestamp + 1;
        BlockBuilder::new(head, head.hash_slow(), self.state().clone(), CHAIN_ID, timestamp, ancestors).unwrap()
    }

    pub fn build(&self, transactions: &[Arc<RecoveredTransaction>]) -> SealedBlock {
        let ancestors = Headers(&self.headers);
        let mut builder = self.builder(&ancestors);
        for transaction in transactions {
            builder.push(transaction.clone()).unwrap();
        }
        builder.seal().unwrap()
    }

    pub fn append(&mut self, sealed: &SealedBlock) {
        self.headers.push(sealed.header.clone());
        self.states.push(sealed.state.clone());
    }

    pub fn verify(&self, block: &Block) -> Result<SealedBlock, BlockError> {
        verify_block(self.head(), self.state().clone(), block, None, CHAIN_ID, &Headers(&self.headers))
    }

    pub fn witness(&self, block: &Block) -> Witness {
        let header = |number: u64| self.headers.get(number as usize).cloned();
        record_witness(self.head(), self.state(), block, None, CHAIN_ID, &header).unwrap()
    }

    /// The guest's input for blocks that follow the head, and the statement that it must give.
    pub fn prove(
        &self,
        blocks: Vec<RawBlock>,
        public_recoveries: usize,
    ) -> Result<(GuestInput, Statement), GuestError> {
        self.prove_from(self.headers.len() - 1, blocks, public_recoveries)
    }

    /// The same for blocks that follow the block `from`.
    pub fn prove_from(
        &self,
        from: usize,
        blocks: Vec<RawBlock>,
        public_recoveries: usize,
    ) -> Result<(GuestInput, Statement), GuestError> {
        let header = |number: u64| self.headers.get(number as usize).cloned();
        let parent = (&self.headers[from], &self.states[from]);
        record_guest_run(configuration().into(), PROVER, parent, blocks, public_recoveries, &header)
            .map(|run| (run.input, run.statement))
    }

    /// Verifies a block on the full state and on a witness that went through its encoding, and compares.
    pub fn check(&self, sealed: &SealedBlock) {
        let block = Block::decode(&sealed.encoded()).unwrap();
        assert_eq!(block, sealed.block());
        assert_eq!(sealed.encoded_length(), sealed.encoded().len());
        let witness = Witness::decode(&self.witness(&block).encoded()).unwrap();
        let on_witness = verify_block_with_witness(self.head(), &block, &witness, None, CHAIN_ID).unwrap();
        for verified in [self.verify(&block).unwrap(), on_witness] {
            assert_eq!(verified.header, sealed.header);
            assert_eq!(verified.hash, sealed.hash);
            assert_eq!(verified.receipts, sealed.receipts);
            assert_eq!(verified.transactions, sealed.transactions);
            assert_eq!(verified.result_hash, sealed.result_hash);
            assert_eq!(verified.state.clone().root(), sealed.header.state_root);
        }
    }
}
