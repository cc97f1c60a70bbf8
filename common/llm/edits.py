"""Changing one member in the bytes of a request, where that is safe.

All other bytes stay the client's own. Where it is not sure what an edit would do, there is none: a
body is not edited that is too large, that does not parse, or in which any object names a member
twice, because readers differ in which of the two they take.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from common.llm.capabilities import ModelCaps
from common.llm.facts import EDIT_LIMIT_BYTES, parse_request
from common.llm.json_spans import RepeatedName, Span, member_spans
from common.llm.paths import Endpoint

Reason: TypeAlias = Literal[
    "too_large",
    "unreadable",
    "duplicate_members",
    "no_cap",
    "cap_absent",
    "cap_unreadable",
    "already_lower",
    "below_least",
    "structured_output",
    "forced_tool",
    "media_output",
    "thinking",
    "tier_asked",
]
"""Why a request is not edited.

`no_cap`: requests of this form have none. `cap_absent`: there is none in the request, and none can
be added. `cap_unreadable`: there is one that is no count, or two. `below_least`: an answer within
so few tokens would be refused or empty. `thinking`: how much it thinks cannot be read.
`tier_asked`: the request asks for a service tier, or its provider has none.
"""


@dataclass(frozen=True, slots=True)
class Edited:
    """A body with one member changed. `member` is its name as the body spells it."""

    body: bytes
    member: str
    value: str


@dataclass(frozen=True, slots=True)
class NotSafe:
    """No edit, and why."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets the request: the endpoint it was sent to, the upstream and model it goes to.

    `caps` are those of the price book; without a card they are empty. `provider` is whose price
    list the upstream is billed by, whatever it is called; None where nobody said.
    """

    endpoint: Endpoint
    upstream: str
    model: str | None
    caps: ModelCaps
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a member's value stands in a body, or where the member is to be put in."""

    span: Span
    before: bytes = b""
    after: bytes = b""

    def filled(self, body: bytes, value: str) -> bytes:
        """The body with this value, which is JSON."""
        written = self.before + value.encode() + self.after
        return body[: self.span.start] + written + body[self.span.end :]

    def grows_by(self, value: str) -> int:
        """How many bytes longer the body is with this value."""
        written = len(self.before) + len(value.encode()) + len(self.after)
        return written - (self.span.end - self.span.start)


@dataclass(frozen=True, slots=True)
class Editable:
    """A body that may be edited: what it says, and where its top-level members stand."""

    body: bytes
    parsed: Mapping[str, Any]
    spans: Mapping[str, Span]

    def slot(self, name: str) -> Slot:
        """The place of a top-level member."""
        return _slot(self.body, self.spans, name, Span(0, len(self.body)))

    def slot_within(self, outer: str, name: str) -> Slot:
        """The place of a member of a top-level object, which may be absent or null."""
        if self.parsed.get(outer) is None:
            around = self.slot(outer)
            before = around.before + b'{"' + name.encode() + b'":'
            return Slot(around.span, before, b"}" + around.after)
        whole = self.spans[outer]
        found = member_spans(self.body[whole.start : whole.end])
        inner = {
            each: Span(whole.start + span.start, whole.start + span.end)
            for each, span in found.items()
        }
        return _slot(self.body, inner, name, whole)


def open_body(body: bytes) -> Editable | NotSafe:
    """The body, if it may be edited."""
    if len(body) > EDIT_LIMIT_BYTES:
        return NotSafe("too_large")
    parsed = parse_request(body)
    if parsed is None:
        return NotSafe("unreadable")
    try:
        return Editable(body, parsed, member_spans(body, unique=True))
    except RepeatedName:
        return NotSafe("duplicate_members")
    except (ValueError, RecursionError):
        return NotSafe("unreadable")


def _slot(body: bytes, spans: Mapping[str, Span], name: str, within: Span) -> Slot:
    if name in spans:
        return Slot(spans[name])
    closing = body.rindex(b"}", within.start, within.end)
    comma = b"," if spans else b""
    return Slot(Span(closing, closing), comma + b'"' + name.encode() + b'":')
