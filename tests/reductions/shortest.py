"""The shortest request of each form that its provider takes, to which tests add what they need."""

import json
from collections.abc import Mapping
from typing import Any, Final

from common.llm.paths import FormName
from common.llm.reductions.request import Request
from tests.fit.requests import check_accepted, recipient_of

CHAT: Final = "openai_chat"
RESPONSES: Final = "openai_responses"
CLAUDE: Final = "anthropic_messages"
GEMINI: Final = "gemini_content"
STREAM: Final = "gemini_content_stream"
INTERACTIONS: Final = "gemini_interactions"

SHORTEST: Mapping[FormName, Mapping[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "Why?"}]},
    RESPONSES: {"input": "Why?"},
    CLAUDE: {
        "max_tokens": 60_000,
        "messages": [{"role": "user", "content": "Why?"}],
    },
    GEMINI: {"contents": [{"role": "user", "parts": [{"text": "Why?"}]}]},
    STREAM: {"contents": [{"role": "user", "parts": [{"text": "Why?"}]}]},
    INTERACTIONS: {"input": "Why?"},
}
NAMED_IN_PATH = (GEMINI, STREAM)


def request_of(
    form: FormName, model: str, more: Mapping[str, Any], *, upstream: str | None = None
) -> Request:
    named = {} if form in NAMED_IN_PATH else {"model": model}
    members = {**named, **SHORTEST[form], **more}
    return Request(form, members, recipient_of(form, model, upstream=upstream))


def check_taken(request: Request) -> None:
    """The simulated provider's checks.

    Raises:
        Refusal: the provider would not take the request.
    """
    body = json.dumps(request.members).encode()
    check_accepted(request.form, request.recipient.model or "", body)


def thinking(**members: Any) -> dict[str, Any]:
    return {"generationConfig": {"thinkingConfig": members}}


def budget(tokens: int) -> dict[str, Any]:
    return {"thinking": {"type": "enabled", "budget_tokens": tokens}}
