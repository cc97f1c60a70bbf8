"""A request leaves the lanes that cost more, and stays in those that cost less."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.llm.paths import FormName
from common.llm.reductions.request import Reduced
from common.llm.reductions.service_tiers import leave_priority
from common.llm.reductions.wanted import StandardTier
from tests.reductions.shortest import (
    CHAT,
    CLAUDE,
    GEMINI,
    INTERACTIONS,
    RESPONSES,
    SHORTEST,
    STREAM,
    check_taken,
    request_of,
)

STANDARD = StandardTier()
MODELS: dict[FormName, str] = {
    CHAT: "gpt-5",
    RESPONSES: "gpt-5",
    CLAUDE: "claude-opus-5",
    GEMINI: "gemini-3-flash-preview",
    STREAM: "gemini-3-flash-preview",
    INTERACTIONS: "gemini-3-flash-preview",
}


@pytest.mark.parametrize(
    ("form", "dear", "left"),
    [
        (CHAT, {"service_tier": "priority"}, {}),
        (CHAT, {"service_tier": "fast"}, {}),
        (RESPONSES, {"service_tier": "priority"}, {}),
        (CLAUDE, {"speed": "fast"}, {}),
        (CLAUDE, {"service_tier": "auto"}, {"service_tier": "standard_only"}),
        (
            CLAUDE,
            {"speed": "fast", "service_tier": "auto"},
            {"service_tier": "standard_only"},
        ),
        (
            CLAUDE,
            {"speed": "fast", "service_tier": "standard_only"},
            {"service_tier": "standard_only"},
        ),
        (GEMINI, {"serviceTier": "priority"}, {}),
        (GEMINI, {"service_tier": "PRIORITY"}, {}),
        (STREAM, {"serviceTier": "SERVICE_TIER_PRIORITY"}, {}),
        (INTERACTIONS, {"service_tier": "priority"}, {}),
    ],
)
def test_leaves_the_dear_lane(form: FormName, dear: dict[str, Any], left: dict[str, Any]) -> None:
    reduced = leave_priority(request_of(form, MODELS[form], dear), STANDARD)

    assert isinstance(reduced, Reduced)
    assert reduced.told == "standard"
    assert reduced.request.members == request_of(form, MODELS[form], left).members
    check_taken(reduced.request)


@pytest.mark.parametrize(
    ("form", "more"),
    [
        *((form, {}) for form in SHORTEST),
        *((CHAT, {"service_tier": tier}) for tier in ("auto", "default", "flex", "scale", None)),
        (RESPONSES, {"service_tier": "flex"}),
        (CLAUDE, {"service_tier": "standard_only", "speed": "standard"}),
        (CLAUDE, {"service_tier": "batch"}),
        (GEMINI, {"serviceTier": "flex"}),
        (GEMINI, {"serviceTier": ["priority"]}),
        (INTERACTIONS, {"service_tier": "deferred"}),
        (CHAT, {"speed": "fast"}),
    ],
)
def test_stays_where_it_costs_no_more(form: FormName, more: dict[str, Any]) -> None:
    assert leave_priority(request_of(form, MODELS[form], more), STANDARD) is None


@settings(deadline=None)
@given(
    st.sampled_from(sorted(SHORTEST)),
    st.dictionaries(
        st.sampled_from(["service_tier", "serviceTier", "speed"]),
        st.none()
        | st.integers()
        | st.lists(st.text(max_size=2))
        | st.sampled_from(["priority", "fast", "auto", "flex", "Priority", "standard"]),
    ),
)
def test_is_done_once_and_changes_nothing_handed_in(form: FormName, more: dict[str, Any]) -> None:
    request = request_of(form, MODELS[form], more)
    before = copy.deepcopy(dict(request.members))

    reduced = leave_priority(request, STANDARD)

    assert request.members == before
    if isinstance(reduced, Reduced):
        assert leave_priority(reduced.request, STANDARD) is None
