"""Gemini interactions in Google's shapes: created, streamed, kept, read again and deleted.

Member order and the sequence of events follow the API's published examples. An interaction is kept
unless `store` is false; the oldest make room. One in the background is answered as `in_progress`,
generated and billed at once, and complete when it is read.
"""

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
from scripts.simulated.interactions_requests import InteractionRequest, parse, said_last
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Event, Exchange, Reply, Usage
from scripts.simulated.vendors import Call

KEPT = 10_000
PIECES_PER_DELTA = 8
AMOUNTS = (
    *("generation_config.max_output_tokens", "generation_config.thinking_level"),
    *("previous_interaction_id", "service_tier"),
)
"""What a request says about how much and how soon, and not about what."""
_AGENT_THOUGHTS = 640
_JSON, _EVENTS = b"application/json", b"text/event-stream"
_END = b"event: done\ndata: [DONE]\n\n"
_Part = tuple[str, dict[str, Any], int]
"""An event's type and members, and the output tokens it adds."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A finished interaction, its input, and all steps of the conversation until its end."""

    interaction: Mapping[str, Any]
    steps: tuple[Mapping[str, Any], ...]
    conversation: tuple[Mapping[str, Any], ...]
    stream: bytes


class Interactions:
    """Creates interactions and keeps them."""

    def __init__(self) -> None:
        self._stored: dict[str, Stored] = {}

    def answer(self, parsed: Any, exchange: Exchange, knobs: Behaviour) -> Reply:
        """The reply to one request for an interaction.

        Raises:
            Refusal: the request is not one the API accepts.
        """
        earlier = self._earlier(parsed)
        request = parse(parsed, earlier)
        seed = seed_of(asked_of(parsed, *AMOUNTS), knobs.seed)
        made = generate(seed, _wanted(request, knobs, seed))
        told = request.input_tokens if knobs.input_tokens is None else knobs.input_tokens
        usage_at = partial(usage_of, told, made.hidden)
        tells = knobs.fault != "no-usage"
        shape = _Shape(request, exchange, made)
        final = shape.whole(usage_at(made.tokens) if tells else None)
        terminal = shape.terminal(final)
        if request.body.get("store") is not False:
            events = b"".join(event for event, _ in shape.events())
            conversation = (*earlier, *request.steps, *final["steps"])
            self._keep(Stored(final, request.steps, conversation, events + terminal))
        queued = request.body.get("background") is True
        streamed = request.body.get("stream") is True
        return Reply(
            request.name,
            {} if request.body.get("service_tier") is None else {"service_tier": shape.tier},
            made.tokens,
            usage_at,
            tells_usage=tells and (streamed or not queued),
            body=None if streamed else orjson.dumps(shape.begun() if queued else final),
            events=shape.events() if streamed else None,
            terminal=terminal if streamed else b"",
        )

    def free(self, call: Call) -> tuple[bytes, bytes]:
        """What costs nothing: read, cancel or delete an interaction.

        Raises:
            Refusal: there is none of that name, or it does not take that.
        """
        name, _, part = call.path.partition("/interactions/")[2].partition("/")
        found = self._stored.get(name)
        if found is None:
            raise Refusal(404, f"Interaction {name} not found.")
        asked = dict(parse_qsl(call.query.decode("latin-1")))
        unknown = asked.keys() - {"stream", "include_input", "key"}
        if unknown:
            raise Refusal(400, f"[simulated] '{min(unknown)}' is not simulated.")
        if part == "cancel":
            raise Refusal(400, "Only an interaction in progress can be cancelled.")
        if call.method == "DELETE":
            del self._stored[name]
            return _JSON, b"{}"
        if asked.get("stream") == "true":
            return _EVENTS, found.stream
        given = {"input": found.steps} if asked.get("include_input") == "true" else {}
        return _JSON, orjson.dumps({**found.interaction, **given})

    def _earlier(self, parsed: Any) -> tuple[Mapping[str, Any], ...]:
        name = parsed.get("previous_interaction_id") if isinstance(parsed, dict) else None
        if not isinstance(name, str):
            return ()
        if name not in self._stored:
            raise Refusal(404, f"Interaction {name} not found.")
        return self._stored[name].conversation

    def _keep(self, stored: Stored) -> None:
        self._stored[stored.interaction["id"]] = stored
        while len(self._stored) > KEPT:
            del self._stored[next(iter(self._stored))]


def usage_of(told: int, thoughts: int, tokens: int) -> Usage:
    """The usage of so many output tokens."""
    thought = min(tokens, thoughts)
    return {
        "total_tokens": told + tokens,
        "total_input_tokens": told,
        "input_tokens_by_modality": [{"modality": "text", "tokens": told}],
        "total_cached_tokens": 0,
        "total_output_tokens": tokens - thought,
        "total_tool_use_tokens": 0,
        "total_thought_tokens": thought,
    }


def billed_units(usage: Mapping[str, Any]) -> dict[str, int]:
    """What a usage is billed as: all that goes in, and all that comes out, thoughts included."""
    read = usage["total_input_tokens"] + usage["total_tool_use_tokens"]
    written = usage["total_output_tokens"] + usage["total_thought_tokens"]
    return {"input_tokens": read, "output_tokens": written}


def _wanted(request: InteractionRequest, knobs: Behaviour, seed: int) -> Wanted:
    thinks = request.model is not None and request.model.reasons
    hidden = hidden_tokens(seed, request.config.get("thinking_level") or "medium") if thinks else 0
    schema = request.json_schema
    return Wanted(
        cap=request.config.get("max_output_tokens"),
        hidden=_AGENT_THOUGHTS if request.model is None else hidden,
        tokens=knobs.output_tokens,
        literal=None if schema is None else json_text(schema or None),
        calls=_calls(request),
        arguments=knobs.arguments,
    )


def _calls(request: InteractionRequest) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    functions = request.functions
    if request.mode == "none":
        return ()
    if request.allowed:
        functions = tuple(each for each in functions if each[0] in request.allowed)
    said = said_last(request.steps)
    chosen = tuple(each for each in functions if each[0] in said)
    return chosen or (functions[:1] if request.mode == "any" else ())


class _Shape:
    """What every part of one reply repeats."""

    def __init__(self, request: InteractionRequest, exchange: Exchange, made: Generation) -> None:
        self._request = request
        self._suffix = exchange.suffix
        self._id = exchange.reply_id
        self._created = f"{exchange.received_at:%Y-%m-%dT%H:%M:%SZ}"
        self._made = made
        self.tier: str = request.body.get("service_tier") or "standard"

    def begun(self) -> dict[str, Any]:
        """The interaction before anything is generated."""
        by = "agent" if self._request.model is None else "model"
        return {
            "id": self._id,
            "status": "in_progress",
            "object": "interaction",
            by: self._request.name,
        }

    def whole(self, usage: Usage | None) -> dict[str, Any]:
        """The interaction when it is over."""
        made = self._made
        status = "incomplete" if made.cut else "requires_action" if made.calls else "completed"
        times = {"created": self._created, "updated": self._created}
        told: dict[str, Any] = {**self.begun(), "status": status, **times}
        if usage is not None:
            told["usage"] = usage
        previous = self._request.body.get("previous_interaction_id")
        if previous is not None:
            told["previous_interaction_id"] = previous
        return {**told, "service_tier": self.tier, "steps": self._steps()}

    def _steps(self) -> list[dict[str, Any]]:
        made = self._made
        steps: list[dict[str, Any]] = []
        if made.hidden:
            thought: dict[str, Any] = {"type": "thought", "signature": self._signature()}
            if self._request.config.get("thinking_summaries") == "auto":
                thought["summary"] = [{"type": "text", "text": "[simulated] thought"}]
            steps.append(thought)
        if made.pieces:
            steps.append({"type": "model_output", "content": [{"type": "text", "text": made.text}]})
        for number, call in enumerate(made.calls):
            steps.append(
                {
                    "type": "function_call",
                    "id": f"call_sim_{self._suffix}{number:02d}",
                    "name": call.name,
                    "arguments": _arguments(call.pieces),
                }
            )
        return steps

    def _signature(self) -> str:
        return f"sim{self._made.hidden:08d}" * (self._made.hidden // 8 + 1)

    def events(self) -> Iterator[Event]:
        """All events but the last, each with the output tokens generated so far."""
        status = {"interaction_id": self._id, "status": "in_progress"}
        yield _encoded("interaction.created", {"interaction": self.begun()}), 0
        yield _encoded("interaction.status_update", status), 0
        sent = 0
        for index, step in enumerate(self._steps()):
            for kind, members, cost in self._parts(step):
                sent += cost
                yield _encoded(kind, {"index": index, **members}), sent

    def terminal(self, whole: Mapping[str, Any]) -> bytes:
        """What ends the stream: the interaction without its steps, and the end."""
        told = {name: value for name, value in whole.items() if name != "steps"}
        return _encoded("interaction.completed", {"interaction": told}) + _END

    def _parts(self, step: dict[str, Any]) -> Iterator[_Part]:
        if step["type"] == "thought":
            yield "step.start", {"step": {"type": "thought"}}, 0
            for summary in step.get("summary", ()):
                yield "step.delta", {"delta": {"type": "thought_summary", "content": summary}}, 0
            signature = {"signature": step["signature"], "type": "thought_signature"}
            yield "step.delta", {"delta": signature}, self._made.hidden
        elif step["type"] == "model_output":
            yield "step.start", {"step": {"type": "model_output"}}, 0
            pieces = self._made.pieces
            for start in range(0, len(pieces), PIECES_PER_DELTA):
                group = pieces[start : start + PIECES_PER_DELTA]
                yield "step.delta", {"delta": {"text": "".join(group), "type": "text"}}, len(group)
        else:
            call = self._made.calls[int(step["id"][-2:])]
            yield "step.start", {"step": {**step, "arguments": {}}}, call.tokens - len(call.pieces)
            said = {"arguments": "".join(call.pieces), "type": "arguments_delta"}
            yield "step.delta", {"delta": said}, len(call.pieces)
        yield "step.stop", {}, 0


def _arguments(pieces: tuple[str, ...]) -> Any:
    # A call that the cap cut has no complete JSON; what can be read of it is nothing.
    try:
        return orjson.loads("".join(pieces))
    except orjson.JSONDecodeError:
        return {}


def _encoded(kind: str, members: Mapping[str, Any]) -> bytes:
    data = orjson.dumps({**members, "event_type": kind})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
