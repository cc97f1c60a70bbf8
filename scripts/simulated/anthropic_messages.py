"""Messages in Anthropic's shapes, whole and as a stream.

Field order, padding, pings and the two places of the usage follow recorded replies. `message_delta`
repeats the input counts, but for Claude 3 models, whose recorded streams tell only output tokens.
"""

import base64
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import orjson

from scripts.simulated import anthropic_requests
from scripts.simulated.anthropic_requests import MessageRequest
from scripts.simulated.anthropic_thinking import Thinking, is_forced
from scripts.simulated.behaviour import Behaviour
from scripts.simulated.generation import (
    Generation,
    Wanted,
    asked_of,
    drawn,
    generate,
    json_text,
    seed_of,
)
from scripts.simulated.prompt_cache import NO_CACHE, CacheUse, PrefixCache, marked
from scripts.simulated.replies import Event, Exchange, Reply, Usage
from scripts.simulated.words import escaped, pieces_of_text

PIECES_PER_EVENT = 4
LENGTHS = {"low": 60, "medium": 80, "high": 100, "xhigh": 130, "max": 160}
"""By the effort, how long an answer is in percent: it bears upon thoughts and text."""
AMOUNTS = ("max_tokens", "output_config.effort", "service_tier", "speed", "thinking")
"""What a request says about how much and how soon, and not about what."""
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"  }\n\n'


def answer(parsed: Any, exchange: Exchange, knobs: Behaviour, cache: PrefixCache) -> Reply:
    """The reply to one request.

    Raises:
        Refusal: the request is not one the API accepts.
    """
    request = anthropic_requests.parse(parsed)
    seed = seed_of(asked_of(parsed, *AMOUNTS), knobs.seed)
    generation = generate(seed, _wanted(request, knobs, seed))
    usage_at = partial(_usage, request, *_input(request, knobs, cache), generation)
    message = _Message(request, exchange, generation, seed)
    tells = knobs.fault != "no-usage"
    context = {"speed": "fast"} if request.speed == "fast" else {}
    if not request.stream:
        whole = message.whole(usage_at(generation.tokens) if tells else None)
        return Reply(
            request.model.name, context, generation.tokens, usage_at, tells_usage=tells, body=whole
        )
    return Reply(
        request.model.name,
        context,
        generation.tokens,
        usage_at,
        tells_usage=tells,
        events=message.stream(usage_at if tells else None),
        terminal=STOP,
    )


def _wanted(request: MessageRequest, knobs: Behaviour, seed: int) -> Wanted:
    newer = (request.body.get("output_config") or {}).get("format")
    output_format = newer or request.body.get("output_format") or {}
    literal = json_text(output_format.get("schema") or {}) if output_format else None
    return Wanted(
        cap=request.cap,
        hidden=0 if is_forced(request.body) else _thought_tokens(request.thinking, seed),
        tokens=knobs.output_tokens,
        literal=literal,
        calls=_calls(request),
        arguments=knobs.arguments,
        percent=LENGTHS[request.thinking.effort or "high"],
    )


def _thought_tokens(thinking: Thinking, seed: int) -> int:
    """Fewer for every lower budget and effort."""
    if not thinking.is_on:
        return 0
    share = LENGTHS[thinking.effort or "high"] * drawn(seed) / 100
    if thinking.budget is None:
        return math.ceil(256 * share * share)
    return math.ceil(thinking.budget * share / 32)


def _calls(request: MessageRequest) -> tuple[tuple[str, dict[str, Any]], ...]:
    tools = [tool for tool in request.body.get("tools") or () if "input_schema" in tool]
    choice = request.body.get("tool_choice") or {"type": "auto"}
    if not tools or choice["type"] == "none":
        return ()
    if choice["type"] == "tool":
        chosen = [tool for tool in tools if tool["name"] == choice["name"]]
    else:
        said = anthropic_requests.last_user_text(request.body["messages"])
        chosen = [tool for tool in tools if tool["name"] in said]
        if choice["type"] == "any" and not chosen:
            chosen = tools[:1]
    if choice.get("disable_parallel_tool_use"):
        chosen = chosen[:1]
    return tuple((tool["name"], tool["input_schema"]) for tool in chosen)


def _input(request: MessageRequest, knobs: Behaviour, cache: PrefixCache) -> tuple[int, CacheUse]:
    if knobs.input_tokens is not None:
        return knobs.input_tokens, NO_CACHE
    use = marked(cache, request.model.name, request.blocks)
    return request.input_tokens - use.total, use


def _usage(
    request: MessageRequest, fresh: int, cache: CacheUse, generation: Generation, tokens: int
) -> Usage:
    usage: Usage = {
        "input_tokens": fresh,
        "cache_creation_input_tokens": cache.written_5m + cache.written_1h,
        "cache_read_input_tokens": cache.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": cache.written_5m,
            "ephemeral_1h_input_tokens": cache.written_1h,
        },
        "output_tokens": tokens,
    }
    if request.thinking.is_on:
        usage["output_tokens_details"] = {"thinking_tokens": min(tokens, generation.hidden)}
    usage["service_tier"] = "standard"
    usage["inference_geo"] = request.model.geo
    if request.speed is not None:
        usage["speed"] = request.speed
    return usage


class _Message:
    """What every part of one reply repeats."""

    def __init__(
        self, request: MessageRequest, exchange: Exchange, generation: Generation, seed: int
    ) -> None:
        self._request = request
        self._exchange = exchange
        self._generation = generation
        self._seed = seed
        self._signature = base64.b64encode(b"simulated" + seed.to_bytes(8, "big") * 8).decode()

    def whole(self, usage: Usage | None) -> bytes:
        content: list[dict[str, Any]] = []
        generation = self._generation
        if generation.hidden:
            content.append(
                {
                    "type": "thinking",
                    "thinking": "".join(self._thought()),
                    "signature": self._signature,
                }
            )
        if generation.pieces:
            content.append({"type": "text", "text": generation.text})
        content.extend(
            self._tool_use(number, _arguments(call.pieces))
            for number, call in enumerate(generation.calls)
        )
        return orjson.dumps(self._envelope(content, self._stop_reason(), usage))

    def stream(self, usage_at: Any) -> Iterator[Event]:
        started = 1 if self._generation.tokens else 0
        told = usage_at(started) if usage_at else None
        if told is not None:
            told.pop("output_tokens_details", None)
        start = self._envelope([], None, told)
        yield _event("message_start", b',"message":' + orjson.dumps(start), 3), started
        tokens = 0  # what message_start counted is the first token of the content
        for index, (opening, deltas) in enumerate(self._content()):
            yield (
                _event(
                    "content_block_start",
                    b',"index":%d,"content_block":%b' % (index, opening),
                    index,
                ),
                max(tokens, started),
            )
            if index == 0:
                yield PING, max(tokens, started)
            for serial, (delta, cost) in enumerate(deltas):
                tokens += cost
                data = b',"index":%d,"delta":{%b}' % (index, delta)
                yield _event("content_block_delta", data, serial * 5), max(tokens, started)
            yield _event("content_block_stop", b',"index":%d' % index, index * 3), tokens
        yield _event("message_delta", self._ending(usage_at), 1), self._generation.tokens

    def _ending(self, usage_at: Any) -> bytes:
        ending: dict[str, Any] = {"stop_reason": self._stop_reason(), "stop_sequence": None}
        if not self._request.model.old:
            ending["stop_details"] = None
        data = b',"delta":' + orjson.dumps(ending)
        if usage_at is None:
            return data
        told: Usage = usage_at(self._generation.tokens)
        kept = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
        if self._request.model.old:
            kept = []
        kept += ["output_tokens", "output_tokens_details"]
        return (
            data + b',"usage":' + orjson.dumps({name: told[name] for name in kept if name in told})
        )

    def _content(self) -> Iterator[tuple[bytes, Iterator[tuple[bytes, int]]]]:
        """Each content block: its start, and its deltas with the tokens they add."""
        if self._generation.hidden:
            yield b'{"type":"thinking","thinking":"","signature":""}', self._thinking_deltas()
        if self._generation.pieces:
            yield b'{"type":"text","text":""}', self._text_deltas()
        for number, call in enumerate(self._generation.calls):
            opening = orjson.dumps(self._tool_use(number, {}))
            yield opening, _input_deltas(call.pieces, call.tokens - len(call.pieces))

    def _thinking_deltas(self) -> Iterator[tuple[bytes, int]]:
        thought = self._thought()
        for group in _groups(thought):
            text = orjson.dumps("".join(group))
            yield b'"type":"thinking_delta","thinking":' + text, len(group)
        left = self._generation.hidden - len(thought)
        signature = self._signature.encode()
        yield b'"type":"signature_delta","signature":"%b"' % signature, left

    def _text_deltas(self) -> Iterator[tuple[bytes, int]]:
        for group in _groups(self._generation.pieces):
            text = escaped(group[0]) if len(group) == 1 else orjson.dumps("".join(group))
            yield b'"type":"text_delta","text":' + text, len(group)

    def _thought(self) -> tuple[str, ...]:
        if not self._request.thinking.shown:
            return ()
        return pieces_of_text(self._generation.hidden, self._seed >> 3)

    def _tool_use(self, number: int, given: Any) -> dict[str, Any]:
        return {
            "type": "tool_use",
            "id": f"toolu_sim_{self._exchange.suffix}{number:02d}",
            "name": self._generation.calls[number].name,
            "input": given,
            "caller": {"type": "direct"},
        }

    def _stop_reason(self) -> str:
        if self._generation.cut:
            return "max_tokens"
        return "tool_use" if self._generation.calls else "end_turn"

    def _envelope(
        self, content: list[dict[str, Any]], stop_reason: str | None, usage: Usage | None
    ) -> dict[str, Any]:
        message: dict[str, Any] = {
            "model": self._request.model.name,
            "id": self._exchange.reply_id,
            "type": "message",
            "role": "assistant",
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
        }
        if not self._request.model.old:
            message["stop_details"] = None
        if usage is not None:
            message["usage"] = usage
        return message


def _arguments(pieces: tuple[str, ...]) -> Any:
    # A call that max_tokens cut has no complete JSON; what can be read of it is nothing.
    try:
        return orjson.loads("".join(pieces))
    except orjson.JSONDecodeError:
        return {}


def _input_deltas(pieces: tuple[str, ...], overhead: int) -> Iterator[tuple[bytes, int]]:
    yield b'"type":"input_json_delta","partial_json":""', overhead
    for group in _groups(pieces):
        text = orjson.dumps("".join(group))
        yield b'"type":"input_json_delta","partial_json":' + text, len(group)


def _groups(pieces: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    # As recorded, the first event holds one token: the client sees text as soon as there is some.
    yield from (pieces[:1],) if pieces else ()
    for start in range(1, len(pieces), PIECES_PER_EVENT):
        yield pieces[start : start + PIECES_PER_EVENT]


def _event(name: str, rest: bytes, padding: int) -> bytes:
    kind = name.encode()
    spaces = b" " * (padding * 7 % 16)
    return b'event: %b\ndata: {"type":"%b"%b%b}\n\n' % (kind, kind, rest, spaces)
