"""What a key may call: models and providers, as globs. No glob allows everything."""

import json
from fnmatch import fnmatchcase

from common.gateway.keys import Key
from common.gateway.refusals import Refusal
from common.llm.facts import CallFacts
from common.llm.protocol import WireProtocol


def check_access(
    key: Key, protocol: WireProtocol, facts: CallFacts, body: bytes, *, metered: bool
) -> None:
    """Refuse a call that the key does not cover. Only metered calls name a model in their body.

    A body that is read here otherwise than at the provider (a member given twice, or one we cannot
    read) could name another model there: a key that is bound to models does not carry it.

    Raises:
        Refusal: upstream_not_allowed, model_not_allowed, unreadable_request.
    """
    policy = key.policy
    if policy.upstreams and not _matches(protocol.provider, policy.upstreams):
        raise Refusal(
            "upstream_not_allowed",
            f"The key {key.name} may not call {protocol.provider}. It may call: "
            f"{', '.join(policy.upstreams)}.",
        )
    if not policy.models or not metered:
        return
    if not facts.readable or not _unambiguous(body):
        raise Refusal(
            "unreadable_request",
            "The body is not one JSON object with each member once, and this key is bound to "
            "certain models. Mend the body.",
        )
    if facts.model is None or not _matches(facts.model, policy.models):
        raise Refusal(
            "model_not_allowed",
            f"The key {key.name} may not use {(facts.model or 'no model')[:128]!r}. It may use: "
            f"{', '.join(policy.models)}.",
        )


def _matches(text: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)


def _unambiguous(body: bytes) -> bool:
    """Whether no object in the body has a member twice."""
    repeated = False

    def look(pairs: list[tuple[str, object]]) -> None:
        nonlocal repeated
        repeated = repeated or len({name for name, _ in pairs}) != len(pairs)

    try:
        json.loads(body, object_pairs_hook=look)
    except (ValueError, RecursionError):
        return False
    return not repeated
