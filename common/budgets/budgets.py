"""What a budget is, and which calls it applies to.

A budget limits what one scope may spend in a calendar period: an organisation, a team, a project,
an agent or a key, and of these perhaps only some models. Several can apply to one call; a hard one
refuses what does not fit, a soft one only tells.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, TypeAlias

from common.budgets.accounts import Period
from common.budgets.calendar import FOREVER, Calendar, check_calendar, span_at
from common.core.errors import InvalidInput
from common.core.money import Nanos
from common.core.ports import Document, Ref, Value

BUDGETS = "budgets"
MOST_HARD = 12
"""Hard budgets that may apply to one call."""
MAX_MODELS = 100
MAX_THRESHOLDS = 10
MOST_PERCENT = 200
MOST_NANOS = 10**18
"""A billion dollars: sums of limits stay within 64 bits."""

ScopeKind: TypeAlias = Literal["org", "team", "project", "agent", "key"]
Enforcement: TypeAlias = Literal["hard", "soft"]
DEFAULT_THRESHOLDS = (50, 80, 100)


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget. `version` is that of its document, None before it is stored.

    `scope` is ``org:ORG``, ``team:ORG/TEAM``, ``project:ORG/PROJECT``, ``agent:ORG/AGENT`` or
    ``key:LINE``; `models` are globs, empty for all. `fit` lets a call be made smaller where it does
    not fit. `tool_allowance` is what a call's tools may cost where nothing bounds them. `strict`
    settles a call that was cut at its whole hold. `epoch` says when it began to apply to the calls
    that it applies to, in the order of all budgets, and `began_at` in time; None where no call can
    have left before.
    """

    id: str
    org: str
    scope: str
    calendar: Calendar
    limit: Nanos
    enforcement: Enforcement
    models: tuple[str, ...] = ()
    thresholds: tuple[int, ...] = DEFAULT_THRESHOLDS
    fit: bool = True
    tool_allowance: Nanos | None = None
    strict: bool = False
    paused: bool = False
    epoch: int = 0
    began_at: datetime | None = None
    version: str | None = None

    @classmethod
    def from_document(cls, document: Document) -> "Budget":
        data = document.data
        calendar = Calendar(data["period"], data["tz"], data["anchor"])
        return cls(
            id=document.ref.id,
            org=data["org"],
            scope=data["scope"],
            calendar=calendar,
            limit=data["limit_nanos"],
            enforcement=data["enforcement"],
            models=tuple(data["models"]),
            thresholds=tuple(data["thresholds"]),
            fit=data["fit"],
            tool_allowance=data["tool_allowance_nanos"],
            strict=data["strict"],
            paused=data["paused"],
            epoch=data["epoch"],
            began_at=data.get("began_at"),  # Budgets that were stored before have none.
            version=document.version,
        )

    def to_data(self) -> dict[str, Value]:
        """The document's data; id and version are not repeated."""
        return {
            "org": self.org,
            "scope": self.scope,
            "period": self.calendar.kind,
            "tz": self.calendar.zone,
            "anchor": self.calendar.anchor,
            "limit_nanos": self.limit,
            "enforcement": self.enforcement,
            "models": list(self.models),
            "thresholds": list(self.thresholds),
            "fit": self.fit,
            "tool_allowance_nanos": self.tool_allowance,
            "strict": self.strict,
            "paused": self.paused,
            "epoch": self.epoch,
            "began_at": self.began_at,
        }

    @property
    def hard(self) -> bool:
        return self.enforcement == "hard" and not self.paused

    def period_at(self, now: datetime) -> Period:
        """The period of `now`, as it is before anything is spent in it."""
        span = span_at(self.calendar, now)
        return Period(
            id=f"{self.id}:{span.key}",
            limit=self.limit,
            ends_at=span.ends_at,
            budget=self.id,
            org=self.org,
            starts_at=span.starts_at,
            epoch=self.epoch,
        )


class Spender(NamedTuple):
    """Who a call is charged to, as budgets see it."""

    org: str
    team: str
    agent: str
    project: str | None
    line: str

    @property
    def scopes(self) -> frozenset[str]:
        """All scopes that the call belongs to."""
        named: Mapping[str, str | None] = {
            "team": self.team,
            "agent": self.agent,
            "project": self.project,
        }
        inside = {f"{kind}:{self.org}/{name}" for kind, name in named.items() if name is not None}
        return frozenset({f"org:{self.org}", f"key:{self.line}", *inside})


@dataclass(frozen=True, slots=True)
class Applicable:
    """The hard budgets that apply to a call now: a lease on all their periods is needed.

    `scope_set` are the periods, sorted, and until `ends_at` it is these. `epoch` says how new the
    budgets are: all that began up to it are known, and none is newer.
    """

    budgets: tuple[Budget, ...]
    scope_set: tuple[str, ...]
    ends_at: datetime
    epoch: int = 0

    @classmethod
    def at(cls, budgets: Sequence[Budget], now: datetime, epoch: int = 0) -> "Applicable":
        periods = [budget.period_at(now) for budget in budgets]
        ends_at = min((period.ends_at for period in periods), default=FOREVER)
        newest = max([epoch, *(budget.epoch for budget in budgets)])
        return cls(tuple(budgets), tuple(sorted(p.id for p in periods)), ends_at, newest)

    @property
    def began(self) -> int:
        """The epoch of the newest of these budgets."""
        return max((budget.epoch for budget in self.budgets), default=0)


def budgets_of(budgets: Iterable[Budget], spender: Spender, model: str | None) -> list[Budget]:
    """The hard budgets that apply to a call, by id.

    A call that names no model counts against every budget of its scopes: nobody knows otherwise.
    """
    scopes = spender.scopes
    return sorted(
        (b for b in budgets if b.hard and b.scope in scopes and covers(b, model)),
        key=lambda budget: budget.id,
    )


def covers(budget: Budget, model: str | None) -> bool:
    """Whether calls to a model count; one that names none counts, since nobody knows otherwise."""
    if not budget.models or model is None:
        return True
    return any(fnmatchcase(model, glob) for glob in budget.models)


def budget_ref(budget: str) -> Ref:
    return Ref(BUDGETS, budget)


def scope_of(kind: ScopeKind, org: str, name: str) -> str:
    """The scope string of an organisation, a key's line, or something inside an organisation."""
    if kind == "org":
        return f"org:{org}"
    return f"key:{name}" if kind == "key" else f"{kind}:{org}/{name}"


def check_budget(budget: Budget) -> None:
    """Refuse a budget that cannot hold.

    Raises:
        InvalidInput: names the field and the right form.
    """
    check_calendar(budget.calendar)
    if not 0 < budget.limit <= MOST_NANOS:
        raise InvalidInput("a limit is above 0 and at most 1,000,000,000 USD", field="limit_usd")
    percents = budget.thresholds
    if len(percents) > MAX_THRESHOLDS or not all(1 <= each <= MOST_PERCENT for each in percents):
        raise InvalidInput(
            f"at most {MAX_THRESHOLDS} thresholds, each 1 to {MOST_PERCENT} percent",
            field="thresholds",
        )
    if len(budget.models) > MAX_MODELS or not all(
        0 < len(glob) <= 256 and glob.isprintable() for glob in budget.models
    ):
        raise InvalidInput(
            f"at most {MAX_MODELS} patterns of 1 to 256 printable characters", field="models"
        )
    allowance = budget.tool_allowance
    if allowance is not None and not 0 < allowance <= MOST_NANOS:
        raise InvalidInput("a tool allowance is above 0", field="tool_allowance_usd")
