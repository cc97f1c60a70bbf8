"""Every fault does what its name says, and is billed as the delivery module says."""

from typing import Any

import httpx
import pytest

from scripts.simulated.behaviour import FAULTS
from tests.simulated.conftest import Caller, chat, message

STATUSES = [fault for fault in FAULTS if fault.startswith("status-")]
BODIES = {
    "openai": chat(stream=True, stream_options={"include_usage": True}),
    "anthropic": message(stream=True),
}
PATHS = {"openai": "/openai/v1/chat/completions", "anthropic": "/anthropic/v1/messages"}
OUTPUT = {"openai": "completion_tokens", "anthropic": "output_tokens"}
VENDORS = sorted(PATHS)


def leave_after(caller: Caller, vendor: str, events: int, **knobs: str) -> bytes:
    """Read so many events of a stream, then close the connection."""
    headers = caller.headers(PATHS[vendor], **knobs)
    read = b""
    with caller.http.stream("POST", PATHS[vendor], json=BODIES[vendor], headers=headers) as answer:
        for part in answer.iter_raw():
            read += part
            if read.count(b"\n\n") >= events:
                break
    return read


@pytest.mark.parametrize("fault", STATUSES)
@pytest.mark.parametrize("vendor", VENDORS)
def test_answers_a_status_in_the_vendors_shape_and_bills_nothing(
    caller: Caller, vendor: str, fault: str
) -> None:
    answer = caller.post(PATHS[vendor], BODIES[vendor], fault=fault)

    assert f"status-{answer.status_code}" == fault
    assert set(answer.json()["error"]) == (
        {"message", "type", "param", "code"} if vendor == "openai" else {"type", "message"}
    )
    assert ("retry-after" in answer.headers) == (answer.status_code in (429, 529))
    assert caller.rows() == []


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("stream", [True, False])
def test_bills_garbage_in_full(caller: Caller, vendor: str, *, stream: bool) -> None:
    body = {**BODIES[vendor], "stream": stream}
    if not stream:
        body.pop("stream_options", None)

    answer = caller.post(PATHS[vendor], body, fault="garbage", output_tokens="20")

    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()
    row = caller.row()
    assert (row["ending"], row["usage_delivered"]) == ("garbage", False)
    assert row["usage"][OUTPUT[vendor]] == 20


@pytest.mark.parametrize("vendor", VENDORS)
def test_closes_before_any_byte_and_bills_nothing(caller: Caller, vendor: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        caller.post(PATHS[vendor], BODIES[vendor], fault="reset")

    assert caller.rows() == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_cuts_a_stream_after_so_many_events(caller: Caller, vendor: str) -> None:
    read: list[bytes] = []
    headers = caller.headers(PATHS[vendor], fault="cut", fault_after="6")
    with (
        caller.http.stream("POST", PATHS[vendor], json=BODIES[vendor], headers=headers) as answer,
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
    ):
        read.extend(answer.iter_raw())

    assert b"".join(read).count(b"\n\n") == 6
    row = caller.row()
    assert (row["ending"], row["usage_delivered"], row["streamed"]) == ("cut", False, True)
    # OpenAI: role, then 5 chunks of a token. Anthropic: start, block start, ping, then 1, 4, 4.
    assert row["usage"][OUTPUT[vendor]] == {"openai": 5, "anthropic": 9}[vendor]


def test_cuts_an_answer_in_the_middle_and_bills_it_in_full(caller: Caller) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        caller.openai(chat(), fault="cut", output_tokens="50")

    assert caller.row()["usage"]["completion_tokens"] == 50


@pytest.mark.parametrize("vendor", VENDORS)
def test_reports_an_error_in_the_stream(caller: Caller, vendor: str) -> None:
    answer = caller.post(PATHS[vendor], BODIES[vendor], fault="error-event", fault_after="2")

    assert answer.status_code == 200
    assert '"error":{' in answer.text.split("\n\n")[-2]
    assert caller.row()["ending"] == "error-event"


def test_answers_500_for_an_error_event_without_a_stream(caller: Caller) -> None:
    assert caller.openai(chat(), fault="error-event").status_code == 500
    assert caller.rows() == []


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("stream", [True, False])
def test_leaves_out_the_usage_and_bills_it(caller: Caller, vendor: str, *, stream: bool) -> None:
    body = {**BODIES[vendor], "stream": stream}
    if not stream:
        body.pop("stream_options", None)

    answer = caller.post(PATHS[vendor], body, fault="no-usage", output_tokens="20")

    assert "_tokens" not in answer.text
    row = caller.row()
    assert (row["usage_delivered"], row["usage"][OUTPUT[vendor]]) == (False, 20)


@pytest.mark.parametrize("vendor", VENDORS)
def test_stalls_until_the_client_leaves(caller: Caller, vendor: str) -> None:
    read = leave_after(caller, vendor, 4, fault="stall", fault_after="4")

    assert read.count(b"\n\n") == 4
    row = caller.row()
    assert row["ending"] == "client-gone"
    assert row["usage"][OUTPUT[vendor]] == {"openai": 3, "anthropic": 1}[vendor]


def test_stalls_without_a_stream(caller: Caller) -> None:
    with pytest.raises(httpx.ReadTimeout):
        caller.http.post(
            PATHS["openai"],
            json=chat(),
            headers=caller.headers(PATHS["openai"], fault="stall"),
            timeout=0.1,
        )

    row = caller.row()
    assert (row["ending"], row["usage"]["completion_tokens"]) == ("client-gone", 0)


@pytest.mark.parametrize("vendor", VENDORS)
def test_stops_generating_when_the_client_leaves(caller: Caller, vendor: str) -> None:
    leave_after(caller, vendor, 5, chunk_interval_ms="20", output_tokens="400")

    row = caller.row()
    assert (row["ending"], row["usage_delivered"]) == ("client-gone", False)
    assert 1 <= row["usage"][OUTPUT[vendor]] < 100


@pytest.mark.parametrize("vendor", VENDORS)
def test_bills_everything_when_generation_goes_on(caller: Caller, vendor: str) -> None:
    knobs = {"chunk_interval_ms": "20", "output_tokens": "250"}
    leave_after(caller, vendor, 5, **knobs, bill_after_disconnect="finish")

    row = caller.row()
    assert (row["ending"], row["usage_delivered"]) == ("client-gone", False)
    assert row["usage"][OUTPUT[vendor]] == 250


def test_bills_no_output_when_the_client_leaves_before_the_first_byte(caller: Caller) -> None:
    with pytest.raises(httpx.ReadTimeout):
        caller.http.post(
            PATHS["openai"],
            json=BODIES["openai"],
            headers=caller.headers(PATHS["openai"], latency_ms="60000"),
            timeout=0.1,
        )

    usage: dict[str, Any] = caller.row()["usage"]
    assert usage["completion_tokens"] == 0
    assert usage["prompt_tokens"] > 0


def test_is_slow_to_begin(caller: Caller) -> None:
    with pytest.raises(httpx.ReadTimeout):
        caller.http.post(
            PATHS["openai"],
            json=chat(),
            headers=caller.headers(PATHS["openai"], fault="slow"),
            timeout=0.2,
        )

    assert caller.row()["ending"] == "client-gone"


def test_counts_what_is_in_flight(caller: Caller) -> None:
    headers = caller.headers(PATHS["openai"], fault="stall", fault_after="1")
    with caller.http.stream(
        "POST", PATHS["openai"], json=BODIES["openai"], headers=headers
    ) as answer:
        parts = answer.iter_raw()
        next(parts)
        in_flight = caller.http.get("/simulated/health").json()["in_flight"]

    assert in_flight >= 1
