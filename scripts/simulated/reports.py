"""What reports of usage and costs have in common: days of the ledger, page by page.

A request belongs to the day on which it was received. Whoever wants several keys on a bill sends
`x-simulated-tag`: each tag is billed as a key of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from common.core.money import Nanos
from scripts.simulated.behaviour import Behaviour
from scripts.simulated.ledger import counted
from scripts.simulated.models import Vendor
from scripts.simulated.refusals import Refusal
from scripts.simulated.vendors import KEY, Call

Rows: TypeAlias = Sequence[Mapping[str, Any]]
"""The ledger's, priced."""

ADMIN_KEY = b"sim-admin"
DAY = timedelta(days=1)
_PAGE = "page_sim_"


@dataclass(slots=True)
class Sums:
    """What was used and billed in one group."""

    tokens: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    requests: int = 0
    nanos: Nanos = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is asked for: whole days, groups, and which page of days."""

    since: datetime
    until: datetime
    limit: int
    group_by: frozenset[str]
    first: int

    def days(self, knobs: Behaviour) -> tuple[list[date], str | None]:
        """The days of the page, and the cursor of the next one."""
        number = max(0, -((self.since - self.until) // DAY))
        size = min(self.limit, knobs.bill_buckets)
        last = min(number, self.first + size)
        found = [(self.since + each * DAY).date() for each in range(self.first, last)]
        return found, f"{_PAGE}{last}" if last < number else None


def read_asked(call: Call, since: str, until: str, moment: Callable[[str], datetime]) -> Asked:
    """Read the query of a report.

    Raises:
        Refusal: it is not one (400).
    """
    query = parse_qs(call.query.decode("latin-1"))
    try:
        if query.get("bucket_width", ["1d"]) != ["1d"]:
            raise Refusal(400, "[simulated] reports are by the day: bucket_width=1d")
        begin, end = moment(query[since][0]), moment(query[until][0])
        return Asked(
            since=datetime.combine(begin.date(), datetime.min.time(), UTC),
            until=end,
            limit=int(query.get("limit", ["7"])[0]),
            group_by=frozenset((*query.get("group_by[]", ()), *query.get("group_by", ()))),
            first=int(query.get("page", [_PAGE + "0"])[0].removeprefix(_PAGE)),
        )
    except (KeyError, ValueError, OverflowError):
        raise Refusal(400, "[simulated] the query cannot be read") from None


def check_admin_key(shown: bytes | None) -> None:
    """Reports want another key than calls.

    Raises:
        Refusal: it is none (401), or one for calls (403).
    """
    if shown == KEY:
        raise Refusal(403, "[simulated] this key may call models, and read no reports")
    if shown != ADMIN_KEY:
        raise Refusal(401, "[simulated] the admin key is sim-admin")


def sums_of(
    rows: Rows, vendors: frozenset[Vendor], days: Sequence[date]
) -> dict[date, dict[tuple[str, str], Sums]]:
    """What was billed on each of the days, by key and model."""
    found: dict[date, dict[tuple[str, str], Sums]] = {day: {} for day in days}
    for row in rows:
        day = datetime.fromisoformat(row["received_at"]).astimezone(UTC).date()
        if row["protocol"] not in vendors or day not in found or row["billed_nanos"] is None:
            continue
        group = found[day].setdefault((key_id(row["tag"]), row["model"]), Sums())
        usage = counted(row["protocol"], row["model"], row["usage"])
        for name in ("input", "cache_read", "cache_write", "output"):
            group.tokens[name] += int(getattr(usage, f"{name}_tokens", None) or 0)
        group.requests += 1
        group.nanos += row["billed_nanos"]
    return found


def regrouped(
    groups: Mapping[tuple[str, str], Sums], kept: Sequence[bool]
) -> Iterator[tuple[tuple[str | None, ...], Sums]]:
    """Groups without the parts of their names that nobody asked for, which are null then."""
    found: dict[tuple[str | None, ...], Sums] = {}
    for names, sums in groups.items():
        shown = tuple(n if keep else None for n, keep in zip(names, kept, strict=True))
        into = found.setdefault(shown, Sums())
        for name, count in sums.tokens.items():
            into.tokens[name] += count
        into.requests += sums.requests
        into.nanos += sums.nanos
    yield from found.items()


def key_id(tag: str | None) -> str:
    return "key_sim" if tag is None else f"key_sim_{tag}"
