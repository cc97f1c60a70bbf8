"""Pictures, speech and transcripts are never edited, however much too large they are."""

import json
from typing import Any

import httpx
import pytest

from common.budgets.fit import Asked, Fitted, NoFit, WouldFit, fit
from common.llm.bounds import Bound
from common.llm.capabilities import ModelCaps
from common.llm.edits import Recipient
from common.llm.forms import FORMS
from common.llm.paths import Endpoint, resolve
from tests.fit.requests import bound_of

TEMPTING = {"max_tokens": 9_000, "max_output_tokens": 9_000, "service_tier": "auto"}
"""Members that an edit would find, were it to look."""


def asked_of(path: str, body: bytes) -> Asked:
    endpoint = resolve("POST", path, {})
    assert isinstance(endpoint, Endpoint)
    assert endpoint.form is not None
    facts = FORMS[endpoint.form].read_facts(body)
    found = bound_of("openai")(facts)
    bound = found if isinstance(found, Bound) else Bound(10**9, "bytes", 1, 1)
    return Asked(body, facts, bound, Recipient(endpoint, "openai", facts.model, ModelCaps()))


def a_form(data: dict[str, Any], name: str) -> bytes:
    files = {name: ("a.bin", b"x" * 9_000)}
    return httpx.Request("POST", "http://x", data=data, files=files).read()


@pytest.mark.parametrize("more", [{}, TEMPTING], ids=["plain", "tempting"])
@pytest.mark.parametrize("room", [0, 1_000, 10**8])
@pytest.mark.parametrize(
    ("path", "asked", "file"),
    [
        ("images/generations", {"model": "gpt-image-2", "prompt": "a", "n": 10}, None),
        ("images/edits", {"model": "gpt-image-2", "prompt": "a", "n": 10}, "image"),
        ("audio/speech", {"model": "tts-1-hd", "input": "x" * 4_096, "voice": "nova"}, None),
        ("audio/transcriptions", {"model": "gpt-4o-transcribe"}, "file"),
        ("audio/translations", {"model": "whisper-1"}, "file"),
    ],
)
def test_goes_as_it_came_or_not_at_all(
    path: str, asked: dict[str, Any], file: str | None, room: int, more: dict[str, Any]
) -> None:
    members = {**asked, **more}
    body = json.dumps(members).encode() if file is None else a_form(members, file)
    request = asked_of(f"/openai/v1/{path}", body)

    found = fit(request, room, bound_of("openai"))

    if request.bound.nanos <= room:
        assert found == Fitted(body, request.facts, request.bound, ())
    else:
        assert found == NoFit("no_cap", WouldFit(less=True))
