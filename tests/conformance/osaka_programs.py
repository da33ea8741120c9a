"""Strategies for transactions, and for contracts that are worth calling: pieces of code around all that touches state.

Whatever a piece finds out it stores, so that a difference shows in the state root; GAS is stored too, so that costs
are compared exactly.
"""

from __future__ import annotations

from pathlib import Path

from conformance.osaka_specification import Delegation, Key, TransactionRequest
from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp
from hypothesis import strategies as st

from exclave.protocol import GenesisAccount

KEYS = [Key.from_seed(index) for index in range(5)]
PAUPER = Key.from_seed(99)
CONTRACTS = [bytes([0xC0 + index]) * 20 for index in range(4)]
NOBODY = bytes.fromhex("00000000000000000000000000000000deadbeef")
COINBASE = bytes(20)
PRECOMPILES = [index.to_bytes(20, "big") for index in [*range(1, 0x12), 0x100]]
ETHER = 10**18
VECTORS = Path(__file__).parents[2] / "crates" / "stf" / "tests" / "precompiles.txt"


def created_address(creator: bytes, nonce: int) -> bytes:
    return bytes(keccak256(rlp.encode((creator, nonce.to_bytes(1, "big") if nonce else b""))))[12:]


def created2_address(creator: bytes, salt: int, init_code: bytes) -> bytes:
    return bytes(keccak256(b"\xff" + creator + salt.to_bytes(32, "big") + keccak256(init_code)))[12:]


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def push(value: int | bytes) -> bytes:
    """PUSH0 to PUSH32."""
    data = value if isinstance(value, bytes) else value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([0x5F + len(data)]) + data


def store_top(slot: int) -> bytes:
    """SSTORE(slot, top of the stack)."""
    return push(slot) + b"\x55"


def write_memory(data: bytes) -> bytes:
    """Memory from 0 has the data, padded to words."""
    words = [data[start : start + 32].ljust(32, b"\0") for start in range(0, len(data), 32)]
    return b"".join(push(word) + push(32 * index) + b"\x52" for index, word in enumerate(words))


def deploying(runtime: bytes) -> bytes:
    """Init code that returns short code."""
    return write_memory(runtime) + push(len(runtime)) + push(0) + b"\xf3"


# KECCAK256 of 10,000 bytes: uses gas up faster than the specification uses time.
BURN = push(10_000) + push(0) + b"\x20\x50"
SELF_DESTRUCTING = b"\x33\xff"
COUNTING = push(0) + b"\x54" + push(1) + b"\x01" + store_top(0) + b"\x00"
INIT_CODES = [
    b"",
    b"\x00",
    deploying(b"\x00"),
    deploying(COUNTING),
    deploying(SELF_DESTRUCTING),
    # Stores, then deploys; stores, then destroys itself for the caller, for itself, for nobody.
    push(7) + store_top(0) + deploying(COUNTING),
    push(7) + store_top(0) + SELF_DESTRUCTING,
    push(7) + store_top(0) + b"\x30\xff",
    push(NOBODY) + b"\xff",
    # Reverts with data, is invalid, deploys what EIP-3541 forbids, deploys more than EIP-170 allows, runs out of gas.
    push(7) + store_top(0) + push(32) + push(0) + b"\xfd",
    b"\xfe",
    deploying(b"\xef\x01\x00"),
    push(0x6001) + push(0) + b"\xf3",
    push(0x6000) + push(0) + b"\xf3",
    b"\x5b" + BURN + push(0) + b"\x56",
    # Creates in its turn.
    write_memory(b"\x33\xff") + push(2) + push(0) + push(0) + b"\xf0" + store_top(1) + deploying(COUNTING),
]
SALTS = [0, 1]
CREATED = [created_address(contract, nonce) for contract in CONTRACTS for nonce in (1, 2)] + [
    created2_address(contract, 0, INIT_CODES[index]) for contract in CONTRACTS for index in (3, 4, 6)
]
DEPLOYED_BY_KEYS = [created_address(key.address, nonce) for key in KEYS[:3] for nonce in (0, 1)]
ADDRESSES = (
    CONTRACTS * 3 + [key.address for key in KEYS] + CREATED + DEPLOYED_BY_KEYS + [NOBODY, COINBASE, PAUPER.address]
    + PRECOMPILES[:4] + [PRECOMPILES[-1]]
)  # fmt: skip

# Inputs that precompiles accept, and inputs that they don't.
ECRECOVER_DIGEST = bytes(keccak256(b"message"))
_parity, _r, _s = KEYS[0].sign(ECRECOVER_DIGEST)
PRECOMPILE_INPUTS = {
    1: [ECRECOVER_DIGEST + word(27 + _parity) + word(_r) + word(_s), ECRECOVER_DIGEST + word(29) + word(_r) + word(_s)],
    2: [b"", b"abc" * 30],
    3: [b"", b"abc" * 30],
    4: [b"", bytes(range(100))],
    5: [
        word(1) + word(1) + word(1) + b"\x03\x05\x07",
        word(32) + word(32) + word(32) + b"\x05" * 96,
        word(0) + word(0) + word(0),
        word(1) + word(33) + word(1) + b"\x03" + b"\xff" * 33 + b"\x07",
        word(1025) + word(1) + word(1),
        b"\xff" * 96,
    ],
    6: [word(1) + word(2) + word(1) + word(2), b"", word(1) + word(1)],
    7: [word(1) + word(2) + word(9), word(1) + word(1) + word(9)],
    8: [b"", b"\0" * 192, b"\1" * 192, b"\0" * 191],
    9: [
        (3).to_bytes(4, "big") + bytes(range(64)) + bytes(128) + (3).to_bytes(8, "little") + bytes(8) + b"\x01",
        bytes(212) + b"\x02",
        b"short",
    ],
    10: [b"\0" * 192, b"short"],
    11: [bytes(256), bytes(255), bytes(63) + b"\1" + bytes(192)],
    12: [bytes(160), b""],
    13: [bytes(512), bytes(1)],
    14: [bytes(288), b""],
    15: [bytes(384), b""],
    16: [bytes(63) + b"\x05", bytes(65)],
    17: [bytes(128), b"\xff" * 128],
    0x100: [bytes(160), b"short"],
}


def read_vectors() -> dict[int, list[bytes]]:
    """Inputs by the precompile's number: those that it accepts first."""
    inputs: dict[int, list[tuple[bool, bytes]]] = {}
    for line in VECTORS.read_text().splitlines():
        if not line.startswith("#"):
            number, data, output = line.split(" ")
            inputs.setdefault(int(number, 16), []).append((output == "-", bytes.fromhex(data[2:])))
    return {number: [data for _, data in sorted(entries, key=lambda e: e[0])] for number, entries in inputs.items()}


PRECOMPILE_VECTORS = read_vectors()
# Of the valid ones those that the specification computes quickly.
for _number in (0x01, 0x06, 0x07, 0x0B, 0x0D, 0x10, 0x11, 0x100):
    PRECOMPILE_INPUTS[_number] += PRECOMPILE_VECTORS[_number][:3]
# Logs what the precompile answers to the calldata: success as topic, what was returned as data.
REPORTING = {
    number: b"\x36\x5f\x5f\x37\x5f\x5f\x36\x5f" + push(number) + b"\x5a\xfa\x3d\x5f\x5f\x3e\x3d\x5f\xa1"
    for number in PRECOMPILE_VECTORS
}

ENVIRONMENT_OPCODES = [0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3A, 0x3D, *range(0x41, 0x49), 0x4A, 0x58, 0x59, 0x5A]

slots = st.integers(0, 5)
small_values = st.sampled_from([0, 0, 1, 2, 3, 2**255 + 7])
numbers = st.sampled_from([0, 1, 2, 3, 31, 32, 255, 256, 2**31, 2**64, 2**128 + 1, 2**255, 2**256 - 2, 2**256 - 1])
addresses = st.sampled_from(ADDRESSES)
targets = st.one_of(st.sampled_from(CONTRACTS), st.sampled_from(CONTRACTS), addresses)
gas_amounts = st.sampled_from([0, 100, 2300, 5000, 30_000, 200_000, 2**40])


@st.composite
def call(draw: st.DrawFn) -> bytes:
    """CALL, CALLCODE, DELEGATECALL or STATICCALL; stores success, size of what was returned and the gas left."""
    kind = draw(st.sampled_from([0xF1, 0xF1, 0xF1, 0xF2, 0xF4, 0xFA]))
    value = push(draw(st.sampled_from([0, 0, 1, 1000, 100 * ETHER]))) if kind in (0xF1, 0xF2) else b""
    segment = draw(st.integers(0, 4))
    slot = draw(slots)
    return (
        push(segment) + push(0) + b"\x52"
        + push(32) + push(64) + push(32) + push(0) + value + push(draw(addresses)) + push(draw(gas_amounts))
        + bytes([kind]) + store_top(slot) + b"\x3d" + store_top(slot + 10) + b"\x5a" + store_top(20)
        + push(64) + b"\x51" + store_top(21)
    )  # fmt: skip


@st.composite
def call_precompile(draw: st.DrawFn) -> bytes:
    number = draw(st.sampled_from(sorted(PRECOMPILE_INPUTS)))
    data = draw(st.sampled_from(PRECOMPILE_INPUTS[number]))
    gas = draw(st.sampled_from([2**40, 2**40, 3000, 100]))
    target = number.to_bytes(20, "big")
    return (
        write_memory(data) + push(64) + push(1024) + push(len(data)) + push(0) + push(target) + push(gas) + b"\xfa"
        + store_top(30) + b"\x3d" + store_top(31) + push(1024) + b"\x51" + store_top(32) + b"\x5a" + store_top(33)
    )  # fmt: skip


@st.composite
def create(draw: st.DrawFn) -> bytes:
    """CREATE or CREATE2; stores the address; then perhaps calls what was created."""
    init_code = draw(st.sampled_from(INIT_CODES))
    salt = draw(st.sampled_from([None, None, *SALTS]))
    value = draw(st.sampled_from([0, 0, 1, 100 * ETHER]))
    code = write_memory(init_code)
    if salt is not None:
        code += push(salt)
    code += push(len(init_code)) + push(0) + push(value) + (b"\xf0" if salt is None else b"\xf5")
    code += b"\x80" + store_top(draw(slots)) + b"\x3d" + store_top(22)
    if draw(st.booleans()):
        # CALL(gas, address, 5 wei) of what was created.
        code += push(0) * 4 + push(5) + b"\x85" + b"\x5a\xf1" + store_top(23)
    return code + b"\x50" + b"\x5a" + store_top(24)


@st.composite
def look_up(draw: st.DrawFn) -> bytes:
    """What is known about an account, a block or the transaction."""
    slot = draw(slots)
    kind = draw(st.integers(0, 4))
    match kind:
        case 0:
            opcode = draw(st.sampled_from([0x31, 0x3B, 0x3F]))
            return push(draw(addresses)) + bytes([opcode]) + store_top(slot)
        case 1:
            # EXTCODECOPY past the end.
            return push(64) + push(3) + push(0) + push(draw(addresses)) + b"\x3c" + push(0) + b"\x51" + store_top(slot)
        case 2:
            return push(draw(st.sampled_from([0, 1, 2, 3, 256, 2**64]))) + b"\x40" + store_top(slot)
        case 3:
            return push(draw(st.sampled_from([0, 1]))) + b"\x49" + store_top(slot)
        case _:
            return bytes([draw(st.sampled_from(ENVIRONMENT_OPCODES))]) + store_top(slot)


@st.composite
def storage(draw: st.DrawFn) -> bytes:
    """SSTORE, SLOAD, TSTORE, TLOAD."""
    slot, value = draw(slots), draw(small_values)
    match draw(st.integers(0, 3)):
        case 0 | 1:
            return push(value) + store_top(slot)
        case 2:
            return push(slot) + b"\x54" + store_top(slot + 10)
        case _:
            return push(slot) + b"\x5c" + store_top(slot + 10) + push(value) + push(slot) + b"\x5d"


@st.composite
def memory(draw: st.DrawFn) -> bytes:
    offset = draw(st.sampled_from([0, 1, 31, 500, 10_000]))
    size = draw(st.sampled_from([0, 1, 32, 33, 200]))
    match draw(st.integers(0, 4)):
        case 0:
            return push(size) + push(offset) + b"\x20" + store_top(3)
        case 1:
            return push(size) + push(offset) + push(draw(st.sampled_from([0, 40]))) + b"\x5e"
        case 2:
            # CALLDATACOPY and CODECOPY.
            return push(size) + push(offset) + push(0) + draw(st.sampled_from([b"\x37", b"\x39"]))
        case 3:
            # RETURNDATACOPY, which halts when it reads past the end.
            return push(draw(st.sampled_from([0, 0, 32]))) + push(0) + push(0) + b"\x3e"
        case _:
            return push(0xAB) + push(offset) + b"\x53" + b"\x59" + store_top(4)


@st.composite
def arithmetic(draw: st.DrawFn) -> bytes:
    opcode = draw(st.sampled_from([*range(0x01, 0x0C), *range(0x10, 0x1F)]))
    count = {0x08: 3, 0x09: 3, 0x15: 1, 0x19: 1, 0x1E: 1}.get(opcode, 2)
    return b"".join(push(draw(numbers)) for _ in range(count)) + bytes([opcode]) + store_top(draw(slots) + 40)


@st.composite
def log(draw: st.DrawFn) -> bytes:
    topics = draw(st.integers(0, 4))
    size = draw(st.sampled_from([0, 1, 32, 100]))
    return b"".join(push(draw(numbers)) for _ in range(topics)) + push(size) + push(0) + bytes([0xA0 + topics])


@st.composite
def ending(draw: st.DrawFn) -> bytes:
    """STOP, RETURN, REVERT, INVALID, SELFDESTRUCT, a jump to nowhere, an endless loop, an empty stack."""
    match draw(st.integers(0, 9)):
        case 0 | 1 | 2 | 3:
            return b"\x00"
        case 4:
            return push(draw(addresses)) + b"\xff"
        case 5:
            return push(32) + push(0) + b"\xfd"
        case 6:
            return push(32) + push(0) + b"\xf3"
        case 7:
            return draw(st.sampled_from([b"\xfe", b"\x0c", b"\x50", push(1) + b"\x56"]))
        case 8:
            # PC; JUMPDEST; ...; DUP1; PUSH1 1; ADD; JUMP: back to the JUMPDEST until gas is used up.
            return b"\x58\x5b" + BURN + b"\x80" + push(1) + b"\x01\x56"
        case _:
            return b"\x30\xff"


piece = st.one_of(
    storage(), storage(), call(), call(), create(), look_up(), log(), memory(), arithmetic(), call_precompile()
)
segment = st.tuples(st.lists(piece, min_size=2, max_size=6), ending()).map(lambda parts: b"".join(parts[0]) + parts[1])


def dispatching(segments: list[bytes]) -> bytes:
    """Runs the segment that the first word of the calldata names."""
    header = 9 * len(segments) + 1
    table, body = b"", b""
    for index, code in enumerate(segments):
        position = header + len(body)
        # CALLDATALOAD(0) == index ? JUMP position
        table += b"\x5f\x35" + b"\x60" + bytes([index]) + b"\x14" + b"\x61" + position.to_bytes(2, "big") + b"\x57"
        body += b"\x5b" + code
    return table + b"\x00" + body


@st.composite
def genesis_accounts(draw: st.DrawFn) -> list[GenesisAccount]:
    accounts = [GenesisAccount(address=key.address, balance=10 * ETHER) for key in KEYS]
    # One player is delegated from the start, one has storage from a delegation that is over.
    accounts[3] = GenesisAccount(
        address=KEYS[3].address, nonce=3, balance=ETHER, code=b"\xef\x01\x00" + CONTRACTS[0], storage={1: 1}
    )
    accounts[4] = GenesisAccount(address=KEYS[4].address, nonce=2, balance=ETHER, storage={1: 5, 2: 6})
    for contract in CONTRACTS:
        segments = draw(st.lists(segment, min_size=4, max_size=5))
        storage = draw(st.dictionaries(slots, st.sampled_from([1, 2, 2**200]), max_size=4))
        balance = draw(st.sampled_from([0, 5, ETHER]))
        accounts.append(
            GenesisAccount(address=contract, nonce=1, balance=balance, code=dispatching(segments), storage=storage)
        )
    # Money at addresses where contracts will be created.
    accounts += [GenesisAccount(address=address, balance=7) for address in (CREATED[0], DEPLOYED_BY_KEYS[0])]
    return accounts


access_lists = st.lists(st.tuples(addresses, st.lists(slots, max_size=3).map(tuple)), max_size=3).map(tuple)


# Fields that make a transaction invalid, or nearly so.
ODDITIES: list[dict[str, object]] = [
    {"nonce_offset": 1},
    {"nonce_offset": -1},
    {"wrong_chain": True},
    {"fault": "high s"},
    {"fault": "zero r"},
    {"fault": "large s"},
    {"value": 11 * ETHER},
    {"gas": 16_777_217},
    {"gas": 16_777_216, "to": NOBODY},
    {"gas": 20_999},
    {"gas": 21_000},
    {"gas": 21_032},
    {"gas": 53_000},
    {"price": 10**13, "priority": 10**13},
    {"price": 1, "priority": 2},
    {"price": 0, "priority": 0, "gas": 0},
    {"data": b"\x01" * 600, "gas": 40_000},
    {"data": b"\x01" * 600, "gas": 45_000},
    {"to": b"", "data": b"\x00" * 49_152, "gas": 2_500_000},
    {"to": b"", "data": b"\x00" * 49_153, "gas": 2_500_000},
    {"sender": PAUPER},
    {"sender": PAUPER, "value": 1},
    {"delegations": ()},
]


DELEGATION_TARGETS = [
    *CONTRACTS, *CONTRACTS, bytes(20), NOBODY, PRECOMPILES[1], KEYS[0].address, KEYS[3].address,
]  # fmt: skip


@st.composite
def delegations(draw: st.DrawFn) -> tuple[Delegation, ...]:
    one = st.builds(
        Delegation,
        authority=st.sampled_from([*KEYS, PAUPER]),
        target=st.sampled_from(DELEGATION_TARGETS),
        nonce_offset=st.sampled_from([0, 0, 0, 1]),
        chain_id=st.sampled_from([None, None, 0, 7]),
        fault=st.sampled_from(["", "", "", "high s", "zero r", "other"]),
    )
    return tuple(draw(st.lists(one, min_size=1, max_size=3)))


@st.composite
def transactions(draw: st.DrawFn) -> TransactionRequest:
    kind = draw(st.sampled_from([0, 1, 2, 2, 4]))
    fields: dict[str, object] = {
        "sender": draw(st.sampled_from(KEYS)),
        "kind": kind,
        # The specification executes about a million gas in a second.
        "gas": draw(st.sampled_from([400_000, 200_000, 200_000, 100_000, 60_000])),
        "value": draw(st.sampled_from([0, 0, 0, 1, 1000])),
    }
    if kind != 4 and draw(st.integers(0, 5)) == 0:
        fields |= {"to": b"", "data": draw(st.sampled_from(INIT_CODES))}
    else:
        trailing = draw(st.sampled_from([b"", b"", b"\x00" * 70, b"\x01" * 70]))
        fields |= {"to": draw(targets), "data": draw(st.integers(0, 4)).to_bytes(32, "big") + trailing}
    price = draw(st.sampled_from([0, 0, 0, 1, 10**9]))
    fields |= {"price": price, "priority": draw(st.sampled_from([0, price]))}
    if kind:
        fields["access_list"] = draw(access_lists)
    if kind == 4:
        fields["delegations"] = draw(delegations())
    if draw(st.integers(0, 5)) == 0:
        fields |= draw(st.sampled_from(ODDITIES))
        if kind != 4:
            fields.pop("delegations", None)
    return TransactionRequest(**fields)  # type: ignore[arg-type]


blocks = st.lists(st.lists(transactions(), min_size=6, max_size=12), min_size=2, max_size=3)
