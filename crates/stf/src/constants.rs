//! Constants of `docs/protocol.md`.

use alloy_primitives::{address, b256, uint, Address, B256, U256};

/// The session contract that every template contains (section 1). Its storage slot 0 is the session's result hash.
pub const PREDEPLOY: Address = address!("0x4578636C61766500000000000000000000000001");

/// Sender of the init message; the caller of EIP-4788.
pub const SYSTEM_ADDRESS: Address = address!("0xfffffffffffffffffffffffffffffffffffffffe");

/// EIP-2718 type of system transactions, which carry messages from L1 (section 4).
pub const SYSTEM_TRANSACTION_TYPE: u8 = 0x7e;

/// Gas limit of every block, in gas (section 5).
pub const BLOCK_GAS_LIMIT: u64 = 30_000_000;

/// Greatest gas limit of a user's transaction, in gas (EIP-7825).
pub const TRANSACTION_GAS_LIMIT_CAP: u64 = 16_777_216;

/// Version of the template's file format (section 2).
pub const TEMPLATE_VERSION: u64 = 1;

/// Root of an empty Merkle-Patricia trie: keccak256(rlp("")).
pub const EMPTY_ROOT: B256 = b256!("0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");

/// keccak256(rlp([])), the hash of an empty list of ommers.
pub const EMPTY_OMMERS_HASH: B256 = b256!("0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");

/// sha256 of nothing: the hash of an empty list of execution-layer requests (EIP-7685).
pub const EMPTY_REQUESTS_HASH: B256 = b256!("0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

/// Bytes that a block's transactions may have together (section 5, rule 4).
pub const BLOCK_DATA_LIMIT: usize = 1 << 20;

/// Load of the state from which on a block takes no further transaction (section 5, rule 4).
pub const BLOCK_LOAD_LIMIT: u64 = 1 << 24;

/// Load of an account or storage slot, whatever is in it: about what its Merkle path takes, in bytes.
pub const ITEM_LOAD: u64 = 1 << 11;

/// Recoveries that a statement may depend on (section 9).
pub const PUBLIC_RECOVERIES_LIMIT: usize = 256;

/// Greatest `s` of a transaction's or authorization's signature (EIP-2): half of the order of secp256k1.
pub(crate) const SIGNATURE_S_MAX: U256 = uint!(0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0_U256);
