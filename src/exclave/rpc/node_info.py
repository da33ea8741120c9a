"""`zkcop_*` methods about the node itself: who it is, how it does, what terms it offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exclave.l1 import L1Client
from exclave.protocol import DataMode, Terms, chain_id_base
from exclave.protocol.constants import ZERO_ADDRESS, ZERO_HASH
from exclave.rpc.registry import Registry
from exclave.rpc.sessions import TermsAnswer
from exclave.rpc.values import Address, Answer, Quantity
from exclave.store import Store

RECOMMENDED_CLAIM_BOND = 5 * 10**16
RECOMMENDED_CHALLENGE_WINDOW = 24 * 3600
RECOMMENDED_INCLUSION_DELAY = 3600
RECOMMENDED_ABORT_DELAY = RECOMMENDED_CHALLENGE_WINDOW + 6 * 3600
RECOMMENDED_CALLBACK_GAS = 500_000
"""Wei, seconds, gas. `abortDelay` must be an hour longer than `challengeWindow` at least; more is for late claims."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the node is. `signer` pays for L1 transactions, `operator` signs preconfirmations."""

    version: str
    l1_chain_id: int
    zk_relayer: bytes
    operator: bytes
    signer: bytes
    local_sessions: bool
    coordinator: bool


class NodeInfo(Answer):
    """Who the node is."""

    version: str
    l1_chain_id: Quantity
    zk_relayer: Address
    chain_id_base: Quantity
    operator: Address
    signer: Address
    local_sessions: bool
    coordinator: bool


class EndpointAnswer(Answer):
    """An L1 endpoint; `name` hides keys."""

    name: str
    healthy: bool
    problem: str | None


class L1Health(Answer):
    """How far L1 was followed."""

    head: Quantity | None
    followed: Quantity | None
    endpoints: list[EndpointAnswer]


class Health(Answer):
    """`status` is "ok", or "degraded" while L1 can't be followed; sessions are played in either case."""

    status: str
    l1: L1Health
    sessions_in_memory: Quantity
    jobs: dict[str, int]


class NodeMethods:
    """What the node says of itself."""

    def __init__(
        self,
        identity: Identity,
        store: Store,
        l1: L1Client,
        l1_head: Callable[[], int | None],
        followed: Callable[[], int | None],
        sessions_in_memory: Callable[[], int],
    ) -> None:
        self._identity = identity
        self._store = store
        self._l1 = l1
        self._l1_head = l1_head
        self._followed = followed
        self._sessions_in_memory = sessions_in_memory

    def register(self, registry: Registry) -> None:
        registry.register("zkcop_nodeInfo", self.node_info)
        registry.register("zkcop_health", self.health)
        registry.register("zkcop_getDefaultTerms", self.get_default_terms)

    def node_info(self) -> NodeInfo:
        """Version, L1 contract, and the addresses that the node signs with."""
        identity = self._identity
        return NodeInfo(
            version=identity.version,
            l1_chain_id=identity.l1_chain_id,
            zk_relayer=identity.zk_relayer,
            chain_id_base=chain_id_base(identity.l1_chain_id, identity.zk_relayer),
            operator=identity.operator,
            signer=identity.signer,
            local_sessions=identity.local_sessions,
            coordinator=identity.coordinator,
        )

    def health(self) -> Health:
        """Whether the node follows L1, and how much it has to do."""
        endpoints = [
            EndpointAnswer(name=entry.name, healthy=entry.usable, problem=entry.reason) for entry in self._l1.health()
        ]
        return Health(
            status="ok" if any(entry.healthy for entry in endpoints) and self._l1_head() is not None else "degraded",
            l1=L1Health(head=self._l1_head(), followed=self._followed(), endpoints=endpoints),
            sessions_in_memory=self._sessions_in_memory(),
            jobs={state.value: count for state, count in self._store.jobs.counts().items()},
        )

    def get_default_terms(self) -> TermsAnswer:
        """Terms that suit this node, to start from: its operator, recommended windows and bond, no disputes."""
        return TermsAnswer.of(
            Terms(
                operator=self._identity.operator,
                dispute_game=ZERO_ADDRESS,
                verifier=ZERO_ADDRESS,
                program_id=ZERO_HASH,
                claim_bond=RECOMMENDED_CLAIM_BOND,
                challenge_window=RECOMMENDED_CHALLENGE_WINDOW,
                inclusion_delay=RECOMMENDED_INCLUSION_DELAY,
                abort_delay=RECOMMENDED_ABORT_DELAY,
                callback_gas=RECOMMENDED_CALLBACK_GAS,
                data_mode=DataMode.BLOB,
            )
        )
