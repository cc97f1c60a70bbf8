"""What calls say of their upstreams: only what those did themselves."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from common.brownout.own_counters import Ended
from common.gateway.call import Call
from common.gateway.evidence_of_calls import evidence_of
from common.llm.metered import Metered
from common.llm.paths import Endpoint
from common.llm.price_book import bundled_book
from common.llm.protocol import PROTOCOLS
from tests.gateway.making import START

FAILED, UNANSWERED = Ended(failed=True), Ended(failed=True, answered=False)
FINAL = Metered(final=True)
CHAT = Endpoint("openai", "chat", "POST", "/v1/chat/completions", "openai_chat")


def a_call(**members: Any) -> Call:
    """One that arrived at 10 s, was tried last at 12 s, and got its first chunk at 12.5 s."""
    streams = members.pop("stream", False)
    call = Call(
        id="c",
        started_at=START,
        arrived_s=10.0,
        protocol=PROTOCOLS["openai"],
        endpoint=CHAT,
        book=bundled_book(),
        **{
            "sent_s": 10.0,
            "tried_s": 12.0,
            "first_chunk_s": 2.5,
            "status": 200,
            "upstream_status": 200,
            "metered": FINAL,
            **members,
        },
    )
    call.facts = replace(call.facts, stream=streams)
    return call


def refused(code: str, **members: Any) -> Mapping[str, Any]:
    """A call that the gateway itself answered, because of its upstream."""
    outcome = {"outcome": "upstream_error", "error_code": code, "metered": None}
    return {**outcome, "upstream_status": None, "first_chunk_s": None, **members}


def answered(status: int, **members: Any) -> Mapping[str, Any]:
    return {"status": status, "upstream_status": status, "metered": None, **members}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, Ended(failed=False, total_s=3.0)),
        ({"stream": True}, Ended(failed=False, first_chunk_s=0.5, total_s=3.0)),
        (answered(500), FAILED),
        (answered(529, stream=True), FAILED),
        (refused("upstream_timeout"), UNANSWERED),
        (refused("upstream_unreachable"), UNANSWERED),
        (refused("upstream_disconnected"), UNANSWERED),
        ({"cut": True, "metered": Metered()}, FAILED),
        (
            {"cut": True, "metered": Metered(), "stream": True},
            Ended(failed=True, first_chunk_s=0.5),
        ),
        (answered(429, managed=True), FAILED),
        ({"metered": Metered(failed=True), "managed": True}, FAILED),
        # A client that leaves says nothing of what would have come; what came in time counts.
        (
            {"client_gone": True, "metered": Metered(), "stream": True},
            Ended(failed=None, first_chunk_s=0.5),
        ),
        (
            {"client_gone": True, "metered": None, "first_chunk_s": None, "stream": True},
            Ended(failed=None, first_chunk_s=3.0, answered=False),
        ),
        # One that ended all the same.
        ({"client_gone": True}, Ended(failed=False, total_s=3.0)),
    ],
)
def test_holds_against_an_upstream_what_it_did(members: Mapping[str, Any], expected: Ended) -> None:
    assert evidence_of(a_call(**members), ended_s=15.0) == expected


@pytest.mark.parametrize(
    "members",
    [
        {"tried_s": None},
        answered(500, is_test=True),
        answered(429),
        {"metered": Metered(failed=True)},
        answered(400),
        answered(401, managed=True),
        answered(404, stream=True),
        answered(302),
        refused("upstream_credential_unavailable"),
        refused("upstream_timeout", client_awaited=True),
        {"client_gone": True, "metered": None, "first_chunk_s": None},
        {"outcome": "client_error", "error_code": "rate_limited"},
        {"outcome": "client_error", "error_code": "budget_exceeded"},
        {"outcome": "shed", "error_code": "brownout_shed"},
        {"outcome": "gateway_error", "error_code": "store_unavailable"},
    ],
)
def test_holds_nothing_else_against_it(members: Mapping[str, Any]) -> None:
    assert evidence_of(a_call(**members), ended_s=15.0) is None
