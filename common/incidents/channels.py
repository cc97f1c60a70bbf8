"""Channels as they are stored in `channels/{name}`, and what they may say.

A document names the variable that holds a channel's secret, never the secret. The name begins with
`CHANNEL_`: otherwise whoever may write a channel could have any secret of the process sent away.
What the secret is depends on the kind: the address of a Slack or Teams webhook, the routing key of
PagerDuty, the key that signs messages to a receiver of one's own.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

from common.core.errors import InvalidInput
from common.core.ids import is_slug
from common.core.ports import Document, Ref, Value
from common.core.secrets import Secret
from common.incidents.pagerduty import EU_URL, URL
from common.incidents.told import SEVERITIES, Severity, Told, rank

CHANNELS = "channels"
MOST_PATTERNS = 50
LONGEST_PATTERN = 200
MOST_PER_HOUR = 1_000
LONGEST_URL = 1_000

Kind: TypeAlias = Literal["slack", "teams", "pagerduty", "webhook"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_VARIABLE = re.compile(r"CHANNEL_[A-Z0-9_]{1,100}")
_TYPE = re.compile(r"[a-z][a-z0-9_]*\.[a-z0-9_.]*")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")

SecretOf: TypeAlias = Callable[[str], Secret | None]
"""The value of a variable, None where it is not set."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` (included) to `end` (not), each day, as HH:MM on the clocks of `zone`."""

    start: str
    end: str
    zone: str

    def hold_at(self, now: datetime) -> bool:
        local = now.astimezone(ZoneInfo(self.zone)).time()
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        if start < end:
            return start <= local < end
        return local >= start or local < end


@dataclass(frozen=True, slots=True)
class Channel:
    """One document.

    `url` is for kind webhook, and for PagerDuty's region in Europe. `types` are types of events, of
    which those that end in a dot are prefixes; `scopes` are globs; none of either means all.
    `per_hour` is how many messages it takes in an hour of the clock, None means any number.
    """

    name: str
    kind: Kind
    secret: str
    url: str | None = None
    types: tuple[str, ...] = ()
    min_severity: Severity = "info"
    scopes: tuple[str, ...] = ()
    quiet: QuietHours | None = None
    per_hour: int | None = None

    @classmethod
    def from_document(cls, document: Document) -> "Channel":
        data: Mapping[str, Any] = document.data
        quiet = data["quiet"]
        return cls(
            name=document.ref.id,
            kind=data["kind"],
            secret=data["secret"],
            url=data["url"],
            types=tuple(data["types"]),
            min_severity=data["min_severity"],
            scopes=tuple(data["scopes"]),
            quiet=None if quiet is None else QuietHours(**quiet),
            per_hour=data["per_hour"],
        )

    def to_data(self) -> dict[str, Value]:
        """The document's data. The name is the document's id and is not repeated."""
        quiet = self.quiet
        return {
            "kind": self.kind,
            "secret": self.secret,
            "url": self.url,
            "types": list(self.types),
            "min_severity": self.min_severity,
            "scopes": list(self.scopes),
            "quiet": None
            if quiet is None
            else {"start": quiet.start, "end": quiet.end, "zone": quiet.zone},
            "per_hour": self.per_hour,
        }

    def wants(self, told: Told) -> bool:
        """Whether a message is for it; one that names its channels asks no filter."""
        if told.channels is not None:
            return self.name in told.channels
        if told.not_to == self.name:
            return False
        return (
            rank(told.severity) >= rank(self.min_severity)
            and (not self.types or any(_is_of(told.type, each) for each in self.types))
            and (not self.scopes or self._wants_scope_of(told))
        )

    def _wants_scope_of(self, told: Told) -> bool:
        scopes = told.scopes or (told.scope,)
        return any(fnmatchcase(scope, each) for scope in scopes for each in self.scopes)

    def is_quiet_for(self, told: Told, now: datetime) -> bool:
        """Whether a message falls into its quiet hours; what is urgent never does."""
        if self.quiet is None or told.is_urgent:
            return False
        return self.quiet.hold_at(now)


def channel_ref(name: str) -> Ref:
    return Ref(CHANNELS, name)


def check_channel(channel: Channel) -> None:
    """Refuse a channel that must not be used. Where its URL leads is not judged here.

    Raises:
        InvalidInput: names the field and the right form.
    """
    if not is_slug(channel.name):
        raise InvalidInput(
            f"{channel.name[:80]!r} is not a name: 1 to 63 of a-z, 0-9 and -", field="name"
        )
    if channel.kind not in KINDS:
        raise InvalidInput(f"a kind is one of {', '.join(KINDS)}", field="kind")
    if _VARIABLE.fullmatch(channel.secret) is None:
        # Not repeated: it may be a secret that somebody put in its variable's place.
        raise InvalidInput(
            "the secret is no name that can be used here: name a variable of the notifier that "
            "begins with CHANNEL_",
            field="secret",
        )
    _check_url(channel)
    _check_filter(channel)
    if channel.quiet is not None:
        _check_quiet(channel.quiet)
    if channel.per_hour is not None and not 1 <= channel.per_hour <= MOST_PER_HOUR:
        raise InvalidInput(f"1 to {MOST_PER_HOUR} messages an hour", field="per_hour")


def _check_url(channel: Channel) -> None:
    if channel.kind == "webhook":
        if not channel.url or len(channel.url) > LONGEST_URL:
            raise InvalidInput("a webhook needs the address of its receiver", field="url")
    elif channel.kind == "pagerduty":
        if channel.url not in {None, URL, EU_URL}:
            raise InvalidInput(f"the address of PagerDuty is {URL} or {EU_URL}", field="url")
    elif channel.url is not None:
        # Not repeated: whoever has the address may write into the channel.
        raise InvalidInput(
            f"the address of a {channel.kind} webhook is a secret: put it into a variable of the "
            "notifier and name that",
            field="url",
        )


def _check_filter(channel: Channel) -> None:
    if channel.min_severity not in SEVERITIES:
        raise InvalidInput(f"a severity is one of {', '.join(SEVERITIES)}", field="min_severity")
    for field, patterns in (("types", channel.types), ("scopes", channel.scopes)):
        if len(patterns) > MOST_PATTERNS or not all(
            0 < len(each) <= LONGEST_PATTERN and each.isprintable() for each in patterns
        ):
            raise InvalidInput(
                f"at most {MOST_PATTERNS} {field}, each 1 to {LONGEST_PATTERN} printable"
                " characters",
                field=field,
            )
    for each in channel.types:
        if _TYPE.fullmatch(each) is None:
            raise InvalidInput(
                f"{each[:80]!r} is no type of an event: write incident.opened, or incident. for all"
                " that begin with it",
                field="types",
            )


def _check_quiet(quiet: QuietHours) -> None:
    for each in (quiet.start, quiet.end):
        if _TIME.fullmatch(each) is None:
            raise InvalidInput(f"{each[:20]!r} is no time: write 22:00", field="quiet")
    if quiet.start == quiet.end:
        raise InvalidInput("quiet hours begin and end at different times", field="quiet")
    try:
        ZoneInfo(quiet.zone)
    except (KeyError, OSError, ValueError):
        raise InvalidInput(f"{quiet.zone[:80]!r} is no time zone", field="quiet") from None


def _is_of(type_: str, wanted: str) -> bool:
    return type_.startswith(wanted) if wanted.endswith(".") else type_ == wanted
