//! Simulated calls and proofs.

mod common;

use common::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stf::alloy_primitives::{keccak256, Address, Bytes, TxKind, B256, U256};
use stf::revm::context::result::InvalidTransaction;
use stf::revm::state::Bytecode;
use stf::*;

static RUNNING: AtomicBool = AtomicBool::new(false);

fn request(to: Address, data: Vec<u8>) -> CallRequest {
    CallRequest {
        from: address(0),
        to: TxKind::Call(to),
        gas_limit: 25_000_000,
        data: data.into(),
        ..Default::default()
    }
}

fn environment(chain: &Chain) -> BlockEnvironment {
    BlockEnvironment::after(chain.head(), CHAIN_ID, 2_000)
}

#[test]
fn a_call_sees_the_state_and_leaves_it() {
    let chain = Chain::new(B256::ZERO);
    let root = chain.state().clone().root();
    let run =
        |request: &CallRequest| call(chain.state(), &environment(&chain), request, &NoBlockHashes, &RUNNING).unwrap();
    let outcome = run(&request(LOGGER, words(&[4])));
    assert_eq!((outcome.status, outcome.logs.len()), (CallStatus::Success, 1));
    let outcome = run(&request(REVERTER, vec![]));
    assert_eq!((outcome.status, outcome.output), (CallStatus::Revert, Bytes::from(vec![0; 32])));
    assert!(outcome.logs.is_empty());
    let outcome = run(&CallRequest { to: TxKind::Create, ..request(WRITER, vec![0xfe]) });
    assert!(matches!(outcome.status, CallStatus::Halt(_)));
    assert_eq!(chain.state().clone().root(), root);
}

#[test]
fn calls_are_checked_less_than_transactions() {
    let chain = Chain::new(B256::ZERO);
    let run = |request: &CallRequest| call(chain.state(), &environment(&chain), request, &NoBlockHashes, &RUNNING);
    let poor = Address::repeat_byte(0x99);
    // No balance for fees, a nonce that isn't the account's, a sender with code, more gas than the cap.
    for (from, nonce) in [(poor, None), (address(0), Some(9)), (WRITER, None)] {
        let request = CallRequest { from, nonce, gas_price: 1_000_000, ..request(LOGGER, words(&[4])) };
        assert_eq!(run(&request).unwrap().status, CallStatus::Success);
    }
    // The value must be there, and gas for the transaction itself.
    let rich = CallRequest { value: U256::from(1), from: poor, ..request(LOGGER, vec![]) };
    assert!(!matches!(run(&rich), Ok(CallOutcome { status: CallStatus::Success, .. })));
    let little = CallRequest { gas_limit: 20_000, ..request(LOGGER, vec![]) };
    assert!(matches!(run(&little), Err(CallError::Invalid(InvalidTransaction::CallGasCostMoreThanGasLimit { .. }))));
}

#[test]
fn gas_used_is_a_transactions() {
    let chain = Chain::new(B256::ZERO);
    let data = words(&[1, 0, 2, 22, 50, 5]);
    let sealed = chain.build(&[recovered(sign(call_to(WRITER, 0, data.clone()), 0))]);
    let outcome = call(chain.state(), &environment(&chain), &request(WRITER, data), &NoBlockHashes, &RUNNING).unwrap();
    assert_eq!(outcome.gas_used, sealed.header.gas_used);
}

#[test]
fn overrides_are_set_on_a_clone() {
    let chain = Chain::new(B256::ZERO);
    let mut state = chain.state().clone();
    let target = Address::repeat_byte(0x55);
    // Returns slot 1 plus its own balance.
    let code = Bytecode::new_legacy(vec![0x60, 1, 0x54, 0x47, 0x01, 0x5f, 0x52, 0x60, 32, 0x5f, 0xf3].into());
    state.set_code(&target, code).unwrap();
    state.set_storage(&target, U256::from(1), U256::from(40)).unwrap();
    state.set_balance(&target, U256::from(2)).unwrap();
    state.set_nonce(&target, 7).unwrap();
    let run = |state: &State| {
        call(state, &environment(&chain), &request(target, vec![]), &NoBlockHashes, &RUNNING).unwrap().output
    };
    assert_eq!(run(&state), Bytes::from(words(&[42])));
    state.clear_storage(&target).unwrap();
    assert_eq!(run(&state), Bytes::from(words(&[2])));
    assert_eq!(run(chain.state()), Bytes::new());
}

#[test]
fn access_lists_name_what_was_accessed() {
    let chain = Chain::new(B256::ZERO);
    let (outcome, list) = call_with_access_list(
        chain.state(),
        &environment(&chain),
        &request(WRITER, words(&[1, 5, 70, 1])),
        &NoBlockHashes,
        &RUNNING,
    )
    .unwrap();
    assert_eq!(outcome.status, CallStatus::Success);
    assert_eq!(list.0.len(), 1);
    assert_eq!(list.0[0].address, WRITER);
    assert_eq!(list.0[0].storage_keys, [B256::from(U256::from(1)), B256::from(U256::from(70))]);
    let plain =
        call_with_access_list(chain.state(), &environment(&chain), &request(LOGGER, vec![]), &NoBlockHashes, &RUNNING);
    assert!(plain.unwrap().1 .0.is_empty());
}

#[test]
fn calls_read_block_hashes() {
    let chain = Chain::new(B256::ZERO);
    let mut state = chain.state().clone();
    let target = Address::repeat_byte(0x55);
    // Returns BLOCKHASH(0).
    state.set_code(&target, Bytecode::new_legacy(vec![0x5f, 0x40, 0x5f, 0x52, 0x60, 32, 0x5f, 0xf3].into())).unwrap();
    let outcome =
        call(&state, &environment(&chain), &request(target, vec![]), &Headers(&chain.headers), &RUNNING).unwrap();
    assert_eq!(outcome.output[..], chain.head().hash_slow()[..]);
    // With an overridden number there are blocks that the chain doesn't have.
    let later = BlockEnvironment { number: 200, ..environment(&chain) };
    let hash = |number: u8| {
        let mut state = state.clone();
        let code = vec![0x60, number, 0x40, 0x5f, 0x52, 0x60, 32, 0x5f, 0xf3];
        state.set_code(&target, Bytecode::new_legacy(code.into())).unwrap();
        call(&state, &later, &request(target, vec![]), &Headers(&chain.headers), &RUNNING).unwrap().output
    };
    assert_eq!(hash(0)[..], chain.head().hash_slow()[..]);
    assert_eq!((&hash(150)[..], &hash(199)[..]), (&[0; 32][..], &[0; 32][..]));
}

#[test]
fn proofs_verify_against_the_root() {
    use alloy_trie::{proof::verify_proof, Nibbles, TrieAccount};
    let chain = Chain::new(B256::ZERO);
    let slots = [U256::from(3), U256::from(1_000)];
    let proof = chain.state().proof(&WRITER, &slots).unwrap();
    let account = proof.account.unwrap();
    let encoded = stf::alloy_rlp::encode(TrieAccount {
        nonce: account.nonce,
        balance: account.balance,
        storage_root: account.storage_root,
        code_hash: account.code_hash,
    });
    let path = |bytes: &[u8]| Nibbles::unpack(keccak256(bytes));
    let root = chain.head().state_root;
    verify_proof(root, path(WRITER.as_slice()), Some(encoded), &proof.nodes).unwrap();
    for (slot, entry) in slots.iter().zip(&proof.storage) {
        let expected = (!entry.value.is_zero()).then(|| stf::alloy_rlp::encode(entry.value));
        verify_proof(account.storage_root, path(&slot.to_be_bytes::<32>()), expected, &entry.nodes).unwrap();
    }
    assert_eq!((proof.storage[0].value, proof.storage[1].value), (U256::from(3), U256::ZERO));
    let absent = chain.state().proof(&Address::repeat_byte(0x99), &slots).unwrap();
    assert_eq!(absent.account, None);
    verify_proof(root, path(&[0x99; 20]), None, &absent.nodes).unwrap();
}

#[test]
fn calls_end_soon_after_they_are_stopped() {
    let chain = Chain::new(B256::ZERO);
    let mut state = chain.state().clone();
    let (looping, precompiles) = (Address::repeat_byte(0x55), Address::repeat_byte(0x56));
    // JUMPDEST PUSH0 JUMP, for longer than any test.
    state.set_code(&looping, Bytecode::new_legacy(vec![0x5b, 0x5f, 0x56].into())).unwrap();
    // STATICCALL of SHA-256 with a mebibyte of input, again and again without a jump.
    let once = [0x5f, 0x5f, 0x62, 0x10, 0, 0, 0x5f, 0x60, 2, 0x5a, 0xfa, 0x50];
    state.set_code(&precompiles, Bytecode::new_legacy(once.repeat(10_000).into())).unwrap();
    for target in [looping, precompiles] {
        let endless = CallRequest { gas_limit: u64::MAX / 2, ..request(target, vec![]) };
        let stop = AtomicBool::new(false);
        let stopped = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                stop.store(true, Ordering::Relaxed);
            });
            call(&state, &environment(&chain), &endless, &NoBlockHashes, &stop)
        });
        assert_eq!(stopped, Err(CallError::Stopped));
    }
}
