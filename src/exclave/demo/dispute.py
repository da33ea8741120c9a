"""The course of `exclave demo --dispute`: an operator lies about a match and loses to a proof, a griefer challenges the
honest claim and loses to another one, and the match is paid out.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from eth_account.signers.local import LocalAccount

from exclave import contracts
from exclave.cli.template import describe_template
from exclave.coordinator.calls import encode_claim
from exclave.coordinator.ranges import build_range
from exclave.demo.chain import DemoChain
from exclave.demo.game import DemoGame, Match
from exclave.demo.processes import anvil, node
from exclave.demo.run import L1_CHAIN_ID, Course, DemoFailed, database_url, write_configuration
from exclave.dispute import payloads
from exclave.dispute.payloads import DisputeKind, DisputeRules, LeafName, LeafState, ShownHash, ShownLeaf
from exclave.l1.client import L1Client
from exclave.l1.payloads import encode_call
from exclave.l1.values import L1Receipt
from exclave.protocol import ClaimHeader, DataMode, SessionClaim, Terms, address_bytes, block_hashes_root, keccak256
from exclave.protocol.batch_data import decode_batch_data, encode_batch_data
from exclave.protocol.constants import ZERO_HASH
from exclave.protocol.fields import decode_rlp, encode_rlp
from exclave.prover import PROGRAM_ID, LocalProver, Progress, Proof, ProofRequest, Verdict
from exclave.prover.onchain import deploy_verifier, verify_onchain
from exclave.prover.replay import PUBLIC_RECOVERIES, prepare, restored
from exclave.rpc.client import RpcClient
from exclave.store import Session, Store, StoredBlock

ETHER: Final = 10**18
STATE_ROOT: Final = 3
"""Where a header has it."""

RULES: Final = DisputeRules(
    gas_price=10**9,
    proving_cost=ETHER // 100,
    challenge_bond=ETHER // 10,
    operator_stake=ETHER,
    burnt_share=5_000,
    proof_window=3_600,
    answer_window=120,
    response_time=30,
    stake_delay=8 * 86_400,
)
"""Short enough to watch: docs/disputes.md has those for a real L1."""

CHALLENGE_WINDOW: Final = 30
CLAIM_BOND: Final = ETHER // 20


@dataclass(frozen=True, slots=True)
class Step:
    """An L1 transaction: who sent it, what for, its gas and fee (wei)."""

    who: str
    what: str
    gas: int
    fee: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody had before the match was claimed, and has at the end: ether, deposits and stakes together, in wei;
    `fees` are what he paid to L1 meanwhile.
    """

    who: str
    before: int
    after: int
    fees: int


@dataclass(frozen=True, slots=True)
class DisputeReport:
    """What happened, for the final tables. `seconds` of each proof."""

    steps: list[Step]
    standings: list[Standing]
    burnt: int
    fault_seconds: float
    validity_seconds: float
    lie_to_verdict: float
    outcome: str


@dataclass
class DisputeDemo:
    """A running demo. `phase` and `tell` show what is happening, `proving` how a proof goes on."""

    game: DemoGame
    directory: Path
    phase: Callable[[str], None]
    tell: Callable[[str], None]
    proving: Callable[[Progress], None]
    done: Callable[[DisputeReport], Awaitable[None]]

    async def run(self) -> None:
        """From an empty L1 to a paid-out match. Raises what fails; everything it started is stopped."""
        prover = LocalProver(self.directory / "proofs")
        async with contextlib.AsyncExitStack() as stack:
            self.phase("Starting L1 (anvil)")
            l1_url = await stack.enter_async_context(anvil(self.directory))
            client = await stack.enter_async_context(L1Client([l1_url], L1_CHAIN_ID))
            chain = DemoChain(client)
            deployer, signer, operator, challenger, griefer = [await chain.new_account() for _ in range(5)]

            self.phase("Deploying ZkRelayer, the verifier of proofs, the dispute contract and the game's lobby")
            await chain.deploy_zk_relayer(deployer)

            async def deploy(label: str, to: bytes | None, data: bytes) -> L1Receipt:
                return await chain.send(label, deployer, to, data)

            verifier = (await deploy_verifier(deploy)).zk_verifier
            creation = payloads.encode_dispute_game(chain.zk_relayer, RULES)
            game = (await deploy("deploy DisputeGame", None, creation)).contract_address
            assert game is not None
            stakes = (await chain.call(game, _view("DisputeGame", "stakes")))[12:]
            template = describe_template(self.game.template())
            await chain.register_template(deployer, template.state_root, template.data_hash)
            terms = _terms(operator, game, verifier)
            await self.game.deploy(chain, deployer, template.template_id, terms)
            self.tell(f"the operator deposits {RULES.operator_stake / ETHER:g} ETH as its stake")
            await chain.send("stake", operator, stakes, _view("OperatorStakes", "depositStake"), RULES.operator_stake)

            self.phase("Starting the node")
            config = write_configuration(self.directory, l1_url, chain, terms)
            store = stack.enter_context(Store(database_url(self.directory)))
            store.migrate()
            store.templates.put(template)
            keys = {"EXCLAVE_PRIVATE_KEY": signer.key.hex(), "EXCLAVE_OPERATOR_KEY": operator.key.hex()}
            running = await stack.enter_async_context(node(config, keys, self.directory / "node.log"))
            url = await running.wait_for_line(r'"rpc": ?"(http://[^"]+)"')
            course = Course(self.game, lambda _, text: self.tell(text), chain, RpcClient(url), url, running)

            self.phase(f"Playing a match of {self.game.name}")
            players = [await chain.new_account() for _ in range(self.game.players_per_match)]
            match = Match(1, await self.game.open_match(chain, 1, players), players)
            await course.play(match)
            await course.until(match, ("ended",))

            people = {"operator": operator, "challenger": challenger, "griefer": griefer, "node": signer}
            dispute = _Dispute(self, chain, store, terms, game, stakes, prover, people, match, course)
            await self.done(await dispute.run())


@dataclass
class _Dispute:
    """What happens after the match was played."""

    demo: DisputeDemo
    chain: DemoChain
    store: Store
    terms: Terms
    game: bytes
    stakes: bytes
    prover: LocalProver
    people: dict[str, LocalAccount]
    match: Match
    course: Course

    async def run(self) -> DisputeReport:
        tell, phase = self.demo.tell, self.demo.phase
        session = self.store.sessions.get(self.match.session_id)
        head = self.store.blocks.head(self.match.session_id)
        assert session is not None and head is not None, "it was played"
        blocks = list(self.store.blocks.load(session.session_id))
        before = await self._wealth()
        self.chain.sent.clear()

        phase("The operator lies: it claims another result than the game's")
        forged = _forged(build_range(self.store, session, 0, head.number).claim, blocks)
        data = encode_batch_data([build_range(self.store, session, 0, head.number).data])
        lied_at = time.monotonic()
        lie = await self._claim(forged.claim, data)
        tell(
            f"claim {lie.claim_id}: {head.number} blocks, a result that nobody played for, a bond of {_eth(CLAIM_BOND)}"
        )

        phase("The challenger re-executes the claim's data, and asks what the claim hides")
        hashes = await asyncio.to_thread(self._execute, session, data)
        tell(f"its own last block is {hashes[-1].hex()[:16]}…: the claim's root is over something else")
        shown = await self._ask(lie, forged, hashes)
        wrong = next(number for number, mine in enumerate(hashes) if mine != forged.hashes[number])
        parent, target = (ShownHash.of(forged.hashes, 0, number) for number in (wrong - 1, wrong))
        tell(f"block {wrong} is the first that differs: the challenger challenges it for {_eth(RULES.challenge_bond)}")
        await self._send("challenger", f"challenge block {wrong}", payloads.encode_challenge(shown, parent, target))
        await self._bonded("challenger", "demand the block", payloads.encode_demand_block(shown, wrong))
        block = blocks[wrong - 1]
        answer = payloads.encode_answer_block(shown, parent, target, forged.header, block.transactions)
        await self._send("operator", "show the block", answer)

        phase("Meanwhile the node claims what was really played, and a griefer challenges that")
        await self.course.until(self.match, ("claimed",))
        honest, leaves = self._honest_claim(lie.claim_id)
        mine = ShownLeaf.of(honest, leaves)
        number = min(2, head.number)
        pair = [ShownHash.of(hashes, 0, at) for at in (number - 1, number)]
        await self._bonded("griefer", f"challenge block {number}", payloads.encode_challenge(mine, pair[0], pair[1]))
        tell(f"block {number} of claim {honest.claim_id} is right, but until somebody proves it the claim can't settle")

        phase(f"The challenger proves that block {wrong} of the lie isn't what its own header says")
        request = await asyncio.to_thread(self._fault, session, wrong, forged.header, block)
        fault, fault_seconds = await self._prove(request)
        call = payloads.encode_prove_fault(shown, self.terms, parent, target, fault)
        await self._send("challenger", "prove the fault", call)
        verdict = time.monotonic() - lied_at
        if not (await self._state(lie)).killed:
            raise DemoFailed("the lie survived its fault proof")
        tell("the lying claim is dead: its bond and the operator's stake are lost, half to the challenger, half burnt")
        reclaim = payloads.encode_reclaim(lie.claim_id, 0, DisputeKind.CHALLENGE, wrong)
        await self._send("challenger", "take the challenge's bond back", reclaim)

        phase(f"The challenger proves block {number} of the honest claim, for the griefer's bond")
        proof, validity_seconds = await self._prove(await asyncio.to_thread(self._validity, session.session_id, number))
        call = payloads.encode_prove(mine, self.terms, pair[0], pair[1], proof, challenges=[number])
        await self._send("challenger", "answer the griefer by the proof", call)
        if (await self._state(honest)).held:
            raise DemoFailed("the honest claim is still held")
        tell("the griefer's bond is lost, and nothing holds the honest claim any more")

        phase("The honest claim settles, and the players are paid")
        await self.course.until(self.match, ("settled",))
        outcome = await self.demo.game.pay_out(self.chain, self.match)
        return await self._report(before, fault_seconds, validity_seconds, verdict, outcome)

    # -- who does what ----------------------------------------------------------------------------------------------

    async def _claim(self, claim: SessionClaim, data: bytes) -> LeafName:
        """The operator's claim of one session."""
        call = encode_claim(claim.leaf(), 1, self.terms, ZERO_HASH, data, b"")
        receipt = await self._send("operator", "claim a false result", call, CLAIM_BOND, to=self.chain.zk_relayer)
        header = await self.chain.client.get_block(receipt.block_number)
        assert header is not None
        claim_id = int.from_bytes(receipt.logs[-1].topics[1], "big")
        return LeafName(claim_id, 0, self._header(claim.leaf(), header.timestamp))

    def _header(self, root: bytes, claimed_at: int) -> ClaimHeader:
        terms = self.terms
        return ClaimHeader(
            root=root,
            terms_hash=terms.hash(),
            dispute_game=terms.dispute_game,
            claim_bond=terms.claim_bond,
            challenge_window=terms.challenge_window,
            callback_gas=terms.callback_gas,
            count=1,
            claimed_at=claimed_at,
        )

    async def _ask(self, name: LeafName, forged: _Forged, hashes: Sequence[bytes]) -> ShownLeaf:
        """The challenger demands leaf and hashes, the operator shows them."""
        await self._bonded("challenger", "demand the leaf", payloads.encode_demand_leaf(name))
        shown = ShownLeaf.of(name, [forged.claim])
        await self._send("operator", "show the leaf", payloads.encode_answer_leaf(shown))
        await self._bonded("challenger", "demand the block hashes", payloads.encode_demand_hashes(shown, 0))
        answer = payloads.encode_answer_hashes(shown, 0, forged.hashes)
        await self._send("operator", "show the block hashes", answer)
        self.demo.tell(f"the claim is of {len(hashes)} block hashes, shown on L1")
        return shown

    def _honest_claim(self, lie: int) -> tuple[LeafName, list[SessionClaim]]:
        """The node's claim, as its database has it from L1."""
        found = [claim for claim in self.store.claims.of_session(self.match.session_id) if claim.claim_id != lie]
        claim = found[-1]
        leaves = [SessionClaim.decode(leaf.claim) for leaf in self.store.claims.leaves(claim.claim_id)]
        index = next(i for i, leaf in enumerate(leaves) if leaf.session_id == self.match.session_id)
        return LeafName(claim.claim_id, index, ClaimHeader.decode(claim.header)), leaves

    def _execute(self, session: Session, data: bytes) -> list[bytes]:
        """The hashes of the blocks that a claim's data describes, block 0's first."""
        (described,) = decode_batch_data(data)
        assert session.genesis_hash is not None
        hashes = [session.genesis_hash]
        with restored(self.store, session, 0, L1_CHAIN_ID, self.chain.zk_relayer) as engine:
            for block in described.blocks:
                executed = engine.execute_block(session.session_id, block.timestamp, list(block.transactions))
                hashes.append(bytes(executed.hash))
        return hashes

    def _fault(self, session: Session, number: int, header: bytes, block: StoredBlock) -> ProofRequest:
        with restored(self.store, session, number - 1, L1_CHAIN_ID, self.chain.zk_relayer) as engine:
            run = engine.guest_judgement(
                session.session_id,
                number - 1,
                header,
                block.transactions,
                configuration=session.configuration().preimage(L1_CHAIN_ID, self.chain.zk_relayer),
                prover=self._address("challenger"),
                public_recoveries=PUBLIC_RECOVERIES,
            )
        request = ProofRequest.from_run(run)
        assert request.statement.verdict is Verdict.INVALID, "it was forged"
        return request

    def _validity(self, session_id: int, number: int) -> ProofRequest:
        return prepare(
            self.store,
            session_id,
            number,
            number,
            l1_chain_id=L1_CHAIN_ID,
            zk_relayer=self.chain.zk_relayer,
            prover=self._address("challenger"),
        )

    async def _prove(self, request: ProofRequest) -> tuple[Proof, float]:
        """A proof that L1 has verified, and the seconds that it took to make."""
        began = time.monotonic()
        proof = await self.prover.prove(request, self.demo.proving)
        seconds = time.monotonic() - began

        async def send(label: str, to: bytes | None, data: bytes) -> L1Receipt:
            return await self.chain.send(f"challenger: {label}", self.people["challenger"], to, data)

        await verify_onchain(self.chain.client, send, self._address("challenger"), self.terms.verifier, proof)
        return proof, seconds

    # -- L1 ---------------------------------------------------------------------------------------------------------

    def _address(self, who: str) -> bytes:
        return address_bytes(self.people[who].address)

    async def _bonded(self, who: str, what: str, call: bytes) -> L1Receipt:
        """A call that locks a bond."""
        return await self._send(who, what, call, RULES.challenge_bond)

    async def _send(self, who: str, what: str, call: bytes, value: int = 0, to: bytes | None = None) -> L1Receipt:
        return await self.chain.send(f"{who}: {what}", self.people[who], to or self.game, call, value)

    async def _state(self, name: LeafName) -> LeafState:
        return LeafState.decode(await self.chain.call(self.game, payloads.encode_leaf_state(name.claim_id, name.index)))

    async def _wealth(self) -> dict[str, int]:
        """Everybody's wei: ether, deposits in three contracts, stake."""
        return {who: await self._wealth_of(address_bytes(account.address)) for who, account in self.people.items()}

    async def _wealth_of(self, address: bytes) -> int:
        wealth = await self.chain.client.get_balance(address)
        for contract in (self.chain.zk_relayer, self.game, self.stakes):
            wealth += sum(await self._words(contract, "bondAccount", address))
        staying, leaving, _ = await self._words(self.stakes, "stakeOf", address)
        return wealth + staying + leaving

    async def _words(self, contract: bytes, view: str, address: bytes) -> list[int]:
        artifact = contracts.load("OperatorStakes")
        answer = await self.chain.call(contract, encode_call(artifact, view, address))
        return [int.from_bytes(answer[start : start + 32], "big") for start in range(0, len(answer), 32)]

    async def _report(
        self, before: dict[str, int], fault: float, validity: float, verdict: float, outcome: str
    ) -> DisputeReport:
        after = await self._wealth()
        transactions = self.chain.sent + await self.course.node_transactions([self.match])
        addresses = {address_bytes(account.address): who for who, account in self.people.items()}
        fees = dict.fromkeys(self.people, 0)
        steps = []
        for sent in transactions:
            if (who := addresses.get(sent.sender)) is not None:
                fees[who] += sent.fee
                steps.append(Step(who, sent.label.partition(": ")[2] or sent.label, sent.gas_used, sent.fee))
        burnt = 0
        for contract in (self.chain.zk_relayer, self.game, self.stakes):
            burnt += sum(await self._words(contract, "bondAccount", bytes(20)))
        standings = [Standing(who, before[who], after[who], fees[who]) for who in self.people]
        return DisputeReport(steps, standings, burnt, fault, validity, verdict, outcome)


@dataclass(frozen=True, slots=True)
class _Forged:
    """A claim whose last block has a header that nothing executes to."""

    claim: SessionClaim
    hashes: list[bytes]
    header: bytes


def _forged(claim: SessionClaim, blocks: Sequence[StoredBlock]) -> _Forged:
    fields: list[Any] = decode_rlp(blocks[-1].header, "a header")
    fields[STATE_ROOT] = keccak256(b"a state in which the operator's friend has won")
    header = encode_rlp(fields)
    hashes = [blocks[0].parent_hash, *(block.hash for block in blocks[:-1]), keccak256(header)]
    false = replace(
        claim,
        last_hash=hashes[-1],
        block_hashes_root=block_hashes_root(hashes),
        result_hash=keccak256(b"the operator's friend has won"),
    )
    return _Forged(false, hashes, header)


def _view(contract: str, function: str) -> bytes:
    return encode_call(contracts.load(contract), function)


def _eth(wei: int) -> str:
    return f"{wei / ETHER:g} ETH"


def _terms(operator: LocalAccount, game: bytes, verifier: bytes) -> Terms:
    return Terms(
        operator=address_bytes(operator.address),
        dispute_game=game,
        verifier=verifier,
        program_id=PROGRAM_ID,
        claim_bond=CLAIM_BOND,
        challenge_window=CHALLENGE_WINDOW,
        inclusion_delay=600,
        abort_delay=2 * 86_400,
        callback_gas=500_000,
        data_mode=DataMode.CALLDATA,
    )
