"""What identifies a session: chain id, configuration, seed (docs/protocol.md, sections 1 and 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from exclave.protocol.errors import DecodeError
from exclave.protocol.fields import decode_abi, encode_abi, keccak256, require_bytes, require_unsigned
from exclave.protocol.terms import address_bytes

SESSION_CONFIG_ABI: Final = "(uint64,uint64,uint64,uint64,address,bytes32,bytes32,bytes32,bytes32)"


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """A session's identity. Times are L1 timestamps in seconds."""

    session_id: int
    opened_at: int
    opened_block: int
    deadline: int
    game: bytes
    template_id: bytes
    players_hash: bytes
    init_data_hash: bytes
    terms_hash: bytes

    def __post_init__(self) -> None:
        for name in ("session_id", "opened_at", "opened_block", "deadline"):
            require_unsigned(name, getattr(self, name), 64)
        require_bytes("game", self.game, 20)
        for name in ("template_id", "players_hash", "init_data_hash", "terms_hash"):
            require_bytes(name, getattr(self, name), 32)

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The struct's members in ABI order."""
        return (
            self.session_id,
            self.opened_at,
            self.opened_block,
            self.deadline,
            self.game,
            self.template_id,
            self.players_hash,
            self.init_data_hash,
            self.terms_hash,
        )

    @classmethod
    def from_abi_tuple(cls, values: Any) -> SessionConfig:
        """From the members in ABI order, the game as a `0x` string or bytes. Raises `DecodeError`."""
        try:
            session_id, opened_at, opened_block, deadline, game, *hashes = values
            return cls(session_id, opened_at, opened_block, deadline, address_bytes(game), *map(bytes, hashes))
        except (TypeError, ValueError) as error:
            raise DecodeError(f"not a session configuration: {error}") from error

    def encode(self) -> bytes:
        """`abi.encode(SessionConfig)`."""
        return encode_abi([SESSION_CONFIG_ABI], [self.as_abi_tuple()])

    @classmethod
    def decode(cls, data: bytes) -> SessionConfig:
        """Inverse of `encode`. Raises `DecodeError`."""
        return cls.from_abi_tuple(decode_abi([SESSION_CONFIG_ABI], data)[0])

    def hash(self, l1_chain_id: int, zk_relayer: bytes) -> bytes:
        """`configHash`: binds the configuration to one L1, one ZkRelayer and the session's chain id."""
        return keccak256(self.preimage(l1_chain_id, zk_relayer))

    def preimage(self, l1_chain_id: int, zk_relayer: bytes) -> bytes:
        """Of which `configHash` is the hash; a proof of the session's blocks starts from it."""
        chain_id = session_chain_id(l1_chain_id, zk_relayer, self.session_id)
        types = ["uint256", "address", "uint64", "bytes32", "uint64", "uint64", "address", "bytes32"]
        members = [self.terms_hash, self.session_id, self.opened_at, self.game, self.setup_hash()]
        return encode_abi(types, [l1_chain_id, zk_relayer, chain_id, *members])

    def setup_hash(self) -> bytes:
        """`setupHash`: the members that settlement needs no more of than this."""
        return keccak256(
            encode_abi(
                ["uint64", "uint64", "bytes32", "bytes32", "bytes32"],
                [self.opened_block, self.deadline, self.template_id, self.players_hash, self.init_data_hash],
            )
        )


def chain_id_base(l1_chain_id: int, zk_relayer: bytes) -> int:
    """`chainIdBase` of a ZkRelayer: 19 bits of a hash, shifted left by 32."""
    require_unsigned("l1_chain_id", l1_chain_id, 256)
    require_bytes("zk_relayer", zk_relayer, 20)
    digest = keccak256(encode_abi(["uint256", "address"], [l1_chain_id, zk_relayer]))
    return (int.from_bytes(digest, "big") & 0x7FFFF) << 32


def session_chain_id(l1_chain_id: int, zk_relayer: bytes, session_id: int) -> int:
    """The EIP-155 chain id of a session."""
    require_unsigned("session_id", session_id, 32)
    return chain_id_base(l1_chain_id, zk_relayer) + session_id


def template_id(state_root: bytes, data_hash: bytes) -> bytes:
    """`templateId` of a template with this state root and file hash."""
    require_bytes("state_root", state_root, 32)
    require_bytes("data_hash", data_hash, 32)
    return keccak256(state_root + data_hash)


def players_hash(players: Sequence[bytes]) -> bytes:
    """`keccak256(abi.encode(address[] players))`."""
    for player in players:
        require_bytes("player", player, 20)
    return keccak256(encode_abi(["address[]"], [list(players)]))


def session_seed(prev_randao: bytes, session_id: int) -> bytes:
    """The session's seed; `prev_randao` is that of L1 block `openedBlock + 1`."""
    require_bytes("prev_randao", prev_randao, 32)
    require_unsigned("session_id", session_id, 64)
    return keccak256(encode_abi(["bytes32", "uint64"], [prev_randao, session_id]))
