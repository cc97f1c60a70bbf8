"""Pictures are looked at coarsely where the model takes that."""

from typing import Any

import pytest

from common.llm.paths import FormName
from common.llm.reductions.media_detail import look_coarsely
from common.llm.reductions.request import Unsafe
from common.llm.reductions.wanted import LowMediaDetail
from tests.reductions.asked import IMAGE, asked, members_of, said, user

WANTED = LowMediaDetail()
URL = "https://pictures.test/cat.png"
SHOWN = {"type": "input_image", "image_url": URL}
PICTURE = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
LOW = "MEDIA_RESOLUTION_LOW"


def image(**detail: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": URL, **detail}}


@pytest.mark.parametrize("detail", [{}, {"detail": None}, {"detail": "auto"}, {"detail": "high"}])
def test_lowers_the_detail_of_each_picture_of_a_chat(detail: Any) -> None:
    text = {"type": "text", "text": "What is it?"}
    request = asked("openai_chat", {"messages": [user("Hi"), user([text, image(**detail), IMAGE])]})

    found = members_of(look_coarsely(request, WANTED))

    low = image(detail="low")
    assert found == {"messages": [user("Hi"), user([text, low, low])]}


@pytest.mark.parametrize("detail", [{}, {"detail": "original"}, {"detail": "high"}])
def test_lowers_the_detail_of_each_picture_of_a_response(detail: Any) -> None:
    request = asked("openai_responses", {"input": [user([{**SHOWN, **detail}])]})

    found = members_of(look_coarsely(request, WANTED))

    assert found == {"input": [user([{**SHOWN, "detail": "low"}])]}


@pytest.mark.parametrize(("detail", "after"), [({}, None), ({"detail": "high"}, {"detail": "low"})])
def test_adds_no_detail_where_the_upstream_may_not_take_it(detail: Any, after: Any) -> None:
    request = asked("openai_chat", {"messages": [user([image(**detail)])]}, upstream="own-vllm")

    found = look_coarsely(request, WANTED)

    expected = None if after is None else {"messages": [user([image(**after)])]}
    assert (None if found is None else members_of(found)) == expected


@pytest.mark.parametrize(
    ("form", "members"),
    [
        ("openai_chat", {"messages": [user("Hi")]}),
        ("openai_chat", {"messages": [user([image(detail="low")])]}),
        ("openai_chat", {"messages": [user([{"type": "image_url", "image_url": URL}])]}),
        ("openai_chat", {"messages": "Hi"}),
        ("openai_responses", {"input": "Hi"}),
        ("openai_responses", {"input": [user([{**SHOWN, "detail": "low"}])]}),
        ("anthropic_messages", {"messages": [user([{"type": "image", "source": {}}])]}),
        ("gemini_content", {"contents": [said({"text": "Hi"})]}),
        (
            "gemini_content",
            {"contents": [said(PICTURE)], "generationConfig": {"mediaResolution": LOW}},
        ),
    ],
)
def test_leaves_what_is_coarse_or_no_picture(form: FormName, members: Any) -> None:
    assert look_coarsely(asked(form, members), WANTED) is None


@pytest.mark.parametrize("part", [PICTURE, {"file_data": {"file_uri": "files/1"}}])
@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-2.5-pro", "gemini-3-pro-preview"])
def test_lowers_the_resolution_of_a_request_with_media(part: Any, model: str) -> None:
    contents = [said({"text": "What is it?"}, part)]

    found = members_of(
        look_coarsely(asked("gemini_content", {"contents": contents}, model), WANTED)
    )

    assert found == {"contents": contents, "generationConfig": {"mediaResolution": LOW}}


def test_lowers_a_resolution_in_its_own_spelling_and_leaves_that_of_parts() -> None:
    part = {**PICTURE, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}}
    config = {"media_resolution": "MEDIA_RESOLUTION_HIGH"}
    members = {"contents": [said(part)], "generation_config": config}

    found = members_of(look_coarsely(asked("gemini_content", members, "gemini-3-pro"), WANTED))

    assert found == {"contents": [said(part)], "generation_config": {"media_resolution": LOW}}


@pytest.mark.parametrize("model", ["gemini-1.5-flash", "gemini-2.5-flash-image", "gemma-3"])
def test_adds_no_resolution_where_the_model_may_not_take_it(model: str) -> None:
    request = asked("gemini_content", {"contents": [said(PICTURE)]}, model)

    assert look_coarsely(request, WANTED) is None


@pytest.mark.parametrize(
    ("form", "members"),
    [
        (
            "openai_responses",
            {"input": [user([SHOWN])], "tools": [{"type": "computer_use_preview"}]},
        ),
        ("gemini_content", {"contents": [said(PICTURE)], "tools": [{"computerUse": {}}]}),
    ],
)
def test_leaves_what_a_model_clicks_on(form: FormName, members: Any) -> None:
    assert look_coarsely(asked(form, members), WANTED) == Unsafe("computer_use")
