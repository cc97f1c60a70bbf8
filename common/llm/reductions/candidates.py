"""One answer where a request asks for several, each of which is billed.

Sources: OpenAI API reference, "Chat" (`n`); Gemini API reference, "Generating content"
(`candidateCount`).
"""

from dataclasses import replace
from typing import Any

from common.llm.edits import NotSafe
from common.llm.generation_config import find_config
from common.llm.reductions.request import Reduced, Request, Unsafe
from common.llm.reductions.wanted import OneCandidate

_TOLD = "1"


def ask_once(request: Request, _wanted: OneCandidate) -> Reduced | Unsafe | None:
    """The request for one answer."""
    if request.form == "openai_chat":
        if not _several(request.members.get("n")):
            return None
        return Reduced(replace(request, members={**request.members, "n": 1}), _TOLD)
    if request.form not in ("gemini_content", "gemini_content_stream"):
        return None
    config = find_config(request.form, request.members)
    if isinstance(config, NotSafe):
        return Unsafe(config.reason)
    name = config.spelling("candidateCount", "candidate_count")
    if not _several(config.members.get(name)):
        return None
    return Reduced(replace(request, members=config.within(request.members, name, 1)), _TOLD)


def _several(asked: Any) -> bool:
    return type(asked) is int and asked > 1
