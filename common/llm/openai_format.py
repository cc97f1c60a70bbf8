"""OpenAI's format as a front for every provider: the part of `model` before the first slash.

Nobody translates but the vendors: each has an endpoint of its own that takes this format. The body
is not re-serialised; the span of the model's name is replaced in the client's bytes, and all else
passes. What an endpoint ignores is told to the caller.

Source of what Anthropic's endpoint ignores: Anthropic documentation, "OpenAI SDK compatibility".
"""

from collections.abc import Mapping
from types import MappingProxyType

from common.llm.facts import EDIT_LIMIT_BYTES, parse_object
from common.llm.json_spans import with_member

PREFIXED_ENDPOINTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "chat.completions": frozenset(),
        "embeddings": frozenset({"anthropic"}),
    }
)
"""Endpoints that take a prefixed model, and the upstreams that do not serve them."""

IGNORED_FIELDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "anthropic": frozenset(
            {
                "audio",
                "frequency_penalty",
                "logit_bias",
                "logprobs",
                "metadata",
                "modalities",
                "prediction",
                "presence_penalty",
                "reasoning_effort",
                "response_format",
                "seed",
                "service_tier",
                "store",
                "top_logprobs",
                "user",
            }
        )
    }
)
"""Top-level members that an upstream's endpoint takes and does not obey."""


def split_prefix(model: str) -> tuple[str, str]:
    """The upstream a model's name begins with, and the rest; later slashes belong to the model."""
    prefix, _, rest = model.partition("/")
    return prefix, rest


def with_model(body: bytes, model: str) -> bytes | None:
    """The body with another model's name, every other byte as it was.

    None where the name cannot be replaced: a body above 8 MiB, or one whose member `model` does not
    stand there once.
    """
    if len(body) > EDIT_LIMIT_BYTES:
        return None
    try:
        return with_member(body, "model", model, once=True)
    except (ValueError, RecursionError):
        return None


def ignored_in(body: bytes, upstream: str) -> tuple[str, ...]:
    """The members of a request that the upstream will not obey, by name."""
    ignored = IGNORED_FIELDS.get(upstream)
    if ignored is None:
        return ()
    return tuple(sorted(ignored.intersection(parse_object(body) or ())))
