//! Building, verifying and witnessing blocks.

mod common;

use common::*;
use proptest::prelude::*;
use std::sync::Arc;
use stf::alloy_consensus::TxEip1559;
use stf::alloy_primitives::{hex, keccak256, Address, Bytes, TxKind, B256, U256};
use stf::revm::context::result::InvalidTransaction;
use stf::*;

fn played() -> (Chain, SealedBlock) {
    let chain = Chain::new(B256::ZERO);
    let block = chain.build(&[
        recovered(sign(call_to(WRITER, 0, words(&[1, 0, 2, 22, 50, 5])), 0)),
        recovered(sign(legacy(LOGGER, 1, words(&[9])), 0)),
        recovered(sign(with_access_list(REVERTER, 0, []), 1)),
        recovered(sign(call_to(DESTROYER, 1, []), 1)),
    ]);
    (chain, block)
}

#[test]
fn a_built_block_is_valid_on_state_and_witness() {
    let (chain, block) = played();
    chain.check(&block);
    let statuses: Vec<bool> = block.receipts.iter().map(|receipt| receipt.status).collect();
    assert_eq!(statuses, [true, true, false, true]);
    assert_eq!(block.receipts[1].logs.len(), 1);
    assert!(block.receipts[2].logs.is_empty());
    assert_eq!(block.receipts[3].cumulative_gas_used, block.header.gas_used);
    assert_eq!(block.state.storage(&WRITER, &U256::from(1)).unwrap(), U256::ZERO);
    assert_eq!(block.state.storage(&WRITER, &U256::from(50)).unwrap(), U256::from(5));
    assert_eq!(block.state.account(&address(0)).unwrap().unwrap().nonce, 2);
    // The parent's state is as it was.
    assert_eq!(chain.state().storage(&WRITER, &U256::from(1)).unwrap(), U256::from(1));
    assert_eq!(block.header.timestamp, 1_001);
    assert_eq!(block.header.mix_hash, keccak256(chain.head().mix_hash));
}

#[test]
fn senders_can_be_given() {
    let (chain, block) = played();
    let senders: Vec<Address> = block.transactions.iter().map(|transaction| transaction.sender).collect();
    let verify = |senders: &[Address]| {
        let state = chain.state().clone();
        verify_block(chain.head(), state, &block.block(), Some(senders), CHAIN_ID, &NoBlockHashes)
    };
    assert_eq!(verify(&senders).unwrap().hash, block.hash);
    assert_eq!(verify(&senders[1..]).unwrap_err(), BlockError::Senders { transactions: 4, senders: 3 });
}

#[test]
fn block_hashes_go_back_to_the_first_block() {
    let mut chain = Chain::new(B256::ZERO);
    for nonce in 0..6 {
        let block = chain.build(&[recovered(sign(call_to(HASHES, nonce, words(&[nonce.saturating_sub(4)])), 0))]);
        chain.check(&block);
        let asked = nonce.saturating_sub(4);
        let stored = block.state.storage(&HASHES, &U256::from(asked)).unwrap();
        assert_eq!(B256::from(stored), chain.headers[asked as usize].hash_slow());
        chain.append(&block);
    }
    // An ancestor that doesn't connect.
    let block = chain.build(&[recovered(sign(call_to(HASHES, 6, words(&[2])), 0))]);
    let mut witness = chain.witness(&block.block());
    assert_eq!(witness.ancestors.len(), 3);
    witness.ancestors[1] = header_to_rlp(&chain.headers[0]).into();
    assert_eq!(
        verify_block_with_witness(chain.head(), &block.block(), &witness, None, CHAIN_ID).unwrap_err(),
        GuestError::Witness(WitnessError::Ancestor { index: 1 })
    );
    witness.ancestors.truncate(1);
    assert_eq!(
        verify_block_with_witness(chain.head(), &block.block(), &witness, None, CHAIN_ID).unwrap_err(),
        GuestError::Block { index: 0, error: BlockError::State(StateError::MissingBlockHash(2)) }
    );
}

#[test]
fn the_environment_is_the_header() {
    let chain = Chain::new(B256::ZERO);
    let block = chain.build(&[recovered(sign(call_to(OBSERVER, 0, []), 0))]);
    let slot = |index: u64| block.state.storage(&OBSERVER, &U256::from(index)).unwrap();
    assert_eq!(slot(0), U256::from_be_slice(address(0).as_slice()));
    assert_eq!(slot(1), slot(0));
    assert_eq!(slot(2), U256::ZERO);
    assert_eq!(slot(3), U256::from(block.header.timestamp));
    assert_eq!(B256::from(slot(4)), block.header.mix_hash);
    assert_eq!(slot(5), U256::from(1));
    assert_eq!(slot(6), U256::from(CHAIN_ID));
    chain.check(&block);
}

#[test]
fn a_timestamp_before_the_parents_is_raised() {
    let chain = Chain::new(B256::ZERO);
    let head = chain.head();
    let builder =
        BlockBuilder::new(head, head.hash_slow(), chain.state().clone(), CHAIN_ID, 5, &NoBlockHashes).unwrap();
    assert_eq!(builder.seal().unwrap().header.timestamp, head.timestamp);
}

// ---------------------------------------------------------------------------------------------- rules of a block

/// Changes one thing in a valid block and expects an error.
fn refused(change: impl FnOnce(&mut Block), expected: BlockError) {
    let (chain, sealed) = played();
    let mut block = sealed.block();
    change(&mut block);
    assert_eq!(chain.verify(&block).unwrap_err(), expected);
    let witness = chain.witness(&sealed.block());
    assert_eq!(
        verify_block_with_witness(chain.head(), &block, &witness, None, CHAIN_ID).unwrap_err(),
        GuestError::Block { index: 0, error: expected }
    );
}

#[test]
fn every_header_field_is_checked() {
    let field = |name: &'static str, change: fn(&mut Header)| {
        refused(|block| change(&mut block.header), BlockError::HeaderField { name });
    };
    field("parentHash", |header| header.parent_hash = B256::ZERO);
    field("ommersHash", |header| header.ommers_hash = B256::ZERO);
    field("beneficiary", |header| header.beneficiary = WRITER);
    field("difficulty", |header| header.difficulty = U256::from(1));
    field("number", |header| header.number = 2);
    field("gasLimit", |header| header.gas_limit += 1);
    field("extraData", |header| header.extra_data = Bytes::new());
    field("mixHash", |header| header.mix_hash = B256::ZERO);
    field("nonce", |header| header.nonce = 1u64.into());
    field("baseFeePerGas", |header| header.base_fee_per_gas = Some(1));
    field("withdrawalsRoot", |header| header.withdrawals_root = Some(B256::ZERO));
    field("blobGasUsed", |header| header.blob_gas_used = Some(1));
    field("excessBlobGas", |header| header.excess_blob_gas = Some(1));
    field("requestsHash", |header| header.requests_hash = None);
    field("blockAccessListHash", |header| header.block_access_list_hash = Some(B256::ZERO));
    field("slotNumber", |header| header.slot_number = Some(1));
    let mismatch = |name: &'static str, change: fn(&mut Header)| {
        refused(|block| change(&mut block.header), BlockError::Mismatch { name });
    };
    refused(|block| block.header.transactions_root = B256::ZERO, BlockError::Transactions);
    mismatch("parentBeaconBlockRoot", |header| header.parent_beacon_block_root = Some(B256::repeat_byte(1)));
    mismatch("gasUsed", |header| header.gas_used += 1);
    mismatch("receiptsRoot", |header| header.receipts_root = B256::ZERO);
    mismatch("logsBloom", |header| header.logs_bloom.0[0] ^= 1);
    mismatch("stateRoot", |header| header.state_root = B256::ZERO);
    refused(|block| block.header.timestamp = 999, BlockError::Timestamp { parent: 1_000, actual: 999 });
}

/// Replaces the transactions, with the root that fits.
fn replace(block: &mut Block, transactions: Vec<Bytes>) {
    block.header.transactions_root = ordered_trie_root(&transactions);
    block.transactions = transactions;
}

fn transaction_refused(raw: Bytes, expected: MalformedTransaction) {
    refused(|block| replace(block, vec![raw]), BlockError::MalformedTransaction { index: 0, error: expected });
}

fn push_refused(raw: Vec<Bytes>, index: usize, expected: PushError) {
    refused(|block| replace(block, raw), BlockError::Transaction { index, error: Box::new(expected) });
}

#[test]
fn a_block_has_transactions() {
    refused(|block| replace(block, Vec::new()), BlockError::NoTransactions);
}

#[test]
fn malformed_transactions_are_refused() {
    let valid = encode(sign(call_to(WRITER, 0, []), 0));
    let mut trailing = valid.to_vec();
    trailing.push(0);
    transaction_refused(trailing.into(), MalformedTransaction::Encoding);
    transaction_refused(Bytes::new(), MalformedTransaction::Encoding);
    transaction_refused(valid[..valid.len() - 1].to_vec().into(), MalformedTransaction::Encoding);
    // A field with a leading zero: nonce 0x00 instead of the empty string.
    let position = valid.iter().skip(3).position(|byte| *byte == 0x80).unwrap() + 3;
    let mut padded = valid.to_vec();
    padded[position] = 0x00;
    transaction_refused(padded.into(), MalformedTransaction::Encoding);
    // A length of lengths that isn't the shortest.
    let mut long = vec![0x02, 0xf9, 0x00, valid[2]];
    long.extend_from_slice(&valid[3..]);
    assert_eq!(valid[1], 0xf8);
    transaction_refused(long.into(), MalformedTransaction::Encoding);
    // A literal type 0, blobs, an unknown type.
    let mut tagged = vec![0];
    tagged.extend_from_slice(&encode(sign(legacy(WRITER, 0, []), 0)));
    transaction_refused(tagged.into(), MalformedTransaction::UnsupportedType(0));
    transaction_refused(hex!("03c0").into(), MalformedTransaction::UnsupportedType(3));
    transaction_refused(hex!("05c0").into(), MalformedTransaction::UnsupportedType(5));
    let unprotected = stf::alloy_consensus::TxLegacy { chain_id: None, ..legacy(WRITER, 0, []) };
    transaction_refused(encode(sign(unprotected, 0)), MalformedTransaction::Unprotected);
    // System transactions are decoded as strictly.
    let valid = init_message().encoded();
    assert!(Transaction::decode(&valid).is_ok());
    transaction_refused([&valid[..], &[0]].concat().into(), MalformedTransaction::Encoding);
    transaction_refused(valid[..valid.len() - 1].to_vec().into(), MalformedTransaction::Encoding);
}

#[test]
fn signatures_have_a_low_s() {
    use stf::alloy_consensus::crypto::secp256k1::sign_message;
    use stf::alloy_consensus::SignableTransaction;
    use stf::alloy_primitives::{uint, Signature};
    let order = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
    let transaction = call_to(WRITER, 0, []);
    let valid = sign_message(secret(0), transaction.signature_hash()).unwrap();
    let high = Signature::new(valid.r(), order - valid.s(), !valid.v());
    let zero = Signature::new(U256::ZERO, valid.s(), valid.v());
    for signature in [high, zero] {
        let raw = encode(transaction.clone().into_signed(signature).into());
        transaction_refused(raw, MalformedTransaction::Signature);
    }
}

#[test]
fn invalid_transactions_are_refused() {
    let invalid = |transaction: TxEip1559, error: InvalidTransaction| {
        push_refused(vec![encode(sign(transaction, 0))], 0, PushError::Invalid(error));
    };
    let valid = || call_to(WRITER, 0, []);
    invalid(call_to(WRITER, 1, []), InvalidTransaction::NonceTooHigh { tx: 1, state: 0 });
    push_refused(
        vec![encode(sign(valid(), 0)), encode(sign(valid(), 0))],
        1,
        PushError::Invalid(InvalidTransaction::NonceTooLow { tx: 0, state: 1 }),
    );
    let actual = CHAIN_ID + 1;
    push_refused(
        vec![encode(sign(TxEip1559 { chain_id: actual, ..valid() }, 0))],
        0,
        PushError::ChainId { expected: CHAIN_ID, actual },
    );
    let balance = Box::new(U256::from(10u64.pow(18)));
    let fee = Box::new(U256::from(10u64.pow(18) + 1));
    invalid(
        TxEip1559 { value: *fee, ..valid() },
        InvalidTransaction::LackOfFundForMaxFee { fee: fee.clone(), balance },
    );
    invalid(
        TxEip1559 { gas_limit: 20_999, ..valid() },
        InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas: 21_000, gas_limit: 20_999 },
    );
    invalid(
        TxEip1559 { gas_limit: 24_999, input: vec![1; 100].into(), ..valid() },
        InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor: 25_000, gas_limit: 24_999 },
    );
    invalid(
        TxEip1559 { gas_limit: 16_777_217, ..valid() },
        InvalidTransaction::TxGasLimitGreaterThanCap { gas_limit: 16_777_217, cap: 16_777_216 },
    );
    invalid(
        TxEip1559 { max_priority_fee_per_gas: 2, max_fee_per_gas: 1, ..valid() },
        InvalidTransaction::PriorityFeeGreaterThanMaxFee,
    );
    invalid(
        TxEip1559 { to: TxKind::Create, gas_limit: 5_000_000, input: vec![0; 49_153].into(), ..valid() },
        InvalidTransaction::CreateInitCodeSizeLimit,
    );
    push_refused(
        vec![encode(sign(delegation(WRITER, 0), 0))],
        0,
        PushError::Invalid(InvalidTransaction::EmptyAuthorizationList),
    );
}

#[test]
fn receipts_name_the_contract_of_every_creation() {
    let chain = Chain::new(B256::ZERO);
    let create = |nonce, code: &[u8]| TxEip1559 {
        to: TxKind::Create,
        input: code.to_vec().into(),
        ..call_to(WRITER, nonce, [])
    };
    // Deploys a STOP; reverts; halts; creates nothing.
    let block = chain.build(&[
        recovered(sign(create(0, &hex!("60015ff3")), 0)),
        recovered(sign(create(1, &hex!("5f5ffd")), 0)),
        recovered(sign(create(2, &hex!("fe")), 0)),
        recovered(sign(call_to(WRITER, 3, []), 0)),
    ]);
    chain.check(&block);
    let created: Vec<_> = block.receipts.iter().map(|receipt| (receipt.status, receipt.contract_address)).collect();
    let at = |nonce| Some(address(0).create(nonce));
    assert_eq!(created, [(true, at(0)), (false, at(1)), (false, at(2)), (true, None)]);
}

#[test]
fn contracts_send_no_transactions() {
    let mut chain = Chain::new(B256::ZERO);
    let code = stf::revm::state::Bytecode::new_legacy(vec![0x00].into());
    let mut state = chain.state().clone();
    state.set_code(&address(0), code).unwrap();
    chain.headers[0].state_root = state.root();
    chain.states[0] = state;
    let error = chain.builder(&NoBlockHashes).push(recovered(sign(call_to(WRITER, 0, []), 0))).unwrap_err();
    assert_eq!(error, PushError::Invalid(InvalidTransaction::RejectCallerWithCode));
}

#[test]
fn gas_limits_fit_into_the_block() {
    let chain = Chain::new(B256::ZERO);
    let mut builder = chain.builder(&NoBlockHashes);
    // Burns its gas: an invalid opcode as init code.
    let burn = |nonce| TxEip1559 {
        to: TxKind::Create,
        gas_limit: 16_000_000,
        input: vec![0xfe].into(),
        ..call_to(WRITER, nonce, [])
    };
    assert_eq!(builder.push(recovered(sign(burn(0), 0))).unwrap().gas_used, 16_000_000);
    let full = PushError::BlockFull { gas_limit: 16_000_000, gas_left: 14_000_000 };
    assert_eq!(builder.push(recovered(sign(burn(1), 0))).unwrap_err(), full);
    let large = SystemTransaction { gas_limit: 16_000_000, ..message(0, WRITER, LOGGER, []) };
    assert_eq!(builder.gas_left(), 14_000_000);
    // Smaller ones still fit, and the refused one left no trace.
    builder.push(recovered(sign(call_to(LOGGER, 1, words(&[1])), 0))).unwrap();
    let block = builder.seal().unwrap();
    assert_eq!(block.transactions.len(), 2);
    chain.check(&block);
    push_refused(
        vec![encode(sign(burn(0), 0)), encode(sign(burn(1), 0))],
        1,
        PushError::BlockFull { gas_limit: 16_000_000, gas_left: 14_000_000 },
    );
    // Messages have the same cap as users' transactions.
    let mut builder = chain.builder(&NoBlockHashes);
    let (gas_limit, cap) = (TRANSACTION_GAS_LIMIT_CAP + 1, TRANSACTION_GAS_LIMIT_CAP);
    let greedy = SystemTransaction { gas_limit, ..large.clone() };
    let capped = PushError::Invalid(InvalidTransaction::TxGasLimitGreaterThanCap { gas_limit, cap });
    assert_eq!(builder.push(greedy.into()).unwrap_err(), capped);
    builder.push(SystemTransaction { gas_limit: cap, ..large }.into()).unwrap();
}

#[test]
fn nothing_follows_the_end_of_the_session() {
    let mut chain = Chain::new(B256::ZERO);
    let ancestors = NoBlockHashes;
    let mut builder = chain.builder(&ancestors);
    builder.push(recovered(sign(call_to(PREDEPLOY, 0, words(&[0])), 0))).unwrap();
    assert!(!builder.has_ended());
    builder.push(recovered(sign(call_to(PREDEPLOY, 1, words(&[77])), 0))).unwrap();
    assert!(builder.has_ended());
    let next = recovered(sign(call_to(LOGGER, 2, words(&[1])), 0));
    assert_eq!(builder.push(next.clone()).unwrap_err(), PushError::Ended);
    assert_eq!(builder.push(message(0, WRITER, LOGGER, []).into()).unwrap_err(), PushError::Ended);
    let block = builder.seal().unwrap();
    assert_eq!(block.result_hash, B256::from(U256::from(77)));
    chain.check(&block);

    // A transaction after the end.
    let mut longer = block.block();
    longer.transactions.push(next.raw.clone());
    longer.header.transactions_root = ordered_trie_root(&longer.transactions);
    assert_eq!(
        chain.verify(&longer).unwrap_err(),
        BlockError::Transaction { index: 2, error: Box::new(PushError::Ended) }
    );
    // A block after the end.
    chain.append(&block);
    let mut builder = chain.builder(&ancestors);
    assert!(builder.has_ended());
    assert_eq!(builder.push(next.clone()).unwrap_err(), PushError::Ended);
    let mut header = builder.seal().unwrap().header;
    header.transactions_root = ordered_trie_root(std::slice::from_ref(&next.raw));
    let late = Block { header, transactions: vec![next.raw.clone()] };
    assert_eq!(chain.verify(&late).unwrap_err(), BlockError::SessionEnded);
}

// ---------------------------------------------------------------------------------------------- messages from L1

#[test]
fn block_one_starts_with_the_init_message() {
    let init = init_message();
    let chain = Chain::new(init.message_hash());
    let user = recovered(sign(call_to(LOGGER, 0, words(&[1])), 0));
    let mut builder = chain.builder(&NoBlockHashes);
    assert_eq!(builder.push(user.clone()).unwrap_err(), PushError::InitMessage);
    let other = message(0, SYSTEM_ADDRESS, WRITER, words(&[100, 8]));
    assert_eq!(builder.push(other.into()).unwrap_err(), PushError::InitMessage);
    let receipt = builder.push(init.clone().into()).unwrap();
    assert_eq!((receipt.transaction_type, receipt.status), (0x7e, true));
    // Forced messages count from 0, apart from the init message.
    let forced = message(0, address(3), OBSERVER, []);
    builder.push(forced.clone().into()).unwrap();
    builder.push(user).unwrap();
    let block = builder.seal().unwrap();
    chain.check(&block);
    let expected = fold_inbox(B256::ZERO, forced.message_hash());
    assert_eq!(block.header.parent_beacon_block_root, Some(expected));
    assert_eq!(block.state.storage(&WRITER, &U256::from(100)).unwrap(), U256::from(7));

    let mut without = block.block();
    without.transactions.remove(0);
    without.header.transactions_root = ordered_trie_root(&without.transactions);
    assert_eq!(
        chain.verify(&without).unwrap_err(),
        BlockError::Transaction { index: 0, error: Box::new(PushError::InitMessage) }
    );
}

#[test]
fn forced_messages_come_first_and_in_order() {
    let mut chain = Chain::new(B256::ZERO);
    let mut builder = chain.builder(&NoBlockHashes);
    let at = |index| Arc::<RecoveredTransaction>::from(message(index, address(3), LOGGER, words(&[index])));
    assert_eq!(builder.push(at(1)).unwrap_err(), PushError::MessageIndex { expected: 0, actual: 1 });
    builder.push(at(0)).unwrap();
    assert_eq!(builder.push(at(0)).unwrap_err(), PushError::MessageIndex { expected: 1, actual: 0 });
    builder.push(at(1)).unwrap();
    let foreign = SystemTransaction { chain_id: 1, ..message(2, address(3), LOGGER, []) };
    assert_eq!(builder.push(foreign.into()).unwrap_err(), PushError::ChainId { expected: CHAIN_ID, actual: 1 });
    builder.push(recovered(sign(call_to(LOGGER, 0, words(&[1])), 0))).unwrap();
    assert_eq!(builder.push(at(2)).unwrap_err(), PushError::MessageAfterUserTransaction);
    let block = builder.seal().unwrap();
    chain.check(&block);
    chain.append(&block);
    let next = chain.build(&[at(2)]);
    chain.check(&next);
    let hashes = [0, 1, 2].map(|index| message(index, address(3), LOGGER, words(&[index])).message_hash());
    let expected = hashes.into_iter().fold(B256::ZERO, fold_inbox);
    assert_eq!(next.header.parent_beacon_block_root, Some(expected));
}

#[test]
fn invariant_i4_no_message_comes_after_the_time_until_which_it_must_be_included() {
    let mut chain = Chain::new(B256::ZERO);
    let due = |index, due_at| SystemTransaction { due_at, ..message(index, address(3), LOGGER, words(&[index])) };
    let overdue = PushError::MessageOverdue { index: 0, due_at: 999, parent: 1_000 };
    assert_eq!(chain.builder(&NoBlockHashes).push(due(0, 999).into()).unwrap_err(), overdue);
    push_refused(vec![due(0, 999).encoded()], 0, overdue);
    // What counts is the parent's time, not the block's, which is 1,001 here.
    let block = chain.build(&[due(0, 1_000).into()]);
    chain.check(&block);
    chain.append(&block);
    let mut builder = chain.builder(&NoBlockHashes);
    assert_eq!(
        builder.push(due(1, 1_000).into()).unwrap_err(),
        PushError::MessageOverdue { index: 1, due_at: 1_000, parent: 1_001 }
    );
    // The refused one left no trace.
    builder.push(due(1, 1_001).into()).unwrap();
    chain.check(&builder.seal().unwrap());
}

#[test]
fn a_message_is_a_call_without_fee_and_nonce() {
    let chain = Chain::new(B256::ZERO);
    let from = address(2);
    let block = chain.build(&[
        message(0, from, OBSERVER, []).into(),
        message(1, from, REVERTER, []).into(),
        message(2, from, Address::repeat_byte(0x77), []).into(),
    ]);
    chain.check(&block);
    let slot = |index: u64| block.state.storage(&OBSERVER, &U256::from(index)).unwrap();
    assert_eq!(slot(0), U256::from_be_slice(from.as_slice()));
    assert_eq!(slot(1), slot(0));
    assert_eq!(slot(2), U256::ZERO);
    // All of the gas limit is execution gas; seven slots were stored before GAS.
    assert!(slot(7) > U256::from(500_000 - 8 * 22_200));
    let statuses: Vec<bool> = block.receipts.iter().map(|receipt| receipt.status).collect();
    assert_eq!(statuses, [true, false, true]);
    assert!(block.receipts[1].gas_used > 20_000 && block.receipts[1].gas_used < 500_000);
    assert_eq!(block.receipts[2].gas_used, 0);
    // A failing message changes nothing; no message touches its sender.
    assert_eq!(block.state.account(&REVERTER).unwrap(), chain.state().account(&REVERTER).unwrap());
    assert_eq!(block.state.account(&from).unwrap(), chain.state().account(&from).unwrap());
    assert_eq!(block.state.account(&Address::repeat_byte(0x77)).unwrap(), None);
}

#[test]
fn a_message_out_of_gas_fails() {
    let chain = Chain::new(B256::ZERO);
    let poor = SystemTransaction { gas_limit: 5_000, ..message(0, address(2), OBSERVER, []) };
    let block = chain.build(&[poor.into()]);
    chain.check(&block);
    assert_eq!((block.receipts[0].status, block.receipts[0].gas_used), (false, 5_000));
    assert_eq!(block.header.state_root, chain.head().state_root);
}

#[test]
fn hashes_of_messages_are_soliditys() {
    let message = SystemTransaction {
        chain_id: 1,
        index: 2,
        from: Address::repeat_byte(3),
        to: Address::repeat_byte(4),
        gas_limit: 5,
        due_at: 8,
        data: hex!("0607").into(),
    };
    let mut expected = Vec::new();
    for word in [
        U256::from(1),
        U256::from(2),
        U256::from_be_slice(message.from.as_slice()),
        U256::from_be_slice(message.to.as_slice()),
        U256::from(5),
        U256::from(8),
        keccak256(hex!("0607")).into(),
    ] {
        expected.extend_from_slice(&word.to_be_bytes::<32>());
    }
    assert_eq!(message.message_hash(), keccak256(&expected));
    let encoded = [&hex!("7ef1010294")[..], &[3; 20], &[0x94], &[4; 20], &hex!("0508820607")].concat();
    assert_eq!(message.encoded(), Bytes::from(encoded));
    let transaction = RecoveredTransaction::decode(message.encoded()).unwrap();
    assert_eq!(transaction.sender, message.from);
    assert_eq!(transaction.hash, keccak256(message.encoded()));
    assert!(RecoveredTransaction::decode_with_sender(message.encoded(), message.to).is_err());
}

// ---------------------------------------------------------------------------------------------- accounts

#[test]
fn accounts_are_created_destroyed_and_delegated_across_transactions() {
    use stf::alloy_consensus::crypto::secp256k1::sign_message;
    use stf::revm::context_interface::transaction::{Authorization, SignedAuthorization};
    let authorize = |to: Address, nonce: u64, signer: u8| -> SignedAuthorization {
        let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: to, nonce };
        let signature = sign_message(secret(signer), authorization.signature_hash()).unwrap();
        authorization.into_signed(signature)
    };
    let delegate = |nonce: u64, list: Vec<SignedAuthorization>| {
        let mut transaction = delegation(address(3), nonce);
        transaction.authorization_list = list;
        transaction.input = words(&[200, 1]).into();
        recovered(sign(transaction, 0))
    };
    // Account 3 runs WRITER's code on its own storage, then loses it.
    let mut chain = Chain::new(B256::ZERO);
    let first = chain.build(&[delegate(0, vec![authorize(WRITER, 0, 3)])]);
    chain.check(&first);
    assert_eq!(first.state.storage(&address(3), &U256::from(200)).unwrap(), U256::from(1));
    let account = first.state.account(&address(3)).unwrap().unwrap();
    let code = first.state.code(&account.code_hash).unwrap();
    assert_eq!(code.eip7702_address(), Some(WRITER));
    chain.append(&first);
    let second = chain.build(&[
        recovered(sign(call_to(address(3), 1, words(&[200, 0, 201, 2])), 0)),
        delegate(2, vec![authorize(Address::ZERO, 1, 3)]),
        // From this account itself, after it was an EOA again.
        recovered(sign(call_to(DESTROYER, 2, []), 3)),
        recovered(sign(TxEip1559 { value: U256::from(5), ..call_to(DESTROYER.create(1), 3, []) }, 3)),
        recovered(sign(call_to(DESTROYER, 4, []), 3)),
    ]);
    chain.check(&second);
    let account = second.state.account(&address(3)).unwrap().unwrap();
    assert_eq!(account.code_hash, keccak256([]));
    assert_eq!(second.state.storage(&address(3), &U256::from(200)).unwrap(), U256::ZERO);
    assert_eq!(second.state.storage(&address(3), &U256::from(201)).unwrap(), U256::from(2));
    // The address of a destroyed contract can hold money later in the block.
    let heir = second.state.account(&DESTROYER.create(1)).unwrap().unwrap();
    assert_eq!((heir.balance, heir.nonce, heir.code_hash), (U256::from(5), 0, keccak256([])));
    assert_eq!(second.state.account(&DESTROYER.create(2)).unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Writes and deletions of neighbouring slots in blocks on blocks: full state and witness always agree.
    #[test]
    fn full_state_and_witness_agree(
        blocks in prop::collection::vec(
            prop::collection::vec((0u8..3, prop::collection::vec((1u64..60, 0u64..3), 1..30)), 1..5),
            1..4,
        ),
    ) {
        let mut chain = Chain::new(B256::ZERO);
        let mut nonces = [0u64; 3];
        for block in blocks {
            let mut transactions = Vec::new();
            for (sender, writes) in block {
                let data: Vec<u64> = writes.into_iter().flat_map(|(slot, value)| [slot, value]).collect();
                let nonce = &mut nonces[usize::from(sender)];
                transactions.push(recovered(sign(call_to(WRITER, *nonce, words(&data)), sender)));
                *nonce += 1;
            }
            let sealed = chain.build(&transactions);
            chain.check(&sealed);
            chain.append(&sealed);
        }
        // An incremental root is the root of the same state made anew.
        let (mut again, _) = State::from_template(&chain.state().to_template().unwrap()).unwrap();
        prop_assert_eq!(again.root(), chain.head().state_root);
    }

    /// Whatever bytes a block has, verification ends with a verdict.
    #[test]
    fn mutated_blocks_are_judged(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
        transaction in prop::option::weighted(0.7, any::<prop::sample::Index>()),
    ) {
        let (chain, sealed) = played();
        let mutate = |bytes: &mut Vec<u8>| {
            for (position, byte) in &changes {
                let at = position.index(bytes.len());
                bytes[at] = *byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
        };
        let block = match transaction {
            // In a transaction of a block whose header fits.
            Some(which) => {
                let mut block = sealed.block();
                let mut transactions = block.transactions.clone();
                let raw = &mut transactions[which.index(4)];
                let mut bytes = raw.to_vec();
                mutate(&mut bytes);
                *raw = bytes.into();
                replace(&mut block, transactions);
                block
            }
            None => {
                let mut bytes = sealed.encoded().to_vec();
                mutate(&mut bytes);
                match Block::decode(&bytes) {
                    Ok(block) => {
                        prop_assert_eq!(&block.encoded()[..], &bytes[..]);
                        block
                    }
                    Err(_) => return Ok(()),
                }
            }
        };
        let verify_on_witness = |witness| verify_block_with_witness(chain.head(), &block, witness, None, CHAIN_ID);
        let on_witness = verify_on_witness(&chain.witness(&sealed.block()));
        match chain.verify(&block) {
            Ok(verified) => {
                // Only another time makes another valid block, as no transaction asks for it.
                let expected = Header { timestamp: block.header.timestamp, ..sealed.header.clone() };
                prop_assert_eq!(&verified.header, &expected);
                prop_assert_eq!(on_witness.map(|verified| verified.hash), Ok(verified.hash));
            }
            Err(error) => {
                // The state is whole, so that nothing but the block can be wrong.
                prop_assert_eq!(error.is_state(), None);
                // On a witness of the original, it can also be the witness that doesn't suffice.
                match on_witness {
                    Err(GuestError::Block { error: judged, .. }) if judged.is_state().is_none() => {
                        prop_assert_eq!(judged, error);
                    }
                    Err(GuestError::Block { .. }) => {}
                    other => prop_assert!(false, "{error}, but on the witness {other:?}"),
                }
            }
        }
    }

    #[test]
    fn mutated_witnesses_are_refused_or_harmless(
        position in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let (chain, sealed) = played();
        let mut bytes = chain.witness(&sealed.block()).encoded().to_vec();
        let at = position.index(bytes.len());
        bytes[at] = byte;
        if let Ok(witness) = Witness::decode(&bytes) {
            if let Ok(verified) =
                verify_block_with_witness(chain.head(), &sealed.block(), &witness, None, CHAIN_ID)
            {
                prop_assert_eq!(verified.hash, sealed.hash);
            }
        }
    }
}
