"""`zkcop_*` methods about the node itself: who it is, how it does, what terms it offers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from exclave.dispute.payloads import DisputeKind
from exclave.l1 import EthTxManager, L1Client
from exclave.node.balance import BalanceWatch
from exclave.node.sessions import SessionHost
from exclave.protocol import chain_id_base
from exclave.relayer.effects import KILLED_BY
from exclave.relayer.relayer import FOLLOWER, Relayer
from exclave.rpc.registry import Registry
from exclave.rpc.sessions import TermsAnswer
from exclave.rpc.values import Address, Answer, Quantity
from exclave.store import JobState, SessionStatus, Store, schema

MOST_ALERTS = 20
"""Alerts of one kind that are shown."""


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


class AlertAnswer(Answer):
    """What a person should look at in the L1 transactions; `key` names the one it is about, null for all."""

    kind: str
    key: str | None
    message: str


class Health(Answer):
    """`status` is "ok", or "degraded" when L1 or its transactions need a look; sessions are played in either case."""

    status: str
    l1: L1Health
    alerts: list[AlertAnswer]
    sessions_in_memory: Quantity
    jobs: dict[str, int]


class NodeMethods:
    """What the node says of itself."""

    def __init__(
        self,
        identity: Identity,
        store: Store,
        l1: L1Client,
        relayer: Relayer,
        manager: EthTxManager,
        host: SessionHost,
        balance: BalanceWatch,
    ) -> None:
        self._identity = identity
        self._store = store
        self._l1 = l1
        self._relayer = relayer
        self._manager = manager
        self._host = host
        self._balance = balance

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
        alerts = [
            AlertAnswer(kind=alert.kind.value, key=alert.key, message=alert.message) for alert in self._manager.alerts()
        ]
        if (low := self._balance.message()) is not None:
            alerts.append(AlertAnswer(kind="low balance", key=None, message=low))
        alerts += self._lost_claims()
        head, cursor = self._relayer.head, self._store.following.cursor(FOLLOWER)
        following = head is not None and any(entry.healthy for entry in endpoints)
        return Health(
            status="ok" if following and not alerts else "degraded",
            l1=L1Health(
                head=head.number if head else None,
                followed=cursor.number if cursor else None,
                endpoints=endpoints,
            ),
            alerts=alerts,
            sessions_in_memory=len(self._host.in_memory),
            jobs={state.value: count for state, count in self._store.jobs.counts().items()},
        )

    def _lost_claims(self) -> list[AlertAnswer]:
        """Claims that disputes killed, and disputes that had no answer in time: each costs a bond."""
        jobs, sessions = schema.jobs, schema.sessions
        query = (
            select(jobs.c.session_id, jobs.c.error)
            .join(sessions, sessions.c.session_id == jobs.c.session_id)
            .where(
                jobs.c.state == JobState.FAILED,
                jobs.c.error.startswith(KILLED_BY),
                sessions.c.status == SessionStatus.OPEN,
            )
            .order_by(jobs.c.session_id)
            .limit(MOST_ALERTS)
        )
        killed = self._store.read(lambda tx: [(row[0], row[1]) for row in tx.execute(query)])
        now = self._store.now()
        late = [
            dispute
            for dispute in self._store.disputes.find(unanswered=True, limit=MOST_ALERTS)
            if dispute.deadline < now
        ]
        return [
            AlertAnswer(
                kind="claim killed",
                key=None,
                message=f"session {session_id}: {error}; it is claimed anew by `exclave session retry {session_id}`",
            )
            for session_id, error in killed
        ] + [
            AlertAnswer(
                kind="dispute missed",
                key=None,
                message=f"claim {dispute.claim_id}: a {DisputeKind(dispute.kind).name.lower()} had no answer in time",
            )
            for dispute in late
        ]

    def get_default_terms(self) -> TermsAnswer:
        """Terms that this node accepts, to start from: its operator, recommended windows and bond."""
        return TermsAnswer.of(self._host.policy.default_terms())
