"""generateContent in Google's shapes: whole, as events, and as an array in pieces.

Every chunk of a stream tells a whole usage, as recorded; the last one counts. While a model only
thinks, the usage has no `candidatesTokenCount`. On Vertex AI the last chunk alone tells the counts,
the others the kind of traffic.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import orjson

from scripts.simulated import gemini_requests
from scripts.simulated.behaviour import Behaviour
from scripts.simulated.gemini_requests import Cached, ContentRequest, known_model
from scripts.simulated.gemini_thinking import abilities_of
from scripts.simulated.generation import (
    Generation,
    Wanted,
    asked_of,
    drawn,
    generate,
    json_text,
    seed_of,
)
from scripts.simulated.models import Model, model_names
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Event, Exchange, Reply, Usage
from scripts.simulated.words import count_tokens, pieces_of_text

PIECES_PER_CHUNK = 8
AMOUNTS = (
    "serviceTier",
    *(
        f"generationConfig.{name}"
        for name in ("candidateCount", "maxOutputTokens", "mediaResolution", "thinkingConfig")
    ),
)
"""What a request says about how much and how soon, and not about what."""
_CALL = re.compile(
    r"/(?:v1|v1beta|v1beta1)(?:/projects/[^/]+/locations/[^/]+/publishers/google)?"
    r"/models/(?P<model>[^/:]+):(?P<verb>\w+)"
)
_DIMENSIONS = 16
_VERBS = ["generateContent", "streamGenerateContent", "countTokens"]


def is_array(query: bytes) -> bool:
    """Whether a stream is asked for as one JSON array."""
    return ("alt", "sse") not in parse_qsl(query.decode("latin-1"))


def answer(
    path: str,
    parsed: Any,
    exchange: Exchange,
    knobs: Behaviour,
    *,
    array: bool,
    traffic: str | None = None,
    cached: Cached | None = None,
) -> Reply:
    """The reply to one call of a model that is billed.

    `array` says how a stream is sent, `traffic` the kind of traffic, where Vertex AI answers,
    `cached` the cached content that the call names.

    Raises:
        Refusal: the request is not one the API accepts.
    """
    name, verb = _called(path)
    if verb in ("embedContent", "batchEmbedContents"):
        return _embeddings(known_model(name), verb, parsed, knobs)
    stream = verb == "streamGenerateContent"
    request = gemini_requests.parse(name, parsed, stream=stream, cached=cached)
    seed = seed_of(asked_of(parsed, *AMOUNTS), knobs.seed)
    generations = [
        generate(seed + index * 0x9E3779B9, _wanted(request, knobs, seed))
        for index in range(request.candidates)
    ]
    tokens = sum(each.tokens for each in generations)
    thoughts = sum(each.hidden for each in generations)
    told = request.input_tokens if knobs.input_tokens is None else knobs.input_tokens
    usage_at = partial(_usage, told, request.cached_tokens, thoughts, traffic)
    tells = knobs.fault != "no-usage"
    answered = _Content(request, exchange, seed, usage_at if tells else None, traffic)
    if not stream:
        whole = answered.whole(generations, tokens)
        return Reply(request.model.name, {}, tokens, usage_at, tells_usage=tells, body=whole)
    return Reply(
        request.model.name,
        {},
        tokens,
        usage_at,
        tells_usage=tells,
        events=answered.stream(generations[0], array=array),
        terminal=b"\r\n]" if array else b"",
    )


def free_answer(path: str, parsed: Any) -> bytes:
    """The answer to what is not billed: counting tokens, and models.

    Raises:
        Refusal: the request is not one the API accepts.
    """
    if _CALL.fullmatch(path):
        known_model(_called(path)[0])
        known = frozenset({"contents", "generateContentRequest"})
        body = gemini_requests.members(parsed, known, "")
        inner = body.get("generateContentRequest") or body
        contents = gemini_requests.checked_contents(inner.get("contents"))
        total = gemini_requests.count_input(contents)
        details = [{"modality": "TEXT", "tokenCount": total}]
        return orjson.dumps({"totalTokens": total, "promptTokensDetails": details})
    name = path.partition("/models")[2].removeprefix("/")
    if name:
        return orjson.dumps(_described(known_model(name)))
    own = [each for each in model_names("gemini") if each.startswith(("gemini", "gemma"))]
    return orjson.dumps({"models": [_described(known_model(each)) for each in own]})


def _called(path: str) -> tuple[str, str]:
    match = _CALL.fullmatch(path)
    if match is None:
        raise Refusal(404, "Not Found")
    return match["model"], match["verb"]


def _described(model: Model) -> dict[str, Any]:
    return {
        "name": f"models/{model.asked}",
        "version": "simulated",
        "displayName": f"{model.asked} (simulated)",
        "inputTokenLimit": model.window or 1_048_576,
        "outputTokenLimit": abilities_of(model).most_tokens,
        "supportedGenerationMethods": _VERBS if model.chats else [],
    }


def _embeddings(model: Model, verb: str, parsed: Any, knobs: Behaviour) -> Reply:
    """Vectors that the texts decide. The reply tells no usage, but the tokens are billed."""
    if "embedding" not in model.name:
        raise Refusal(400, f"models/{model.asked} does not support {verb}. [simulated]")
    batch = verb == "batchEmbedContents"
    requests = parsed.get("requests") if batch and isinstance(parsed, dict) else [parsed]
    if not isinstance(requests, list) or not requests:
        raise Refusal(400, "* BatchEmbedContentsRequest.requests: requests is not specified\n")
    vectors = []
    tokens = 0
    known = frozenset({"model", "content", "taskType", "title", "outputDimensionality"})
    for each in requests:
        request = gemini_requests.members(each, known, "")
        contents = gemini_requests.checked_contents([request.get("content") or {}])
        text = gemini_requests.last_user_text(contents)
        tokens += max(1, count_tokens(text))
        size = request.get("outputDimensionality") or _DIMENSIONS
        seed = seed_of(text.encode(), knobs.seed)
        vectors.append({"values": [((seed >> (index % 48)) & 255) / 256 for index in range(size)]})
    answered = {"embeddings": vectors} if batch else {"embedding": vectors[0]}
    usage: Usage = {"promptTokenCount": tokens}
    body = orjson.dumps(answered)
    return Reply(model.name, {}, 0, lambda _: usage, tells_usage=False, body=body)


def _wanted(request: ContentRequest, knobs: Behaviour, seed: int) -> Wanted:
    schema = request.json_schema
    return Wanted(
        cap=request.cap,
        hidden=request.thinking.tokens(drawn(seed)),
        tokens=knobs.output_tokens,
        literal=None if schema is None else json_text(schema or None),
        calls=_calls(request),
        arguments=knobs.arguments,
    )


def _calls(request: ContentRequest) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    functions = request.functions
    if request.mode == "NONE" or not functions:
        return ()
    if request.allowed:
        functions = tuple(each for each in functions if each[0] in request.allowed)
    said = gemini_requests.last_user_text(request.contents)
    chosen = tuple(each for each in functions if each[0] in said)
    return chosen or (functions[:1] if request.mode == "ANY" else ())


def _usage(prompt: int, cached: int, thoughts: int, traffic: str | None, tokens: int) -> Usage:
    thought = min(tokens, thoughts)
    usage: Usage = {"promptTokenCount": prompt}
    if cached:
        usage["cachedContentTokenCount"] = cached
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": cached}]
    if tokens > thought:
        usage["candidatesTokenCount"] = tokens - thought
    usage["totalTokenCount"] = prompt + tokens
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": prompt}]
    if thought:
        usage["thoughtsTokenCount"] = thought
    if traffic is None:
        usage["serviceTier"] = "standard"
    else:
        usage["trafficType"] = traffic
    return usage


class _Content:
    """What every part of one reply repeats."""

    def __init__(
        self,
        request: ContentRequest,
        exchange: Exchange,
        seed: int,
        usage_at: Any,
        traffic: str | None,
    ) -> None:
        self._traffic = traffic
        self._request = request
        self._exchange = exchange
        self._seed = seed
        self._usage_at = usage_at

    def whole(self, generations: list[Generation], tokens: int) -> bytes:
        candidates = [
            self._candidate([part for part, _ in self._parts(each, len(each.pieces))], index, each)
            for index, each in enumerate(generations)
        ]
        return orjson.dumps(self._envelope(candidates, tokens))

    def stream(self, generation: Generation, *, array: bool) -> Iterator[Event]:
        """A chunk for every few pieces; the last one says why it is the last."""
        parts = list(self._parts(generation, PIECES_PER_CHUNK))
        tokens = 0
        for number, (part, count) in enumerate(parts):
            last = number == len(parts) - 1
            # Thoughts that are not shown are generated before the first part.
            tokens = generation.tokens if last else tokens + count
            candidate = self._candidate([part], 0, generation if last else None)
            chunk = orjson.dumps(self._envelope([candidate], tokens, last=last))
            if array:
                yield (b",\r\n" if number else b"[") + chunk, tokens
            else:
                yield b"data: %b\r\n\r\n" % chunk, tokens

    def _parts(
        self, generation: Generation, size: int
    ) -> Iterator[tuple[dict[str, Any] | None, int]]:
        """The parts of a candidate, each with the tokens it adds; None where it has no part."""
        unseen = generation.hidden
        if generation.hidden and self._request.shows_thoughts:
            thought = "".join(pieces_of_text(generation.hidden, self._seed >> 3))
            yield {"text": thought, "thought": True}, generation.hidden
            unseen = 0
        for start in range(0, len(generation.pieces), max(1, size)):
            group = generation.pieces[start : start + max(1, size)]
            yield {"text": "".join(group)}, len(group) + unseen
            unseen = 0
        for call in generation.calls:
            yield (
                {"functionCall": {"name": call.name, "args": _arguments(call.pieces)}},
                (call.tokens + unseen),
            )
            unseen = 0
        if not generation.pieces and not generation.calls:
            # Thoughts may use up the cap: googleapis/python-genai #811 and #782.
            yield None if generation.cut else {"text": ""}, unseen

    def _candidate(
        self, parts: list[dict[str, Any] | None], index: int, ended: Generation | None
    ) -> dict[str, Any]:
        said = [part for part in parts if part is not None]
        content = {"parts": said, "role": "model"} if said else {"role": "model"}
        candidate: dict[str, Any] = {"content": content}
        if ended is not None:
            candidate["finishReason"] = "MAX_TOKENS" if ended.cut else "STOP"
        candidate["index"] = index
        return candidate

    def _envelope(
        self, candidates: list[dict[str, Any]], tokens: int, *, last: bool = True
    ) -> dict[str, Any]:
        envelope: dict[str, Any] = {"candidates": candidates}
        if self._traffic is not None and not last:
            envelope["usageMetadata"] = {"trafficType": self._traffic}
        elif self._usage_at is not None:
            envelope["usageMetadata"] = self._usage_at(tokens)
        envelope["modelVersion"] = self._request.model.name
        if self._traffic is not None:
            envelope["createTime"] = f"{self._exchange.received_at:%Y-%m-%dT%H:%M:%S.%fZ}"
        envelope["responseId"] = self._exchange.reply_id
        return envelope


def _arguments(pieces: tuple[str, ...]) -> Any:
    # A call that the cap cut has no complete JSON; what can be read of it is nothing.
    try:
        return orjson.loads("".join(pieces))
    except orjson.JSONDecodeError:
        return {}
