"""Datadog's webhook: what a body says, in the words of signals. Pure; nothing is fetched here.

The body is a template that somebody filled into a form, so it may come in the form that the module
for Datadog sets up, in Datadog's own default form, or broken where a value holds a quote. Read is
what each of them has, by name. Free texts (title, message) are searched for the few words they
always begin with or link to, and never kept.

The variables: https://docs.datadoghq.com/integrations/webhooks/#variables. One that Datadog does
not know arrives as its own name, ``$NAME``; one without a value as ``null`` or nothing.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from common.brownout.modes import GLOBAL, MODES, Mode, NoScope, scope_of
from common.brownout.policy import Meaning
from common.brownout.receiving import Deed, Received
from common.brownout.signals import Signal, observed

FIELDS = (
    "id",
    "cycle",
    "monitor",
    "transition",
    "type",
    "priority",
    "scope",
    "tags",
    "date",
    "updated",
    "org",
    "link",
    "aggreg",
)
"""Of the payload that the module sets up, apart from its version."""

NEEDED = ("id", "monitor", "transition")
SEARCHED = ("id", "monitor", "transition", "tags", "updated")
"""What a body that is no JSON must show: enough to be sure of what is meant."""

MOST_SCOPES = 200
"""Of one event."""

_LONGEST_KEPT = 300
_LONGEST_ID = 200
_LONGEST_LINK = 500
_LONGEST_GROUP = 500

_Transition: TypeAlias = Literal["raise", "warn", "renew", "end", "keep"]
TRANSITIONS: Mapping[str, _Transition] = MappingProxyType(
    {
        "triggered": "raise",
        "re-triggered": "raise",
        "warn": "warn",
        "re-warn": "warn",
        "renotify": "renew",
        "recovered": "end",
        "no data": "keep",
        "re-no data": "keep",
    }
)
"""What each asks for. Of any other nobody knows what it means, so it has no effect."""

_LEVEL_TAG = "brownout:"
_SCOPE_TAG = "brownout_scope:"
_NO_VALUE = re.compile(r"((?i:null)|\$[A-Z][A-Z0-9_]*)?")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_TITLE = re.compile(r"\s*\[([A-Za-z -]{1,20}?)(?: on \{([^}]{0,2000})\})?\]")
_MONITOR_LINK = re.compile(r"/monitors[/#](\d{1,20})")
_PAIR = re.compile(r'"([a-z]{2,10})"\s*:\s*(?:"((?:[^"\\\n]|\\.){0,20000})"|(-?\d{1,30}))')
_EPOCH = re.compile(r"\d{9,14}")
_FIRST_IN_MILLISECONDS = 100_000_000_000


@dataclass(frozen=True, slots=True)
class Understood:
    """An event to be taken. `fields` is what may be kept of it, `notes` what was wrong with it."""

    received: Received
    fields: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that is understood and means nothing here, for this reason."""

    reason: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body that lacks these fields, or in which they cannot be found."""

    missing: tuple[str, ...]
    fields: Mapping[str, str]


def read_webhook(
    body: bytes,
    *,
    received_at: datetime,
    default_org: str | None,
    monitors: Mapping[str, Meaning],
) -> Understood | Ignored | Unreadable:
    """What a webhook's body says. Never raises.

    Args:
        body: as it came.
        received_at: when it came: what the event's own time is held against.
        default_org: completes scopes of teams and agents that name no organisation.
        monitors: what alerts of certain monitors mean, whatever their tags say, under
            ``monitor:ID``.
    """
    fields, notes, needed = _fields(body)
    shown = {name: text[:_LONGEST_KEPT] for name, text in fields.items()}
    missing = tuple(name for name in needed if name not in fields)
    if missing:
        return Unreadable(missing, shown)
    transition = " ".join(fields["transition"].lower().split())
    asked = TRANSITIONS.get(transition)
    if asked is None:
        return Ignored(f"the transition {transition[:40]!r} means nothing here", shown)
    deed: Deed = "raise" if asked == "warn" else asked
    if deed == "keep":
        received = Received("datadog", _event_id(fields), deed, ())
        return Understood(received, shown, notes)
    monitor = fields["monitor"][:_LONGEST_ID]
    meaning = monitors.get(f"monitor:{monitor}")
    tags = [tag.strip().lower() for tag in fields.get("tags", "").split(",")]
    level = _level(tags) if meaning is None or meaning.level is None else meaning.level
    if isinstance(level, str):
        return Ignored(level, shown)
    if asked == "warn" or (asked == "renew" and fields.get("type", "").lower() == "warning"):
        level = Mode(max(level - 1, Mode.SOFT))
    scopes, unknown = _scopes(tags, default_org)
    if meaning is not None and meaning.scope is not None:
        scopes, unknown = (meaning.scope,), ()
    if not scopes:
        return Ignored(unknown[0], shown)
    signals = tuple(
        Signal(
            source="datadog",
            monitor=monitor,
            group=_group(fields.get("scope", "")),
            scope=scope,
            level=level,
            observed_at=observed(_time(fields), received_at),
            received_at=received_at,
            lease_until=received_at,
            link=_link(fields.get("link", "")),
        )
        for scope in scopes
    )
    received = Received("datadog", _event_id(fields), deed, signals)
    return Understood(received, shown, (*notes, *unknown))


def _fields(body: bytes) -> tuple[dict[str, str], tuple[str, ...], Sequence[str]]:
    """What the body has of `FIELDS`, what is wrong with it, and what it must have."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return _found_by_pattern(body), ("the body is no JSON: fields were searched for",), SEARCHED
    if not isinstance(data, dict):
        return {}, (), NEEDED
    fields = {name: text for name in FIELDS if (text := _text(data.get(name))) is not None}
    for name, text in _default_form(data).items():
        if text is not None:
            fields.setdefault(name, text)
    return fields, (), NEEDED


def _default_form(data: Mapping[str, Any]) -> dict[str, str | None]:
    """What Datadog's own form says: its title begins with the transition, its text links to it."""
    org = data.get("org")
    title = _TITLE.match(_text(data.get("title")) or "")
    link = _MONITOR_LINK.search(_text(data.get("body")) or "")
    return {
        "updated": _text(data.get("last_updated")),
        "org": _text(org.get("id")) if isinstance(org, dict) else None,
        "transition": _text(title[1]) if title else None,
        "scope": _text(title[2]) if title else None,
        "monitor": link[1] if link else None,
    }


def _found_by_pattern(body: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, quoted, number in _PAIR.findall(body.decode("utf-8", "replace")):
        text = _text(quoted or number)
        if name in FIELDS and text is not None:
            fields.setdefault(name, text)
    return fields


def _text(value: Any) -> str | None:
    """A value as text without what no store or log takes, None where there is none."""
    if isinstance(value, list):
        parts = [text for each in value if isinstance(each, str | int) and (text := _text(each))]
        return ",".join(parts) or None
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    text = _UNPRINTABLE.sub(" ", value).strip()
    return None if _NO_VALUE.fullmatch(text) else text


def _event_id(fields: Mapping[str, str]) -> str:
    return _bounded(fields["id"], _LONGEST_ID)


def _group(scope: str) -> str:
    """The tags that tell the alerts of one monitor apart, in one order."""
    tags = sorted({tag.strip() for tag in scope.split(",") if tag.strip()})
    return _bounded(",".join(tags), _LONGEST_GROUP)


def _bounded(text: str, longest: int) -> str:
    """The text, or so much of it and its digest: two long ones with one beginning stay two."""
    if len(text) <= longest:
        return text
    digest = sha256(text.encode()).hexdigest()[:32]
    return f"{text[: longest - len(digest) - 1]}~{digest}"


def _level(tags: Iterable[str]) -> Mode | str:
    """The level that the tags name, the highest of several; or why there is none."""
    named = [tag.removeprefix(_LEVEL_TAG) for tag in tags if tag.startswith(_LEVEL_TAG)]
    levels = [MODES[word] for word in named if MODES.get(word, Mode.NORMAL) > Mode.NORMAL]
    if levels:
        return max(levels)
    if named:
        return f"{_LEVEL_TAG}{named[0][:40]} is no level: write soft, hard or emergency"
    return f"no level: tag the monitor {_LEVEL_TAG}soft, hard or emergency, or name it in a policy"


def _scopes(
    tags: Iterable[str], default_org: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The scopes that the tags name, each once, and what is wrong with the others."""
    named = [tag.removeprefix(_SCOPE_TAG) for tag in tags if tag.startswith(_SCOPE_TAG)]
    read = [scope_of(text, default_org) for text in named]
    scopes = tuple(dict.fromkeys(scope for scope in read if isinstance(scope, str)))
    wrong = [scope.detail for scope in read if isinstance(scope, NoScope)][:3]
    if len(scopes) > MOST_SCOPES:
        wrong.append(f"{len(scopes)} scopes: the first {MOST_SCOPES} count")
    return (scopes[:MOST_SCOPES] if named else (GLOBAL,)), tuple(wrong)


def _time(fields: Mapping[str, str]) -> datetime | None:
    """When it happened, in seconds or milliseconds since 1970; None where nobody says it."""
    for text in (fields.get("updated", ""), fields.get("date", "")):
        if _EPOCH.fullmatch(text):
            epoch = int(text)
            seconds = epoch / 1000 if epoch >= _FIRST_IN_MILLISECONDS else epoch
            return datetime.fromtimestamp(seconds, UTC)
    return None


def _link(text: str) -> str | None:
    fits = len(text) <= _LONGEST_LINK and text.isprintable() and " " not in text
    return text if fits and text.startswith("https://") else None
