"""What models are made for and can be handed, and what a request hands in.

Only models for conversations that are widely documented are known to take more than text; a request
that holds more is not moved to others. What it holds that has no word here is named as the request
spells it, which no model takes: unknown is not taken.

Sources: OpenAI API documentation, "Models" and the pages of the models (which of them the Responses
API alone has), guides "Images and vision", "File inputs", "Structured Outputs" (since
gpt-4o-2024-08-06; JSON mode since gpt-4-turbo and gpt-3.5-turbo-1106), "Function calling" (custom
tools since GPT-5); Anthropic documentation, "Models overview", "Vision", "PDF support", "Structured
outputs" (Opus 4.1, Sonnet 4.5, Haiku 4.5 and later); Gemini API documentation, "Models",
"Structured outputs", "Document understanding".
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from common.llm.facts import kind_of, objects
from common.llm.paths import FormName

Kind: TypeAlias = Literal[
    "text",
    "embeddings",
    "speech",
    "transcripts",
    "pictures",
    "video",
    "sound",
    "completions",
    "live",
]
"""What a model is made for: `text` answers conversations, `sound` does so aloud, `completions` goes
on with a text, `live` has an API of its own, as what judges texts has."""

_KINDS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"embed"), "embeddings"),
    (re.compile(r"realtime|\blive\b|moderation"), "live"),
    (re.compile(r"\btts\b|orpheus"), "speech"),
    (re.compile(r"transcribe|whisper"), "transcripts"),
    (re.compile(r"\bimage|imagen|banana|dall-e"), "pictures"),
    (re.compile(r"\bveo\b|\bsora\b|gemini-omni"), "video"),
    (re.compile(r"\baudio\b"), "sound"),
    (
        re.compile(r"\bgpt-3\.5-turbo-instruct|\b(text-)?(davinci|babbage|curie|ada)(-\d{3})?$"),
        "completions",
    ),
)
_RESPONSES_ALONE = re.compile(
    r"(o1|o3|gpt-5(\.\d)?)-pro\b.*|.*\bcodex\b.*|.*-deep-research\b.*|computer-use.*"
)

_WITHOUT_JSON = re.compile(r"gpt-4(-32k)?(-0314|-0613)?|gpt-3\.5-turbo-(16k|0301|0613|16k-0613)")
"""Models from before the JSON mode."""

_EVERYTHING_SEEN = frozenset({"tools", "pictures", "files", "schema"})
_ALL_MEDIA = _EVERYTHING_SEEN | {"sound", "video"}
_DATED = r"(-\d{4}-\d\d-\d\d)?"
_DAY = r"(-\d{8})?"
_TAKEN: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = tuple(
    (re.compile(pattern), taken)
    for pattern, taken in (
        (r"gpt-4o-2024-05-13|gpt-4-turbo(-2024-04-09)?", frozenset({"tools", "pictures"})),
        (
            rf"gpt-4(o|\.1)(-mini|-nano)?{_DATED}|o1{_DATED}|o3{_DATED}|o4-mini{_DATED}",
            _EVERYTHING_SEEN,
        ),
        (rf"o3-mini{_DATED}", frozenset({"tools", "schema"})),
        (
            rf"gpt-(5|5\.[12456]|6|6\.1)(-mini|-nano|-sol|-terra|-luna)?{_DATED}",
            _EVERYTHING_SEEN | {"custom"},
        ),
        (rf"claude-(opus|sonnet)-4(-0|{_DAY})", _EVERYTHING_SEEN - {"schema"}),
        (rf"claude-(opus-4-[15678]|sonnet-4-[56]|haiku-4-5){_DAY}", _EVERYTHING_SEEN),
        (r"gemini-2\.0-flash(-lite)?(-\d{3})?", _ALL_MEDIA),
        (r"gemini-2\.5-(pro|flash|flash-lite)", _ALL_MEDIA),
        (r"gemini-3(\.\d)?-(pro|flash|flash-lite)(-preview)?", _ALL_MEDIA),
    )
)

_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "text": "",
        "refusal": "",
        "input_text": "",
        "output_text": "",
        "image_url": "pictures",
        "input_image": "pictures",
        "image": "pictures",
        "file": "files",
        "input_file": "files",
        "document": "files",
        "input_audio": "sound",
        "tool_use": "tools",
        "tool_result": "tools",
    }
)
"""Kinds of parts; nothing is said of plain text."""

_MIME_TYPES = (
    ("image/", "pictures"),
    ("audio/", "sound"),
    ("video/", "video"),
    ("application/pdf", "files"),
    ("text/", "files"),
)
_CALLS = ("functionCall", "function_call", "functionResponse", "function_response")
_DATA = ("inlineData", "inline_data", "fileData", "file_data")
_FUNCTIONS = frozenset({"functionDeclarations", "function_declarations"})
_BESIDE_DATA = frozenset(
    {*_DATA, "text", "videoMetadata", "video_metadata", "mediaResolution", "media_resolution"}
)


@lru_cache(maxsize=500)
def taken_by(model: str) -> frozenset[str] | None:
    """What this model takes beside text; None: nothing is known of it.

    Words: `tools` (functions), `custom` (tools of OpenAI's that take any text), `pictures`,
    `files`, `sound`, `video`, `schema` (an answer by a JSON schema).
    """
    bare = model.rpartition("/")[2].lower()
    return next((taken for pattern, taken in _TAKEN if pattern.fullmatch(bare)), None)


@lru_cache(maxsize=500)
def made_for(model: str) -> Kind:
    """What a model is made for, as its name says; `text` where that says nothing."""
    name = model.lower()
    return next((kind for pattern, kind in _KINDS if pattern.search(name)), "text")


@lru_cache(maxsize=500)
def answers_chats(model: str) -> bool:
    """Whether OpenAI's chat completions have this model of OpenAI's."""
    return _RESPONSES_ALONE.fullmatch(model.lower()) is None


def takes_json_mode(model: str) -> bool:
    """Whether this model of OpenAI's writes JSON that is asked for without a schema."""
    return _WITHOUT_JSON.fullmatch(model.lower()) is None


def handed_in(form: FormName, members: Mapping[str, Any]) -> frozenset[str]:
    """What a request hands to its model beside text, in the words of `taken_by`."""
    return frozenset(word for word in _words(form, members) if word)


def _words(form: FormName, members: Mapping[str, Any]) -> Iterator[str]:
    if form == "openai_chat":
        yield from _of_tools(members.get("tools"))
        yield _of_format(members.get("response_format"))
        yield from _of_turns(members.get("messages"))
    elif form == "openai_responses":
        yield from _of_tools(members.get("tools"))
        text = members.get("text")
        yield _of_format(text.get("format") if isinstance(text, dict) else text)
        yield from _of_turns(members.get("input"))
    elif form == "anthropic_messages":
        yield from _of_tools(members.get("tools"))
        config = members.get("output_config")
        yield "schema" if isinstance(config, dict) and config.get("format") is not None else ""
        yield from _of_parts(members.get("system"))
        yield from _of_turns(members.get("messages"))
    elif form == "gemini_interactions":
        yield from _of_tools(members.get("tools"))
        yield from _of_turns(members.get("input"))
    else:
        yield from _of_gemini(members)


def _of_tools(tools: object) -> Iterator[str]:
    if tools is not None and not isinstance(tools, list):
        yield "tools"
    for tool in objects(tools):
        kind = kind_of(tool) if tool.get("type") is not None else "function"
        # Anthropic calls its functions custom, and gives them a schema.
        yield "tools" if kind == "function" or "input_schema" in tool else kind


def _of_format(asked: object) -> str:
    kind = asked.get("type") if isinstance(asked, dict) else asked
    if kind in (None, "text", "json_object"):
        return ""
    return "schema" if kind == "json_schema" else "response_format"


def _of_turns(turns: object) -> Iterator[str]:
    if isinstance(turns, str):
        return
    if not isinstance(turns, list):
        yield "unreadable"
    for turn in objects(turns):
        kind = turn.get("type")
        if kind in ("function_call", "function_call_output", "function_result"):
            yield "tools"
        elif kind in (None, "message", "user_input", "model_output"):
            yield from _of_parts(turn.get("content"))
        else:
            yield _PARTS.get(kind_of(turn), kind_of(turn))
        if turn.get("role") == "tool" or turn.get("tool_calls"):
            yield "tools"


def _of_parts(content: object) -> Iterator[str]:
    for part in objects(content):
        kind = kind_of(part)
        yield _PARTS.get(kind, kind)
        if kind == "tool_result":
            yield from _of_parts(part.get("content"))


def _of_gemini(members: Mapping[str, Any]) -> Iterator[str]:
    for tool in objects(members.get("tools")):
        yield from ("tools" if name in _FUNCTIONS else name for name in tool)
    for content in objects(members.get("contents")):
        for part in objects(content.get("parts")):
            yield from _of_gemini_part(part)


def _of_gemini_part(part: Mapping[str, Any]) -> Iterator[str]:
    for name, value in part.items():
        if name in _CALLS:
            yield "tools"
        elif name in _DATA:
            kind = value.get("mimeType", value.get("mime_type")) if isinstance(value, dict) else ""
            yield next(
                (word for start, word in _MIME_TYPES if str(kind).startswith(start)), "media"
            )
        elif name not in _BESIDE_DATA:
            yield name
