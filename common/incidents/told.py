"""What a message says, before it has the form of any receiver.

Texts are as they came and may hold anything: each receiver's form cleans, cuts and escapes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias, get_args
from urllib.parse import urlsplit

Severity: TypeAlias = Literal["info", "warning", "error", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Ascending."""

Deed: TypeAlias = Literal["trigger", "acknowledge", "resolve"]
"""What it asks of a receiver that keeps alerts."""

TEST = "notification.test"
LONGEST_LINK = 2_000
CUT = "..."


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Told:
    """One message. `doing` is what is done about it, `affected` who notices.

    Messages with the same `dedup_key` are about the same thing. `deed` is None where a receiver
    that keeps alerts has nothing to do. `channels` are the only ones it is for, None means that
    each channel decides; `not_to` is one that is never told of it. `scopes` are all that it is
    about, where there are several.
    """

    id: str
    type: str
    severity: Severity
    scope: str
    title: str
    what: tuple[str, ...]
    since: datetime
    doing: str
    affected: str
    links: tuple[Link, ...]
    dedup_key: str
    happened_at: datetime
    deed: Deed | None = "trigger"
    channels: frozenset[str] | None = None
    not_to: str | None = None
    scopes: tuple[str, ...] = ()

    @property
    def is_urgent(self) -> bool:
        """Neither quiet hours nor a limit hold it back."""
        return self.severity == "critical" or self.type == TEST


def rank(severity: Severity) -> int:
    """Greater is worse."""
    return SEVERITIES.index(severity)


def together(messages: Sequence[Told]) -> Told:
    """One message for several of one kind, which is the first one's: at least one."""
    if len(messages) == 1:
        return messages[0]
    ordered = sorted(messages, key=lambda each: each.happened_at)
    first = messages[0]
    return Told(
        id=first.id,
        type=first.type,
        severity=max((each.severity for each in messages), key=rank),
        scope=first.scope,
        title=f"{len(messages)} changes: {ordered[-1].title}",
        what=tuple(f"{moment_text(each.happened_at)}: {each.title}" for each in ordered),
        since=ordered[0].since,
        doing=ordered[-1].doing,
        affected=", ".join(dict.fromkeys(each.affected for each in ordered)),
        links=tuple(dict.fromkeys(link for each in ordered for link in each.links))[:2],
        dedup_key=first.dedup_key,
        happened_at=ordered[-1].happened_at,
        deed=first.deed,
    )


def moment_text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def clean(text: str) -> str:
    """The text in one paragraph that every encoder takes: no control characters, no surrogates."""
    printable = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(printable.encode("utf-8", "replace").decode().split())


def cut(text: str, limit: int) -> str:
    """The text in at most `limit` characters as JavaScript and Java count them (UTF-16 units)."""
    if units(text) <= limit:
        return text
    kept = text.encode("utf-16-le")[: max(0, limit - len(CUT)) * 2].decode("utf-16-le", "ignore")
    return kept + CUT[:limit]


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def usable_links(links: Sequence[Link]) -> list[Link]:
    """Links that lead to the web and nowhere else."""
    return [link for link in links if _is_web(link.url)]


def _is_web(url: str) -> bool:
    if len(url) > LONGEST_LINK or not url.isascii() or not url.isprintable():
        return False
    if any(each in url for each in ' <>"|\\'):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
