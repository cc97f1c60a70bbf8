"""Marks around the stages of a call, put around the shipped code while a process starts.

The code itself has none: what is deployed is the same bundle, and off costs nothing because nothing
is there. This file is copied beside it, so it imports only what a bundle has. A stage's time is its
own, without that of stages inside it.
"""

import functools
import importlib
import inspect
import json
import os
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

WHOLE = "whole"
STAGES = {
    "read": ("common.gateway.incoming", "Incoming.body"),
    "identify": ("common.gateway.gateway", "Gateway._identify"),
    "parse": ("common.gateway.gateway", "Gateway._aimed"),
    "route": ("common.gateway.routing", "Routing.chain"),
    "brownout": ("common.gateway.forwarding", "Forwarding._treated"),
    "limits": ("common.gateway.rates", "RateLimits.admit"),
    "hold": ("common.gateway.forwarding", "Forwarding._held"),
    "send": ("common.gateway.sending", "Sender.send"),
    "first byte": ("common.adapters.upstream", "HttpUpstream.send"),
    "relay": ("common.gateway.gateway", "relay"),
    "account": ("common.gateway.gateway", "Gateway._account"),
}
"""Each with the function that is its time: from its call to the provider's first byte is `first
byte`, what is done of a request to send it is `send`."""

_CALL = ("common.gateway.gateway", "Gateway.__call__")


class Marks:
    """The stages of one call: nanoseconds of each, and those that are open."""

    def __init__(self, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self.spent: dict[str, int] = {}
        self._clock = clock
        self._open: list[str] = []
        self._since = 0

    def enter(self, stage: str) -> None:
        self._charge()
        self._open.append(stage)

    def leave(self) -> None:
        self._charge()
        self._open.pop()

    def _charge(self) -> None:
        """What passed since the last mark belongs to the innermost stage."""
        now = self._clock()
        if self._open:
            stage = self._open[-1]
            self.spent[stage] = self.spent.get(stage, 0) + now - self._since
        self._since = now


_marks: ContextVar[Marks | None] = ContextVar("marks", default=None)


def install(file: str) -> None:
    """Mark every stage from now on, and append a line for each call to this file.

    Raises:
        AttributeError: a stage's function is not where it was.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stage, place in STAGES.items():
        _replace(place, functools.partial(_marked, stage))
    _replace(_CALL, functools.partial(_whole, descriptor))


def _replace(place: tuple[str, str], around: Callable[[Any], Any]) -> None:
    module, path = place
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    setattr(owner, name, around(getattr(owner, name)))


def _marked(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*given: Any, **named: Any) -> Any:
            marks = _marks.get()
            if marks is None:
                return await function(*given, **named)
            marks.enter(stage)
            try:
                return await function(*given, **named)
            finally:
                marks.leave()

        return awaited

    @functools.wraps(function)
    def called(*given: Any, **named: Any) -> Any:
        marks = _marks.get()
        if marks is None:
            return function(*given, **named)
        marks.enter(stage)
        try:
            return function(*given, **named)
        finally:
            marks.leave()

    return called


def _whole(
    descriptor: int, function: Callable[..., Awaitable[None]]
) -> Callable[..., Awaitable[None]]:
    async def called(*given: Any) -> None:
        marks = Marks()
        _marks.set(marks)
        marks.enter(WHOLE)
        try:
            await function(*given)
        finally:
            marks.leave()
            os.write(descriptor, json.dumps(marks.spent).encode() + b"\n")

    return called
