//! The operator's signature for each block (docs/protocol.md 7).

use alloy_primitives::{keccak256, Address, Keccak256, B256, U256};
use secp256k1::{Message, Secp256k1, SecretKey, SignOnly};

const DOMAIN_TYPE: &str = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const PRECONFIRMATION_TYPE: &str = "Preconfirmation(uint64 sessionId,uint64 number,bytes32 blockHash)";

/// Signs EIP-712 `Preconfirmation(uint64 sessionId,uint64 number,bytes32 blockHash)` for one L1 deployment.
pub struct PreconfirmationSigner {
    secp: Secp256k1<SignOnly>,
    key: SecretKey,
    domain: PreconfirmationDomain,
}

/// The EIP-712 domain of a deployment, hashed once.
#[derive(Clone, Debug)]
pub struct PreconfirmationDomain {
    separator: B256,
    type_hash: B256,
}

impl PreconfirmationDomain {
    pub fn new(l1_chain_id: u64, zk_relayer: Address) -> Self {
        let mut hasher = Keccak256::new();
        hasher.update(keccak256(DOMAIN_TYPE));
        hasher.update(keccak256("Exclave"));
        hasher.update(keccak256("1"));
        hasher.update(U256::from(l1_chain_id).to_be_bytes::<32>());
        hasher.update(zk_relayer.into_word());
        Self { separator: hasher.finalize(), type_hash: keccak256(PRECONFIRMATION_TYPE) }
    }

    /// The digest that is signed: keccak256(0x1901 || domain separator || struct hash) (EIP-712).
    pub fn digest(&self, session_id: u64, number: u64, block_hash: &B256) -> B256 {
        let mut hasher = Keccak256::new();
        hasher.update(self.type_hash);
        hasher.update(U256::from(session_id).to_be_bytes::<32>());
        hasher.update(U256::from(number).to_be_bytes::<32>());
        hasher.update(block_hash);
        let struct_hash = hasher.finalize();
        let mut hasher = Keccak256::new();
        hasher.update([0x19, 0x01]);
        hasher.update(self.separator);
        hasher.update(struct_hash);
        hasher.finalize()
    }
}

impl PreconfirmationSigner {
    /// Fails if the 32 bytes are no secp256k1 key.
    pub fn new(key: [u8; 32], domain: PreconfirmationDomain) -> Result<Self, secp256k1::Error> {
        Ok(Self { secp: Secp256k1::signing_only(), key: SecretKey::from_byte_array(&key)?, domain })
    }

    /// 65 bytes r, s, v with v 27 or 28; s is in the lower half. Deterministic (RFC 6979).
    pub fn sign(&self, session_id: u64, number: u64, block_hash: &B256) -> [u8; 65] {
        let message = Message::from_digest(self.domain.digest(session_id, number, block_hash).0);
        let (recovery, signature) = self.secp.sign_ecdsa_recoverable(&message, &self.key).serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature);
        bytes[64] = 27 + i32::from(recovery) as u8;
        bytes
    }
}
