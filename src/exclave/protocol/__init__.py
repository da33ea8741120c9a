"""The protocol's types, hashes and encodings, without I/O (docs/protocol.md)."""

from exclave.protocol.batch_data import BlockData, SessionData, decode_batch_data, encode_batch_data
from exclave.protocol.claims import (
    NO_ANCHOR,
    Anchor,
    ClaimHeader,
    SessionClaim,
    Settlement,
    block_hash_leaf,
    block_hash_proof,
    block_hashes_root,
)
from exclave.protocol.errors import DataTooLarge, DecodeError, InvalidField, InvalidSignature, ProtocolError
from exclave.protocol.fields import keccak256
from exclave.protocol.headers import Header, genesis_header
from exclave.protocol.merkle import merkle_proof, merkle_root, verify_merkle_proof
from exclave.protocol.messages import Message, accumulate_inbox, alias_address, init_message, next_inbox_hash
from exclave.protocol.session import (
    SessionConfig,
    chain_id_base,
    players_hash,
    session_chain_id,
    session_seed,
    template_id,
)
from exclave.protocol.signatures import (
    address_of,
    claim_digest,
    preconfirmation_digest,
    recover_signer,
    session_result_digest,
    sign_digest,
)
from exclave.protocol.template import (
    GenesisAccount,
    TemplateAccount,
    base_template,
    decode_template,
    encode_template,
    template_data_hash,
)
from exclave.protocol.terms import DataMode, Terms, address_bytes

__all__ = [
    "NO_ANCHOR",
    "Anchor",
    "BlockData",
    "ClaimHeader",
    "DataMode",
    "DataTooLarge",
    "DecodeError",
    "GenesisAccount",
    "Header",
    "InvalidField",
    "InvalidSignature",
    "Message",
    "ProtocolError",
    "SessionClaim",
    "SessionConfig",
    "SessionData",
    "Settlement",
    "TemplateAccount",
    "Terms",
    "accumulate_inbox",
    "address_bytes",
    "address_of",
    "alias_address",
    "base_template",
    "block_hash_leaf",
    "block_hash_proof",
    "block_hashes_root",
    "chain_id_base",
    "claim_digest",
    "decode_batch_data",
    "decode_template",
    "encode_batch_data",
    "encode_template",
    "genesis_header",
    "init_message",
    "keccak256",
    "merkle_proof",
    "merkle_root",
    "next_inbox_hash",
    "players_hash",
    "preconfirmation_digest",
    "recover_signer",
    "session_chain_id",
    "session_result_digest",
    "session_seed",
    "sign_digest",
    "template_data_hash",
    "template_id",
    "verify_merkle_proof",
]
