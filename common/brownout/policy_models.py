"""A policy as it is written, checked, and written again.

`policy_from_data` takes what a file or a document holds and finds everything that is wrong with it
at once; `policy_data` writes a policy so that it is read as the same. All of it is texts, numbers,
lists and objects, as JSON has them.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, model_validator

from common.brownout import units
from common.brownout.modes import KINDS, MODES, scope_of
from common.brownout.policy import (
    DEFAULT_STRATEGY,
    EscalationStep,
    IncidentRules,
    Meaning,
    ModelMap,
    Policy,
    Severity,
    SignalRules,
)
from common.brownout.policy_edits import (
    Count,
    Share,
    StrategyPart,
    between,
    defined,
    one_of,
    strategy_data,
)
from common.brownout.policy_problems import (
    Part,
    PolicyInvalid,
    Problem,
    problems_of,
    unknown,
)
from common.brownout.policy_thresholds import (
    LEVELS,
    Duration,
    ReadingPart,
    ThresholdsPart,
    inside,
    lasting,
    not_rising,
    reading_data,
    share_from,
    thresholds_data,
)
from common.brownout.trajectory import Recovery
from common.brownout.written import is_shown

FORMAT = 1
"""Of the way a policy is written."""

MOST_HINT = 300
"""Characters of a hint, which every treated call pays for."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_MODEL = re.compile(r"[!-~]{1,200}")
_LINK = re.compile(r"https://[!-~]{1,500}")
_MONITOR = re.compile(r"monitor:[!-~]{1,200}|monitoring:[!-~]([ -~]{0,198}[!-~])?")
_PATTERN = re.compile(r"[a-z0-9._:/*-]{1,120}")


def _scope(text: str, info: ValidationInfo) -> str:
    found = scope_of(text, (info.context or {}).get("default_org"))
    if isinstance(found, str):
        return found
    raise ValueError(found.detail[found.detail.index("is no scope") :])


def _scope_pattern(text: str) -> str:
    kind, _, name = text.partition(":")
    if kind not in KINDS and kind != "*":
        raise ValueError(unknown(kind, KINDS))
    if kind not in ("global", "*") and not _PATTERN.fullmatch(name):
        raise ValueError("is no pattern of a scope: write one as provider:openai or team:acme/*")
    return text


def _like(pattern: re.Pattern[str], detail: str) -> AfterValidator:
    def checked(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(detail)
        return text

    return AfterValidator(checked)


def _sentence(text: str) -> str:
    if not 0 < len(text.strip()) <= MOST_HINT:
        raise ValueError(f"must have 1 to {MOST_HINT} characters")
    if not is_shown(text):
        raise ValueError("has a character that does not show")
    return text


_Scope: TypeAlias = Annotated[str, AfterValidator(_scope)]
_Name: TypeAlias = Annotated[
    str, _like(_NAME, "is no name: write lower case letters, digits, - and _, at most 60")
]
_Model: TypeAlias = Annotated[str, _like(_MODEL, "is no model: write its name without spaces")]
_Link: TypeAlias = Annotated[str, _like(_LINK, "is no link: write one that begins with https://")]
_Monitor: TypeAlias = Annotated[
    str,
    _like(
        _MONITOR,
        "is no monitor: write monitor: and its id, or monitoring: and the name of a policy",
    ),
]
_Level: TypeAlias = Annotated[str, one_of(*LEVELS)]
_Lease: TypeAlias = Annotated[Duration, lasting("30s", "24h")]
_Step: TypeAlias = Annotated[Duration, lasting("1s", "1h")]
_Later: TypeAlias = Annotated[Duration, lasting("0s", "168h")]


class _PerScopePart(Part):
    thresholds: ThresholdsPart = ThresholdsPart()


class _RecoveryPart(Part):
    dwell: _Step = Recovery().dwell
    ramp: _Step = Recovery().ramp
    holdout: Annotated[Share, share_from(0.0, 0.5)] = 0.05


class _LeasesPart(Part):
    datadog: _Lease = timedelta(minutes=30)
    monitoring: _Lease = timedelta(minutes=30)
    rollup: _Lease = timedelta(minutes=3)
    own: _Lease = timedelta(minutes=2)


class _MeaningPart(Part):
    level: _Level | None = None
    scope: _Scope | None = None

    @model_validator(mode="after")
    def _means_something(self) -> "_MeaningPart":
        if self.level is None and self.scope is None:
            raise ValueError("means nothing: write a level, a scope or both")
        return self


class _SignalsPart(Part):
    lease: _LeasesPart = _LeasesPart()
    map: dict[_Monitor, _MeaningPart] = Field(default_factory=dict)

    def rules(self) -> SignalRules:
        monitors = {
            name: Meaning(None if each.level is None else MODES[each.level], each.scope)
            for name, each in self.map.items()
        }
        return SignalRules(**dict(self.lease), monitors=monitors)


class _AssignPart(Part):
    scope: _Scope
    strategy: Annotated[str, defined("strategies")]


class _IncidentsPart(Part):
    open_at: _Level = "soft"
    join_window: _Later = timedelta(minutes=15)
    resolve_after: _Later = timedelta(minutes=30)
    procedures: dict[Annotated[str, AfterValidator(_scope_pattern)], _Link] = Field(
        default_factory=dict
    )

    def rules(self) -> IncidentRules:
        return IncidentRules(
            MODES[self.open_at], self.join_window, self.resolve_after, self.procedures
        )


class _EscalationPart(Part):
    after: _Later
    to: Annotated[tuple[_Name, ...], Field(min_length=1)]
    when: Annotated[Literal["unacknowledged"], one_of("unacknowledged")] | None = None
    min_severity: Annotated[Severity, one_of(*get_args(Severity))] | None = None


class _PolicyPart(Part):
    version: Annotated[Count, between(FORMAT, FORMAT)]
    enforcement: Annotated[Literal["shadow", "enforce"], one_of("shadow", "enforce")] = "shadow"
    thresholds: ThresholdsPart
    reading: ReadingPart = ReadingPart()
    per_scope: dict[_Scope, _PerScopePart] = Field(default_factory=dict)
    recovery: _RecoveryPart = _RecoveryPart()
    signals: _SignalsPart = _SignalsPart()
    strategies: dict[_Name, StrategyPart]
    assign: tuple[_AssignPart, ...] = ()
    maps: dict[_Name, Annotated[dict[_Model, _Model], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    hints: dict[_Name, Annotated[str, AfterValidator(_sentence)]] = Field(default_factory=dict)
    incidents: _IncidentsPart = _IncidentsPart()
    escalation: tuple[_EscalationPart, ...] = ()

    def policy(self) -> Policy:
        maps = {name: ModelMap(name, patterns) for name, patterns in self.maps.items()}
        return Policy(
            enforcement=self.enforcement,
            thresholds=self.thresholds.thresholds(),
            reading=self.reading.reading(),
            per_scope={
                scope: each.thresholds.thresholds() for scope, each in self.per_scope.items()
            },
            recovery=Recovery(self.recovery.dwell, self.recovery.ramp),
            holdout=self.recovery.holdout,
            signals=self.signals.rules(),
            strategies={
                name: each.strategy(self.hints, maps) for name, each in self.strategies.items()
            },
            assigned={each.scope: each.strategy for each in self.assign},
            maps=maps,
            hints=self.hints,
            incidents=self.incidents.rules(),
            escalation=tuple(EscalationStep(**dict(each)) for each in self.escalation),
        )


def policy_from_data(data: Any, default_org: str | None = None) -> Policy:
    """The policy that a file or a document holds.

    Args:
        data: as it was read.
        default_org: completes scopes that name no organisation.

    Raises:
        PolicyInvalid: names every problem, without lines.
    """
    context = {
        "default_org": default_org,
        **{section: inside(data, section) for section in ("strategies", "maps", "hints")},
    }
    problems = [*_twice(data, default_org), *not_rising(inside(data))]
    strategies = inside(data).get("strategies")
    if isinstance(strategies, Mapping) and DEFAULT_STRATEGY not in strategies:
        problems.append(Problem(("strategies",), None, "needs one that is named default"))
    part = None
    try:
        part = _PolicyPart.model_validate(data, context=context)
    except ValidationError as error:
        problems = [*problems_of(error), *problems]
    if part is None or problems:
        raise PolicyInvalid(problems)
    return part.policy()


def policy_data(policy: Policy) -> dict[str, Any]:
    """The policy as `policy_from_data` reads it: nothing but what JSON has."""
    leases, incidents = policy.signals, policy.incidents
    text = units.duration_text
    return {
        "version": FORMAT,
        "enforcement": policy.enforcement,
        "thresholds": thresholds_data(policy.thresholds),
        "reading": reading_data(policy.reading),
        "per_scope": {
            scope: {"thresholds": thresholds_data(each)} for scope, each in policy.per_scope.items()
        },
        "recovery": {
            "dwell": text(policy.recovery.dwell),
            "ramp": text(policy.recovery.ramp),
            "holdout": units.share_text(policy.holdout),
        },
        "signals": {
            "lease": {
                "datadog": text(leases.datadog),
                "monitoring": text(leases.monitoring),
                "rollup": text(leases.rollup),
                "own": text(leases.own),
            },
            "map": {name: _meaning_data(each) for name, each in leases.monitors.items()},
        },
        "strategies": {
            name: strategy_data(each, policy.hints) for name, each in policy.strategies.items()
        },
        "assign": [
            {"scope": scope, "strategy": name} for scope, name in sorted(policy.assigned.items())
        ],
        "maps": {name: dict(each.patterns) for name, each in policy.maps.items()},
        "hints": dict(policy.hints),
        "incidents": {
            "open_at": incidents.open_at.word,
            "join_window": text(incidents.join_window),
            "resolve_after": text(incidents.resolve_after),
            "procedures": dict(incidents.procedures),
        },
        "escalation": [_step_data(each) for each in policy.escalation],
    }


def _meaning_data(meaning: Meaning) -> dict[str, str]:
    level = {} if meaning.level is None else {"level": meaning.level.word}
    return level if meaning.scope is None else {**level, "scope": meaning.scope}


def _step_data(step: EscalationStep) -> dict[str, Any]:
    more = {"when": step.when, "min_severity": step.min_severity}
    said = {name: word for name, word in more.items() if word is not None}
    return {"after": units.duration_text(step.after), "to": list(step.to), **said}


def _twice(data: Any, default_org: str | None) -> Iterator[Problem]:
    """Scopes that are named a second time, in another spelling or in another item."""
    assigned = inside(data).get("assign")
    items = assigned if isinstance(assigned, list | tuple) else ()
    named: list[tuple[tuple[str | int, ...], Any]] = [
        (("assign", at, "scope"), inside(item).get("scope")) for at, item in enumerate(items)
    ]
    per_scope = inside(data, "per_scope")
    for places in (named, [(("per_scope", name), name) for name in per_scope]):
        seen: set[str] = set()
        for at, text in places:
            scope = scope_of(text, default_org) if isinstance(text, str) else None
            if isinstance(scope, str) and scope in seen:
                yield Problem(at, text, "is named twice here")
            elif isinstance(scope, str):
                seen.add(scope)
