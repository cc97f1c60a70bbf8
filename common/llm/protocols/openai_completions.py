"""OpenAI's legacy completions: facts. Replies, streams and their usage are those of chat.

Source: OpenAI API reference, "Completions (legacy)". Each prompt of a list is answered `n` times,
and `best_of` answers are generated where it is more.
"""

from collections.abc import Mapping
from typing import Any

from common.llm.facts import CallFacts, parse_request, read_cap, read_model
from common.llm.protocols import openai_bounds


def read_facts(body: bytes) -> CallFacts:
    parsed = parse_request(body)
    if parsed is None:
        return CallFacts(readable=False, size_bytes=len(body))
    answers = max(1, read_cap(parsed.get("n")) or 1, read_cap(parsed.get("best_of")) or 1)
    return CallFacts(
        readable=True,
        model=read_model(parsed.get("model")),
        stream=parsed.get("stream") is True,
        stream_options=parsed.get("stream_options"),
        output_cap=read_cap(parsed.get("max_tokens")),
        candidates=answers * _prompts(parsed),
        size_bytes=len(body),
        bound=openai_bounds.read_completion(parsed),
    )


def _prompts(parsed: Mapping[str, Any]) -> int:
    """How many prompts there are: a text or a list of tokens is one."""
    given = parsed.get("prompt")
    if not isinstance(given, list) or not given or isinstance(given[0], int):
        return 1
    return len(given)
