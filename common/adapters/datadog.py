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
from collections.abc import Mapping, Sequence
from datetime import datetime
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
from common.adapters.datadog_tags import group_of, tagged_level, tagged_scopes, warning
from common.brownout.blindness import blind
from common.brownout.modes import Mode
from common.brownout.policy import Meaning
from common.brownout.receiving import Deed, Received
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
    deed: Deed = "raise" if asked == "warn" else asked
    event_id = bounded(fields["id"], LONGEST_ID)
    monitor = fields["monitor"][:LONGEST_ID]
    meaning = monitors.get(f"monitor:{monitor}")
    tags = [tag.strip().lower() for tag in fields.get("tags", "").split(",")]
    level = tagged_level(tags) if meaning is None or meaning.level is None else meaning.level
    if deed == "keep":
        received = Received("datadog", event_id, deed, ())
        told = _blind(monitor, fields, received_at) if isinstance(level, Mode) else None
        return Understood(received, shown, notes, told)
    if isinstance(level, str):
        return Ignored(level, shown)
    if asked == "warn" or (asked == "renew" and fields.get("type", "").lower() == "warning"):
        level = warning(level)
    scopes, unknown = tagged_scopes(tags, default_org)
    if meaning is not None and meaning.scope is not None:
        scopes, unknown = (meaning.scope,), ()
    if not scopes:
        return Ignored(unknown[0], shown)
    signals = tuple(
        Signal(
            source="datadog",
            monitor=monitor,
            group=group_of(fields.get("scope", "")),
            scope=scope,
            level=level,
            observed_at=observed(_time(fields), received_at),
            received_at=received_at,
            lease_until=received_at,
            link=link_of(fields.get("link", "")),
        )
        for scope in scopes
    )
    received = Received("datadog", event_id, deed, signals)
    return Understood(received, shown, (*notes, *unknown))


def _blind(monitor: str, fields: Mapping[str, str], received_at: datetime) -> BrownoutBlind:
    """That the monitor sees no data; a repetition within one cycle of its alert is the same."""
    return blind(
        "datadog",
        observed(_time(fields), received_at),
        cause="no_data",
        found_at=received_at,
        episode=f"{group_of(fields.get('scope', ''))} {fields.get('cycle') or fields['id']}",
        monitor=monitor,
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
