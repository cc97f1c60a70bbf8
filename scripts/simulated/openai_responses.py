"""OpenAI's Responses in its shapes: created, streamed, kept, read again and deleted.

Field order, nulls, obfuscation and the sequence of events follow recorded replies. A response is
kept unless `store` is false; the oldest make room. A background response is answered as `queued`,
generated and billed at once, and complete when it is read.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import orjson

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
from scripts.simulated.prompt_cache import PrefixCache, automatic
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Event, Exchange, Reply, Usage
from scripts.simulated.responses_requests import ResponsesRequest, parse, text_of
from scripts.simulated.vendors import RESPONSES, Call, decoded

INPUT_TOKENS = f"{RESPONSES}/input_tokens"
KEPT = 10_000
AMOUNTS = (
    *("max_output_tokens", "max_tool_calls", "previous_response_id", "reasoning.effort"),
    *("service_tier", "text.verbosity"),
)
"""What a request says about how much and how soon, and not about what."""
_OBFUSCATION = tuple(
    base64.b64encode(bytes(range(size, size + 12)))[:size].decode() for size in range(1, 17)
)
_Part = tuple[str, dict[str, Any], int]
"""An event's type and fields, and the output tokens it adds."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A finished response, its input, and the whole conversation until its end."""

    response: Mapping[str, Any]
    items: tuple[Mapping[str, Any], ...]
    conversation: bytes


class Responses:
    """Creates responses and keeps them."""

    def __init__(self) -> None:
        self._stored: dict[str, Stored] = {}

    def answer(
        self, parsed: Any, exchange: Exchange, knobs: Behaviour, cache: PrefixCache
    ) -> Reply:
        """The reply to one request for a response.

        Raises:
            Refusal: the request is not one the API accepts.
        """
        earlier = self.earlier(parsed)
        request = parse(parsed, earlier)
        seed = seed_of(asked_of(parsed, *AMOUNTS), knobs.seed)
        generation = generate(seed, _wanted(request, knobs, seed))
        usage_at = partial(usage_of, input_usage(request, knobs, cache), generation)
        tells = knobs.fault != "no-usage"
        shape = _Shape(request, exchange, generation)
        final = shape.response(usage_at(generation.tokens) if tells else None)
        if request.body.get("store") is not False:
            said = generation.text + "".join("".join(call.pieces) for call in generation.calls)
            self._keep(Stored(final, shape.input_items(), request.prompt + said.encode()))
        queued = request.body.get("background") is True
        streamed = request.body.get("stream") is True
        return Reply(
            request.model.name,
            {"service_tier": request.tier},
            generation.tokens,
            usage_at,
            tells_usage=tells and not queued,
            body=None if streamed else orjson.dumps(shape.begun("queued") if queued else final),
            events=shape.events() if streamed else None,
            terminal=shape.terminal(final) if streamed else b"",
        )

    def free(self, call: Call, body: bytes) -> bytes:
        """What costs nothing: count input, read, cancel or delete a response, list its input.

        Raises:
            Refusal: there is no response of that name, or it does not take that.
        """
        name, _, part = call.path.removeprefix(f"{RESPONSES}/").partition("/")
        if call.path == INPUT_TOKENS:
            parsed = decoded(call, body)
            tokens = parse(parsed, self.earlier(parsed)).input_tokens
            return orjson.dumps({"object": "response.input_tokens", "input_tokens": tokens})
        found = self._stored.get(name)
        if found is None:
            raise Refusal(404, f"Response with id '{name}' not found.")
        asked = dict(parse_qsl(call.query.decode("latin-1")))
        if part == "input_items":
            return _listed(found.items, asked)
        if part == "cancel":
            if found.response["background"] is not True:
                raise Refusal(400, "Cannot cancel a synchronous response.")
        elif call.method == "DELETE":
            del self._stored[name]
            return orjson.dumps({"id": name, "object": "response", "deleted": True})
        elif asked.get("stream") == "true":
            raise Refusal(400, "[simulated] 'stream' of a stored response is not simulated.")
        return orjson.dumps(found.response)

    def earlier(self, parsed: Any) -> bytes:
        """The conversation that a request goes on with.

        Raises:
            Refusal: there is none of that name (400).
        """
        name = parsed.get("previous_response_id") if isinstance(parsed, dict) else None
        if not isinstance(name, str):
            return b""
        found = self._stored.get(name)
        if found is None:
            raise Refusal(
                400,
                f"Previous response with id '{name}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        return found.conversation

    def _keep(self, stored: Stored) -> None:
        self._stored[stored.response["id"]] = stored
        while len(self._stored) > KEPT:
            del self._stored[next(iter(self._stored))]


def _listed(items: tuple[Mapping[str, Any], ...], asked: Mapping[str, str]) -> bytes:
    unknown = asked.keys() - {"order", "limit"}
    if unknown:
        raise Refusal(400, f"[simulated] '{min(unknown)}' is not simulated.", param=min(unknown))
    limit = asked.get("limit", "20")
    if not limit.isdecimal() or not 1 <= int(limit) <= 100:
        raise Refusal(400, "Invalid 'limit': expected a value from 1 to 100.", param="limit")
    ordered = items if asked.get("order") == "asc" else items[::-1]
    page = ordered[: int(limit)]
    return orjson.dumps(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "has_more": len(page) < len(items),
            "last_id": page[-1]["id"] if page else None,
        }
    )


def _wanted(request: ResponsesRequest, knobs: Behaviour, seed: int) -> Wanted:
    literal = None
    if request.format["type"] == "json_object":
        literal = json_text(None)
    elif request.format["type"] == "json_schema":
        literal = json_text(request.format["schema"])
    return Wanted(
        cap=request.body.get("max_output_tokens"),
        hidden=hidden_tokens(seed, _effort(request)),
        tokens=knobs.output_tokens,
        literal=literal,
        calls=_calls(request),
        arguments=knobs.arguments,
        percent=length_of((request.body.get("text") or {}).get("verbosity")),
    )


def _effort(request: ResponsesRequest) -> str:
    return effort_of(request.model, (request.body.get("reasoning") or {}).get("effort"))


def _calls(request: ResponsesRequest) -> tuple[tuple[str, dict[str, Any]], ...]:
    tools = [tool for tool in request.body.get("tools") or () if tool["type"] == "function"]
    choice = request.body.get("tool_choice") or "auto"
    if choice == "none":
        return ()
    if isinstance(choice, dict):
        chosen = [tool for tool in tools if tool["name"] == choice.get("name")]
    else:
        last = request.items[-1] if request.items else {}
        said = text_of(last) if last.get("role") == "user" else ""
        chosen = [tool for tool in tools if tool["name"] in said]
        if choice == "required" and not chosen:
            chosen = tools[:1]
    if request.body.get("parallel_tool_calls") is False:
        chosen = chosen[:1]
    return tuple((tool["name"], tool.get("parameters") or {}) for tool in chosen)


def input_usage(request: ResponsesRequest, knobs: Behaviour, cache: PrefixCache) -> Usage:
    """Input tokens with their details; remembers the prompt."""
    if knobs.input_tokens is not None:
        return {"input_tokens": knobs.input_tokens, "input_tokens_details": {"cached_tokens": 0}}
    cached, known = automatic(cache, request.model.name, request.prompt, len(request.prompt) // 4)
    details = {"cached_tokens": cached}
    if request.model.writes_cache:
        details["cache_write_tokens"] = known - cached
    return {"input_tokens": request.input_tokens, "input_tokens_details": details}


def usage_of(prompt: Usage, generation: Generation, tokens: int) -> Usage:
    """The usage of so many output tokens."""
    return {
        **prompt,
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": min(tokens, generation.hidden)},
        "total_tokens": prompt["input_tokens"] + tokens,
    }


class _Shape:
    """What every part of one reply repeats."""

    def __init__(
        self, request: ResponsesRequest, exchange: Exchange, generation: Generation
    ) -> None:
        self._request = request
        self._suffix = exchange.suffix
        self._id = exchange.reply_id
        self._created = int(exchange.received_at.timestamp())
        self._generation = generation
        self._serial = 0

    def input_items(self) -> tuple[Mapping[str, Any], ...]:
        """The input as it is listed later."""
        listed: list[Mapping[str, Any]] = []
        for number, item in enumerate(self._request.items):
            kind = item.get("type", "message")
            full: dict[str, Any] = {
                **item,
                "type": kind,
                "id": f"{kind}_sim_{self._suffix}{number:04d}",
            }
            if isinstance(item.get("content"), str):
                text = "output_text" if item.get("role") == "assistant" else "input_text"
                full["content"] = [{"type": text, "text": item["content"]}]
                full["status"] = "completed"
            listed.append(full)
        return tuple(listed)

    def begun(self, status: str) -> dict[str, Any]:
        """The response before anything is generated."""
        body = self._request.body
        reasoning = body.get("reasoning") or {}
        effort = _effort(self._request) if self._request.model.reasons else None
        tier_is_open = status == "in_progress" and body.get("service_tier") in (None, "auto")
        verbosity = (body.get("text") or {}).get("verbosity") or "medium"
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": body.get("background") is True,
            "error": None,
            "incomplete_details": None,
            "instructions": body.get("instructions"),
            "max_output_tokens": body.get("max_output_tokens"),
            "max_tool_calls": body.get("max_tool_calls"),
            "model": self._request.model.name,
            "output": [],
            "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
            "previous_response_id": body.get("previous_response_id"),
            "prompt_cache_key": body.get("prompt_cache_key"),
            "reasoning": {"effort": effort, "summary": reasoning.get("summary")},
            "safety_identifier": body.get("safety_identifier"),
            "service_tier": "auto" if tier_is_open else self._request.tier,
            "store": body.get("store") is not False,
            "temperature": body.get("temperature", 1.0),
            "text": {"format": self._request.format, "verbosity": verbosity},
            "tool_choice": body.get("tool_choice") or "auto",
            "tools": [{"strict": True, **tool} for tool in body.get("tools") or ()],
            "top_logprobs": 0,
            "top_p": body.get("top_p", 1.0),
            "truncation": body.get("truncation") or "disabled",
            "usage": None,
            "user": body.get("user"),
            "metadata": body.get("metadata") or {},
        }

    def response(self, usage: Usage | None) -> dict[str, Any]:
        """The response when it is over."""
        cut = self._generation.cut
        return {
            **self.begun("incomplete" if cut else "completed"),
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": self._items(),
            "usage": usage,
        }

    def _items(self) -> list[dict[str, Any]]:
        made = self._generation
        items: list[dict[str, Any]] = []
        if made.hidden:
            items.append({"id": f"rs_sim_{self._suffix}", "type": "reasoning", "summary": []})
        for number, call in enumerate(made.calls):
            items.append(
                {
                    "id": f"fc_sim_{self._suffix}{number:02d}",
                    "type": "function_call",
                    "status": self._status(last=number == len(made.calls) - 1),
                    "arguments": "".join(call.pieces),
                    "call_id": f"call_sim_{self._suffix}{number:02d}",
                    "name": call.name,
                }
            )
        if made.pieces:
            items.append(
                {
                    "id": f"msg_sim_{self._suffix}",
                    "type": "message",
                    "status": self._status(last=True),
                    "content": [_text_part(made.text)],
                    "role": "assistant",
                }
            )
        return items

    def _status(self, *, last: bool) -> str:
        return "incomplete" if last and self._generation.cut else "completed"

    def events(self) -> Iterator[Event]:
        """All events but the last, each with the output tokens generated so far."""
        begun = self.begun("in_progress")
        yield self._event("response.created", {"response": begun}), 0
        yield self._event("response.in_progress", {"response": begun}), 0
        sent = 0
        for index, item in enumerate(self._items()):
            for kind, fields, cost in self._parts(item, index):
                sent += cost
                yield self._event(kind, {"output_index": index, **fields}), sent

    def terminal(self, response: Mapping[str, Any]) -> bytes:
        """The event that ends the stream."""
        items = enumerate(self._items())
        number = 2 + sum(1 for index, item in items for _ in self._parts(item, index))
        return _encoded(f"response.{response['status']}", number, {"response": response})

    def _parts(self, item: dict[str, Any], index: int) -> Iterator[_Part]:
        added, done = "response.output_item.added", "response.output_item.done"
        if item["type"] == "reasoning":
            yield added, {"item": item}, 0
            yield done, {"item": item}, self._generation.hidden
            return
        begun = {**item, "status": "in_progress"}
        where: dict[str, Any] = {"item_id": item["id"]}
        if item["type"] == "function_call":
            call = self._generation.calls[index - bool(self._generation.hidden)]
            name = "response.function_call_arguments"
            yield added, {"item": {**begun, "arguments": ""}}, call.tokens - len(call.pieces)
            for piece in call.pieces:
                yield f"{name}.delta", {**where, **self._delta(piece)}, 1
            yield f"{name}.done", {**where, "arguments": item["arguments"]}, 0
        else:
            where["content_index"] = 0
            text = self._generation.text
            yield added, {"item": {**begun, "content": []}}, 0
            yield "response.content_part.added", {**where, "part": _text_part("")}, 0
            for piece in self._generation.pieces:
                delta = {**where, **self._delta(piece), "logprobs": []}
                yield "response.output_text.delta", delta, 1
            yield "response.output_text.done", {**where, "text": text, "logprobs": []}, 0
            yield "response.content_part.done", {**where, "part": _text_part(text)}, 0
        yield done, {"item": item}, 0

    def _delta(self, piece: str) -> dict[str, Any]:
        options = self._request.body.get("stream_options") or {}
        if options.get("include_obfuscation") is False:
            return {"delta": piece}
        return {"delta": piece, "obfuscation": _OBFUSCATION[self._serial * 7 % 16]}

    def _event(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        self._serial += 1
        return _encoded(kind, self._serial - 1, fields)


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _encoded(kind: str, number: int, fields: Mapping[str, Any]) -> bytes:
    data = orjson.dumps({"type": kind, "sequence_number": number, **fields})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
