"""What must hold of every request that is edited, whatever it asks for."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.edits.asking import Asked
from tests.edits.reading import (
    cache_settings_of,
    caps_of,
    may_call_tools,
    model_of,
    own_tools,
    text_of,
    tools_of,
)
from tests.edits.world import Treated, members

LONGEST_CALL = 16_384
"""Tokens that the arguments of a tool may have."""


@dataclass(frozen=True, slots=True)
class Case:
    """A request that its provider accepts, what it answers to it, and what an edit made of it.

    `keeps_cache`: its provider does not fail, so nothing is worth more than its cache.
    """

    asked: Asked
    straight: bytes
    treated: Treated
    keeps_cache: bool

    @property
    def shed(self) -> bool:
        return self.treated.exchange.headers.get("x-gateway-error") == "brownout_shed"


def _is_answered(case: Case) -> bool:
    return case.treated.exchange.status == 200


def _is_sent_once(case: Case) -> bool:
    """No edit is refused: it was not sent again as it came."""
    return len(case.treated.sent) == 1 and not case.treated.rejected


def _still_says_something(case: Case) -> bool:
    form = case.asked.form
    before, after = text_of(form, case.straight), text_of(form, case.treated.exchange.content)
    return bool(after) or not before


def _is_whole_json(case: Case) -> bool:
    if not case.asked.kind.formed:
        return True
    form = case.asked.form
    # Some providers ignore what form an answer is to have.
    if _is_json(text_of(form, case.straight)) and not _is_json(
        text_of(form, case.treated.exchange.content)
    ):
        return False
    return caps_of(members(case.treated.sent[0].body)) == caps_of(members(case.asked.body))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


def _keeps_its_cache(case: Case) -> bool:
    return not (case.asked.kind.began and case.keeps_cache) or _renders_alike(case)


def _goes_on_as_the_tool_was_called(case: Case) -> bool:
    if not case.asked.kind.answers_tool:
        return True
    before, after = members(case.asked.body), members(case.treated.sent[0].body)
    return _renders_alike(case) and tools_of(before) == tools_of(after)


def _keeps_the_client_s_tools(case: Case) -> bool:
    before, after = members(case.asked.body), members(case.treated.sent[0].body)
    return own_tools(before) == own_tools(after)


def _renders_alike(case: Case) -> bool:
    sent = case.treated.sent[0]
    before, after = members(case.asked.body), members(sent.body)
    models = model_of(case.asked.path, before), model_of(sent.url, after)
    return models[0] == models[1] and cache_settings_of(before) == cache_settings_of(after)


def _leaves_room_for_the_call_of_a_tool(case: Case) -> bool:
    """Its cap stays, but for one above what another model gives at all."""
    before, after = members(case.asked.body), members(case.treated.sent[0].body)
    if not may_call_tools(before) or caps_of(before) == caps_of(after):
        return True
    return "model" in case.treated.applied and all(
        tokens >= LONGEST_CALL for _, tokens in caps_of(after)
    )


LAWS: Mapping[str, Callable[[Case], bool]] = {
    "is answered": _is_answered,
    "is sent once": _is_sent_once,
    "still says something": _still_says_something,
    "is whole where it is JSON": _is_whole_json,
    "keeps its cache": _keeps_its_cache,
    "goes on as the tool was called": _goes_on_as_the_tool_was_called,
    "keeps the client's tools": _keeps_the_client_s_tools,
    "leaves room for the call of a tool": _leaves_room_for_the_call_of_a_tool,
}
"""Each is asked only where those before it hold."""


def broken_by(case: Case) -> Iterator[str]:
    """The first law that does not hold, with what was done."""
    for name, holds in LAWS.items():
        if not holds(case):
            yield f"{case.asked}: not {name} with {case.treated.applied}"
            return
