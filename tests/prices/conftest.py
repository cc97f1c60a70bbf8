"""The committed book beside the price list it was compiled from."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from genai_prices import data, types

from common.llm.price_book import PriceBook, bundled_book
from scripts.commands.price_book import OVERLAY
from tests.prices.usages import REGISTRY


@pytest.fixture(scope="session")
def book() -> PriceBook:
    return bundled_book()


@pytest.fixture(scope="session")
def listed() -> dict[str, types.Provider]:
    """The price list as it is."""
    return {provider.id: provider for provider in data.providers}


@pytest.fixture(scope="session")
def providers(listed: Mapping[str, types.Provider]) -> dict[str, types.Provider]:
    """The price list with the rates that the overlay adds: genai-prices reckons with those too."""
    added = {
        (entry["provider"], model): {
            price_key(unit): Decimal(usd) for unit, usd in entry["usd"].items()
        }
        for entry in yaml.safe_load(OVERLAY.read_text())["rates"]
        for model in entry["models"]
    }
    return {
        name: replace(
            provider,
            models=[_with(model, added.get((name, model.id), {})) for model in provider.models],
        )
        for name, provider in listed.items()
    }


def price_key(unit: str) -> str:
    return REGISTRY.units[unit].price_key


def _with(model: types.ModelInfo, rates: Mapping[str, Decimal]) -> types.ModelInfo:
    if not rates:
        return model
    assert isinstance(model.prices, types.ModelPrice)
    return replace(model, prices=types.ModelPrice(**{**vars(model.prices), **rates}))


@pytest.fixture(scope="session")
def known_differences() -> dict[str, dict[str, str]]:
    loaded: dict[str, Any] = yaml.safe_load(
        Path(__file__).with_name("known_differences.yaml").read_text()
    )
    return loaded
