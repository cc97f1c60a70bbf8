"""The providers' lists of models, from genai-prices' names."""

from functools import lru_cache
from typing import Any

import orjson

from scripts.simulated.models import Model, Vendor, find_model, model_names
from scripts.simulated.openai_requests import NO_MODEL
from scripts.simulated.refusals import Refusal

CREATED = 1_700_000_000
"""The price list knows no dates of birth, so every model has this one."""


@lru_cache(maxsize=16)
def _whole_list(vendor: Vendor) -> bytes:
    models = [_described(vendor, _known(vendor, name)) for name in model_names(vendor)]
    if vendor != "anthropic":
        return orjson.dumps({"object": "list", "data": models})
    ends = {"first_id": models[0]["id"], "last_id": models[-1]["id"]}
    return orjson.dumps({"data": models, "has_more": False, **ends})


def answer(vendor: Vendor, name: str) -> bytes:
    """One model by name, or all of them for an empty name.

    Raises:
        Refusal: there is no such model (404).
    """
    if not name:
        return _whole_list(vendor)
    return orjson.dumps(_described(vendor, _known(vendor, name)))


def _known(vendor: Vendor, name: str) -> Model:
    model = find_model(vendor, name)
    if model is None:
        if vendor != "anthropic":
            message = NO_MODEL.format(name)
            raise Refusal(404, message, param="model", code="model_not_found")
        raise Refusal(404, f"model: {name}")
    return model


def _described(vendor: Vendor, model: Model) -> dict[str, Any]:
    if vendor != "anthropic":
        return {"id": model.asked, "object": "model", "created": CREATED, "owned_by": "simulated"}
    return {
        "type": "model",
        "id": model.asked,
        "display_name": f"{model.asked} (simulated)",
        "created_at": "2023-11-14T22:13:20Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "max_input_tokens": model.window,
        "max_tokens": None,
        "capabilities": None,
    }
