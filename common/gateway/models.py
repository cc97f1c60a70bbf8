"""The models a key may use now, under the names it would send.

Listed is what a call would not be refused for: models of the price list on upstreams that somebody
pays for, within the key's globs, and those that an upstream's configuration names.
"""

from collections.abc import Iterator

import orjson

from common.gateway.access import may_call, may_use
from common.gateway.credentials import ProviderKey
from common.gateway.destinations import Destination, Destinations
from common.gateway.keys import KeyPolicy
from common.gateway.refusals import Refusal
from common.llm.price_book import PriceBook

OPENAI = "openai"
"""Its models carry no prefix."""


def model_list(
    destinations: Destinations, policy: KeyPolicy, book: PriceBook, own: ProviderKey | None
) -> dict[str, str]:
    """Ids and the upstreams that own them. A caller's own key opens OpenAI's models alone."""
    return {
        model if destination.name == OPENAI else f"{destination.name}/{model}": destination.name
        for destination in destinations.values()
        if may_call(policy, destination)
        and (destination.pays if own is None else destination.name == OPENAI)
        for model in _models(destination, book)
        if may_use(policy, destination, model)
    }


def list_body(models: dict[str, str]) -> bytes:
    """`GET /v1/models` in OpenAI's form."""
    entries = [_entry(model, owner) for model, owner in models.items()]
    return orjson.dumps({"object": "list", "data": entries})


def entry_body(models: dict[str, str], model: str) -> bytes:
    """`GET /v1/models/{id}` in OpenAI's form.

    Raises:
        Refusal: model_not_found.
    """
    if model not in models:
        raise Refusal(
            "model_not_found",
            f"{model[:128]!r} is not among the models this key may use: see GET /openai/v1/models.",
        )
    return orjson.dumps(_entry(model, models[model]))


def _models(destination: Destination, book: PriceBook) -> Iterator[str]:
    seen = set(destination.models)
    yield from destination.models
    for card in book.iter_cards(destination.provider or ""):
        # Google's list has the models of others too, which Vertex serves in their own formats.
        foreign = destination.provider == "google" and not card.model.startswith(("gem", "text"))
        if card.model not in seen and not foreign:
            seen.add(card.model)
            yield card.model


def _entry(model: str, owner: str) -> dict[str, object]:
    # No price list says when a model was made.
    return {"id": model, "object": "model", "created": 0, "owned_by": owner}
