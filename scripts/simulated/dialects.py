"""How each vendor's endpoint in OpenAI's chat format differs from OpenAI's: one table.

Sources: recorded replies of Mistral, DeepSeek, Groq, OpenRouter, Azure and Gemini's endpoint;
Anthropic documentation, "OpenAI SDK compatibility"; DeepSeek API reference, "Create chat
completion"; xAI documentation, "Reasoning"; Google Cloud documentation, "OpenAI compatibility"
(model names begin with ``google/``). What only a live account would show (error texts, whether
vLLM and Ollama send null usage) is simulated as OpenAI has it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from scripts.simulated import gemini_border
from scripts.simulated.models import Vendor
from scripts.simulated.openai_requests import Rules
from scripts.simulated.refusals import Refusal, openai_error
from scripts.simulated.replies import Usage

UsagePlace = Literal["asked", "last", "after"]
"""Where a stream tells its usage: in a chunk of its own without choices, where it was asked for;
unasked in the last chunk, or unasked in one more with a choice that says nothing."""


def _as_openai(usage: Usage) -> Usage:
    return usage


def _totals(usage: Usage) -> Usage:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {name: usage[name] for name in names}


def _read_by_openai(usage: Usage) -> dict[str, int]:
    """For endpoints whose usage genai-prices reads itself."""
    raise ValueError(f"units of {usage} are not written by hand")


@dataclass(frozen=True, slots=True)
class Dialect:
    """One vendor's way. `rules` also name its models; `usage` makes its usage of OpenAI's.

    `flavor` is what genai-prices calls the endpoint where it reads that usage rightly; where it is
    None, `units` says by hand what is billed. `extras` stand in every reply, `opening` before a
    stream's first chunk, and `ignored` members of a request change nothing.
    """

    rules: Rules
    flavor: str | None = "chat"
    usage: Callable[[Usage], Usage] = _as_openai
    units: Callable[[Usage], dict[str, int]] = _read_by_openai
    usage_in: UsagePlace = "asked"
    null_usage: bool = False
    opening: tuple[bytes, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    one_choice: bool = False
    repeats_usage: bool = False
    tells_cost: bool = False
    error: Callable[[Refusal], bytes] = openai_error

    @property
    def vendor(self) -> Vendor:
        return self.rules.vendor


def _hidden_thoughts(usage: Usage) -> Usage:
    """Thoughts stand in the total alone."""
    hidden = usage["completion_tokens_details"]["reasoning_tokens"]
    return {**_totals(usage), "completion_tokens": usage["completion_tokens"] - hidden}


def _shown_or_not(usage: Usage) -> dict[str, int]:
    read = usage["prompt_tokens"]
    return {"input_tokens": read, "output_tokens": usage["total_tokens"] - read}


def _empty_details(usage: Usage) -> Usage:
    return {**_totals(usage), "prompt_tokens_details": {}, "completion_tokens_details": {}}


def _hits_and_misses(usage: Usage) -> Usage:
    hits = usage["prompt_tokens_details"]["cached_tokens"]
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    return {
        **_totals(usage),
        "completion_tokens_details": {"reasoning_tokens": reasoning},
        "prompt_cache_hit_tokens": hits,
        "prompt_cache_miss_tokens": usage["prompt_tokens"] - hits,
    }


def _hits_are_cheap(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"],
        "cache_read_tokens": usage["prompt_cache_hit_tokens"],
        "output_tokens": usage["completion_tokens"],
    }


def _reasoning_apart(usage: Usage) -> Usage:
    """`completion_tokens` is what can be read; the total has the reasoning too."""
    read = usage["prompt_tokens_details"]
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    return {
        **_totals(usage),
        "completion_tokens": usage["completion_tokens"] - reasoning,
        "prompt_tokens_details": {
            "text_tokens": usage["prompt_tokens"] - read["audio_tokens"],
            "audio_tokens": read["audio_tokens"],
            "image_tokens": 0,
            "cached_tokens": read["cached_tokens"],
        },
        "completion_tokens_details": {
            **usage["completion_tokens_details"],
            "reasoning_tokens": reasoning,
        },
        "num_sources_used": 0,
    }


def _cached_alone(usage: Usage) -> Usage:
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return {**_totals(usage), "prompt_tokens_details": {"cached_tokens": cached}}


def _with_times(usage: Usage) -> Usage:
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return {
        "queue_time": 0.004,
        "prompt_time": 0.014,
        "completion_time": 0.112,
        "total_time": 0.126,
        **_totals(usage),
        **({"prompt_tokens_details": {"cached_tokens": cached}} if cached else {}),
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def _in_a_list(refusal: Refusal) -> bytes:
    return b"[%b]" % gemini_border.error(refusal)


def _mistral_error(refusal: Refusal) -> bytes:
    told = {"object": "error", "message": refusal.message, "type": "invalid_request_error"}
    return orjson.dumps({**told, "param": refusal.param, "code": str(refusal.status)})


def _azure_error(refusal: Refusal) -> bytes:
    return orjson.dumps({"error": {"code": str(refusal.status), "message": refusal.message}})


def _openrouter_error(refusal: Refusal) -> bytes:
    told = {"code": refusal.status, "message": refusal.message}
    return orjson.dumps({"error": told, "user_id": "user_simulated"})


def _xai_error(refusal: Refusal) -> bytes:
    return orjson.dumps({"code": f"simulated-{refusal.status}", "error": refusal.message})


def _vllm_error(refusal: Refusal) -> bytes:
    told = {"message": refusal.message, "type": "BadRequestError", "param": refusal.param}
    return orjson.dumps({"error": {**told, "code": refusal.status}})


_IGNORED_BY_ANTHROPIC = """
    audio frequency_penalty logit_bias logprobs metadata modalities prediction presence_penalty
    reasoning_effort response_format seed service_tier store top_logprobs user
"""
_SAFE = {"filtered": False, "severity": "safe"}
_AZURE_OPENING = {
    "choices": [],
    "created": 0,
    "id": "",
    "model": "",
    "object": "",
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {"hate": _SAFE}}],
}
_THOUGHTS_IN_TOTAL = {
    "flavor": None,
    "usage": _hidden_thoughts,
    "units": _shown_or_not,
    "error": _in_a_list,
}
_DIALECTS = (
    Dialect(
        Rules("anthropic-chat", strict=False),
        usage=_empty_details,
        ignored=frozenset(_IGNORED_BY_ANTHROPIC.split()),
        one_choice=True,
    ),
    Dialect(Rules("gemini-chat", strict=False), **_THOUGHTS_IN_TOTAL),  # type: ignore[arg-type] # a row's common part
    Dialect(Rules("vertex-chat", "google/", strict=False), **_THOUGHTS_IN_TOTAL),  # type: ignore[arg-type] # a row's common part
    Dialect(
        Rules("azure", strict=False),
        opening=(b"data: %b\n\n" % orjson.dumps(_AZURE_OPENING),),
        null_usage=True,
        error=_azure_error,
    ),
    Dialect(Rules("compatible"), null_usage=True),
    Dialect(
        Rules("deepseek", strict=False),
        flavor=None,
        usage=_hits_and_misses,
        units=_hits_are_cheap,
        usage_in="last",
    ),
    Dialect(
        Rules("groq", strict=False),
        flavor="default",
        usage=_with_times,
        usage_in="last",
        repeats_usage=True,
        extras={"service_tier": "on_demand"},
    ),
    Dialect(
        Rules("mistral", strict=False),
        flavor="default",
        usage=_cached_alone,
        usage_in="last",
        error=_mistral_error,
    ),
    Dialect(Rules("ollama", strict=False), usage=_totals),
    Dialect(
        Rules("openrouter", strict=False),
        usage_in="after",
        opening=(b": OPENROUTER PROCESSING\n\n",) * 2,
        extras={"provider": "Simulated"},
        tells_cost=True,
        error=_openrouter_error,
    ),
    Dialect(Rules("vllm", strict=False), usage=_totals, error=_vllm_error),
    Dialect(
        Rules("xai", strict=False),
        usage=_reasoning_apart,
        error=_xai_error,
    ),
)
DIALECTS: Mapping[Vendor, Dialect] = {dialect.vendor: dialect for dialect in _DIALECTS}
_BY_UPSTREAM: Mapping[str, Dialect] = {
    name: dialect for name, dialect in DIALECTS.items() if not name.endswith("-chat")
}


def spoken_at(upstream: str) -> Dialect:
    """What a configured upstream of that name speaks: plain OpenAI where the name says nothing."""
    return _BY_UPSTREAM.get(upstream, DIALECTS["compatible"])
