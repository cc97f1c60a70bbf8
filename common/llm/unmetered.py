"""Paths that an installation lets through although nothing tells what they cost.

Each is written `METHOD /provider/path`, and `*` in it stands for any text within one segment. What
opens a way around the gateway (keys and tokens made for others, sessions that are held without it)
or administers an account stays closed, whatever is written.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_ENTRY = re.compile(
    r"(GET|POST|PUT|PATCH|DELETE) "
    r"(/(?:openai/v1|anthropic/v1|gemini/v1(?:beta)?|u/[a-z0-9][a-z0-9-]{0,62}/v1)"
    r"(?:/(?=[^/])[A-Za-z0-9_.~:-]*\*?[A-Za-z0-9_.~:-]*)+)"
)
_FORM = (
    "METHOD /openai/v1/..., /anthropic/v1/..., /gemini/v1beta/... or /u/UPSTREAM/v1/..., with at "
    "most one * between two slashes"
)
_ANY = "[A-Za-z0-9_.~:-]+"
_DOTS = frozenset({".", ".."})
_NEVER = frozenset(
    {
        *("organization", "organizations", "admin"),
        *("clientsecrets", "authtokens", "keys", "apikeys", "auth"),
        *("realtime", "live", "chatkit", "bidigeneratecontent"),
    }
)
"""Words of paths, without what is no letter: they are matched however they are spelt."""
_NEVER_INSIDE = re.compile(
    "admin|apikey|clientsecret|authtoken|realtime|session|invite|organi[sz]ation"
)
"""Words that are never within a segment, also beside others (`admin_api_keys`)."""
_BETWEEN = re.compile(r"[/:]")
_NO_LETTER = re.compile(r"[^a-z]")


@dataclass(frozen=True, slots=True)
class UnmeteredPaths:
    """What is let through. Paths are those behind the host, with their provider's name."""

    patterns: tuple[re.Pattern[str], ...] = ()

    def cover(self, method: str, path: str) -> bool:
        """Whether a request for this path is let through."""
        asked = f"{method} {path}"
        return may_be_listed(path) and any(each.fullmatch(asked) for each in self.patterns)


NONE = UnmeteredPaths()


def may_be_listed(path: str) -> bool:
    """Whether a path can be let through at all."""
    segments = path.split("/")
    words = {_NO_LETTER.sub("", word.lower()) for word in _BETWEEN.split(path)}
    inside = any(map(_NEVER_INSIDE.search, words))
    return _DOTS.isdisjoint(segments) and _NEVER.isdisjoint(words) and not inside


def read_unmetered(entries: Iterable[str]) -> UnmeteredPaths:
    """The paths of a list.

    Raises:
        ValueError: one of them is not in the form, or is never let through. Its text is not
            repeated, only its place.
    """
    patterns = []
    for number, entry in enumerate(entries, start=1):
        match = _ENTRY.fullmatch(" ".join(entry.split()))
        if match is None:
            raise ValueError(f"entry {number} is not {_FORM}")
        if not may_be_listed(match[2]):
            raise ValueError(
                f"entry {number} is never let through: it administers an account, makes keys or "
                "tokens, opens a session of its own, or has a segment of dots"
            )
        path = _ANY.join(map(re.escape, match[2].split("*")))
        patterns.append(re.compile(f"{match[1]} {path}"))
    return UnmeteredPaths(tuple(patterns))
