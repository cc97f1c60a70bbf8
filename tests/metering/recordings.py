"""Recorded provider replies as the bytes a gateway would see."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.llm.bounds import Bound, Unbounded, bound
from common.llm.costs import Cost, cost_of
from common.llm.facts import CallFacts
from common.llm.forms import FORMS, MeteredForm, UsageTap
from common.llm.metered import Metered
from common.llm.paths import FormName
from common.llm.price_book import bundled_book

RECEIVED_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""Selects the dated prices of the list."""

STREAMS = (
    "openai-chat-stream-usage-empty-choices",
    "openai-chat-stream-no-usage-tools",
    "azure-chat-stream-no-usage",
    "openrouter-chat-stream-usage-empty-choices",
    "openrouter-chat-stream-usage-with-choices",
    "openrouter-chat-stream-error",
    "groq-chat-stream-usage-with-choices",
    "groq-chat-stream-x-groq-usage",
    "mistral-chat-stream-usage-with-choices",
    "deepseek-chat-stream-usage-with-choices",
    "openai-responses-stream-completed",
    "openai-responses-stream-reasoning",
    "openai-responses-stream-web-search",
    "anthropic-stream-delta-without-input",
    "anthropic-stream-delta-changed-input",
    "anthropic-stream-web-search",
    "anthropic-stream-compaction",
    "gemini-stream-thoughts",
    "gemini-stream-prompt-count-changes",
    "gemini-stream-tool-use-counts-change",
    "gemini-stream-web-search-grounding",
)
_MODEL_IN_PATH = re.compile(r"/models/([^:/]+):")
_SHIM = "gemini-openai-shim"
_LISTS = (
    ("anthropic", "anthropic"),
    ("azure", "azure"),
    ("deepseek", "deepseek"),
    ("gemini", "google"),
    ("groq", "groq"),
    ("mistral", "mistral"),
    ("openrouter", "openrouter"),
    ("", "openai"),
)
"""How the names of recordings begin, and the price list of whom they show."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One exchange: the request's body, and the reply's."""

    name: str
    request: bytes
    reply: bytes
    streamed: bool
    model_in_path: str | None = None

    @property
    def form_name(self) -> FormName:
        if self.name == "openai-embeddings":
            return "openai_embeddings"
        if self.name.startswith("openai-responses"):
            return "openai_responses"
        if self.name.startswith("gemini") and not self.name.startswith(_SHIM):
            return "gemini_content_stream" if self.streamed else "gemini_content"
        return "anthropic_messages" if self.name.startswith("anthropic") else "openai_chat"

    @property
    def form(self) -> MeteredForm:
        return FORMS[self.form_name]

    @property
    def facts(self) -> CallFacts:
        facts = self.form.read_facts(self.request)
        return replace(facts, model=self.model_in_path) if self.model_in_path else facts

    @property
    def provider(self) -> str:
        """Whose list applies, by the name of the recording."""
        return next(list_ for named, list_ in _LISTS if self.name.startswith(named))

    def bound(self) -> Bound | Unbounded:
        return bound(self.facts, book=bundled_book(), provider=self.provider, at=RECEIVED_AT)

    def metered(self) -> Metered:
        if not self.streamed:
            return self.form.read_reply(self.reply)
        return metered_in(self.tap(), [self.reply])

    def tap(self, *, strip: bool = False) -> UsageTap:
        return self.form.stream_tap(strip)

    def cost(self, metered: Metered) -> Cost:
        return cost_of(
            metered,
            self.facts,
            book=bundled_book(),
            provider=self.provider,
            at=RECEIVED_AT,
        )


def read_recording(folder: Path, name: str) -> Recording:
    raw = json.loads((folder / f"{name}.json").read_text())
    reply = raw["response"]
    streamed = "body_text" in reply
    text = reply["body_text"] if streamed else json.dumps(reply["body"])
    request = json.dumps(raw["request"]["body"]).encode()
    model = _MODEL_IN_PATH.search(raw["request"]["path"])
    return Recording(name, request, text.encode(), streamed, model[1] if model else None)


def metered_in(tap: UsageTap, pieces: list[bytes]) -> Metered:
    for piece in pieces:
        tap.feed(piece)
    tap.finish()
    return tap.result()


def passed_by(tap: UsageTap, pieces: list[bytes]) -> bytes:
    return b"".join([*(tap.feed(piece) for piece in pieces), tap.finish()])


def visible_bytes(stream: bytes) -> int:
    """The bytes of all text, reasoning and tool arguments that a stream shows."""
    return sum(len(text.encode()) for text in _visible(stream))


def _visible(stream: bytes) -> Iterator[str]:
    for line in stream.split(b"\n"):
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        for choice in chunk.get("choices", ()):
            yield from _texts(choice.get("delta", {}))
        if chunk.get("type", "").startswith("response.") and "delta" in chunk:
            yield chunk["delta"]
        if chunk.get("type") == "content_block_delta":
            yield from _texts(chunk["delta"])
        for candidate in chunk.get("candidates", ()):
            for part in candidate["content"]["parts"]:
                yield from _texts(part)
                yield part.get("executableCode", {}).get("code", "")


def _texts(delta: dict[str, Any]) -> Iterator[str]:
    for name in ("content", "reasoning", "text", "thinking", "partial_json"):
        if isinstance(text := delta.get(name), str):
            yield text
    for call in delta.get("tool_calls") or ():
        yield call.get("function", {}).get("arguments") or ""
