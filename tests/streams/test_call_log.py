"""The log line of a call: for what was edited, refused or failed, and for nothing else."""

import json
from typing import Any

import pytest

from common.core.events import EditMade, EditOutcome
from common.gateway.call_log import log_call
from common.runtime.logs import JsonLines
from tests.api.conftest import a_call
from tests.streams.conftest import KeptRecords
from tests.streams.fakes import OPENAI_STREAM, Client, KeepingBus, ScriptedReply, ScriptedUpstream

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def edit(name: str, outcome: EditOutcome) -> EditMade:
    return EditMade(name=name, told="a-model-of-the-policy", outcome=outcome, reason="some reason")


def lines(logged: KeptRecords) -> list[dict[str, Any]]:
    told = [json.loads(JsonLines().format(record)) for record in logged.named("call.ended")]
    return [{k: v for k, v in each.items() if k not in ("time", "logger")} for each in told]


async def test_tells_of_an_edited_call(logged: KeptRecords) -> None:
    edits = (edit("effort", "applied"), edit("model", "skipped_cache"))

    log_call(a_call(1, mode="hard", edits=edits, traceparent=TRACEPARENT))

    assert lines(logged) == [
        {
            "severity": "INFO",
            "message": "call.ended",
            "call_id": "call-00001",
            "mode": "hard",
            "edits": [
                {"name": "effort", "outcome": "applied"},
                {"name": "model", "outcome": "skipped_cache"},
            ],
            "outcome": "ok",
            "error_code": None,
            "logging.googleapis.com/trace": TRACE,
        }
    ]


async def test_tells_of_an_edit_that_the_provider_refused(logged: KeptRecords) -> None:
    log_call(a_call(edits=(edit("effort", "rejected"),), traceparent=None))

    [line] = lines(logged)
    assert line["edits"] == [{"name": "effort", "outcome": "rejected"}]
    assert "logging.googleapis.com/trace" not in line


@pytest.mark.parametrize("outcome", ["shadow", "skipped_unsafe", "skipped_cache"])
async def test_is_silent_where_nothing_was_changed(
    logged: KeptRecords, outcome: EditOutcome
) -> None:
    log_call(a_call(mode="hard", edits=(edit("effort", outcome),)))

    assert lines(logged) == []


async def test_is_silent_of_a_plain_answer(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, logged: KeptRecords
) -> None:
    upstream.reply = ScriptedReply(list(OPENAI_STREAM))
    await client.call(headers={"traceparent": TRACEPARENT})

    assert bus.only.outcome == "ok"
    assert lines(logged) == []


async def test_tells_of_a_refused_and_of_a_failed_call(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, logged: KeptRecords
) -> None:
    headers = {"traceparent": TRACEPARENT}
    await client.call("/openai/v1/no-such-thing", headers=headers)
    upstream.reply = ScriptedReply([b'{"error":{"message":"text of an error"}}'], status=500)
    await client.call(headers=headers)

    told = [(each["call_id"], each["outcome"], each["error_code"]) for each in lines(logged)]
    refused, failed = (event.id for event in bus.events)
    assert told == [
        (refused, "client_error", "endpoint_not_supported"),
        (failed, "upstream_error", "upstream_500"),
    ]
    assert {each["logging.googleapis.com/trace"] for each in lines(logged)} == {TRACE}
    assert "text of an error" not in repr(lines(logged))
