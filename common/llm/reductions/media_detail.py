"""Looking at pictures coarsely: fewer tokens for each of them.

Sources: OpenAI guide "Images and vision" (`detail`: low, high, original, auto, which is the
default); Gemini guide "Media resolution" (for the whole request from Gemini 2 on, and part by part
since Gemini 3: a part that names its own keeps it).

Of models that click on what they see the coordinates would be wrong, so their pictures stay.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from common.llm.edits import NotSafe
from common.llm.facts import objects
from common.llm.generation_config import find_config
from common.llm.reductions.request import Reduced, Request, Unsafe
from common.llm.reductions.wanted import LowMediaDetail

_TOLD = "low"
_FINER = frozenset({"auto", "high", "original"})
_TAKES_DETAIL = frozenset({"openai", "azure"})
"""Providers whose every model with eyes takes `detail`; to others it is not added."""

_LOW = "MEDIA_RESOLUTION_LOW"
_TAKES_RESOLUTION = re.compile(r"gemini-([2-9]|flash|pro)(?!.*(image|tts|live|embedding|omni))")
_MEDIA = ("inlineData", "inline_data", "fileData", "file_data")


def look_coarsely(request: Request, _wanted: LowMediaDetail) -> Reduced | Unsafe | None:
    """The request with its pictures in low detail."""
    if request.form == "openai_chat":
        return _in_openai(request, "messages", _of_chat)
    if request.form == "openai_responses":
        return _in_openai(request, "input", _of_response)
    if request.form in ("gemini_content", "gemini_content_stream"):
        return _in_gemini(request)
    return None


def _in_openai(request: Request, name: str, lower: Any) -> Reduced | Unsafe | None:
    turns = request.members.get(name)
    if not isinstance(turns, list):
        return None
    adds = request.recipient.provider in _TAKES_DETAIL
    lowered = [_of_turn(turn, lower, adds=adds) for turn in turns]
    if all(after is before for before, after in zip(turns, lowered, strict=True)):
        return None
    if any(_clicks(tool) for tool in objects(request.members.get("tools"))):
        return Unsafe("computer_use")
    return Reduced(replace(request, members={**request.members, name: lowered}), _TOLD)


def _of_turn(turn: Any, lower: Any, *, adds: bool) -> Any:
    content = turn.get("content") if isinstance(turn, dict) else None
    if not isinstance(content, list):
        return turn
    lowered = [lower(part, adds=adds) if isinstance(part, dict) else part for part in content]
    changed = any(after is not before for before, after in zip(content, lowered, strict=True))
    return {**turn, "content": lowered} if changed else turn


def _of_chat(part: Mapping[str, Any], *, adds: bool) -> Mapping[str, Any]:
    image = part.get("image_url")
    if part.get("type") != "image_url" or not isinstance(image, dict):
        return part
    return {**part, "image_url": _coarse(image)} if _is_finer(image, adds=adds) else part


def _of_response(part: Mapping[str, Any], *, adds: bool) -> Mapping[str, Any]:
    if part.get("type") != "input_image":
        return part
    return _coarse(part) if _is_finer(part, adds=adds) else part


def _is_finer(image: Mapping[str, Any], *, adds: bool) -> bool:
    detail = image.get("detail")
    return adds if detail is None else isinstance(detail, str) and detail in _FINER


def _coarse(image: Mapping[str, Any]) -> dict[str, Any]:
    return {**image, "detail": "low"}


def _clicks(tool: Mapping[str, Any]) -> bool:
    return str(tool.get("type")).startswith("computer")


def _in_gemini(request: Request) -> Reduced | Unsafe | None:
    config = find_config(request.form, request.members)
    if isinstance(config, NotSafe):
        return Unsafe(config.reason)
    name = config.spelling("mediaResolution", "media_resolution")
    given = config.members.get(name)
    takes = _TAKES_RESOLUTION.match((request.recipient.model or "").rpartition("/")[2].lower())
    if given == _LOW or not _shows_media(request.members) or (given is None and takes is None):
        return None
    tools = objects(request.members.get("tools"))
    if any("computerUse" in tool or "computer_use" in tool for tool in tools):
        return Unsafe("computer_use")
    return Reduced(replace(request, members=config.within(request.members, name, _LOW)), _TOLD)


def _shows_media(members: Mapping[str, Any]) -> bool:
    parts = (
        part
        for content in objects(members.get("contents"))
        for part in objects(content.get("parts"))
    )
    return any(name in part for part in parts for name in _MEDIA)
