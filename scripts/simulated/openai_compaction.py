"""Compaction of a conversation in OpenAI's shape: the user's messages, and a sealed summary."""

import base64
from functools import partial
from typing import Any

import orjson

from scripts.simulated.behaviour import Behaviour
from scripts.simulated.generation import Wanted, generate, seed_of
from scripts.simulated.openai_responses import input_usage, usage_of
from scripts.simulated.prompt_cache import PrefixCache
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Exchange, Reply
from scripts.simulated.responses_requests import parse

PATH = "/v1/responses/compact"
FIELDS = frozenset(
    {
        *("model", "input", "instructions", "previous_response_id", "service_tier", "image"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
    }
)


def answer(
    parsed: Any, earlier: bytes, exchange: Exchange, knobs: Behaviour, cache: PrefixCache
) -> Reply:
    """The reply to one request; `earlier` is the conversation that it goes on with.

    Raises:
        Refusal: the request is not one the API accepts.
    """
    for name in sorted(parsed.keys() - FIELDS) if isinstance(parsed, dict) else ():
        message = f"Unknown parameter: '{name}'."
        raise Refusal(400, message, param=name, code="unknown_parameter")
    request = parse(parsed, earlier)
    if request.tier != "default":
        # The reply names no tier.
        message = "[simulated] 'service_tier' of a compaction is not simulated."
        raise Refusal(400, message, param="service_tier")
    generation = generate(seed_of(request.prompt, knobs.seed), Wanted(tokens=knobs.output_tokens))
    usage_at = partial(usage_of, input_usage(request, knobs, cache), generation)
    tells = knobs.fault != "no-usage"
    said = [
        {
            **item,
            "type": "message",
            "id": f"msg_sim_{exchange.suffix}{number:04d}",
            "status": "completed",
            "content": [{"type": "input_text", "text": item["content"]}]
            if isinstance(item["content"], str)
            else item["content"],
        }
        for number, item in enumerate(request.items)
        if item.get("role") == "user"
    ]
    summary = {
        "id": f"cmp_sim_{exchange.suffix}",
        "type": "compaction",
        "encrypted_content": base64.b64encode(generation.text.encode()).decode(),
    }
    told: dict[str, Any] = {
        "id": exchange.reply_id,
        "object": "response.compaction",
        "created_at": int(exchange.received_at.timestamp()),
        "output": [*said, summary],
    }
    if tells:
        told["usage"] = usage_at(generation.tokens)
    return Reply(
        request.model.name,
        {"service_tier": request.tier},
        generation.tokens,
        usage_at,
        tells_usage=tells,
        body=orjson.dumps(told),
    )
