"""The methods that Python serves: one registration gives dispatch, parameter checks and the OpenRPC document.

A method is a function with annotated parameters and result (types of `exclave.rpc.values`, pydantic models, ordinary
types); its docstring's first line is its summary. Names are snake_case in Python and camelCase in JSON.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

import structlog
from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from exclave.rpc.errors import InternalError, InvalidParams, MethodNotFound, RpcError

log = structlog.get_logger(__name__)

Handler = TypeVar("Handler", bound=Callable[..., Any])

OPENRPC_VERSION = "1.3.2"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method."""

    name: str
    keyword: str
    adapter: TypeAdapter[Any]
    required: bool
    default: Any


@dataclass(frozen=True, slots=True)
class Method:
    """A registered method."""

    name: str
    handler: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    result: TypeAdapter[Any]
    errors: tuple[type[RpcError], ...]

    @property
    def summary(self) -> str:
        return (inspect.getdoc(self.handler) or "").split("\n", 1)[0]

    @property
    def description(self) -> str:
        return inspect.getdoc(self.handler) or ""


class Registry:
    """Methods by name."""

    def __init__(self, title: str, version: str) -> None:
        self._title = title
        self._version = version
        self._methods: dict[str, Method] = {}
        self.register("rpc.discover", self._discover)

    def register(self, name: str, handler: Callable[..., Any], *errors: type[RpcError]) -> None:
        """Serve `handler` as `name`. `errors`: what it may raise besides invalid parameters, for the document."""
        if name in self._methods:
            raise ValueError(f"{name} is registered twice")
        hints = get_type_hints(handler, include_extras=True)
        parameters = tuple(
            Parameter(
                name=to_camel(keyword),
                keyword=keyword,
                adapter=TypeAdapter(hints[keyword]),
                required=parameter.default is inspect.Parameter.empty,
                default=parameter.default,
            )
            for keyword, parameter in inspect.signature(handler).parameters.items()
        )
        self._methods[name] = Method(name, handler, parameters, TypeAdapter(hints["return"]), errors)

    @property
    def names(self) -> list[str]:
        """All method names, sorted."""
        return sorted(self._methods)

    def dispatch(self, name: str, params_json: str) -> str:
        """Run a method with parameters by position (array) or by name (object); returns the result as JSON.

        Raises `RpcError`; anything unforeseen is logged and becomes `InternalError` without its text.
        """
        method = self._methods.get(name)
        if method is None:
            raise MethodNotFound(f"the method {name} does not exist")
        arguments = _arguments(method, params_json)
        try:
            result = method.handler(**arguments)
            return method.result.dump_json(result, by_alias=True).decode()
        except RpcError:
            raise
        except Exception as error:
            log.exception("rpc method failed", method=name)
            raise InternalError("internal error: the node's log has the details") from error

    def _discover(self) -> dict[str, Any]:
        """This document: the methods with their parameters, results and errors (OpenRPC)."""
        return self.openrpc()

    def openrpc(self) -> dict[str, Any]:
        """The OpenRPC document of all registered methods."""
        inputs = [((m.name, p.name), "validation", p.adapter) for m in self._methods.values() for p in m.parameters]
        outputs = [((m.name, ""), "serialization", m.result) for m in self._methods.values()]
        schemas, definitions = TypeAdapter.json_schemas(
            [*inputs, *outputs],  # type: ignore[list-item]
            by_alias=True,
            ref_template="#/components/schemas/{model}",
        )
        methods = []
        for name in self.names:
            method = self._methods[name]
            described: dict[str, Any] = {
                "name": name,
                "summary": method.summary,
                "description": method.description,
                "paramStructure": "either",
                "params": [
                    {
                        "name": parameter.name,
                        "required": parameter.required,
                        "schema": _without_default(schemas[(name, parameter.name), "validation"]),
                    }
                    for parameter in method.parameters
                ],
                "result": {"name": "result", "schema": schemas[(name, ""), "serialization"]},
            }
            if method.errors:
                described["errors"] = [{"code": error.code, "message": error.title} for error in method.errors]
            methods.append(described)
        return {
            "openrpc": OPENRPC_VERSION,
            "info": {
                "title": self._title,
                "version": self._version,
                "description": "The coprocessor's own methods. Sessions serve Ethereum's JSON-RPC at /session/<id>.",
                "license": {"name": "Apache-2.0"},
            },
            "methods": methods,
            "components": {"schemas": definitions.get("$defs", {})},
        }


def _without_default(schema: Any) -> Any:
    return {key: value for key, value in schema.items() if key != "default"}


def _arguments(method: Method, params_json: str) -> dict[str, Any]:
    try:
        # Not the standard library's: its depth is bounded by the recursion limit, which imports raise beyond the stack.
        params = from_json(params_json) if params_json else []
    except ValueError as error:
        raise InvalidParams(f"the parameters are not JSON: {str(error)[:100]}") from error
    if params is None:
        params = []
    if isinstance(params, list):
        if len(params) > len(method.parameters):
            raise InvalidParams(f"{method.name} takes at most {len(method.parameters)} parameters, not {len(params)}")
        given = {parameter.name: value for parameter, value in zip(method.parameters, params, strict=False)}
    elif isinstance(params, dict):
        given = params
        unknown = set(given) - {parameter.name for parameter in method.parameters}
        if unknown:
            raise InvalidParams(f"{method.name} has no parameter {sorted(map(str, unknown))[0][:50]!r}")
    else:
        raise InvalidParams("the parameters must be an array or an object")
    arguments = {}
    for parameter in method.parameters:
        # null stands for an optional parameter that is left out, as clients write it in arrays
        if given.get(parameter.name) is None:
            if parameter.required:
                raise InvalidParams(f"missing parameter {parameter.name!r}")
            arguments[parameter.keyword] = parameter.default
            continue
        try:
            arguments[parameter.keyword] = parameter.adapter.validate_python(given[parameter.name])
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            path = ".".join([parameter.name, *map(str, first["loc"])])
            raise InvalidParams(f"invalid parameter {path}: {first['msg'].removeprefix('Value error, ')}") from error
    return arguments
