"""Random rules, and random requests of which some are theirs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

MODELS = (
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-5",
    "openai/gpt-5-mini",
    "o3-mini",
    "text-embedding-3-small",
    "anthropic/claude-haiku-4-5",
    "claude-sonnet-4-5",
    "gemini/gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini/gemini-2.5-pro",
    "nobody/llama",
    "unknown-model",
)
PRICED = tuple(
    model for model in MODELS if model.startswith(("gpt-", "o3-", "nobody/")) or "/" in model
)
"""Which a hard budget lets a call in OpenAI's format be sent to."""
ASKED = (
    "gpt-4o",
    "gpt-5",
    "gpt-4.1",
    "auto",
    "anthropic/claude-sonnet-4-5",
    "gemini/gemini-2.5-pro",
)
PROJECTS = ("site", None)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"name": "a", "schema": {"type": "object", "properties": {"b": {"type": "object"}}}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A request to the proxy, and who sends it; `budget_percent` is None without a hard budget."""

    path: str
    body: bytes
    agent: str
    project: str | None
    feature: str
    session: str
    budget_percent: int | None


def request(chance: Random) -> Drawn:
    kind = chance.choice(("front", "front", "front", "front", "messages", "gemini", "embeddings"))
    path, body = _REQUESTS[kind](chance)
    return Drawn(
        path=path,
        body=json.dumps(body).encode(),
        agent=chance.choice(("crawler", "indexer")),
        project=chance.choice(PROJECTS),
        feature=chance.choice(("search", "chat")),
        session=f"s{chance.randrange(50)}",
        budget_percent=chance.choice((None, 0, 30, 60, 90)) if kind == "front" else None,
    )


def rules(chance: Random, drawn: Drawn) -> list[dict[str, Any]]:
    """Rules of any kind; what a hard budget would refuse is none of their models."""
    models = MODELS if drawn.budget_percent is None else PRICED
    return [
        {
            "name": f"r{number}",
            "match": _match(chance),
            "use": _use(chance, models),
            "fallbacks": chance.sample(models, chance.choice((0, 1, 1, 2, 3))),
            "shadow": chance.random() < 0.1,
            "report": "tried",
        }
        for number in range(chance.randint(1, 5))
    ]


def _front(chance: Random) -> tuple[str, dict[str, Any]]:
    text = "why " * chance.choice((1, 20, 2_000))
    content: Any = text
    if chance.random() < 0.2:
        content = [{"type": "text", "text": text}, PICTURE]
    body: dict[str, Any] = {
        "model": chance.choice(ASKED),
        "messages": [{"role": "user", "content": content}] * chance.choice((1, 1, 4)),
        "max_completion_tokens": 100,
    }
    if chance.random() < 0.4:
        body["stream"] = True
    if chance.random() < 0.3:
        body["tools"] = [TOOL] * chance.choice((1, 3))
    if chance.random() < 0.2:
        body["response_format"] = {"type": "json_schema", "json_schema": SCHEMA}
    if chance.random() < 0.2:
        body["seed"] = 7
    return "/openai/v1/chat/completions", body


def _messages(chance: Random) -> tuple[str, dict[str, Any]]:
    messages = [{"role": "user", "content": "why"}]
    model = chance.choice(("claude-sonnet-4-5", "claude-haiku-4-5"))
    return "/anthropic/v1/messages", {"model": model, "messages": messages, "max_tokens": 100}


def _gemini(chance: Random) -> tuple[str, dict[str, Any]]:
    model = chance.choice(("gemini-2.5-pro", "gemini-2.5-flash"))
    contents = [{"role": "user", "parts": [{"text": "why"}]}]
    config = {"maxOutputTokens": 100, "thinkingConfig": {"thinkingBudget": 128}}
    body = {"contents": contents, "generationConfig": config}
    return f"/gemini/v1beta/models/{model}:generateContent", body


def _embeddings(_: Random) -> tuple[str, dict[str, Any]]:
    return "/openai/v1/embeddings", {"model": "text-embedding-3-large", "input": "why"}


_REQUESTS = {
    "front": _front,
    "messages": _messages,
    "gemini": _gemini,
    "embeddings": _embeddings,
}


def _match(chance: Random) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = [
        {"team": chance.choice(("sea*", "support"))},
        {"agent": chance.choice(("crawler", "*"))},
        {"project": "*"},
        {"tags": {"feature": chance.choice(("search", "ch*"))}},
        {"model": chance.choice(("gpt-*", "auto", "*claude*", "gemini*"))},
        {"endpoint": chance.choice(("chat.completions", "messages", "*"))},
        {"stream": chance.random() < 0.5},
        {"has": [chance.choice(("tools", "pictures", "schema"))]},
        {"lacks": [chance.choice(("tools", "pictures", "schema"))]},
        {"input_tokens_from": chance.choice((10, 100, 1_000))},
        {"input_tokens_to": chance.choice((60, 600, 5_000))},
        {"budget_used_from": chance.choice((30, 50, 90))},
    ]
    named: dict[str, Any] = {}
    for condition in chance.sample(conditions, chance.choice((0, 0, 1, 1, 2))):
        named |= condition
    if set(named.get("has", ())) & set(named.get("lacks", ())):
        del named["lacks"]
    if named.get("input_tokens_to", 10_000) <= named.get("input_tokens_from", 0):
        del named["input_tokens_to"]
    return named


def _use(chance: Random, models: Sequence[str]) -> dict[str, Any]:
    first, second, third = chance.sample(models, 3)
    ladder = [{"model": first, "until": 30}, {"model": second, "until": 60}]
    structural = {
        "small": first,
        "large": second,
        "intercept": chance.uniform(-8, 0),
        "weights": {"size": 0.5, "tools": 0.3, "schema_depth": 0.2, "code_share": 1.0},
    }
    return chance.choice(
        (
            {"fixed": first},
            {"cheapest": [first, second, third]},
            {"weighted": {first: 1, second: 3, third: 2}},
            {"ladder": [*ladder, {"model": third, "until": 100}]},
            {"structural": structural},
        )
    )
