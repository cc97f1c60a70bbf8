"""Legacy completions in OpenAI's shapes, whole and as a stream."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from scripts.simulated.behaviour import Behaviour
from scripts.simulated.generation import Generation, Wanted, generate, seed_of
from scripts.simulated.models import Model, find_model
from scripts.simulated.openai_requests import NO_MODEL
from scripts.simulated.openai_wording import check_integer, check_number, wrong_type
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Event, Reply, Usage
from scripts.simulated.vendors import Call, decoded
from scripts.simulated.words import count_tokens, escaped

PATH = "/v1/completions"
_FIELD_NAMES = """
    best_of echo frequency_penalty logit_bias logprobs max_tokens model n presence_penalty prompt
    seed stop stream stream_options suffix temperature top_p user
"""
FIELDS = frozenset(_FIELD_NAMES.split())
NOT_SIMULATED = ("logprobs", "logit_bias", "stop")
RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
INTEGERS = {"max_tokens": 0, "n": 1, "best_of": 1}
USUAL_TOKENS = 16
MOST_ANSWERS = 20
DONE = b"data: [DONE]\n\n"
_SERVED = ("instruct", "davinci", "babbage", "curie", "ada")


@dataclass(frozen=True, slots=True)
class _Request:
    """A valid request. `prompts` are texts or lists of tokens."""

    body: Mapping[str, Any]
    model: Model
    prompts: tuple[str | list[int], ...]

    @property
    def answers(self) -> int:
        """For each prompt."""
        return self.body.get("n") or 1

    @property
    def generated(self) -> int:
        """For each prompt, those that are not shown included."""
        return max(self.answers, self.body.get("best_of") or 1)


def answer(call: Call, body: bytes, knobs: Behaviour) -> Reply:
    """The reply to one request.

    Raises:
        Refusal: the request is not one the API accepts.
    """
    parsed = decoded(call, body)
    exchange = call.exchange
    request = _parse(parsed)
    asked = {name: value for name, value in parsed.items() if name != "stream_options"}
    seed = seed_of(orjson.dumps(asked) if parsed.get("stream") else body, knobs.seed)
    cap = parsed.get("max_tokens")
    wanted = Wanted(cap=USUAL_TOKENS if cap is None else cap, tokens=knobs.output_tokens)
    made = [
        generate(seed + number * 0x9E3779B9, wanted)
        for number in range(request.generated * len(request.prompts))
    ]
    usage_at = partial(_usage, knobs.input_tokens or sum(map(_tokens, request.prompts)))
    total = sum(each.tokens for each in made)
    shown = [
        (prompt, made[index * request.generated + number])
        for index, prompt in enumerate(request.prompts)
        for number in range(request.answers)
    ]
    told = {
        "id": exchange.reply_id,
        "object": "text_completion",
        "created": int(exchange.received_at.timestamp()),
        "model": request.model.name,
    }
    tells = knobs.fault != "no-usage"
    if not parsed.get("stream"):
        choices = [_choice(request, number, *each) for number, each in enumerate(shown)]
        usage = {"usage": usage_at(total)} if tells else {}
        reply = orjson.dumps({**told, "choices": choices, **usage})
        return Reply(request.model.name, {}, total, usage_at, tells_usage=tells, body=reply)
    tells = tells and bool((parsed.get("stream_options") or {}).get("include_usage"))
    return Reply(
        request.model.name,
        {},
        total,
        usage_at,
        tells_usage=tells,
        events=_chunks(told, [made for _, made in shown], usage_at(total) if tells else None),
        terminal=DONE,
    )


def _choice(
    request: _Request, number: int, prompt: str | list[int], made: Generation
) -> dict[str, Any]:
    echoed = prompt if request.body.get("echo") and isinstance(prompt, str) else ""
    return {
        "text": echoed + made.text,
        "index": number,
        "logprobs": None,
        "finish_reason": "length" if made.cut else "stop",
    }


def _chunks(
    told: Mapping[str, Any], made: list[Generation], usage: Usage | None
) -> Iterator[Event]:
    """A chunk for each token, choice after choice, and one that says how the choice ended."""
    head = orjson.dumps({name: told[name] for name in ("id", "object", "created")})[:-1]
    asked = b',"usage":null' if usage is not None else b""
    tail = b',"model":%b%b}\n\n' % (orjson.dumps(told["model"]), asked)
    sent = 0
    for index, each in enumerate(made):
        for piece in each.pieces:
            sent += 1
            choice = b'{"text":%b,"index":%d,"logprobs":null,"finish_reason":null}'
            yield (
                b'data: %b,"choices":[%b]%b' % (head, choice % (escaped(piece), index), tail),
                sent,
            )
        reason = b"length" if each.cut else b"stop"
        ended = b'{"text":"","index":%d,"logprobs":null,"finish_reason":"%b"}' % (index, reason)
        yield b'data: %b,"choices":[%b]%b' % (head, ended, tail), sent
    if usage is not None:
        last = {**told, "choices": [], "usage": usage}
        yield b"data: %b\n\n" % orjson.dumps(last), sent


def _usage(read: int, tokens: int) -> Usage:
    return {"prompt_tokens": read, "completion_tokens": tokens, "total_tokens": read + tokens}


def _tokens(prompt: str | list[int]) -> int:
    return len(prompt) if isinstance(prompt, list) else count_tokens(prompt)


def _parse(body: Any) -> _Request:
    if not isinstance(body, dict):
        raise Refusal(400, "Invalid type: expected an object.", code="invalid_type")
    unknown = body.keys() - FIELDS
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        names = ", ".join(sorted(unknown))
        raise Refusal(400, f"Unrecognized request argument{plural} supplied: {names}")
    model = _model(body)
    for name in NOT_SIMULATED:
        if body.get(name) is not None:
            raise Refusal(400, f"[simulated] '{name}' is not simulated.", param=name)
    _check_values(body)
    request = _Request(body, model, _prompts(body.get("prompt")))
    room = USUAL_TOKENS if body.get("max_tokens") is None else body["max_tokens"]
    longest = max(map(_tokens, request.prompts)) + room
    if model.window is not None and longest > model.window:
        message = (
            f"This model's maximum context length is {model.window} tokens, however you requested "
            f"{longest} tokens. Please reduce your prompt; or completion length."
        )
        raise Refusal(400, message)
    return request


def _model(body: Mapping[str, Any]) -> Model:
    if "model" not in body:
        raise Refusal(400, "you must provide a model parameter")
    if not isinstance(body["model"], str):
        raise wrong_type("model", "a string", body["model"])
    model = find_model("openai", body["model"])
    if model is None:
        raise Refusal(404, NO_MODEL.format(body["model"]), code="model_not_found")
    if not any(word in model.asked for word in _SERVED) or "embedding" in model.asked:
        raise Refusal(
            404,
            "This is a chat model and not supported in the v1/completions endpoint. Did you mean "
            "to use v1/chat/completions?",
            param="model",
        )
    return model


def _check_values(body: Mapping[str, Any]) -> None:
    for name, (low, high) in RANGES.items():
        if body.get(name) is not None:
            check_number(name, body[name], low, high)
    for name, least in INTEGERS.items():
        if body.get(name) is not None:
            check_integer(name, body[name], least)
    for name in ("stream", "echo"):
        if not isinstance(body.get(name, False), bool | None):
            raise wrong_type(name, "a boolean", body[name])
    if not isinstance(body.get("stream_options", {}), dict | None):
        raise wrong_type("stream_options", "an object", body["stream_options"])
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refusal(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    _check_answers(body)


def _check_answers(body: Mapping[str, Any]) -> None:
    answers, best = body.get("n") or 1, body.get("best_of") or body.get("n") or 1
    if max(answers, best) > MOST_ANSWERS:
        raise Refusal(400, f"[simulated] more than {MOST_ANSWERS} answers are not simulated.")
    if best < answers:
        raise Refusal(400, "You requested that the server return more choices than it will "
                      "generate (HINT: best_of must be >= n).")  # fmt: skip
    if best > answers and body.get("stream"):
        raise Refusal(400, "Results cannot be streamed when best_of is greater than n.")


def _prompts(given: Any) -> tuple[str | list[int], ...]:
    if given is None:
        return ("",)
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list) and given:
        if all(type(each) is int for each in given):
            return (given,)
        if all(isinstance(each, str) for each in given):
            return tuple(given)
        if all(isinstance(each, list) and all(type(t) is int for t in each) for each in given):
            return tuple(given)
    raise Refusal(400, "'$.prompt' is invalid. Please check the API reference.")
