"""Requests and who gets them, for the tests of reductions."""

from collections.abc import Mapping
from typing import Any

from common.llm.paths import FormName
from common.llm.reductions.request import Reduced, Request, Unsafe
from tests.fit.requests import recipient_of

IMAGE: dict[str, Any] = {"type": "image_url", "image_url": {"url": "https://pictures.test/cat.png"}}
FUNCTION = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
OWN_TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}}
CLAUDE_TOOL = {"name": "look", "input_schema": {"type": "object"}}
CLAUDE_SEARCH = {"type": "web_search_20250305", "name": "web_search"}
GEMINI_TOOL = {"functionDeclarations": [{"name": "look"}]}

MODELS: Mapping[FormName, str] = {
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-4.1",
    "anthropic_messages": "claude-sonnet-4-5",
    "gemini_content": "gemini-2.5-flash",
    "gemini_content_stream": "gemini-2.5-flash",
    "gemini_interactions": "gemini-2.5-flash",
}


def asked(
    form: FormName,
    members: Mapping[str, Any],
    model: str | None = None,
    *,
    upstream: str | None = None,
) -> Request:
    """A request of this form to its provider."""
    return Request(form, members, recipient_of(form, model or MODELS[form], upstream=upstream))


def members_of(found: Reduced | Unsafe | None) -> Mapping[str, Any]:
    """The members of a request that was reduced."""
    assert isinstance(found, Reduced), found
    return found.request.members


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def said(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}
