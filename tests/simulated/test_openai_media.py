"""Images, sound and legacy completions: what is accepted, refused, told and billed."""

import base64
from typing import Any

import httpx
import pytest

from tests.simulated.conftest import Caller

IMAGES, SPEECH = "/openai/v1/images/generations", "/openai/v1/audio/speech"
COMPLETIONS, COMPACT = "/openai/v1/completions", "/openai/v1/responses/compact"
PNG = ("a.png", b"\x89PNG" + b"x" * 2000)
SOUND = ("a.mp3", b"x" * 3500)


def an_image(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-image-1.5", "prompt": "bear", **fields}


def a_speech(**fields: Any) -> dict[str, Any]:
    return {"model": "tts-1", "input": "Hello", "voice": "nova", **fields}


def a_completion(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-3.5-turbo-instruct", "prompt": "fives", **fields}


def a_form(
    caller: Caller, path: str, data: dict[str, Any], **files: tuple[str, bytes]
) -> httpx.Response:
    headers = caller.headers("/openai")
    return caller.http.post(f"/openai/v1/{path}", headers=headers, data=data, files=files)


def test_bills_images_by_their_tokens(caller: Caller) -> None:
    reply = caller.post(IMAGES, an_image(quality="medium", n=2)).json()

    row = caller.row()
    assert reply["usage"] == row["usage"]
    assert reply["usage"]["output_tokens_details"] == {"image_tokens": 2112, "text_tokens": 0}
    # gpt-image-1.5: text $5, output image $32 a million; each picture is a call by itself
    assert row["billed_nanos"] == 2 * 5_000 + 2112 * 32_000
    assert base64.b64decode(reply["data"][1]["b64_json"]).startswith(b"\x89PNG")
    assert reply["data"][0] != reply["data"][1]


def test_bills_the_pictures_of_an_edit(caller: Caller) -> None:
    data = {"model": "gpt-image-1.5", "prompt": "bear", "partial_images": "1", "stream": "true"}
    reply = a_form(caller, "images/edits", data, image=PNG)

    row = caller.row()
    partial, completed, _ = reply.text.split("\n\n")
    assert partial.startswith("event: image_edit.partial_image\n")
    assert '"image_tokens":194' in completed
    assert row["usage"]["output_tokens"] == 272 + 100
    # input image $8
    assert row["billed_nanos"] == 5_000 + 194 * 8_000 + 372 * 32_000


@pytest.mark.parametrize(
    ("model", "size", "quality", "tokens"),
    [
        # Read off the calculator of OpenAI's guide "Image generation".
        ("gpt-image-2", "1024x1024", "low", 196),
        ("gpt-image-2", "1024x1024", "medium", 1756),
        ("gpt-image-2", "1024x1024", "high", 7024),
        ("gpt-image-2", "1024x1536", "high", 5488),
        ("gpt-image-2", "1024x640", "high", 3824),
        ("gpt-image-2", "2560x1440", "high", 7370),
        ("gpt-image-2", "3840x1280", "high", 5311),
        ("gpt-image-2", "3840x2160", "high", 13342),
        ("gpt-image-2.5-flare", "1024x1024", "max", 7024),
        ("gpt-image-2.5-sunburst", "1536x1024", "low", 158),
        ("gpt-image-1", "1536x1024", "high", 6208),
    ],
)
def test_bills_pictures_as_openais_calculator_does(
    caller: Caller, model: str, size: str, quality: str, tokens: int
) -> None:
    reply = caller.post(IMAGES, an_image(model=model, size=size, quality=quality)).json()

    assert reply["usage"]["output_tokens"] == tokens


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("gpt-image-1", {"size": "1280x720"}),
        ("gpt-image-1", {"quality": "max"}),
        ("gpt-image-2", {"quality": "xhigh"}),
        ("gpt-image-2", {"size": "1000x1000"}),
        ("gpt-image-2", {"size": "512x512"}),
        ("gpt-image-2", {"size": "3840x3840"}),
        ("gpt-image-2", {"size": "3840x960"}),
        ("gpt-image-2", {"size": "0x0"}),
        ("gpt-image-2", {"size": ["1024x1024"]}),
    ],
)
def test_refuses_pictures_that_a_model_does_not_make(
    caller: Caller, model: str, fields: dict[str, Any]
) -> None:
    assert caller.post(IMAGES, an_image(model=model, **fields)).status_code == 400


def test_does_not_tell_what_images_by_the_piece_cost(caller: Caller) -> None:
    reply = caller.post(IMAGES, an_image(model="dall-e-3", quality="hd")).json()

    row = caller.row()
    assert ("usage" in reply, row["usage_delivered"], row["billed_nanos"]) == (False, False, None)
    assert row["usage"] == {"images": 1, "size": "1024x1024", "quality": "hd"}


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": None},
        {"prompt": ""},
        {"prompt": 1},
        {"prompt": "x" * 32_001},
        {"n": 0},
        {"n": 11},
        {"n": "1"},
        {"size": "1x1"},
        {"quality": "hd"},
        {"response_format": "url"},
        {"background": "red"},
        {"output_format": "gif"},
        {"output_compression": 101},
        {"partial_images": 4, "stream": True},
        {"partial_images": 1},
        {"stream": "yes"},
        {"stream": True, "n": 2},
        {"svg": {}},
        {"image": "x"},
        {"no_such_argument": 1},
        {"model": "gpt-4o"},
        {"model": "none"},
        {"model": 1},
        {"model": "dall-e-3", "n": 2},
        {"model": "dall-e-2", "stream": True},
    ],
)
def test_refuses_images_that_openai_refuses(caller: Caller, fields: dict[str, Any]) -> None:
    assert caller.post(IMAGES, an_image(**fields)).status_code == 400
    assert caller.rows() == []


@pytest.mark.parametrize(
    ("path", "data", "files"),
    [
        ("images/edits", {"model": "gpt-image-1", "prompt": "a"}, {"mask": PNG}),
        ("images/edits", {"model": "gpt-image-1", "prompt": "a", "n": "x"}, {"image": PNG}),
        ("images/edits", {"model": "gpt-image-1", "prompt": "a", "stream": "1"}, {"image": PNG}),
        ("images/edits", {"model": "gpt-image-1", "prompt": ["a", "b"]}, {"image": PNG}),
        ("images/edits", {"model": "gpt-image-1", "prompt": "a"}, {"image": PNG, "x": PNG}),
        ("images/variations", {"model": "gpt-image-1"}, {"image": PNG}),
        ("images/variations", {"prompt": "a"}, {"image": PNG}),
        ("audio/transcriptions", {"model": "whisper-1"}, {"x": SOUND}),
        ("audio/transcriptions", {}, {"file": SOUND}),
        ("audio/transcriptions", {"model": "whisper-1"}, {"file": ("a.txt", b"x")}),
        ("audio/transcriptions", {"model": "whisper-1"}, {"file": ("a.mp3", b"")}),
        ("audio/transcriptions", {"model": "whisper-1", "temperature": "x"}, {"file": SOUND}),
        ("audio/transcriptions", {"model": "whisper-1", "stream": "1"}, {"file": SOUND}),
        ("audio/transcriptions", {"model": "whisper-1", "keywords": "a"}, {"file": SOUND}),
        ("audio/transcriptions", {"model": "whisper-1", "include[]": "x"}, {"file": SOUND}),
        (
            "audio/transcriptions",
            {"model": "whisper-1", "timestamp_granularities[]": ["word", "segment"]},
            {"file": SOUND},
        ),
        ("audio/transcriptions", {"model": "gpt-4o-transcribe-diarize"}, {"file": SOUND}),
        (
            "audio/transcriptions",
            {"model": "gpt-4o-transcribe", "response_format": "vtt"},
            {"file": SOUND},
        ),
        ("audio/translations", {"model": "whisper-1", "language": "de"}, {"file": SOUND}),
    ],
)
def test_refuses_forms_that_openai_refuses(
    caller: Caller, path: str, data: dict[str, Any], files: dict[str, tuple[str, bytes]]
) -> None:
    answer = a_form(caller, path, data, **files)

    assert (answer.status_code, "error" in answer.json()) == (400, True)
    assert caller.rows() == []


@pytest.mark.parametrize(("model", "billed"), [("tts-1", 5 * 15_000), ("tts-1-hd", 5 * 30_000)])
def test_bills_speech_by_characters(caller: Caller, model: str, billed: int) -> None:
    answer = caller.post(SPEECH, a_speech(model=model, response_format="wav"))

    assert (answer.headers["content-type"], len(answer.content)) == ("audio/wav", 500)
    assert (caller.row()["billed_nanos"], caller.row()["usage_delivered"]) == (billed, False)


def test_tells_the_tokens_of_speech_in_its_last_event(caller: Caller) -> None:
    events = caller.post(SPEECH, a_speech(model="gpt-4o-mini-tts", stream_format="sse")).text

    assert events.endswith(
        'data: {"type":"speech.audio.done",'
        '"usage":{"input_tokens":2,"output_tokens":10,"total_tokens":12}}\n\n'
    )
    # $0.60 and $12 a million
    assert caller.row()["billed_nanos"] == 2 * 600 + 10 * 12_000


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"input": ""}, 400),
        ({"input": "x" * 4097}, 400),
        ({"input": 1}, 400),
        ({"voice": "none"}, 400),
        ({"voice": None}, 400),
        ({"speed": 0.1}, 400),
        ({"response_format": "text"}, 400),
        ({"stream_format": "sse"}, 400),
        ({"no_such_argument": 1}, 400),
        ({"model": "gpt-4o"}, 404),
    ],
)
def test_refuses_speech_that_openai_refuses(
    caller: Caller, fields: dict[str, Any], status: int
) -> None:
    assert caller.post(SPEECH, a_speech(**fields)).status_code == status
    assert caller.rows() == []


@pytest.mark.parametrize(
    ("path", "data", "usage", "billed"),
    [
        # $0.006 a minute
        (
            "transcriptions",
            {"model": "whisper-1"},
            {"type": "duration", "seconds": 4},
            (True, 400_000),
        ),
        (
            "transcriptions",
            {"model": "whisper-1", "response_format": "srt"},
            {"type": "duration", "seconds": 4},
            (False, 400_000),
        ),
        (
            "translations",
            {"model": "whisper-1"},
            {"type": "duration", "seconds": 4},
            (False, 400_000),
        ),
        # text $2.50, audio $6, output $10 a million
        (
            "transcriptions",
            {"model": "gpt-4o-transcribe", "prompt": "four"},
            {
                "type": "tokens",
                "input_tokens": 41,
                "input_token_details": {"text_tokens": 1, "audio_tokens": 40},
                "output_tokens": 12,
                "total_tokens": 53,
            },
            (True, 2_500 + 40 * 6_000 + 12 * 10_000),
        ),
    ],
)
def test_bills_transcripts(
    caller: Caller, path: str, data: dict[str, str], usage: Any, billed: tuple[bool, int]
) -> None:
    answer = a_form(caller, f"audio/{path}", data, file=SOUND)

    row = caller.row()
    assert (row["usage"], row["usage_delivered"], row["billed_nanos"]) == (usage, *billed)
    assert ('"usage"' in answer.text) is billed[0]


def test_completes_each_prompt_and_bills_what_is_not_shown(caller: Caller) -> None:
    asked = a_completion(prompt=["fives", "four"], n=2, best_of=3, max_tokens=1, echo=True)
    reply = caller.post(COMPLETIONS, asked).json()

    texts = [choice["text"] for choice in reply["choices"]]
    assert [text[:4] for text in texts] == ["five", "five", "four", "four"]
    assert {choice["finish_reason"] for choice in reply["choices"]} == {"length"}
    assert reply["usage"] == {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}
    # $1.50 and $2 a million
    assert caller.row()["billed_nanos"] == 3 * 1_500 + 6 * 2_000


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"prompt": []}, 400),
        ({"prompt": ["a", 1]}, 400),
        ({"prompt": {}}, 400),
        ({"max_tokens": -1}, 400),
        ({"max_tokens": 100_000}, 400),
        ({"n": 0}, 400),
        ({"n": 21}, 400),
        ({"n": 3, "best_of": 2}, 400),
        ({"best_of": 2, "stream": True}, 400),
        ({"stream_options": {"include_usage": True}}, 400),
        ({"temperature": 3}, 400),
        ({"echo": "yes"}, 400),
        ({"logprobs": 1}, 400),
        ({"no_such_argument": 1}, 400),
        ({"model": 1}, 400),
        ({"model": "none"}, 404),
        ({"model": "gpt-4o"}, 404),
        ({"model": "text-embedding-ada-002"}, 404),
    ],
)
def test_refuses_completions_that_openai_refuses(
    caller: Caller, fields: dict[str, Any], status: int
) -> None:
    assert caller.post(COMPLETIONS, a_completion(**fields)).status_code == status
    assert caller.rows() == []


def test_compacts_and_bills_a_conversation(caller: Caller) -> None:
    reply = caller.post(COMPACT, {"model": "gpt-4.1", "input": "Hello"}, output_tokens="7").json()

    row = caller.row()
    assert (reply["object"], reply["usage"]) == ("response.compaction", row["usage"])
    assert [item["type"] for item in reply["output"]] == ["message", "compaction"]
    # $2 and $8 a million
    tokens = reply["usage"]["input_tokens"]
    assert (reply["usage"]["output_tokens"], row["billed_nanos"]) == (7, tokens * 2_000 + 56_000)


@pytest.mark.parametrize(
    "fields", [{"stream": True}, {"model": "none"}, {"input": None}, {"service_tier": "priority"}]
)
def test_refuses_a_compaction_that_it_cannot_do(caller: Caller, fields: dict[str, Any]) -> None:
    answer = caller.post(COMPACT, {"model": "gpt-5", "input": "Hello", **fields})

    assert answer.status_code == 400
    assert caller.rows() == []


def test_leaves_the_usage_out_when_told_to(caller: Caller) -> None:
    assert "usage" not in caller.post(IMAGES, an_image(), fault="no-usage").json()


def test_breaks_sound_off_when_told_to(caller: Caller) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        caller.post(SPEECH, a_speech(), fault="cut", fault_after="0")

    assert caller.row()["ending"] == "cut"


@pytest.mark.parametrize(("path", "body"), [(IMAGES, an_image()), (SPEECH, a_speech())])
def test_answers_an_error_where_no_event_can_tell_it(
    caller: Caller, path: str, body: dict[str, Any]
) -> None:
    assert caller.post(path, body, fault="error-event").status_code == 500
    assert caller.rows() == []
