"""Dispatch, parameter checks and the OpenRPC document of the methods that Python serves."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exclave.rpc.errors import InternalError, InvalidParams, MethodNotFound, ResourceNotFound
from exclave.rpc.registry import Registry
from exclave.rpc.values import Address, Answer, Data, Hash32, Quantity, Uint63


class Thing(Answer):
    session_id: Quantity
    block_hash: Hash32 | None


def get_thing(session_id: Uint63, owner: Address | None = None) -> Thing:
    """One thing."""
    if session_id == 404:
        raise ResourceNotFound("no thing 404")
    if session_id == 500:
        raise RuntimeError("the secret is 1234")
    return Thing(session_id=session_id, block_hash=None if owner is None else owner + bytes(12))


def echo(data: Data) -> Data:
    """What it was given."""
    return data


@pytest.fixture
def registry() -> Registry:
    registry = Registry("Test", "1.0")
    registry.register("t_getThing", get_thing, ResourceNotFound)
    registry.register("t_echo", echo)
    return registry


def call(registry: Registry, method: str, params: object) -> Any:
    return json.loads(registry.dispatch(method, json.dumps(params)))


def test_parameters_by_position_and_by_name(registry: Registry) -> None:
    expected = {"sessionId": "0x7", "blockHash": None}
    assert call(registry, "t_getThing", ["0x7"]) == expected
    assert call(registry, "t_getThing", [7, None]) == expected
    assert call(registry, "t_getThing", {"sessionId": 7}) == expected
    with_owner = call(registry, "t_getThing", ["0x7", "0x" + "ab" * 20])
    assert with_owner["blockHash"] == "0x" + "ab" * 20 + "00" * 12


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], "missing parameter 'sessionId'"),
        ([None], "missing parameter 'sessionId'"),
        ([1, None, 3], "at most 2"),
        ({"sessionId": 1, "other": 2}, "no parameter 'other'"),
        (["7"], "hex string"),
        ([True], "hex string"),
        ([-1], "non-negative"),
        (["0x" + "f" * 65], "256 bits"),
        (["0x" + "f" * 17], "below"),
        ([1, "0x12"], "20 bytes"),
        ([1, "0xzz"], "hex string"),
        ("text", "array or an object"),
    ],
)
def test_bad_parameters_are_refused_with_the_reason(registry: Registry, params: object, message: str) -> None:
    with pytest.raises(InvalidParams, match=message) as caught:
        call(registry, "t_getThing", params)
    assert caught.value.code == -32602


def test_malformed_json_and_unknown_method(registry: Registry) -> None:
    with pytest.raises(InvalidParams, match="not JSON"):
        registry.dispatch("t_getThing", "[1,")
    with pytest.raises(InvalidParams, match="not JSON"):
        registry.dispatch("t_getThing", "[" * 100_000)
    with pytest.raises(MethodNotFound) as caught:
        registry.dispatch("t_missing", "[]")
    assert caught.value.code == -32601


def test_errors_keep_their_code_and_internal_ones_their_secrets(registry: Registry) -> None:
    with pytest.raises(ResourceNotFound) as missing:
        call(registry, "t_getThing", [404])
    assert missing.value.code == -32001
    with pytest.raises(InternalError) as internal:
        call(registry, "t_getThing", [500])
    assert internal.value.code == -32603
    assert "1234" not in internal.value.message


def test_openrpc_document(registry: Registry) -> None:
    document = call(registry, "rpc.discover", [])
    assert document["openrpc"] == "1.3.2"
    methods = {method["name"]: method for method in document["methods"]}
    assert sorted(methods) == ["rpc.discover", "t_echo", "t_getThing"]
    thing = methods["t_getThing"]
    assert thing["summary"] == "One thing."
    assert [(p["name"], p["required"]) for p in thing["params"]] == [("sessionId", True), ("owner", False)]
    assert thing["errors"] == [{"code": -32001, "message": "Resource not found"}]
    schema = {**thing["result"]["schema"], "components": document["components"]}
    jsonschema.validate(call(registry, "t_getThing", [7]), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"sessionId": 7, "blockHash": None}, schema)


def test_a_method_is_registered_once(registry: Registry) -> None:
    with pytest.raises(ValueError, match="twice"):
        registry.register("t_echo", echo)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=10), children, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_any_parameters_end_in_an_answer_or_a_typed_error(params: object) -> None:
    registry = Registry("Test", "1.0")
    registry.register("t_echo", echo)
    try:
        call(registry, "t_echo", params)
    except InvalidParams as error:
        assert error.message
