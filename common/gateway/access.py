"""What a key may call: models and upstreams, as globs. No glob allows everything."""

import json
from fnmatch import fnmatchcase

from common.gateway.destinations import Destination
from common.gateway.keys import Key, KeyPolicy
from common.gateway.refusals import Refusal
from common.llm.facts import CallFacts
from common.llm.multipart import is_form


def may_call(policy: KeyPolicy, destination: Destination) -> bool:
    """Whether a key reaches an upstream: by its name, or by that of its price list."""
    names = {destination.name, destination.provider or destination.name}
    return not policy.upstreams or any(_matches(name, policy.upstreams) for name in names)


def may_use(policy: KeyPolicy, destination: Destination, model: str) -> bool:
    """Whether a key reaches a model, by the vendor's name for it or with the upstream's prefix."""
    names = (model, f"{destination.name}/{model}")
    return not policy.models or any(_matches(name, policy.models) for name in names)


def check_access(
    key: Key, destination: Destination, facts: CallFacts, body: bytes, *, metered: bool
) -> None:
    """Refuse a call that the key does not cover. Only metered calls name a model in their body.

    A body that is read here otherwise than at the provider (a member given twice, or one we cannot
    read) could name another model there: a key that is bound to models does not carry it.

    Raises:
        Refusal: upstream_not_allowed, model_not_allowed, unreadable_request.
    """
    policy = key.policy
    if not may_call(policy, destination):
        raise Refusal(
            "upstream_not_allowed",
            f"The key {key.name} may not call {destination.name}. It may call: "
            f"{', '.join(policy.upstreams)}.",
        )
    if not policy.models or not metered:
        return
    if facts.unmetered is not None and facts.model is None:
        raise Refusal(
            "model_not_allowed",
            f"The key {key.name} is bound to certain models, and this call does not tell which it "
            f"is for. It may use: {', '.join(policy.models)}.",
        )
    if not facts.readable or not is_unambiguous(body):
        raise Refusal(
            "unreadable_request",
            "The body is not one JSON object with each member once, nor a plain form, and this key "
            "is bound to certain models. Mend the body.",
        )
    if facts.model is None:
        raise Refusal(
            "model_not_allowed",
            f"The key {key.name} is bound to certain models, and this call names none; nobody "
            f"tells which models an agent works with. It may use: {', '.join(policy.models)}.",
        )
    if not may_use(policy, destination, facts.model):
        raise Refusal(
            "model_not_allowed",
            f"The key {key.name} may not use {facts.model[:128]!r}. It may use: "
            f"{', '.join(policy.models)}.",
        )


def _matches(text: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)


def is_unambiguous(body: bytes) -> bool:
    """Whether every reader reads the same: no object has a member twice, or a form is plain."""
    if is_form(body):
        return True  # It is read strictly or not at all.
    repeated = False

    def look(pairs: list[tuple[str, object]]) -> None:
        nonlocal repeated
        repeated = repeated or len({name for name, _ in pairs}) != len(pairs)

    try:
        json.loads(body, object_pairs_hook=look)
    except (ValueError, RecursionError):
        return False
    return not repeated
