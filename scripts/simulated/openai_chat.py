"""Chat completions in OpenAI's shapes, whole and as a stream.

Field order, nulls, obfuscation and the place of the usage follow recorded replies. Streams send a
token per chunk; with several choices the chunks of all alternate.
"""

import base64
from collections.abc import Iterator
from functools import partial
from itertools import zip_longest
from typing import Any

import orjson

from scripts.simulated import openai_requests
from scripts.simulated.behaviour import Behaviour
from scripts.simulated.generation import (
    Generation,
    Wanted,
    asked_of,
    generate,
    hidden_tokens,
    json_text,
    seed_of,
)
from scripts.simulated.openai_abilities import effort_of, length_of
from scripts.simulated.openai_prompts import last_user_text
from scripts.simulated.openai_requests import OPENAI, ChatRequest, Rules
from scripts.simulated.prompt_cache import PrefixCache, automatic
from scripts.simulated.replies import Event, Exchange, Reply, Usage
from scripts.simulated.words import escaped

FINGERPRINT = "fp_simulated"
DONE = b"data: [DONE]\n\n"
AMOUNTS = (
    *("max_tokens", "max_completion_tokens", "n", "reasoning_effort", "service_tier"),
    *("stream_options", "verbosity"),
)
"""What a request says about how much and how soon, and not about what."""
_OBFUSCATION = tuple(
    base64.b64encode(bytes(range(size, size + 12)))[:size].decode() for size in range(1, 17)
)


def answer(
    parsed: Any,
    exchange: Exchange,
    knobs: Behaviour,
    cache: PrefixCache,
    *,
    rules: Rules = OPENAI,
) -> Reply:
    """The reply to one request.

    Raises:
        Refusal: the request is not one the API accepts.
    """
    request = openai_requests.parse(parsed, rules)
    seed = seed_of(asked_of(parsed, *AMOUNTS), knobs.seed)
    generations = [
        generate(seed + index * 0x9E3779B9, _wanted(request, knobs, seed))
        for index in range(request.choices)
    ]
    usage_at = partial(_usage, request, _input(request, knobs, cache), generations)
    tokens = sum(each.tokens for each in generations) + request.prediction_tokens
    tells = knobs.fault != "no-usage"
    answered = _Completion(request, exchange)
    if not request.stream:
        usage = usage_at(tokens) if tells else None
        return Reply(
            request.model.name,
            {"service_tier": request.tier},
            tokens,
            usage_at,
            tells_usage=tells,
            body=answered.whole(generations, usage),
        )
    options = request.body.get("stream_options") or {}
    final = usage_at(tokens) if options.get("include_usage") and tells else None
    return Reply(
        request.model.name,
        {"service_tier": request.tier},
        tokens,
        usage_at,
        tells_usage=final is not None,
        events=answered.stream(generations, final, options, tokens),
        terminal=DONE,
    )


def _wanted(request: ChatRequest, knobs: Behaviour, seed: int) -> Wanted:
    body = request.body
    wanted_format = body.get("response_format") or {}
    literal = None
    if wanted_format.get("type") == "json_object":
        literal = json_text(None)
    elif wanted_format.get("type") == "json_schema":
        literal = json_text(wanted_format["json_schema"].get("schema") or {})
    return Wanted(
        cap=request.cap,
        hidden=hidden_tokens(seed, effort_of(request.model, body.get("reasoning_effort"))),
        tokens=knobs.output_tokens,
        literal=literal,
        calls=_calls(request),
        arguments=knobs.arguments,
        percent=length_of(body.get("verbosity")),
    )


def _calls(request: ChatRequest) -> tuple[tuple[str, dict[str, Any]], ...]:
    tools = [tool for tool in request.body.get("tools") or () if tool["type"] == "function"]
    choice = request.body.get("tool_choice") or "auto"
    if not tools or choice == "none":
        return ()
    if isinstance(choice, dict):
        name = (choice.get("function") or {}).get("name")
        chosen = [tool for tool in tools if tool["function"]["name"] == name]
    else:
        said = last_user_text(request.body["messages"])
        chosen = [tool for tool in tools if tool["function"]["name"] in said]
        if choice == "required" and not chosen:
            chosen = tools[:1]
    if request.body.get("parallel_tool_calls") is False:
        chosen = chosen[:1]
    return tuple(
        (tool["function"]["name"], tool["function"].get("parameters") or {}) for tool in chosen
    )


def _input(request: ChatRequest, knobs: Behaviour, cache: PrefixCache) -> Usage:
    """Prompt tokens with their details."""
    if knobs.input_tokens is not None:
        details = {"cached_tokens": 0, "audio_tokens": 0}
        return {"prompt_tokens": knobs.input_tokens, "prompt_tokens_details": details}
    model = request.model
    text_tokens = len(request.prompt) // 4
    cached, known = automatic(cache, model.name, request.prompt, text_tokens)
    details = {"cached_tokens": cached, "audio_tokens": request.audio_tokens}
    if model.writes_cache:
        details["cache_write_tokens"] = known - cached
    return {"prompt_tokens": request.prompt_tokens, "prompt_tokens_details": details}


def _usage(
    request: ChatRequest, prompt: Usage, generations: list[Generation], tokens: int
) -> Usage:
    rejected = min(tokens, request.prediction_tokens)
    reasoning = min(tokens - rejected, sum(each.hidden for each in generations))
    return {
        "prompt_tokens": prompt["prompt_tokens"],
        "completion_tokens": tokens,
        "total_tokens": prompt["prompt_tokens"] + tokens,
        "prompt_tokens_details": prompt["prompt_tokens_details"],
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": rejected,
        },
    }


def _finish(generation: Generation) -> str:
    if generation.cut:
        return "length"
    return "tool_calls" if generation.calls else "stop"


class _Completion:
    """What every part of one reply repeats."""

    def __init__(self, request: ChatRequest, exchange: Exchange) -> None:
        self._request = request
        self._exchange = exchange
        self._created = int(exchange.received_at.timestamp())

    def whole(self, generations: list[Generation], usage: Usage | None) -> bytes:
        reply: dict[str, Any] = {
            "id": self._exchange.reply_id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._request.model.name,
            "choices": [self._choice(index, each) for index, each in enumerate(generations)],
        }
        if usage is not None:
            reply["usage"] = usage
        reply["service_tier"] = self._request.tier
        reply["system_fingerprint"] = FINGERPRINT
        return orjson.dumps(reply)

    def stream(
        self,
        generations: list[Generation],
        usage: Usage | None,
        options: dict[str, Any],
        tokens: int,
    ) -> Iterator[Event]:
        asked_usage = b',"usage":null' if options.get("include_usage") else b""
        head = self._chunk_head()
        obfuscate = options.get("include_obfuscation") is not False
        sent = self._request.prediction_tokens
        parts = zip_longest(*(self._deltas(n, each) for n, each in enumerate(generations)))
        for serial, (choice, cost) in enumerate(
            part for group in parts for part in group if part is not None
        ):
            sent += cost
            padding = _OBFUSCATION[serial * 7 % 16].encode()
            tail = b',"obfuscation":"%b"}\n\n' % padding if obfuscate else b"}\n\n"
            yield b'%b"choices":[%b]%b%b' % (head, choice, asked_usage, tail), sent
        if usage is not None:
            tail = b',"obfuscation":"%b"}\n\n' % b"c2lt" if obfuscate else b"}\n\n"
            yield b'%b"choices":[],"usage":%b%b' % (head, orjson.dumps(usage), tail), tokens

    def _choice(self, index: int, generation: Generation) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": generation.text}
        if generation.calls:
            message["content"] = None
            message["tool_calls"] = [
                {
                    "id": self._call_id(index, number),
                    "type": "function",
                    "function": {"name": call.name, "arguments": "".join(call.pieces)},
                }
                for number, call in enumerate(generation.calls)
            ]
        message["refusal"] = None
        message["annotations"] = []
        choice: dict[str, Any] = {"index": index, "message": message}
        if not self._request.model.reasons:
            choice["logprobs"] = None
        choice["finish_reason"] = _finish(generation)
        return choice

    def _chunk_head(self) -> bytes:
        return b"data: %b," % orjson.dumps(
            {
                "id": self._exchange.reply_id,
                "object": "chat.completion.chunk",
                "created": self._created,
                "model": self._request.model.name,
                "service_tier": self._request.tier,
                "system_fingerprint": FINGERPRINT,
            }
        ).removesuffix(b"}")

    def _deltas(self, index: int, generation: Generation) -> Iterator[tuple[bytes, int]]:
        """Choices of the chunks for one choice, each with the tokens it adds."""
        logprobs = b"" if self._request.model.reasons else b',"logprobs":null'
        tail = b'},%b"finish_reason":null}' % (
            logprobs.removeprefix(b",") + b"," if logprobs else b""
        )
        head = b'{"index":%d,"delta":{' % index
        if generation.calls:
            for delta, cost in self._call_deltas(index, generation):
                yield head + delta + tail, cost
        else:
            role = b'"role":"assistant","content":"","refusal":null'
            yield head + role + tail, generation.hidden
            for piece in generation.pieces:
                yield head + b'"content":' + escaped(piece) + tail, 1
        finish = b'"finish_reason":"%b"}' % _finish(generation).encode()
        yield b"%b}%b,%b" % (head, logprobs, finish), 0

    def _call_deltas(self, index: int, generation: Generation) -> Iterator[tuple[bytes, int]]:
        hidden = generation.hidden
        for number, call in enumerate(generation.calls):
            opening = orjson.dumps(
                [
                    {
                        "index": number,
                        "id": self._call_id(index, number),
                        "type": "function",
                        "function": {"name": call.name, "arguments": ""},
                    }
                ]
            )
            first = b'"role":"assistant","content":null,' if number == 0 else b""
            last = b',"refusal":null' if number == 0 else b""
            overhead = call.tokens - len(call.pieces)
            yield first + b'"tool_calls":' + opening + last, hidden + overhead
            hidden = 0
            for piece in call.pieces:
                part = b'"tool_calls":[{"index":%d,"function":{"arguments":%b}}]'
                yield part % (number, escaped(piece)), 1

    def _call_id(self, index: int, number: int) -> str:
        return f"call_sim_{self._exchange.suffix}{index:02d}{number:02d}"
