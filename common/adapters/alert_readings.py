"""What a monitoring system's post can turn out to say, and the care that any text of one needs.

Each system has a reader of its own; what becomes of an alert is the same for all of them.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Protocol, TypeAlias

from common.brownout.modes import MODES, Mode
from common.brownout.policy import Meaning
from common.brownout.receiving import Received
from common.core.brownout_events import BrownoutBlind

LONGEST_KEPT = 300
"""Characters of each field that are kept of a post."""
LONGEST_ID = 200

_LONGEST_LINK = 500
_EPOCH = re.compile(r"\d{9,14}")
_FIRST_IN_MILLISECONDS = 100_000_000_000
_NO_VALUE = re.compile(r"((?i:null)|\$[A-Z][A-Z0-9_]*)?")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Understood:
    """An event to be taken. `fields` is what may be kept of it, `notes` what was wrong with it.

    `blind` is to be told where the event says that its monitor sees nothing.
    """

    received: Received
    fields: Mapping[str, str]
    notes: tuple[str, ...] = ()
    blind: BrownoutBlind | None = None


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


Reading: TypeAlias = Understood | Ignored | Unreadable


class Reader(Protocol):
    """Reads the posts of one system."""

    def __call__(
        self,
        body: bytes,
        *,
        received_at: datetime,
        default_org: str | None,
        monitors: Mapping[str, Meaning],
    ) -> Reading:
        """What a body says. Never raises.

        Args:
            body: as it came.
            received_at: when it came: what the event's own time is held against.
            default_org: completes scopes of teams and agents that name no organisation.
            monitors: what certain alerts mean, whatever they say themselves, by the names that a
                policy has for them.
        """


def text_of(value: Any) -> str | None:
    """A value as text without what no store or log takes, None where there is none."""
    if isinstance(value, list):
        parts = [text for each in value if isinstance(each, str | int) and (text := text_of(each))]
        return ",".join(parts) or None
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    text = printable(value).strip()
    return None if _NO_VALUE.fullmatch(text) else text


def printable(text: str) -> str:
    """The text with a space for each character that no store or log takes."""
    return _UNPRINTABLE.sub(" ", text)


def moment_of(text: str) -> datetime | None:
    """A moment in seconds or milliseconds since 1970, None where the text is none."""
    if not _EPOCH.fullmatch(text):
        return None
    epoch = int(text)
    return datetime.fromtimestamp(epoch / 1000 if epoch >= _FIRST_IN_MILLISECONDS else epoch, UTC)


def bounded(text: str, longest: int) -> str:
    """The text, or so much of it and its digest: two long ones with one beginning stay two."""
    if len(text) <= longest:
        return text
    digest = sha256(text.encode()).hexdigest()[:32]
    return f"{text[: longest - len(digest) - 1]}~{digest}"


def link_of(text: str) -> str | None:
    """The text if it is a link that people may be shown."""
    fits = len(text) <= _LONGEST_LINK and text.isprintable() and " " not in text
    return text if fits and text.startswith("https://") else None


def level_of(word: str) -> Mode | None:
    """The level that a word names, None where it names none: normal is no level of an alert."""
    mode = MODES.get(word, Mode.NORMAL)
    return mode if mode > Mode.NORMAL else None
