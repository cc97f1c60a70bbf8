"""Embeddings in OpenAI's shape: vectors of unit length that the text alone decides.

Checked as strictly as OpenAI checks them. A text of one kind always has the same vector, and a
shorter vector is not the beginning of a longer one.
"""

import base64
import hashlib
import math
import random
import struct
from collections.abc import Mapping
from typing import Any

import orjson

from scripts.simulated.behaviour import Behaviour
from scripts.simulated.models import Model
from scripts.simulated.openai_requests import NO_MODEL, OPENAI, Rules
from scripts.simulated.openai_wording import check_integer, invalid_value, wrong_type
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Reply, Usage

PATH = "/v1/embeddings"
FIELDS = frozenset({"input", "model", "encoding_format", "dimensions", "user"})
FORMATS = ("float", "base64")
DIMENSIONS = {"text-embedding-3-large": 3072}
USUAL_DIMENSIONS = 1536
FIXED = "text-embedding-ada-002"
MAX_INPUTS = 2048
MAX_TOKENS = 300_000
_BYTES_PER_TOKEN = 4
_INVALID_INPUT = (
    "'$.input' is invalid. Please check the API reference: "
    "https://platform.openai.com/docs/api-reference."
)


def answer(parsed: Any, knobs: Behaviour, rules: Rules = OPENAI) -> Reply:
    """The reply to one request.

    Raises:
        Refusal: the request is not one the API accepts.
    """
    if not isinstance(parsed, dict):
        raise Refusal(400, "Invalid type: expected an object.", code="invalid_type")
    model = _model(parsed, rules)
    dimensions = _dimensions(parsed, model)
    encoding = parsed.get("encoding_format") or "float"
    if encoding not in FORMATS:
        raise invalid_value("encoding_format", encoding, FORMATS)
    if not isinstance(parsed.get("user", ""), str):
        raise wrong_type("user", "a string", parsed["user"])
    inputs = _inputs(parsed)
    tokens = _checked_tokens(inputs, model)
    if knobs.input_tokens is not None:
        tokens = knobs.input_tokens
    usage: Usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    body: dict[str, Any] = {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _written(_vector(each, model, dimensions), encoding),
            }
            for index, each in enumerate(inputs)
        ],
        "model": model.name,
    }
    tells = knobs.fault != "no-usage"
    if tells:
        body["usage"] = usage
    return Reply(model.name, {}, 0, lambda _: usage, tells_usage=tells, body=orjson.dumps(body))


def _model(body: Mapping[str, Any], rules: Rules) -> Model:
    unknown = body.keys() - FIELDS
    if unknown and rules.strict:
        plural = "s" if len(unknown) > 1 else ""
        names = ", ".join(sorted(unknown))
        raise Refusal(400, f"Unrecognized request argument{plural} supplied: {names}")
    if "model" not in body:
        raise Refusal(400, "you must provide a model parameter")
    name = body["model"]
    if not isinstance(name, str):
        raise wrong_type("model", "a string", name)
    model = rules.find(name)
    if model is None:
        raise Refusal(404, NO_MODEL.format(name), code="model_not_found")
    if "embed" not in model.name:
        raise Refusal(403, "You are not allowed to generate embeddings from this model")
    return model


def _dimensions(body: Mapping[str, Any], model: Model) -> int:
    most = DIMENSIONS.get(model.name, USUAL_DIMENSIONS)
    asked = body.get("dimensions")
    if asked is None:
        return most
    if model.name == FIXED:
        raise Refusal(400, "This model does not support specifying dimensions.")
    check_integer("dimensions", asked, 1)
    if asked > most:
        message = f"Invalid value for 'dimensions' = {asked}. Must be less than or equal to {most}."
        raise Refusal(400, message)
    return int(asked)


def _inputs(body: Mapping[str, Any]) -> list[str | list[int]]:
    """The texts, or lists of tokens; one alone stands for a list of one."""
    given = body.get("input")
    if isinstance(given, str) or (isinstance(given, list) and _is_tokens(given)):
        given = [given]
    if (
        not isinstance(given, list)
        or not 0 < len(given) <= MAX_INPUTS
        or not (
            all(isinstance(each, str) and each for each in given) or all(map(_is_tokens, given))
        )
    ):
        raise Refusal(400, _INVALID_INPUT)
    return given


def _is_tokens(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(type(token) is int and token >= 0 for token in value)
    )


def _checked_tokens(inputs: list[str | list[int]], model: Model) -> int:
    counts = [_tokens(each) for each in inputs]
    longest, total = max(counts), sum(counts)
    if model.window is not None and longest > model.window:
        raise Refusal(
            400,
            f"This model's maximum context length is {model.window} tokens, however you requested "
            f"{longest} tokens ({longest} in your prompt; 0 for the completion). Please reduce "
            "your prompt; or completion length.",
        )
    if total > MAX_TOKENS:
        message = f"Requested {total} tokens, max {MAX_TOKENS} tokens per request"
        raise Refusal(400, message, kind="max_tokens_per_request", code="max_tokens_per_request")
    return total


def _tokens(one: str | list[int]) -> int:
    if isinstance(one, list):
        return len(one)
    return (len(one.encode()) + _BYTES_PER_TOKEN - 1) // _BYTES_PER_TOKEN


def _vector(one: str | list[int], model: Model, dimensions: int) -> bytes:
    """A vector as 32-bit floats, little end first."""
    key = orjson.dumps([model.name, dimensions, one])
    draw = random.Random(hashlib.blake2b(key).digest())  # noqa: S311 - repeatable on purpose
    values = [draw.random() - 0.5 for _ in range(dimensions)]
    length = math.sqrt(sum(value * value for value in values))
    return struct.pack(f"<{dimensions}f", *(value / length for value in values))


def _written(vector: bytes, encoding: str) -> str | list[float]:
    if encoding == "base64":
        return base64.b64encode(vector).decode()
    return [value for (value,) in struct.iter_unpack("<f", vector)]
