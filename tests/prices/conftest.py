"""The committed book beside the price list it was compiled from."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from genai_prices import data, types

from common.llm.price_book import PriceBook, bundled_book


@pytest.fixture(scope="session")
def book() -> PriceBook:
    return bundled_book()


@pytest.fixture(scope="session")
def providers() -> dict[str, types.Provider]:
    return {provider.id: provider for provider in data.providers}


@pytest.fixture(scope="session")
def known_differences() -> dict[str, dict[str, str]]:
    loaded: dict[str, Any] = yaml.safe_load(
        Path(__file__).with_name("known_differences.yaml").read_text()
    )
    return loaded
