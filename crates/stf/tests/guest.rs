//! What the guest states, natively: verdicts about any block, and nothing on wrong advice (INVARIANT I1 and I8).

mod common;

use common::*;
use proptest::prelude::*;
use stf::alloy_consensus::crypto::secp256k1::{recover_signer, sign_message};
use stf::alloy_consensus::TxEip1559;
use stf::alloy_primitives::{keccak256, Address, Bytes, Signature, B256, U256};
use stf::alloy_rlp::Encodable;
use stf::*;

/// A block with writes, deletions, a log, a revert, a creation, a block hash and a precompile's recovery.
fn played() -> (Chain, SealedBlock) {
    let mut chain = Chain::new(B256::ZERO);
    for nonce in 0..2 {
        let block = chain.build(&[recovered(sign(call_to(LOGGER, nonce, words(&[nonce])), 2))]);
        chain.append(&block);
    }
    let block = chain.build(&[
        recovered(sign(call_to(WRITER, 0, words(&[1, 0, 2, 22, 50, 5])), 0)),
        recovered(sign(legacy(LOGGER, 1, words(&[9])), 0)),
        recovered(sign(with_access_list(REVERTER, 0, []), 1)),
        recovered(sign(call_to(DESTROYER, 1, []), 1)),
        recovered(sign(call_to(HASHES, 2, words(&[0])), 0)),
        recovered(sign(call_to(RECOVERER, 3, recovery_input(keccak256(b"signed"), 3)), 0)),
    ]);
    (chain, block)
}

/// Input of the ecrecover precompile for a hash that an account signed.
fn recovery_input(hash: B256, signer: u8) -> Vec<u8> {
    let signature = sign_message(secret(signer), hash).unwrap();
    [
        hash.0,
        U256::from(27 + u8::from(signature.v())).to_be_bytes(),
        signature.r().to_be_bytes(),
        signature.s().to_be_bytes(),
    ]
    .concat()
}

fn raw(block: &SealedBlock) -> RawBlock {
    RawBlock::from(&block.block())
}

/// What the guest gives, and that it is what the recording gave.
fn state(chain: &Chain, block: RawBlock) -> Statement {
    let (input, statement) = chain.prove(vec![block], 100).unwrap();
    assert_eq!(guest_entry(&input.encoded()), Ok(statement));
    statement
}

fn invalid(chain: &Chain, block: RawBlock) {
    let to_hash = keccak256(&block.header);
    let statement = state(chain, block);
    let expected = Statement {
        config_hash: keccak256(configuration()),
        from_hash: chain.head().hash_slow(),
        to_hash,
        verdict: Verdict::Invalid,
        result_hash: B256::ZERO,
        inbox_hash: B256::ZERO,
        to_number: 0,
        to_timestamp: 0,
        recoveries_hash: statement.recoveries_hash,
        prover: PROVER,
    };
    assert_eq!(statement, expected);
}

/// Changes the header of a valid block.
fn with_header(change: impl FnOnce(&mut Header)) -> (Chain, RawBlock) {
    let (chain, sealed) = played();
    let mut block = sealed.block();
    change(&mut block.header);
    (chain, RawBlock::from(&block))
}

/// Replaces the transactions of a valid block, with the root that fits.
fn with_transactions(transactions: Vec<Bytes>) -> (Chain, RawBlock) {
    let (chain, sealed) = played();
    let mut block = sealed.block();
    block.header.transactions_root = ordered_trie_root(&transactions);
    block.transactions = transactions;
    (chain, RawBlock::from(&block))
}

// ---------------------------------------------------------------------------------------------- statements

#[test]
fn i8_the_statement_says_what_was_verified() {
    let init = init_message();
    let mut chain = Chain::new(init.message_hash());
    let first = chain.headers[0].clone();
    let forced = message(0, address(3), LOGGER, words(&[3]));
    let blocks = [
        vec![init.into(), forced.clone().into()],
        vec![recovered(sign(call_to(HASHES, 0, words(&[0])), 0))],
        vec![recovered(sign(call_to(PREDEPLOY, 1, words(&[77])), 0))],
    ];
    let inbox_hash = fold_inbox(B256::ZERO, forced.message_hash());
    let mut range = Vec::new();
    for transactions in blocks {
        let block = chain.build(&transactions);
        let statement = state(&chain, raw(&block));
        let number = block.header.number;
        let expected = Statement {
            config_hash: keccak256(configuration()),
            from_hash: chain.head().hash_slow(),
            to_hash: block.hash,
            verdict: Verdict::Valid,
            result_hash: if number == 3 { U256::from(77).into() } else { B256::ZERO },
            inbox_hash,
            to_number: number,
            to_timestamp: 1_000 + number,
            recoveries_hash: statement.recoveries_hash,
            prover: PROVER,
        };
        assert_eq!(statement, expected);
        range.push(raw(&block));
        chain.append(&block);
    }
    // All three blocks at once, seen from block 0.
    let (input, statement) = chain.prove_from(0, range, 100).unwrap();
    assert_eq!(guest_entry(&input.encoded()), Ok(statement));
    assert_eq!(statement.from_hash, first.hash_slow());
    assert_eq!(statement.to_hash, chain.head().hash_slow());
    assert_eq!((statement.verdict, statement.to_number), (Verdict::Valid, 3));
    assert_eq!(statement.result_hash, B256::from(U256::from(77)));
}

#[test]
fn i8_each_field_of_a_statement_changes_its_hash() {
    let (chain, block) = played();
    let statement = state(&chain, raw(&block));
    let other = B256::repeat_byte(9);
    let changed = [
        Statement { config_hash: other, ..statement },
        Statement { from_hash: other, ..statement },
        Statement { to_hash: other, ..statement },
        Statement { verdict: Verdict::Invalid, ..statement },
        Statement { result_hash: other, ..statement },
        Statement { inbox_hash: other, ..statement },
        Statement { to_number: 9, ..statement },
        Statement { to_timestamp: 9, ..statement },
        Statement { recoveries_hash: other, ..statement },
        Statement { prover: Address::ZERO, ..statement },
    ];
    let mut hashes: Vec<B256> = changed.iter().map(Statement::hash).collect();
    hashes.push(statement.hash());
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), changed.len() + 1);
}

#[test]
fn a_range_has_one_witness_for_all_its_blocks() {
    // Slots and accounts come and go from block to block, so that nodes are split and merged.
    let mut chain = Chain::new(B256::ZERO);
    let mut range = Vec::new();
    for number in 0..6u64 {
        let data: Vec<u64> = (0..12).flat_map(|index| [1 + (number * 7 + index) % 45, (number + index) % 3]).collect();
        let block = chain.build(&[
            recovered(sign(call_to(WRITER, 2 * number, words(&data)), 0)),
            recovered(sign(call_to(HASHES, 2 * number + 1, words(&[number.saturating_sub(2)])), 0)),
            recovered(sign(call_to(DESTROYER, number, []), 1)),
        ]);
        range.push(raw(&block));
        chain.append(&block);
    }
    let record = |blocks: Vec<RawBlock>| chain.prove_from(0, blocks, 5);
    for length in 1..=range.len() {
        let (input, statement) = record(range[..length].to_vec()).unwrap();
        assert_eq!(guest_entry(&input.encoded()), Ok(statement));
        assert_eq!(statement.to_hash, chain.headers[length].hash_slow());
    }
    // A range is valid as a whole or not provable.
    let mut broken = range.clone();
    broken[3].header = b"no header".as_slice().into();
    assert!(matches!(record(broken), Err(GuestError::InvalidInRange { index: 3, .. })));
    let mut reordered = range.clone();
    reordered.swap(1, 2);
    assert!(matches!(record(reordered), Err(GuestError::InvalidInRange { index: 1, .. })));
    let mut skipped = range.clone();
    skipped.remove(2);
    assert!(matches!(record(skipped), Err(GuestError::InvalidInRange { index: 2, .. })));
    assert_eq!(record(Vec::new()), Err(GuestError::Input));
}

// ---------------------------------------------------------------------------------------------- verdicts

#[test]
fn i1_a_forged_header_is_invalid() {
    let changes: [fn(&mut Header); 26] = [
        |header| header.parent_hash = B256::ZERO,
        |header| header.ommers_hash = B256::ZERO,
        |header| header.beneficiary = WRITER,
        |header| header.state_root = B256::ZERO,
        |header| header.receipts_root = EMPTY_ROOT,
        |header| header.logs_bloom.0[7] ^= 1,
        |header| header.difficulty = U256::MAX,
        |header| header.number = u64::MAX,
        |header| header.number -= 1,
        |header| header.gas_limit = u64::MAX,
        |header| header.gas_used += 1,
        |header| header.gas_used = u64::MAX,
        |header| header.timestamp = 0,
        |header| header.timestamp = 1_001,
        |header| header.extra_data = Bytes::new(),
        |header| header.extra_data = vec![7; 100_000].into(),
        |header| header.mix_hash = B256::ZERO,
        |header| header.nonce = 1u64.into(),
        |header| header.base_fee_per_gas = Some(1),
        |header| header.withdrawals_root = None,
        |header| header.blob_gas_used = Some(1),
        |header| header.excess_blob_gas = Some(u64::MAX),
        |header| header.parent_beacon_block_root = Some(B256::repeat_byte(1)),
        |header| header.requests_hash = Some(B256::ZERO),
        |header| header.block_access_list_hash = Some(B256::ZERO),
        |header| header.slot_number = Some(0),
    ];
    for change in changes {
        let (chain, block) = with_header(change);
        invalid(&chain, block);
    }
}

#[test]
fn i1_bytes_that_are_no_header_are_invalid() {
    let (chain, sealed) = played();
    let valid = raw(&sealed);
    let mut trailing = valid.header.to_vec();
    trailing.push(0x80);
    let mut long_form = vec![0xf9, 0, 0];
    long_form.extend_from_slice(&valid.header[3..]);
    let headers: [Vec<u8>; 8] = [
        Vec::new(),
        vec![0xc0],
        vec![0xff; 9],
        b"no header".to_vec(),
        valid.header[..valid.header.len() - 1].to_vec(),
        trailing,
        long_form,
        vec![0xbf; 3],
    ];
    for header in headers {
        // With and without the transactions, which nobody needs.
        invalid(&chain, RawBlock { header: header.clone().into(), transactions: valid.transactions.clone() });
        invalid(&chain, RawBlock { header: header.into(), transactions: Vec::new() });
    }
}

#[test]
fn i1_transactions_that_make_no_sense_are_invalid() {
    let valid = encode(sign(call_to(WRITER, 0, []), 0));
    let bodies: Vec<Vec<Bytes>> = vec![
        vec![],
        vec![Bytes::new()],
        vec![vec![0xc1].into()],
        vec![vec![0xf8, 0xff].into()],
        vec![vec![0x7e].into()],
        vec![vec![0x7e, 0xc0].into()],
        vec![vec![0x03, 0xc0].into()],
        vec![vec![0x80; 100].into()],
        vec![vec![0xff; 200_000].into()],
        vec![valid[..valid.len() - 1].to_vec().into()],
        vec![valid.clone(), valid.clone()],
        vec![valid; 300],
    ];
    for transactions in bodies {
        let (chain, block) = with_transactions(transactions);
        invalid(&chain, block);
    }
}

#[test]
fn i1_a_transaction_of_another_sender_is_invalid() {
    let (chain, sealed) = played();
    let signed = |change: fn(TxEip1559) -> TxEip1559, signer: u8| encode(sign(change(call_to(WRITER, 0, [])), signer));
    let unchanged: fn(TxEip1559) -> TxEip1559 = |transaction| transaction;
    let high_s = |transaction: TxEip1559| {
        let order = U256::from_be_slice(&stf::alloy_primitives::hex!(
            "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
        ));
        let hash = stf::alloy_consensus::SignableTransaction::signature_hash(&transaction);
        let low = sign_message(secret(0), hash).unwrap();
        let high = Signature::new(low.r(), order - low.s(), !low.v());
        encode(stf::alloy_consensus::SignableTransaction::into_signed(transaction, high).into())
    };
    let unsigned = |r: u64, s: u64| {
        let signature = Signature::new(U256::from(r), U256::from(s), false);
        encode(stf::alloy_consensus::SignableTransaction::into_signed(call_to(WRITER, 0, []), signature).into())
    };
    let transactions = [
        // An account without money or with another nonce.
        signed(|transaction| TxEip1559 { value: U256::from(1), ..transaction }, 9),
        signed(|transaction| TxEip1559 { nonce: 1, ..transaction }, 0),
        signed(|transaction| TxEip1559 { nonce: u64::MAX, ..transaction }, 0),
        signed(|transaction| TxEip1559 { chain_id: 1, ..transaction }, 0),
        signed(|transaction| TxEip1559 { gas_limit: u64::MAX, ..transaction }, 0),
        signed(|transaction| TxEip1559 { gas_limit: 0, ..transaction }, 0),
        signed(|transaction| TxEip1559 { max_fee_per_gas: u128::MAX, ..transaction }, 0),
        signed(|transaction| TxEip1559 { max_priority_fee_per_gas: 1, ..transaction }, 0),
        high_s(call_to(WRITER, 0, [])),
        unsigned(0, 0),
        unsigned(5, 1),
    ];
    for transaction in transactions {
        let mut block = sealed.block();
        block.transactions[0] = transaction;
        block.header.transactions_root = ordered_trie_root(&block.transactions);
        invalid(&chain, RawBlock::from(&block));
    }
    // The same transaction, signed by somebody else who could send it.
    let mut block = sealed.block();
    block.transactions[2] = signed(unchanged, 3);
    block.header.transactions_root = ordered_trie_root(&block.transactions);
    invalid(&chain, RawBlock::from(&block));
}

#[test]
fn i1_messages_skipped_forged_or_late_make_a_block_invalid() {
    let init = init_message();
    let mut chain = Chain::new(init.message_hash());
    let forced: Vec<SystemTransaction> =
        (0..3).map(|index| message(index, address(3), LOGGER, words(&[index]))).collect();
    let sealed = chain.build(&[init.clone().into(), forced[0].clone().into(), forced[1].clone().into()]);
    let judge = |chain: &Chain, sealed: &SealedBlock, messages: &[SystemTransaction]| {
        let mut block = sealed.block();
        block.transactions = messages.iter().map(SystemTransaction::encoded).collect();
        block.header.transactions_root = ordered_trie_root(&block.transactions);
        invalid(chain, RawBlock::from(&block));
    };
    judge(&chain, &sealed, &[init.clone(), forced[0].clone()]);
    judge(&chain, &sealed, &[init.clone(), forced[1].clone()]);
    judge(&chain, &sealed, &[init.clone(), forced[1].clone(), forced[0].clone()]);
    judge(&chain, &sealed, &[forced[0].clone(), forced[1].clone()]);
    judge(&chain, &sealed, &[SystemTransaction { gas_limit: 1, ..init.clone() }, forced[0].clone()]);
    let other = SystemTransaction { data: Bytes::new(), ..forced[0].clone() };
    judge(&chain, &sealed, &[init.clone(), other, forced[1].clone()]);
    let greedy = SystemTransaction { gas_limit: 30_000_000, ..forced[0].clone() };
    judge(&chain, &sealed, &[init.clone(), greedy, forced[1].clone()]);
    assert_eq!(state(&chain, raw(&sealed)).verdict, Verdict::Valid);
    chain.append(&sealed);
    // INVARIANT I4: a message whose time was over when the block before it was made.
    let late = SystemTransaction { due_at: 999, ..forced[2].clone() };
    let sealed = chain.build(&[forced[2].clone().into()]);
    judge(&chain, &sealed, &[late]);
    judge(&chain, &sealed, &[]);
}

#[test]
fn i1_nothing_follows_the_end() {
    let mut chain = Chain::new(B256::ZERO);
    let end = recovered(sign(call_to(PREDEPLOY, 0, words(&[77])), 0));
    let more = recovered(sign(call_to(WRITER, 1, []), 0));
    let sealed = chain.build(std::slice::from_ref(&end));
    let mut block = sealed.block();
    block.transactions.push(more.raw.clone());
    block.header.transactions_root = ordered_trie_root(&block.transactions);
    invalid(&chain, RawBlock::from(&block));
    chain.append(&sealed);
    let mut header = sealed.header.clone();
    header.parent_hash = chain.head().hash_slow();
    header.number = 2;
    header.mix_hash = keccak256(header.mix_hash);
    let transactions = vec![more.raw.clone()];
    header.transactions_root = ordered_trie_root(&transactions);
    invalid(&chain, RawBlock::from(&Block { header, transactions }));
}

#[test]
fn i1_a_block_beyond_its_bounds_is_invalid() {
    // More bytes than a block may have.
    let large = |nonce: u64| {
        let data = vec![0; 300_000];
        recovered(sign(TxEip1559 { gas_limit: 5_000_000, ..call_to(address(1), nonce, data) }, 0))
    };
    let chain = Chain::new(B256::ZERO);
    let sealed = chain.build(&[large(0), large(1), large(2)]);
    let mut block = sealed.block();
    block.transactions.push(large(3).raw.clone());
    block.header.transactions_root = ordered_trie_root(&block.transactions);
    invalid(&chain, RawBlock::from(&block));
    let mut builder = chain.builder(&NoBlockHashes);
    for nonce in 0..3 {
        builder.push(large(nonce)).unwrap();
    }
    let error = builder.push(large(3)).unwrap_err();
    assert!(matches!(error, PushError::BlockData { .. }) && error.is_block_full());
    // More state read before the last transaction: each message loads two accounts and takes no gas.
    let messages: Vec<SystemTransaction> = (0..5_000u64)
        .map(|index| {
            let from = Address::from_word(keccak256(index.to_be_bytes()));
            SystemTransaction { gas_limit: 0, ..message(index, from, from.create(0), []) }
        })
        .collect();
    let mut builder = chain.builder(&NoBlockHashes);
    let refused = messages.iter().position(|message| match builder.push(message.clone().into()) {
        Ok(_) => false,
        Err(error) => {
            assert!(matches!(error, PushError::BlockLoad { .. }) && error.is_block_full());
            true
        }
    });
    let fit = refused.unwrap();
    assert!(fit as u64 * 2 * ITEM_LOAD >= BLOCK_LOAD_LIMIT - ITEM_LOAD);
    let sealed = builder.seal().unwrap();
    assert_eq!(state(&chain, raw(&sealed)).verdict, Verdict::Valid);
    let mut block = sealed.block();
    block.transactions.push(messages[fit].encoded());
    block.header.transactions_root = ordered_trie_root(&block.transactions);
    invalid(&chain, RawBlock::from(&block));
}

// ---------------------------------------------------------------------------------------------- recoveries

#[test]
fn i8_public_recoveries_are_what_ecrecover_gives() {
    let (chain, block) = played();
    let counts = (0..10).map(|count| {
        let (input, statement) = chain.prove(vec![raw(&block)], count).unwrap();
        assert_eq!(guest_entry(&input.encoded()), Ok(statement));
        assert_eq!(input.recoveries.len(), count.min(7));
        statement.recoveries_hash
    });
    let mut hashes: Vec<B256> = counts.collect();
    assert_eq!(hashes[0], keccak256([]));
    hashes.dedup();
    assert_eq!(hashes.len(), 8);
    // Six senders, and what the last transaction's code asked for.
    let (input, _) = chain.prove(vec![raw(&block)], 10).unwrap();
    let senders: Vec<Address> = block.transactions.iter().map(|transaction| transaction.sender).collect();
    assert_eq!(input.recoveries[..6], senders[..]);
    assert_eq!(input.recoveries[6], address(3));
}

#[test]
fn i8_a_wrong_recovery_makes_another_statement() {
    let (chain, block) = played();
    let (input, honest) = chain.prove(vec![raw(&block)], 10).unwrap();
    for index in 0..input.recoveries.len() {
        for answer in [Address::ZERO, address(0), address(9), Address::repeat_byte(1)] {
            let mut forged = input.clone();
            if forged.recoveries[index] == answer {
                continue;
            }
            forged.recoveries[index] = answer;
            if let Ok(statement) = guest_entry(&forged.encoded()) {
                assert_ne!(statement.recoveries_hash, honest.recoveries_hash);
                assert_ne!(statement.hash(), honest.hash());
            }
        }
    }
    let mut longer = input.clone();
    longer.recoveries.push(address(0));
    assert_eq!(guest_entry(&longer.encoded()), Err(GuestError::UnusedRecoveries));
    let mut many = input;
    many.recoveries = vec![address(0); PUBLIC_RECOVERIES_LIMIT + 1];
    assert_eq!(guest_entry(&many.encoded()), Err(GuestError::Input));
}

#[test]
fn a_signature_of_nobody_is_answered_with_zero() {
    let (chain, sealed) = played();
    let signature = Signature::new(U256::from(5), U256::from(1), false);
    let envelope = stf::alloy_consensus::SignableTransaction::into_signed(call_to(WRITER, 0, []), signature);
    let hash = envelope.signature_hash();
    assert!(recover_signer(&signature, hash).is_err());
    let mut block = sealed.block();
    block.transactions[0] = encode(envelope.into());
    block.header.transactions_root = ordered_trie_root(&block.transactions);
    let (input, statement) = chain.prove(vec![RawBlock::from(&block)], 10).unwrap();
    assert_eq!(input.recoveries, [Address::ZERO]);
    assert_eq!(statement.verdict, Verdict::Invalid);
    let recovery = Recovery { hash, is_odd: false, r: U256::from(5), s: U256::from(1), signer: Address::ZERO };
    assert_eq!(statement.recoveries_hash, recoveries_hash(&[recovery]));
}

#[test]
fn the_ecrecover_precompile_answers_as_on_ethereum() {
    let chain = Chain::new(B256::ZERO);
    let hash = keccak256(b"signed");
    let good = recovery_input(hash, 3);
    let order = U256::from_be_slice(&stf::alloy_primitives::hex!(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
    ));
    let mut high_s = good.clone();
    high_s[63] = 27 + 28 - high_s[63];
    let s = order - U256::from_be_slice(&good[96..]);
    high_s[96..].copy_from_slice(&s.to_be_bytes::<32>());
    let changed = |at: usize, byte: u8| {
        let mut input = good.clone();
        input[at] = byte;
        input
    };
    let signed = U256::from_be_slice(address(3).as_slice());
    let cases: [(Vec<u8>, Option<U256>); 9] = [
        (good.clone(), Some(signed)),
        ([&good[..], &[1, 2, 3]].concat(), Some(signed)),
        // The precompile takes a high s.
        (high_s, Some(signed)),
        (changed(63, 26), None),
        (changed(63, 29), None),
        (changed(32, 1), None),
        (changed(62, 1), None),
        (good[..96].to_vec(), None),
        (Vec::new(), None),
    ];
    for (input, expected) in cases {
        let block = chain.build(&[recovered(sign(call_to(RECOVERER, 0, input), 0))]);
        assert_eq!(block.state.storage(&RECOVERER, &U256::ZERO).unwrap(), expected.unwrap_or_default());
        let length = U256::from(if expected.is_some() { 32 } else { 0 });
        assert_eq!(block.state.storage(&RECOVERER, &U256::from(1)).unwrap(), length);
        assert_eq!(state(&chain, raw(&block)).verdict, Verdict::Valid);
    }
}

// ---------------------------------------------------------------------------------------------- advice

#[test]
fn i1_wrong_advice_gives_no_verdict() {
    let (chain, block) = played();
    let (input, honest) = chain.prove(vec![raw(&block)], 2).unwrap();
    let encoded = input.encoded();
    assert_eq!(guest_entry(&encoded), Ok(honest));
    assert_eq!(guest_entry(&Bytes::new()), Err(GuestError::Input));
    assert_eq!(guest_entry(&encoded.slice(..encoded.len() - 4)), Err(GuestError::Input));
    assert_eq!(guest_entry(&[&encoded[..], &[0; 4]].concat().into()), Err(GuestError::Input));
    let judge = |change: &dyn Fn(&mut GuestInput)| {
        let mut changed = input.clone();
        change(&mut changed);
        guest_entry(&changed.encoded())
    };
    // The session.
    assert!(matches!(
        judge(&|input| input.configuration = [&configuration()[..95], &[9], &configuration()[96..]].concat().into()),
        Err(GuestError::Config { .. })
    ));
    assert_eq!(judge(&|input| input.configuration = configuration()[..224].to_vec().into()), Err(GuestError::Input));
    assert_eq!(
        judge(&|input| input.configuration = [&[0; 64][..], &[1; 32], &[0; 160]].concat().into()),
        Err(GuestError::Input)
    );
    assert_eq!(judge(&|input| input.from = b"no header".as_slice().into()), Err(GuestError::From));
    assert_eq!(judge(&|input| input.blocks.clear()), Err(GuestError::Input));
    // Transactions that aren't the header's.
    let unjudged = GuestError::Block { index: 0, error: BlockError::Transactions };
    for change in [
        (|block: &mut RawBlock| block.transactions.clear()) as fn(&mut RawBlock),
        |block| drop(block.transactions.pop()),
        |block| block.transactions.push(Bytes::new()),
        |block| block.transactions.swap(0, 1),
        |block| block.transactions[0] = Bytes::new(),
    ] {
        assert_eq!(judge(&|input| change(&mut input.blocks[0])), Err(unjudged.clone()));
    }
    // Witnesses: each node and code missing, wrong or twice, nodes and codes too many.
    for index in 0..input.witness.nodes.len() {
        if input.witness.nodes[index].is_empty() {
            continue;
        }
        assert!(judge(&|input| input.witness.nodes[index] = Bytes::new()).is_err());
        assert!(judge(&|input| drop(input.witness.nodes.remove(index))).is_err());
        assert!(judge(&|input| input.witness.nodes.insert(index, input.witness.nodes[index].clone())).is_err());
        assert!(judge(&|input| input.witness.nodes[index] = [&input.witness.nodes[index][..], &[0]].concat().into())
            .is_err());
    }
    let last = input.witness.nodes.len();
    let unused = GuestError::Witness(WitnessError::UnusedNode { index: last });
    assert_eq!(judge(&|input| input.witness.nodes.push(Bytes::new())), Err(unused));
    assert!(judge(&|input| input.witness.nodes.clear()).is_err());
    assert!(input.witness.codes.len() >= 5);
    for index in 0..input.witness.codes.len() {
        assert!(judge(&|input| drop(input.witness.codes.remove(index))).is_err());
        assert!(judge(&|input| input.witness.codes[index] = vec![0].into()).is_err());
        assert!(judge(&|input| input.witness.codes[index] = vec![0xef, 1, 0].into()).is_err());
    }
    assert_eq!(input.witness.ancestors.len(), 1);
    assert!(judge(&|input| input.witness.ancestors.clear()).is_err());
    assert!(judge(&|input| input.witness.ancestors[0] = input.from.clone()).is_err());
    // The prover's address is the prover's choice, and part of the statement.
    let other = judge(&|input| input.prover = Address::ZERO).unwrap();
    assert_eq!(other, Statement { prover: Address::ZERO, ..honest });
    assert_ne!(other.hash(), honest.hash());
}

/// Advice about an invalid block is checked as well: a valid block can't be made to look invalid.
#[test]
fn i1_no_advice_makes_a_valid_block_invalid() {
    let (chain, block) = played();
    let (input, honest) = chain.prove(vec![raw(&block)], 0).unwrap();
    assert_eq!(honest.verdict, Verdict::Valid);
    let mut foreign = chain.states[0].clone();
    foreign.set_nonce(&address(0), 7).unwrap();
    foreign.root();
    let mut misled = Chain { headers: chain.headers.clone(), states: chain.states.clone() };
    *misled.states.last_mut().unwrap() = foreign;
    let (forged, lie) = misled.prove(vec![raw(&block)], 0).unwrap();
    assert_eq!(lie.verdict, Verdict::Invalid);
    assert!(guest_entry(&forged.encoded()).is_err());
    let mixed = GuestInput { witness: forged.witness, ..input };
    assert!(guest_entry(&mixed.encoded()).is_err());
}

#[test]
fn i8_every_bit_of_the_input_matters() {
    let (chain, block) = played();
    let (input, honest) = chain.prove(vec![raw(&block)], 10).unwrap();
    let encoded = input.encoded().to_vec();
    for at in 0..encoded.len() {
        let mut changed = encoded.clone();
        changed[at] ^= 1 << (at % 8);
        if let Ok(statement) = guest_entry(&changed.into()) {
            assert_ne!(statement.hash(), honest.hash(), "byte {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Any change of the encoded input makes the guest fail or state something else.
    #[test]
    fn i8_mutated_inputs_never_give_the_honest_statement(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
        copy in prop::option::weighted(0.2, any::<[prop::sample::Index; 3]>()),
    ) {
        let (chain, block) = played();
        let (input, honest) = chain.prove(vec![raw(&block)], 3).unwrap();
        let encoded = input.encoded().to_vec();
        let mut changed = encoded.clone();
        for (position, byte) in &changes {
            let at = position.index(changed.len());
            changed[at] = *byte;
        }
        if let Some([from, to, length]) = copy {
            let length = length.index(64);
            let (from, to) = (from.index(changed.len() - 64), to.index(changed.len() - 64));
            changed.copy_within(from..from + length, to);
        }
        if let Some(cut) = cut {
            changed.truncate(cut.index(changed.len()));
        }
        if changed != encoded {
            if let Ok(statement) = guest_entry(&changed.into()) {
                prop_assert_ne!(statement.hash(), honest.hash());
            }
        }
    }

    /// Whatever bytes a block has, the guest gives a verdict, the one that the full state gives.
    #[test]
    fn i1_mutated_blocks_get_their_verdict(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        transaction in prop::option::weighted(0.7, any::<prop::sample::Index>()),
    ) {
        let (chain, sealed) = played();
        let mutate = |bytes: &Bytes| -> Bytes {
            let mut bytes = bytes.to_vec();
            for (position, byte) in &changes {
                let at = position.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes.into()
        };
        let block = match transaction {
            Some(which) => {
                let mut block = sealed.block();
                let at = which.index(block.transactions.len());
                block.transactions[at] = mutate(&block.transactions[at]);
                block.header.transactions_root = ordered_trie_root(&block.transactions);
                RawBlock::from(&block)
            }
            None => RawBlock { header: mutate(&raw(&sealed).header), ..raw(&sealed) },
        };
        match chain.prove(vec![block.clone()], 100) {
            Ok((input, statement)) => {
                prop_assert_eq!(guest_entry(&input.encoded()), Ok(statement));
                prop_assert_eq!(statement.to_hash, keccak256(&block.header));
            }
            // Only where the transactions are not those of the changed header.
            Err(error) => {
                let unjudged = GuestError::Block { index: 0, error: BlockError::Transactions };
                prop_assert_eq!(error, unjudged);
            }
        }
    }
}

#[test]
fn inputs_are_encoded_on_word_boundaries() {
    let (chain, block) = played();
    let (input, _) = chain.prove(vec![raw(&block)], 3).unwrap();
    let encoded = input.encoded();
    assert_eq!(encoded.len() % 4, 0);
    assert_eq!(GuestInput::decode(&encoded), Ok(input));
    assert_eq!(block.header.length(), header_to_rlp(&block.header).len());
}
