"""The four modes, who is asked last to give something up, and what a mode can hold for.

A scope names a part of the traffic: all of it, an organisation, a team, an agent, a provider or a
model. A call lies in up to six of them, and the most specific is named first here.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, TypeAlias

GLOBAL = "global"
LONGEST_NAME = 120

ScopeKind: TypeAlias = Literal["agent", "team", "org", "model", "provider", "global"]
KINDS: tuple[ScopeKind, ...] = ("agent", "team", "org", "model", "provider", "global")
"""The most specific first: of several pins that apply to a call, the first decides."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._:/-]*")
_PARTS = {"agent": 2, "team": 2, "org": 1}


class Mode(IntEnum):
    """How much is given up. The number is the value of the metric `current_mode`."""

    NORMAL = 0
    SOFT = 1
    HARD = 2
    EMERGENCY = 3

    @property
    def word(self) -> str:
        """The mode as people and policies write it: ``soft``."""
        return self.name.lower()


class Priority(IntEnum):
    """How late a call is touched. A caller may ask for less than its key grants, never for more."""

    BATCH = 0
    NORMAL = 1
    CRITICAL = 2

    @property
    def word(self) -> str:
        """The priority as headers and policies write it: ``batch``."""
        return self.name.lower()


MODES = {mode.word: mode for mode in Mode}
PRIORITIES = {priority.word: priority for priority in Priority}


@dataclass(frozen=True, slots=True)
class NoScope:
    """A text that names no scope, and what one looks like."""

    detail: str


def scope_of(text: str, default_org: str | None = None) -> str | NoScope:
    """The canonical form of a scope: ``team:search`` is completed with the default organisation."""
    text = text.strip().lower()
    if text == GLOBAL:
        return text
    kind, colon, name = text.partition(":")
    if not colon or kind not in KINDS:
        return NoScope(f"{text[:80]!r} is no scope: write global, or one of {_kinds()} and a name")
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        return NoScope(
            f"{text[:80]!r} is no scope: a name begins with a letter or digit, goes on with those "
            f"and . _ : / -, and has at most {LONGEST_NAME} characters"
        )
    parts = _PARTS.get(kind, 1)
    if kind in _PARTS and name.count("/") + 1 == parts - 1 and default_org is not None:
        name = f"{default_org}/{name}"
    if kind in _PARTS and name.count("/") + 1 != parts:
        form = "ORG/NAME" if parts > 1 else "NAME"
        return NoScope(f"{text[:80]!r} is no scope: write {kind}:{form}")
    return f"{kind}:{name}"


def kind_of(scope: str) -> ScopeKind:
    """The kind of a scope in canonical form."""
    kind = scope.partition(":")[0]
    return next(each for each in KINDS if each == kind)


def scopes_of_call(
    *, org: str, team: str, agent: str, provider: str | None, model: str | None
) -> tuple[str, ...]:
    """The scopes that a call lies in, in canonical form, the most specific first."""
    members = (f"agent:{org}/{agent}", f"team:{org}/{team}", f"org:{org}")
    return (*(each.lower() for each in members), *scopes_of_upstream(provider, model), GLOBAL)


def scopes_of_upstream(provider: str | None, model: str | None) -> tuple[str, ...]:
    """Those of a call's scopes that say who answers it."""
    model_scope = (f"model:{model.lower()}",) if model else ()
    provider_scope = (f"provider:{provider.lower()}",) if provider else ()
    return (*model_scope, *provider_scope)


def org_around(scope: str) -> str | None:
    """The organisation that a team or an agent belongs to; None for every other scope."""
    kind, _, name = scope.partition(":")
    return f"org:{name.partition('/')[0]}" if _PARTS.get(kind, 1) > 1 else None


def _kinds() -> str:
    return ", ".join(f"{kind}:" for kind in KINDS if kind != GLOBAL)
