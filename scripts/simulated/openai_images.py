"""Images in OpenAI's shapes: generated, edited, varied; whole and as a stream.

A picture is noise behind the first bytes of a PNG, of a size that grows with its tokens. GPT image
models are billed by tokens; DALL-E models by the piece, which the price list does not know.
"""

import base64
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from scripts.simulated.behaviour import Behaviour
from scripts.simulated.generation import seed_of
from scripts.simulated.models import find_model
from scripts.simulated.multipart_forms import form_parts, texts_and_files
from scripts.simulated.openai_wording import check_integer, invalid_value, missing, wrong_type
from scripts.simulated.picture_bills import drawn, handed_in, is_drawn, qualities
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Event, Exchange, Reply, Usage
from scripts.simulated.vendors import Call, decoded
from scripts.simulated.words import count_tokens

GENERATIONS, EDITS, VARIATIONS = PATHS = (
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/images/variations",
)
BY_THE_PIECE = ("dall-e-2", "dall-e-3")
_COMMON = frozenset({"model", "n", "response_format", "size", "user"})
_DRAWN = _COMMON | {
    *("prompt", "quality", "background", "output_compression", "output_format", "partial_images"),
    *("stream", "safety_identifier"),
}
FIELDS = {
    GENERATIONS: _DRAWN | {"moderation", "style"},
    EDITS: _DRAWN | {"image", "mask", "input_fidelity"},
    VARIATIONS: _COMMON | {"image"},
}
NOT_SIMULATED = frozenset({"complexity", "frame_count", "frame_duration_ms", "svg", "markup"})
INTEGERS = ("n", "output_compression", "partial_images")
MOST = {"n": 10, "output_compression": 100, "partial_images": 3}
OLD_SIZES = ("256x256", "512x512", "1024x1024", "1792x1024", "1024x1792")
OLD_QUALITIES = ("standard", "hd")
BACKGROUNDS = ("auto", "transparent", "opaque")
FORMATS = ("png", "jpeg", "webp")
MOST_CHARACTERS = 32_000
PARTIAL_TOKENS = 100
_BYTES_PER_TOKEN = 200
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """A valid request."""

    body: Mapping[str, Any]
    model: str
    images: tuple[bytes, ...] = ()

    @property
    def by_the_piece(self) -> bool:
        return self.model in BY_THE_PIECE

    @property
    def count(self) -> int:
        return self.body.get("n") or 1

    @property
    def size(self) -> str:
        asked = self.body.get("size") or "auto"
        return "1024x1024" if asked == "auto" else str(asked)

    @property
    def quality(self) -> str:
        asked = self.body.get("quality") or "auto"
        return "low" if asked == "auto" else str(asked)

    @property
    def tokens_each(self) -> int:
        return drawn(self.model, self.size, self.quality)


def answer(call: Call, body: bytes, knobs: Behaviour) -> Reply:
    """The reply to one request.

    Raises:
        Refusal: the request is not one the API accepts.
    """
    request = read_request(call, body)
    draw = random.Random(seed_of(orjson.dumps(request.body), knobs.seed))  # noqa: S311 - repeatable
    if request.by_the_piece:
        sold: Usage = {"images": request.count, "size": request.size, "quality": request.quality}
        data = [_old_picture(request, draw) for _ in range(request.count)]
        told = orjson.dumps({"created": _created(call.exchange), "data": data})
        return Reply(request.model, {}, 0, lambda _: sold, tells_usage=False, body=told)
    usage = usage_of(request, knobs)
    tells = knobs.fault != "no-usage"
    reply = Reply(
        request.model,
        {},
        usage["output_tokens"],
        lambda tokens: _cut(usage, tokens),
        tells_usage=tells,
    )
    if request.body.get("stream") is True:
        return _streamed(reply, request, call.exchange, draw, usage if tells else None)
    return replace(reply, body=_whole(request, call.exchange, draw, usage if tells else None))


def _whole(
    request: ImageRequest, exchange: Exchange, draw: random.Random, usage: Usage | None
) -> bytes:
    told: dict[str, Any] = {
        "created": _created(exchange),
        "background": "opaque",
        "data": [{"b64_json": _picture(request.tokens_each, draw)} for _ in range(request.count)],
        "output_format": request.body.get("output_format") or "png",
        "quality": request.quality,
        "size": request.size,
    }
    return orjson.dumps(told if usage is None else {**told, "usage": usage})


def _streamed(
    reply: Reply,
    request: ImageRequest,
    exchange: Exchange,
    draw: random.Random,
    usage: Usage | None,
) -> Reply:
    kind = "image_edit" if request.images else "image_generation"
    shown = {
        "created_at": _created(exchange),
        "size": request.size,
        "quality": request.quality,
        "background": "opaque",
        "output_format": request.body.get("output_format") or "png",
    }

    def partials() -> Iterator[Event]:
        for index in range(request.body.get("partial_images") or 0):
            told = {"partial_image_index": index, "b64_json": _picture(PARTIAL_TOKENS, draw)}
            yield _event(f"{kind}.partial_image", {**told, **shown}), (index + 1) * PARTIAL_TOKENS

    told: dict[str, Any] = {"b64_json": _picture(request.tokens_each, draw), **shown}
    if usage is not None:
        told["usage"] = {k: v for k, v in usage.items() if k != "output_tokens_details"}
    return replace(reply, events=partials(), terminal=_event(f"{kind}.completed", told))


def _event(kind: str, told: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **told}))


def _created(exchange: Exchange) -> int:
    return int(exchange.received_at.timestamp())


def _picture(tokens: int, draw: random.Random) -> str:
    return base64.b64encode(_PNG + draw.randbytes(tokens * _BYTES_PER_TOKEN)).decode()


def _old_picture(request: ImageRequest, draw: random.Random) -> dict[str, str]:
    if request.body.get("response_format") == "b64_json":
        return {"b64_json": _picture(100, draw)}
    return {"url": f"https://images.simulated.example/{draw.getrandbits(64):x}.png"}


def usage_of(request: ImageRequest, knobs: Behaviour) -> Usage:
    """What is billed for it: each picture as a call by itself."""
    sharp = request.body.get("input_fidelity") == "high"
    text = knobs.input_tokens or count_tokens(request.body["prompt"])
    text *= request.count
    pictures = request.count * sum(
        handed_in(request.model, len(image), sharp=sharp) for image in request.images
    )
    partial = PARTIAL_TOKENS * (request.body.get("partial_images") or 0)
    written = (request.tokens_each + partial) * request.count
    return {
        "input_tokens": text + pictures,
        "input_tokens_details": {"image_tokens": pictures, "text_tokens": text},
        "output_tokens": written,
        "output_tokens_details": {"image_tokens": written, "text_tokens": 0},
        "total_tokens": text + pictures + written,
    }


def _cut(usage: Usage, tokens: int) -> Usage:
    return {
        **usage,
        "output_tokens": tokens,
        "output_tokens_details": {"image_tokens": tokens, "text_tokens": 0},
        "total_tokens": usage["input_tokens"] + tokens,
    }


def read_request(call: Call, body: bytes) -> ImageRequest:
    """The request, if the API accepts it.

    Raises:
        Refusal: it does not.
    """
    if call.path == GENERATIONS:
        given = decoded(call, body)
        if not isinstance(given, dict):
            raise Refusal(400, "Invalid type: expected an object.", code="invalid_type")
        images: tuple[bytes, ...] = ()
    else:
        fields = FIELDS[call.path] | NOT_SIMULATED
        content_type = call.headers.get(b"content-type", b"")
        texts, files = texts_and_files(form_parts(content_type, body), fields)
        given = {name: _value(name, text) for name, text in texts.items()}
        images = tuple(file.content for name in ("image", "mask") for file in files.get(name, ()))
        if "image" not in files:
            raise missing("image")
    _check_fields(call.path, given)
    request = ImageRequest(given, _model(call.path, given), images)
    _check_values(request)
    return request


def _value(name: str, text: str) -> Any:
    if name in INTEGERS:
        if not text.isdecimal():
            raise wrong_type(name, "an integer", text)
        return int(text)
    if name == "stream":
        if text.lower() not in ("true", "false"):
            raise wrong_type(name, "a boolean", text)
        return text.lower() == "true"
    return text


def _check_fields(path: str, given: Mapping[str, Any]) -> None:
    for name in sorted(given.keys() - FIELDS[path]):
        if name in NOT_SIMULATED:
            raise Refusal(400, f"[simulated] '{name}' is not simulated.", param=name)
        message = f"Unknown parameter: '{name}'."
        raise Refusal(400, message, param=name, code="unknown_parameter")
    if path != VARIATIONS:
        _check_prompt(given.get("prompt"))
    for name in INTEGERS:
        if given.get(name) is not None:
            check_integer(name, given[name], 1 if name == "n" else 0)
            if given[name] > MOST[name]:
                message = f"Invalid '{name}': expected a value <= {MOST[name]}."
                raise Refusal(400, message, param=name, code="integer_above_max_value")
    if not isinstance(given.get("stream", False), bool | None):
        raise wrong_type("stream", "a boolean", given["stream"])


def _check_prompt(prompt: Any) -> None:
    if prompt is None:
        raise missing("prompt")
    if not isinstance(prompt, str):
        raise wrong_type("prompt", "a string", prompt)
    if not 0 < len(prompt) <= MOST_CHARACTERS:
        message = f"Invalid 'prompt': expected 1 to {MOST_CHARACTERS} characters."
        raise Refusal(400, message, param="prompt")


def _model(path: str, given: Mapping[str, Any]) -> str:
    name = given.get("model") or "dall-e-2"
    if not isinstance(name, str):
        raise wrong_type("model", "a string", name)
    old = ("dall-e-2", "dall-e-3") if path == GENERATIONS else ("dall-e-2",)
    found = None if path == VARIATIONS else find_model("openai", name)
    if name not in old and (found is None or "image" not in name):
        raise Refusal(
            400, f"The model '{name}' does not exist.", param="model", code="model_not_found"
        )
    return name


def _check_values(request: ImageRequest) -> None:
    given, old = request.body, request.by_the_piece
    choices: dict[str, tuple[str, ...]] = {
        "quality": OLD_QUALITIES if old else ("auto", *qualities(request.model)),
        "background": BACKGROUNDS,
        "output_format": FORMATS,
        "moderation": ("auto", "low"),
        "style": ("vivid", "natural"),
        "input_fidelity": ("high", "low"),
        "response_format": ("url", "b64_json"),
    }
    for name, allowed in choices.items():
        if given.get(name) is not None and given[name] not in allowed:
            raise invalid_value(name, given[name], allowed)
    of_others = ("stream", "background", "partial_images") if old else ("response_format", "style")
    for name in of_others:
        if given.get(name):
            message = f"Unknown parameter: '{name}'."
            raise Refusal(400, message, param=name, code="unknown_parameter")
    if given.get("partial_images") and not given.get("stream"):
        message = "The 'partial_images' parameter is only allowed when 'stream' is enabled."
        raise Refusal(400, message, param="partial_images")
    if given.get("stream") and request.count > 1:
        message = "[simulated] 'stream' of several images is not simulated."
        raise Refusal(400, message, param="stream")
    if request.model == "dall-e-3" and request.count > 1:
        raise Refusal(400, "You must provide n=1 for this model.", param="n")
    size = given.get("size")
    if size not in (None, "auto") and not _is_drawn(request, size):
        raise invalid_value("size", size, OLD_SIZES if old else ("auto", "1024x1024"))


def _is_drawn(request: ImageRequest, size: Any) -> bool:
    if request.by_the_piece:
        return size in OLD_SIZES
    return isinstance(size, str) and is_drawn(request.model, size)
