"""EIP-712 digests and signatures (docs/protocol.md, sections 7, 8 and 10)."""

from __future__ import annotations

from typing import Final

from coincurve import PrivateKey, PublicKey

from exclave.protocol.errors import InvalidSignature
from exclave.protocol.fields import encode_abi, keccak256, require_bytes, require_unsigned

DOMAIN_TYPE_HASH: Final = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
PRECONFIRMATION_TYPE_HASH: Final = keccak256(b"Preconfirmation(uint64 sessionId,uint64 number,bytes32 blockHash)")
CLAIM_TYPE_HASH: Final = keccak256(b"Claim(address claimant,bytes32 root,uint32 count,bytes32 termsHash)")
SESSION_RESULT_TYPE_HASH: Final = keccak256(b"SessionResult(bytes32 configHash,bytes32 resultHash,uint64 validUntil)")

SECP256K1_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def domain_separator(l1_chain_id: int, zk_relayer: bytes) -> bytes:
    """EIP-712 domain separator of a ZkRelayer."""
    require_unsigned("l1_chain_id", l1_chain_id, 256)
    require_bytes("zk_relayer", zk_relayer, 20)
    return keccak256(
        encode_abi(
            ["bytes32", "bytes32", "bytes32", "uint256", "address"],
            [DOMAIN_TYPE_HASH, keccak256(b"Exclave"), keccak256(b"1"), l1_chain_id, zk_relayer],
        )
    )


def preconfirmation_digest(
    l1_chain_id: int, zk_relayer: bytes, session_id: int, number: int, block_hash: bytes
) -> bytes:
    """What the operator signs for block `number` of a session."""
    require_unsigned("session_id", session_id, 64)
    require_unsigned("number", number, 64)
    require_bytes("block_hash", block_hash, 32)
    struct = encode_abi(
        ["bytes32", "uint64", "uint64", "bytes32"], [PRECONFIRMATION_TYPE_HASH, session_id, number, block_hash]
    )
    return _typed_data_digest(domain_separator(l1_chain_id, zk_relayer), struct)


def claim_digest(
    l1_chain_id: int, zk_relayer: bytes, claimant: bytes, root: bytes, count: int, terms_hash: bytes
) -> bytes:
    """What the operator signs so that `claimant` may claim sessions whose terms name no dispute contract."""
    require_bytes("claimant", claimant, 20)
    require_bytes("root", root, 32)
    require_unsigned("count", count, 32)
    require_bytes("terms_hash", terms_hash, 32)
    struct = encode_abi(
        ["bytes32", "address", "bytes32", "uint32", "bytes32"], [CLAIM_TYPE_HASH, claimant, root, count, terms_hash]
    )
    return _typed_data_digest(domain_separator(l1_chain_id, zk_relayer), struct)


def session_result_digest(
    l1_chain_id: int, zk_relayer: bytes, config_hash: bytes, result_hash: bytes, valid_until: int
) -> bytes:
    """What every player signs to settle at once. `valid_until`: the last L1 timestamp at which it counts."""
    require_bytes("config_hash", config_hash, 32)
    require_bytes("result_hash", result_hash, 32)
    require_unsigned("valid_until", valid_until, 64)
    struct = SESSION_RESULT_TYPE_HASH + config_hash + result_hash + valid_until.to_bytes(32, "big")
    return _typed_data_digest(domain_separator(l1_chain_id, zk_relayer), struct)


def sign_digest(digest: bytes, private_key: bytes) -> bytes:
    """65 bytes r, s, v (27 or 28), s low. Raises `InvalidSignature` if `private_key` is not a key."""
    require_bytes("digest", digest, 32)
    try:
        signature = PrivateKey(private_key).sign_recoverable(digest, hasher=None)
    except (ValueError, TypeError):
        raise InvalidSignature("the private key is not a valid secp256k1 key") from None  # the cause may quote the key
    return signature[:64] + bytes([signature[64] + 27])


def recover_signer(digest: bytes, signature: bytes) -> bytes:
    """Address of the key that signed `digest`. Raises `InvalidSignature`; high s is refused, as on L1 (EIP-2)."""
    require_bytes("digest", digest, 32)
    if not isinstance(signature, bytes) or len(signature) != 65:
        raise InvalidSignature("a signature has 65 bytes: r, s, v")
    r, s, v = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64]
    if v not in (27, 28):
        raise InvalidSignature(f"v must be 27 or 28, not {v}")
    if not 0 < r < SECP256K1_ORDER or not 0 < s <= SECP256K1_ORDER // 2:
        raise InvalidSignature("r or s is out of range")
    try:
        key = PublicKey.from_signature_and_message(signature[:64] + bytes([v - 27]), digest, hasher=None)
    except Exception as error:  # coincurve raises bare Exception for points that are not on the curve
        raise InvalidSignature("the signature recovers to no key") from error
    return key_address(key)


def key_address(key: PublicKey) -> bytes:
    """Ethereum address of a public key."""
    return keccak256(key.format(compressed=False)[1:])[12:]


def address_of(private_key: bytes) -> bytes:
    """Ethereum address of a private key. Raises `InvalidSignature` if it is not a key."""
    try:
        return key_address(PublicKey.from_secret(private_key))
    except (ValueError, TypeError):
        raise InvalidSignature("the private key is not a valid secp256k1 key") from None


def _typed_data_digest(separator: bytes, struct: bytes) -> bytes:
    return keccak256(b"\x19\x01" + separator + keccak256(struct))
