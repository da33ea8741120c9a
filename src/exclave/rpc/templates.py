"""`zkcop_*` methods about templates, and the local sessions in which they are built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from exclave.rpc.errors import MethodNotSupported, ResourceNotFound
from exclave.rpc.registry import Registry
from exclave.rpc.values import Answer, Data, Hash32, Quantity, Uint63
from exclave.store import FIRST_LOCAL_SESSION, Session, SessionStatus, Store, Template


class TemplateAnswer(Answer):
    """A template: `templateId` commits to `stateRoot` and `dataHash`."""

    template_id: Hash32
    state_root: Hash32
    data_hash: Hash32
    data_bytes: Quantity


class TemplateFile(TemplateAnswer):
    """A template with its file (docs/protocol.md, section 2)."""

    data: Data


class LocalSessionAnswer(Answer):
    """A session of this node alone, unknown to L1."""

    session_id: Quantity
    chain_id: Quantity
    path: str
    url: str


class TemplateWorkshop(Protocol):
    """Builds templates in local sessions."""

    def base_template_id(self) -> bytes: ...
    def open_local_session(self, template_id: bytes) -> Session: ...
    def export(self, session_id: int) -> Template: ...


class TemplateMethods:
    """Reads of templates from the store; building them where the node allows it."""

    def __init__(self, store: Store, workshop: TemplateWorkshop | None, public_url: Callable[[], str]) -> None:
        """`workshop` is None where local sessions are disabled; `public_url` is that of `/`."""
        self._store = store
        self._workshop = workshop
        self._public_url = public_url

    def register(self, registry: Registry) -> None:
        registry.register("zkcop_listTemplates", self.list_templates)
        registry.register("zkcop_getTemplate", self.get_template, ResourceNotFound)
        registry.register("zkcop_openTemplateSession", self.open_template_session, ResourceNotFound, MethodNotSupported)
        registry.register("zkcop_exportTemplate", self.export_template, ResourceNotFound, MethodNotSupported)

    def list_templates(self) -> list[TemplateAnswer]:
        """The templates that this node has, oldest first."""
        found = [self._store.templates.get(template_id) for template_id in self._store.templates.ids()]
        return [TemplateAnswer(**_fields(template)) for template in found if template is not None]

    def get_template(self, template_id: Hash32) -> TemplateFile:
        """A template with its file: what a player needs to check a session from its first block on."""
        template = self._store.templates.get(template_id)
        if template is None:
            raise ResourceNotFound(f"no template 0x{template_id.hex()}")
        return TemplateFile(**_fields(template), data=template.data)

    def open_template_session(self, template_id: Hash32 | None = None) -> LocalSessionAnswer:
        """Open a session of this node alone, to deploy a game's contracts in it; from the base template by default."""
        workshop = self._enabled()
        session = workshop.open_local_session(template_id or workshop.base_template_id())
        path = f"/session/{session.session_id}"
        return LocalSessionAnswer(
            session_id=session.session_id,
            chain_id=session.chain_id,
            path=path,
            url=self._public_url().rstrip("/") + path,
        )

    def export_template(self, session_id: Uint63) -> TemplateFile:
        """Make a template of a local session's state, keep it in this node, and return its file."""
        workshop = self._enabled()
        session = self._store.sessions.get(session_id)
        if session is None or session_id < FIRST_LOCAL_SESSION or session.status is not SessionStatus.LOCAL:
            raise ResourceNotFound(f"{session_id} is not a local session: open one with zkcop_openTemplateSession")
        template = workshop.export(session_id)
        return TemplateFile(**_fields(template), data=template.data)

    def _enabled(self) -> TemplateWorkshop:
        if self._workshop is None:
            raise MethodNotSupported("local sessions are disabled: set node.local_sessions = true")
        return self._workshop


def _fields(template: Template) -> dict[str, Any]:
    return {
        "template_id": template.template_id,
        "state_root": template.state_root,
        "data_hash": template.data_hash,
        "data_bytes": len(template.data),
    }
