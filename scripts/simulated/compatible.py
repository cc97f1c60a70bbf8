"""Chat completions and embeddings of endpoints in OpenAI's format, each in its dialect.

OpenAI's own reply is made first and then told in the dialect, so that the same request has the same
text everywhere.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from scripts.simulated import openai_chat, openai_embeddings
from scripts.simulated.behaviour import Behaviour
from scripts.simulated.dialects import DIALECTS, Dialect
from scripts.simulated.ledger import price_nanos
from scripts.simulated.prompt_cache import PrefixCache
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Event, Exchange, Reply, Usage
from scripts.simulated.vendors import Call, decoded

_DATA = b"data: "


def chat(call: Call, body: bytes, knobs: Behaviour, cache: PrefixCache) -> Reply:
    """The reply to one request.

    Raises:
        Refusal: the request is not one the endpoint accepts.
    """
    dialect, parsed = DIALECTS[call.vendor], decoded(call, body)
    options = _checked_options(dialect, parsed, knobs)
    made = openai_chat.answer(
        _obeyed(dialect, parsed), call.exchange, knobs, cache, rules=dialect.rules
    )
    usage_at = partial(_usage, dialect, made, call.exchange)
    tells = knobs.fault != "no-usage"
    if made.body is not None:
        told = _spoken(dialect, orjson.loads(made.body))
        told.pop("usage", None)
        if tells:
            told["usage"] = usage_at(made.output_tokens)
        told_whole = orjson.dumps(told)
        return replace(
            made, price_context={}, usage_at=usage_at, tells_usage=tells, body=told_whole
        )
    asked = bool(options.get("include_usage"))
    tells = tells and (asked or dialect.usage_in != "asked")
    usage = usage_at(made.output_tokens) if tells else None
    events = _stream(dialect, made, usage, asked=asked)
    return replace(made, price_context={}, usage_at=usage_at, tells_usage=tells, events=events)


def embeddings(call: Call, body: bytes, knobs: Behaviour) -> Reply:
    """The reply to one request.

    Raises:
        Refusal: the request is not one the endpoint accepts.
    """
    dialect = DIALECTS[call.vendor]
    made = openai_embeddings.answer(decoded(call, body), knobs, dialect.rules)
    told = _spoken(dialect, orjson.loads(made.body or b""))
    return replace(made, body=orjson.dumps(told))


def _checked_options(dialect: Dialect, parsed: Any, knobs: Behaviour) -> dict[str, Any]:
    """The request's stream options."""
    if not isinstance(parsed, dict):
        return {}
    status = knobs.refuse_stream_options
    if status is not None and "stream_options" in parsed:
        message = "stream_options: extra inputs are not permitted"
        raise Refusal(int(status), message, param="stream_options")
    if dialect.one_choice and (parsed.get("n") or 1) != 1:
        raise Refusal(400, "n: must be 1", param="n")
    options = parsed.get("stream_options")
    return options if isinstance(options, dict) else {}


def _obeyed(dialect: Dialect, parsed: Any) -> Any:
    if not isinstance(parsed, dict):
        return parsed
    obeyed = {name: value for name, value in parsed.items() if name not in dialect.ignored}
    obeyed.pop("stream_options", None)
    if obeyed.get("stream") is True:
        obeyed["stream_options"] = {"include_obfuscation": False}
    return obeyed


def _usage(dialect: Dialect, made: Reply, exchange: Exchange, tokens: int) -> Usage:
    usage = dialect.usage(made.usage_at(tokens))
    if dialect.tells_cost:
        nanos = price_nanos(dialect.vendor, made.model, usage, {}, exchange.received_at)
        usage = {**usage, "cost": nanos / 1e9, "is_byok": False}
    return usage


def _spoken(dialect: Dialect, told: dict[str, Any]) -> dict[str, Any]:
    told.pop("service_tier", None)
    return {**told, "model": f"{dialect.rules.prefix}{told['model']}", **dialect.extras}


def _stream(dialect: Dialect, made: Reply, usage: Usage | None, *, asked: bool) -> Iterator[Event]:
    for opening in dialect.opening:
        yield opening, 0
    chunk: dict[str, Any] = {}
    tokens = 0
    for data, generated in made.events or ():
        if chunk:
            yield _event(chunk), tokens
        chunk, tokens = _spoken(dialect, orjson.loads(data.removeprefix(_DATA))), generated
        if asked and dialect.null_usage:
            chunk["usage"] = None
    if usage is None or dialect.usage_in != "last":
        yield _event(chunk), tokens
    else:
        twice = {"x_groq": {"id": "req_simulated", "usage": usage}} if dialect.repeats_usage else {}
        yield _event({**chunk, **twice, "usage": usage}), tokens
    if usage is not None and dialect.usage_in != "last":
        empty = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        choices = [empty] if dialect.usage_in == "after" else []
        yield _event({**chunk, "choices": choices, "usage": usage}), tokens


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(chunk)
