"""Requests as clients write them, and their bounds."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from common.core.money import Nanos
from common.llm.bounds import Bound, Unbounded, bound
from common.llm.facts import CallFacts
from common.llm.forms import FORMS
from common.llm.paths import FormName
from common.llm.price_book import bundled_book

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)

PROVIDERS: Mapping[FormName, str] = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "openai_completions": "openai",
    "openai_embeddings": "openai",
    "openai_batches": "openai",
    "openai_images": "openai",
    "openai_speech": "openai",
    "openai_transcripts": "openai",
    "anthropic_messages": "anthropic",
    "gemini_content": "google",
    "gemini_content_stream": "google",
    "gemini_interactions": "google",
    "gemini_embeddings": "google",
}


def as_sent(request: Mapping[str, Any]) -> bytes:
    return json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode()


def facts_of(form: FormName, body: bytes, model: str | None = None) -> CallFacts:
    """What is read of a body; Gemini's model stands in the path."""
    facts = FORMS[form].read_facts(body)
    return facts if model is None else replace(facts, model=model)


def bound_of(
    form: FormName,
    request: Mapping[str, Any],
    *,
    model: str | None = None,
    at: datetime = AT,
    tool_allowance: Nanos | None = None,
) -> Bound | Unbounded:
    return bound(
        facts_of(form, as_sent(request), model),
        book=bundled_book(),
        provider=PROVIDERS[form],
        at=at,
        tool_allowance=tool_allowance,
    )


def chat(content: object = "Hi", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": content}]
    return {"model": "gpt-4o-mini", "messages": messages, "max_completion_tokens": 100, **more}


def response(content: object = "Hi", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-5", "input": content, "max_output_tokens": 100, **more}


def message(content: object = "Hi", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": content}]
    return {"model": "claude-sonnet-4-5", "messages": messages, "max_tokens": 100, **more}


def content(*parts: Any, **more: Any) -> dict[str, Any]:
    contents = [{"role": "user", "parts": list(parts) or [{"text": "Hi"}]}]
    return {"contents": contents, "generationConfig": {"maxOutputTokens": 100}, **more}


def interaction(content: object = "Hi", **more: Any) -> dict[str, Any]:
    config = {"max_output_tokens": 100}
    return {"model": "gemini-2.5-flash", "input": content, "generation_config": config, **more}
