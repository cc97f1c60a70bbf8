"""How requests and replies of metered endpoints are read, each form as one value.

To add one, write its module in `protocols/` and add it here; `paths.py` says which endpoints have
it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from common.llm.facts import CallFacts
from common.llm.metered import Metered
from common.llm.paths import FormName
from common.llm.protocols import anthropic, openai_chat


class UsageTap(Protocol):
    """Looks at a stream while it passes. Chunks are given out in the call that takes them in."""

    done: bool
    """The provider's own end of the stream was seen."""

    def feed(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes: ...

    def result(self) -> Metered: ...


class Unread:
    """The tap of a stream that costs nothing: it passes."""

    done = True

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""

    def result(self) -> Metered:
        return Metered()


@dataclass(frozen=True, slots=True)
class MeteredForm:
    """What the pipeline needs to know of an endpoint that costs.

    `prepare` answers the body to send and whether the stream's usage chunk must be taken out.
    """

    read_facts: Callable[[bytes], CallFacts]
    prepare: Callable[[bytes, CallFacts], tuple[bytes, bool]]
    read_reply: Callable[[bytes], Metered]
    stream_tap: Callable[[bool], UsageTap]


def _ask_for_usage(body: bytes, facts: CallFacts) -> tuple[bytes, bool]:
    edited = openai_chat.ask_for_usage(body, facts)
    return (body, False) if edited is None else (edited, True)


def _as_it_came(body: bytes, _facts: CallFacts) -> tuple[bytes, bool]:
    return body, False


FORMS: Mapping[FormName, MeteredForm] = MappingProxyType(
    {
        "openai_chat": MeteredForm(
            read_facts=openai_chat.read_facts,
            prepare=_ask_for_usage,
            read_reply=openai_chat.read_reply,
            stream_tap=lambda strip: openai_chat.StreamTap(strip=strip),
        ),
        "anthropic_messages": MeteredForm(
            read_facts=anthropic.read_facts,
            prepare=_as_it_came,
            read_reply=anthropic.read_reply,
            stream_tap=lambda _strip: anthropic.StreamTap(),
        ),
    }
)
