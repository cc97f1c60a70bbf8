"""Cloud Monitoring's webhook: what a body says, in the words of signals. Pure; nothing is fetched.

An incident of a policy is one alert: it opens once, may be told again while it lasts, and closes
once and for ever. The policy's own labels say which mode it asks for, and for which part of the
calls. A label takes lower case letters, digits, - and _ alone, so a name with a dot in it goes
through the gateway's policy, under ``monitoring:NAME`` with the name of Cloud Monitoring's policy.

The body: https://cloud.google.com/monitoring/support/notification-options#webhooks. Numbers may
come as texts, and what is not known here is ignored.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias

from common.adapters.alert_readings import (
    LONGEST_ID,
    LONGEST_KEPT,
    Ignored,
    Reading,
    Understood,
    Unreadable,
    bounded,
    level_of,
    link_of,
    moment_of,
    text_of,
)
from common.brownout.modes import GLOBAL, Mode, scope_of
from common.brownout.policy import Meaning
from common.brownout.receiving import Alert, Deed, Received
from common.brownout.signals import Evidence, Signal, observed

FIELDS = (
    "incident_id",
    "state",
    "renotify",
    "started_at",
    "ended_at",
    "policy_name",
    "condition_name",
    "observed_value",
    "threshold_value",
    "severity",
    "url",
    "scoping_project_id",
)
"""Of an incident, what may be kept of it."""

LABELS = ("brownout", "brownout_scope_kind", "brownout_scope_name", "brownout_org")
NEEDED = ("incident_id", "state", "policy_name")

_KNOWN_VERSIONS = "1."
_LONGEST_EVIDENCE = 200
_DEEDS: Mapping[tuple[str, bool], Deed] = MappingProxyType(
    {
        ("open", False): "raise",
        ("open", True): "renew",
        ("closed", False): "end",
        ("closed", True): "end",
    }
)
"""What a state asks for, and whether it is told again."""


_Parts: TypeAlias = tuple[Mapping[str, Any], dict[str, str], dict[str, str]]


@dataclass(frozen=True, slots=True)
class _No:
    """Why an incident means nothing here."""

    reason: str


def read_incident(
    body: bytes,
    *,
    received_at: datetime,
    default_org: str | None,
    monitors: Mapping[str, Meaning],
) -> Reading:
    """What a webhook's body says, as every `Reader` does.

    Policies of Cloud Monitoring are ``monitoring:NAME`` among the `monitors`.
    """
    parts = _parts(body)
    if isinstance(parts, Unreadable | Ignored):
        return parts
    incident, fields, labels = parts
    shown = _shown(fields, labels)
    again = fields.get("renotify", "").lower() == "true"
    deed = _DEEDS.get((fields["state"].lower(), again))
    if deed is None:
        return Ignored(f"the state {fields['state'][:40]!r} means nothing here", shown)
    alert = Alert(
        monitor=bounded(fields["policy_name"], LONGEST_ID),
        group=bounded(fields["incident_id"], LONGEST_ID),
        observed_at=_seen(deed, fields, received_at),
        received_at=received_at,
    )
    received = Received(
        "monitoring", _event_id(deed, fields, received_at), deed, alert, ends_once=True
    )
    if deed == "end":
        # What it ends is known by the incident, so it does without labels.
        return Understood(received, shown)
    meaning = monitors.get(f"monitoring:{fields['policy_name']}", Meaning())
    meant = _meant(meaning, labels, default_org)
    if isinstance(meant, _No):
        return Ignored(meant.reason, shown)
    level, scope = meant
    signal = Signal(
        source="monitoring",
        monitor=alert.monitor,
        group=alert.group,
        scope=scope,
        level=level,
        observed_at=alert.observed_at,
        received_at=received_at,
        lease_until=received_at,
        link=link_of(fields.get("url", "")),
        evidence=_evidence(incident, fields),
    )
    names_all = bool(labels) or meaning.scope is not None
    told = replace(received, signals=(signal,), names_all=names_all, most=level)
    return Understood(told, shown)


def _parts(body: bytes) -> _Parts | Unreadable | Ignored:
    """The incident, its fields and its labels."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    sent = data if isinstance(data, dict) else {}
    version, incident = sent.get("version"), sent.get("incident")
    version = str(version) if isinstance(version, float) else text_of(version)
    if version is None or not isinstance(incident, dict):
        lacks = {"version": version is None, "incident": not isinstance(incident, dict)}
        return Unreadable(tuple(name for name, is_missing in lacks.items() if is_missing), {})
    fields = {name: text for name in FIELDS if (text := _told(incident.get(name))) is not None}
    labels = _labels(incident.get("policy_user_labels"))
    if not version.startswith(_KNOWN_VERSIONS):
        # The console's own test is one of these.
        reason = f"a body of version {version[:20]!r} is no incident"
        return Ignored(reason, _shown(fields, labels))
    missing = tuple(name for name in NEEDED if name not in fields)
    return Unreadable(missing, _shown(fields, labels)) if missing else (incident, fields, labels)


def _shown(fields: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    return {name: text[:LONGEST_KEPT] for name, text in {**fields, **labels}.items()}


def _told(value: Any) -> str | None:
    return str(value).lower() if isinstance(value, bool) else text_of(value)


def _labels(value: Any) -> dict[str, str]:
    """Those of the policy's labels that are meant for here."""
    if not isinstance(value, dict):
        return {}
    told = ((name, text_of(value.get(name))) for name in LABELS)
    return {name: text.lower() for name, text in told if text is not None}


def _meant(
    meaning: Meaning, labels: Mapping[str, str], default_org: str | None
) -> tuple[Mode, str] | _No:
    """The mode that is asked for, and the scope it is asked for."""
    level = meaning.level or _level(labels.get("brownout"))
    if isinstance(level, _No):
        return level
    scope = meaning.scope or _scope(labels, default_org)
    return scope if isinstance(scope, _No) else (level, scope)


def _level(word: str | None) -> Mode | _No:
    if word is None:
        return _No("no level: label the policy brownout=soft, hard or emergency, or map its name")
    return level_of(word) or _No(f"brownout={word[:40]} is no level: write soft, hard or emergency")


def _scope(labels: Mapping[str, str], default_org: str | None) -> str | _No:
    kind, org = labels.get("brownout_scope_kind"), labels.get("brownout_org")
    name = labels.get("brownout_scope_name", "")
    if kind is None and (name or org):
        return _No("no kind of scope: label the policy brownout_scope_kind too")
    if kind is None or kind == GLOBAL:
        return GLOBAL
    if kind == "org":
        name = name or org or ""
    found = scope_of(f"{kind}:{name}", org or default_org)
    return found if isinstance(found, str) else _No(found.detail)


def _seen(deed: Deed, fields: Mapping[str, str], received_at: datetime) -> datetime:
    """When what is told was so. Nothing follows an end, so it is as new as its arrival.

    Telling again carries no time of its own. By the incident's, an end would lie before it.
    """
    if deed != "raise":
        return received_at
    return observed(moment_of(fields.get("started_at", "")), received_at)


def _event_id(deed: Deed, fields: Mapping[str, str], received_at: datetime) -> str:
    """One for the opening and one for the end. To be told again is another event each time."""
    state = "closed" if deed == "end" else "open"
    again = f":{received_at.isoformat()}" if deed == "renew" else ""
    return f"{bounded(fields['incident_id'], LONGEST_ID)}:{state}{again}"


def _evidence(incident: Mapping[str, Any], fields: Mapping[str, str]) -> Evidence | None:
    metric = incident.get("metric")
    named = text_of(metric.get("type")) if isinstance(metric, dict) else None
    told = (
        named or fields.get("condition_name"),
        _number(incident.get("observed_value")),
        _number(incident.get("threshold_value")),
    )
    if not all(told):
        return None
    return Evidence(*(str(text)[:_LONGEST_EVIDENCE] for text in told))


def _number(value: Any) -> str | None:
    return repr(value) if isinstance(value, float) else text_of(value)
