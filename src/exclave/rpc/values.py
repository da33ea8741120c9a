"""JSON forms of what `zkcop_*` methods take and give: hex quantities and hex data, as in Ethereum's JSON-RPC."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel


def _parse_quantity(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("a quantity is a hex string like 0x1f, or a non-negative integer")
    if isinstance(value, int):
        number = value
    else:
        digits = value[2:]
        if value[:2] != "0x" or not digits or not all(c in "0123456789abcdefABCDEF" for c in digits):
            raise ValueError("a quantity is a hex string like 0x1f, or a non-negative integer")
        if len(digits) > 64:
            raise ValueError("a quantity has at most 256 bits")
        number = int(digits, 16)
    if not 0 <= number < 1 << 256:
        raise ValueError("a quantity is non-negative and has at most 256 bits")
    return number


def _parse_data(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or value[:2] != "0x" or len(value) % 2:
        raise ValueError("data is a hex string like 0x00ff, of an even number of digits")
    try:
        return bytes.fromhex(value[2:])
    except ValueError as error:
        raise ValueError("data is a hex string like 0x00ff") from error


def _of_length(length: int) -> AfterValidator:
    def check(value: bytes) -> bytes:
        if len(value) != length:
            raise ValueError(f"must be {length} bytes")
        return value

    return AfterValidator(check)


def _below(bound: int) -> AfterValidator:
    def check(value: int) -> int:
        if value >= bound:
            raise ValueError(f"must be below {bound}")
        return value

    return AfterValidator(check)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _data_schema(title: str, digits: str) -> WithJsonSchema:
    return WithJsonSchema({"title": title, "type": "string", "pattern": f"^0x{digits}$"})


# Callers may write quantities as JSON integers too; answers are always hex.
Quantity = Annotated[
    int,
    BeforeValidator(_parse_quantity),
    PlainSerializer(hex, return_type=str),
    WithJsonSchema(
        {"title": "quantity", "type": "string", "pattern": "^0x(0|[1-9a-f][0-9a-f]*)$"}, mode="serialization"
    ),
    WithJsonSchema(
        {
            "title": "quantity",
            "oneOf": [
                {"type": "string", "pattern": "^0x[0-9a-fA-F]{1,64}$"},
                {"type": "integer", "minimum": 0},
            ],
        },
        mode="validation",
    ),
]
Uint63 = Annotated[Quantity, _below(1 << 63)]
Data = Annotated[
    bytes,
    BeforeValidator(_parse_data),
    PlainSerializer(_hex, return_type=str),
    _data_schema("data", "([0-9a-fA-F]{2})*"),
]
Hash32 = Annotated[
    bytes,
    BeforeValidator(_parse_data),
    _of_length(32),
    PlainSerializer(_hex, return_type=str),
    _data_schema("hash", "[0-9a-fA-F]{64}"),
]
Address = Annotated[
    bytes,
    BeforeValidator(_parse_data),
    _of_length(20),
    PlainSerializer(_hex, return_type=str),
    _data_schema("address", "[0-9a-fA-F]{40}"),
]


class Answer(BaseModel):
    """Base of the objects that methods return; fields are camelCase in JSON."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")
