"""Datadog's webhook: what a body says, in the words of signals. Pure; nothing is fetched here.

The body is a template that somebody filled into a form, so it may come in the form that the module
for Datadog sets up, in Datadog's own default form, or broken where a value holds a quote. Read is
what each of them has, by name. Free texts (title, message) are searched for the few words they
always begin with or link to, and never kept.

The variables: https://docs.datadoghq.com/integrations/webhooks/#variables. One that Datadog does
not know arrives as its own name, ``$NAME``; one without a value as ``null`` or nothing.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from common.adapters.alert_readings import (
    LONGEST_ID,
    LONGEST_KEPT,
    Ignored,
    Reading,
    Understood,
    Unreadable,
    bounded,
    link_of,
    moment_of,
    text_of,
)
from common.adapters.datadog_tags import (
    LEVEL_TAG,
    group_of,
    tagged_level,
    tagged_scopes,
    warning,
)
from common.brownout.blindness import blind
from common.brownout.modes import Mode
from common.brownout.policy import Meaning
from common.brownout.receiving import Alert, Received
from common.brownout.signals import Signal, observed
from common.core.brownout_events import BrownoutBlind

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

_ID_DIGITS = 24
_TITLE = re.compile(r"\s*\[([A-Za-z -]{1,20}?)(?: on \{([^}]{0,2000})\})?\]")
_MONITOR_LINK = re.compile(r"/monitors[/#](\d{1,20})")
_PAIR = re.compile(r'"([a-z]{2,10})"\s*:\s*(?:"((?:[^"\\\n]|\\.){0,20000})"|(-?\d{1,30}))')


def read_webhook(
    body: bytes,
    *,
    received_at: datetime,
    default_org: str | None,
    monitors: Mapping[str, Meaning],
) -> Reading:
    """What a webhook's body says, as every `Reader` does; `monitors` are named ``monitor:ID``."""
    fields, notes, needed = _fields(body)
    shown = {name: text[:LONGEST_KEPT] for name, text in fields.items()}
    missing = tuple(name for name in needed if name not in fields)
    if missing:
        return Unreadable(missing, shown)
    transition = " ".join(fields["transition"].lower().split())
    asked = TRANSITIONS.get(transition)
    if asked is None:
        return Ignored(f"the transition {transition[:40]!r} means nothing here", shown)
    tags = tuple(tag.strip().lower() for tag in fields.get("tags", "").split(","))
    monitor, group = fields["monitor"][:LONGEST_ID], group_of(fields.get("scope", ""))
    seen_at = _time(fields)
    post = _Post(
        fields=fields,
        shown=shown,
        notes=notes,
        asked=asked,
        alert=Alert(monitor, group, observed(seen_at, received_at), received_at),
        event_id=_event_id(fields["id"], monitor, transition, group, tags),
        tags=tags,
        is_dated=seen_at is not None,
    )
    if asked == "end":
        # What it ends is known by the alert, so it does without a level and scopes.
        return Understood(Received("datadog", post.event_id, asked, post.alert), shown, notes)
    meaning = monitors.get(f"monitor:{monitor}", Meaning())
    level = meaning.level or tagged_level(tags)
    if asked == "keep":
        told = _blind(monitor, fields, received_at) if isinstance(level, Mode) else None
        received = Received("datadog", post.event_id, asked, post.alert)
        return Understood(received, shown, notes, told)
    if isinstance(level, str):
        return _without_level(post, level)
    return _raised(post, level, meaning, default_org)


@dataclass(frozen=True, slots=True)
class _Post:
    """What a body says, whatever it asks for. `is_dated`: it says itself when that was so."""

    fields: Mapping[str, str]
    shown: Mapping[str, str]
    notes: tuple[str, ...]
    asked: _Transition
    alert: Alert
    event_id: str
    tags: tuple[str, ...]
    is_dated: bool

    @property
    def tells_tags(self) -> bool:
        return "tags" in self.fields


def _without_level(post: _Post, reason: str) -> Reading:
    """An alert that goes on and names no level: if it has asked for one before, that is over.

    A level that is written wrong, or tags that are not told, do not say so.
    """
    wrong = any(tag.startswith(LEVEL_TAG) for tag in post.tags)
    if wrong or not post.tells_tags or not post.is_dated:
        return Ignored(reason, post.shown)
    received = Received("datadog", post.event_id, "end", post.alert, otherwise=reason)
    return Understood(received, post.shown, post.notes)


def _raised(post: _Post, most: Mode, meaning: Meaning, default_org: str | None) -> Reading:
    """An alert that goes on, and asks for `most` at its worst."""
    renews = post.asked == "renew"
    warns = renews and post.fields.get("type", "").lower() == "warning"
    scopes, unknown = tagged_scopes(post.tags, default_org)
    if meaning.scope is not None:
        scopes, unknown = (meaning.scope,), ()
    if not scopes:
        return Ignored(unknown[0], post.shown)
    alert = post.alert
    signals = tuple(
        Signal(
            source="datadog",
            monitor=alert.monitor,
            group=alert.group,
            scope=scope,
            level=warning(most) if warns or post.asked == "warn" else most,
            observed_at=alert.observed_at,
            received_at=alert.received_at,
            lease_until=alert.received_at,
            link=link_of(post.fields.get("link", "")),
        )
        for scope in scopes
    )
    received = Received(
        "datadog",
        post.event_id,
        "renew" if renews else "raise",
        alert,
        signals,
        # Without a time of its own nobody knows whether a word is newer than one with other tags.
        names_all=post.is_dated and (post.tells_tags or meaning.scope is not None),
        most=most,
    )
    return Understood(received, post.shown, (*post.notes, *unknown))


def _event_id(id_: str, monitor: str, transition: str, group: str, tags: Iterable[str]) -> str:
    """The same for a post that is sent again, and for no other one.

    Datadog's id is that of an event, and alerts of one moment may share it.
    """
    told = "\n".join([monitor, transition, group, *sorted({*tags} - {""})])
    return f"{bounded(id_, LONGEST_ID)}:{sha256(told.encode()).hexdigest()[:_ID_DIGITS]}"


def _blind(monitor: str, fields: Mapping[str, str], received_at: datetime) -> BrownoutBlind:
    """That the monitor sees no data; a repetition within one cycle of its alert is the same."""
    return blind(
        "datadog",
        observed(_time(fields), received_at),
        cause="no_data",
        # Told in whatever order: what its monitor says next may be here before it.
        found_at=min(observed(_time(fields), received_at), received_at),
        episode=f"{group_of(fields.get('scope', ''))} {fields.get('cycle') or fields['id']}",
        monitor=monitor,
        group=group_of(fields.get("scope", "")),
        link=link_of(fields.get("link", "")),
    )


def _fields(body: bytes) -> tuple[dict[str, str], tuple[str, ...], Sequence[str]]:
    """What the body has of `FIELDS`, what is wrong with it, and what it must have."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return _found_by_pattern(body), ("the body is no JSON: fields were searched for",), SEARCHED
    if not isinstance(data, dict):
        return {}, (), NEEDED
    fields = {name: text for name in FIELDS if (text := text_of(data.get(name))) is not None}
    for name, text in _default_form(data).items():
        if text is not None:
            fields.setdefault(name, text)
    return fields, (), NEEDED


def _default_form(data: Mapping[str, Any]) -> dict[str, str | None]:
    """What Datadog's own form says: its title begins with the transition, its text links to it."""
    org = data.get("org")
    title = _TITLE.match(text_of(data.get("title")) or "")
    link = _MONITOR_LINK.search(text_of(data.get("body")) or "")
    return {
        "updated": text_of(data.get("last_updated")),
        "org": text_of(org.get("id")) if isinstance(org, dict) else None,
        "transition": text_of(title[1]) if title else None,
        "scope": text_of(title[2]) if title else None,
        "monitor": link[1] if link else None,
    }


def _found_by_pattern(body: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, quoted, number in _PAIR.findall(body.decode("utf-8", "replace")):
        text = text_of(quoted or number)
        if name in FIELDS and text is not None:
            fields.setdefault(name, text)
    return fields


def _time(fields: Mapping[str, str]) -> datetime | None:
    """When it happened; None where nobody says it."""
    told = (moment_of(fields.get(name, "")) for name in ("updated", "date"))
    return next((moment for moment in told if moment is not None), None)
