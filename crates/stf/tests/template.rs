//! Template files.

mod common;

use common::*;
use stf::alloy_primitives::{hex, keccak256, Bytes, B256, U256};
use stf::alloy_rlp::Header as RlpHeader;
use stf::*;

#[test]
fn a_template_is_read_and_written_back() {
    let mut state = template_state();
    let file = state.to_template().unwrap();
    let (mut again, data_hash) = State::from_template(&file).unwrap();
    assert_eq!(data_hash, keccak256(&file));
    assert_eq!(again.root(), state.root());
    assert_eq!(again.to_template().unwrap(), file);
    for address in [PREDEPLOY, WRITER, address(0)] {
        let account = again.account(&address).unwrap();
        assert_eq!(account, state.account(&address).unwrap());
        assert!(again.code(&account.unwrap().code_hash).is_ok());
    }
    assert_eq!(again.storage(&WRITER, &U256::from(7)).unwrap(), U256::from(7));
    let (mut empty, _) = State::from_template(&hex!("c201c0")).unwrap();
    assert_eq!(empty.root(), EMPTY_ROOT);
}

#[test]
fn delegated_accounts_are_in_templates() {
    let mut state = State::empty();
    state.set_nonce(&address(1), 1).unwrap();
    state.set_code(&address(1), stf::revm::state::Bytecode::new_eip7702(WRITER)).unwrap();
    let (again, _) = State::from_template(&state.to_template().unwrap()).unwrap();
    let code_hash = again.account(&address(1)).unwrap().unwrap().code_hash;
    assert_eq!(again.code(&code_hash).unwrap().eip7702_address(), Some(WRITER));
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = Vec::new();
    RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(&payload);
    out
}

fn string(bytes: &[u8]) -> Vec<u8> {
    stf::alloy_rlp::encode(Bytes::copy_from_slice(bytes))
}

fn slot(key: u8, value: &[u8]) -> Vec<u8> {
    list(&[string(&[key; 32]), string(value)])
}

fn account(key: u8, nonce: &[u8], balance: &[u8], code: &[u8], slots: &[Vec<u8>]) -> Vec<u8> {
    list(&[string(&[key; 32]), string(nonce), string(balance), string(code), list(slots)])
}

fn template(accounts: &[Vec<u8>]) -> Vec<u8> {
    list(&[string(&[1]), list(accounts)])
}

fn refused(file: &[u8], expected: TemplateError) {
    assert_eq!(State::from_template(file).unwrap_err(), expected);
}

#[test]
fn each_non_canonical_template_is_refused() {
    let valid = account(1, &[1], &[5], &[0x00], &[slot(1, &[1]), slot(2, &[2])]);
    assert!(State::from_template(&template(std::slice::from_ref(&valid))).is_ok());
    let malformed = TemplateError::Malformed;
    refused(&[], malformed);
    refused(&hex!("c0"), malformed);
    refused(&[&template(std::slice::from_ref(&valid))[..], &[0]].concat(), malformed);
    refused(&list(&[string(&[1]), list(std::slice::from_ref(&valid)), string(&[])]), malformed);
    refused(&list(&[string(&[2]), list(std::slice::from_ref(&valid))]), TemplateError::Version(2));
    refused(&template(&[valid.clone(), valid.clone()]), TemplateError::Order);
    let second = account(2, &[1], &[], &[], &[]);
    assert!(State::from_template(&template(&[valid.clone(), second.clone()])).is_ok());
    refused(&template(&[second, valid]), TemplateError::Order);
    let key = B256::repeat_byte(1);
    refused(&template(&[account(1, &[], &[], &[], &[])]), TemplateError::EmptyAccount(key));
    refused(&template(&[account(1, &[], &[], &[], &[slot(1, &[1])])]), TemplateError::EmptyAccount(key));
    refused(&template(&[account(1, &[], &[9], &[], &[slot(1, &[1])])]), TemplateError::StorageWithoutCode(key));
    refused(&template(&[account(1, &[0, 1], &[], &[], &[])]), malformed);
    refused(&template(&[account(1, &[1; 9], &[], &[], &[])]), malformed);
    refused(&template(&[account(1, &[1], &[0, 1], &[], &[])]), malformed);
    refused(&template(&[account(1, &[1], &[1; 33], &[], &[])]), malformed);
    let with_slots = |slots: &[Vec<u8>]| template(&[account(1, &[1], &[], &[], slots)]);
    refused(&with_slots(&[slot(2, &[1]), slot(1, &[1])]), TemplateError::Order);
    refused(&with_slots(&[slot(1, &[1]), slot(1, &[1])]), TemplateError::Order);
    let zero = TemplateError::ZeroSlot { account: key, slot: key };
    refused(&with_slots(&[slot(1, &[])]), zero);
    refused(&with_slots(&[slot(1, &[0, 1])]), malformed);
    refused(&with_slots(&[list(&[string(&[1; 31]), string(&[1])])]), malformed);
    refused(&with_slots(&[list(&[string(&[1; 32]), string(&[1]), string(&[1])])]), malformed);
    let with_code = |code: &[u8]| template(&[account(1, &[1], &[], code, &[])]);
    refused(&with_code(&[0xef]), TemplateError::InvalidCode(key));
    refused(&with_code(&hex!("ef0100")), TemplateError::InvalidCode(key));
    refused(&with_code(&hex!("ef0001")), TemplateError::InvalidCode(key));
    // A single byte that was written as a string of one.
    let mut long = template(&[account(1, &[1], &[], &[], &[])]);
    assert_eq!(long[..3], [0xe8, 0x01, 0xe6]);
    long.splice(..3, [0xe9, 0x81, 0x01, 0xe6]);
    refused(&long, malformed);
}
