"""OpenAI's format as a front for every provider: the part of `model` before the first slash.

Nobody translates but the vendors: each has an endpoint of its own that takes this format. The body
is not re-serialised; the span of the model's name is replaced in the client's bytes, and all else
passes. What an endpoint ignores is told to the caller.

Source of what Anthropic's endpoint ignores: Anthropic documentation, "OpenAI SDK compatibility".
"""

import json
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

from common.llm.facts import EDIT_LIMIT_BYTES, parse_object
from common.llm.json_spans import Span, member_spans

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


class RequestBody:
    """A request's body as its client wrote it, whose model's name can be replaced.

    What it holds, and where, is looked for when it is first asked, and once: a rule may aim a call
    at many models.
    """

    def __init__(self, written: bytes) -> None:
        self.written = written

    @cached_property
    def members(self) -> Mapping[str, Any]:
        """The request as it is read; nothing of what is no JSON object."""
        return parse_object(self.written) or {}

    @cached_property
    def _model(self) -> Span | None:
        if len(self.written) > EDIT_LIMIT_BYTES:
            return None
        try:
            return member_spans(self.written, once="model").get("model")
        except (ValueError, RecursionError):
            return None

    def with_model(self, model: str) -> bytes | None:
        """The body with another model's name, every other byte as it was.

        None where the name cannot be replaced: in a body above 8 MiB, or one whose member `model`
        does not stand there once.
        """
        if self._model is None:
            return None
        before, after = self.written[: self._model.start], self.written[self._model.end :]
        return before + json.dumps(model).encode() + after

    def ignored_by(self, upstream: str) -> tuple[str, ...]:
        """The members of the request that the upstream will not obey, by name."""
        ignored = IGNORED_FIELDS.get(upstream)
        return () if ignored is None else tuple(sorted(ignored.intersection(self.members)))
