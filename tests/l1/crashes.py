"""Kills the code under test at the effects that it has: each call to the store or to L1, just before or just after."""

from __future__ import annotations

import inspect
from typing import Any


class Killed(BaseException):
    """What kill -9 is to a process: nothing handles it."""


EFFECTS = frozenset(
    {"acquire", "add_attempt", "insert", "insert_gap_filler", "move", "release", "release_nonce", "renew", "send_raw"}
)


class Boundaries:
    """Counts the calls that go through its proxies and kills at one of them. Each call has two places: before and
    after its effect. Unless `reads` count, too: a kill at a read is one after the effect before it.
    """

    def __init__(self, kill_at: int | None, *, reads: bool) -> None:
        self.kill_at = kill_at
        self.places: list[str] = []
        self._reads = reads

    def _pass(self, place: str) -> None:
        self.places.append(place)
        if self.kill_at is not None and len(self.places) - 1 == self.kill_at:
            raise Killed(place)

    def around(self, target: Any) -> Any:
        boundaries = self

        class Proxy:
            def __getattr__(self, name: str) -> Any:
                attribute = getattr(target, name)
                if not callable(attribute) or not (boundaries._reads or name in EFFECTS):
                    return attribute
                if inspect.iscoroutinefunction(attribute):

                    async def call(*args: Any, **kwargs: Any) -> Any:
                        boundaries._pass(f"before {name}")
                        answer = await attribute(*args, **kwargs)
                        boundaries._pass(f"after {name}")
                        return answer

                    return call

                def call_now(*args: Any, **kwargs: Any) -> Any:
                    boundaries._pass(f"before {name}")
                    answer = attribute(*args, **kwargs)
                    boundaries._pass(f"after {name}")
                    return answer

                return call_now

        return Proxy()
