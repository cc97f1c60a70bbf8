"""Limits are read from the second table, and never its prices."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from genai_prices import data

from common.llm.price_book import PriceBook
from scripts.commands.model_limits import LIMITS, PROVIDERS, TABLE, main

GPT_5 = {
    "litellm_provider": "openai",
    "max_input_tokens": 272_000,
    "max_output_tokens": 128_000,
    "input_cost_per_token": 5.0,
}
TABLES: dict[str, Any] = {
    "gpt-5": GPT_5,
    "gpt-5-2025-08-07": {**GPT_5, "max_output_tokens": 130_000},
    "gpt-4.1": {"litellm_provider": "openai", "max_input_tokens": 1_047_576},
    "gemini/gemini-2.5-pro": {"litellm_provider": "gemini", "max_output_tokens": 65_536},
    "gpt-4o": {"litellm_provider": "azure", "max_output_tokens": 9_999_999},
    "o3": {"litellm_provider": "openai", "max_output_tokens": "many"},
    "no-such-model": {"litellm_provider": "openai", "max_output_tokens": 1},
}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "litellm-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(TABLE, json.dumps(TABLES))
    return path


def test_it_writes_what_the_list_lacks_and_nothing_else(wheel: Path, tmp_path: Path) -> None:
    written = tmp_path / "limits.yaml"

    assert main(["--wheel", str(wheel), "--limits", str(written), "--write"]) == 0

    content = yaml.safe_load(written.read_text())
    assert [{k: v for k, v in each.items() if k != "source"} for each in content["limits"]] == [
        {"provider": "google", "models": ["gemini-2.5-pro"], "max_output": 65_536},
        # The list's window of 400,000 is the larger one.
        {"provider": "openai", "models": ["gpt-4.1"], "context_window": 1_047_576},
        {"provider": "openai", "models": ["gpt-5"], "max_output": 130_000},
    ]
    assert "LiteLLM 1.2.3 (MIT)" in content["source"]
    assert {each["source"] for each in content["limits"]} == {content["source"]}
    assert main(["--wheel", str(wheel), "--limits", str(written)]) == 0


def test_it_prints_where_the_tables_differ_and_what_would_change(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--wheel", str(wheel), "--limits", str(tmp_path / "none.yaml")]) == 1

    printed = capsys.readouterr().out
    assert "openai/gpt-5: window 400000 on the price list, 272000 in the table\n" in printed
    assert "openai/gpt-5: None in limits.yaml, now {'max_output': 130000}\n" in printed
    assert "5.0" not in printed
    assert not (tmp_path / "none.yaml").exists()


def test_it_knows_providers_of_the_price_list() -> None:
    assert set(PROVIDERS.values()) <= {provider.id for provider in data.providers}


def test_the_committed_limits_are_in_the_book(book: PriceBook) -> None:
    entries = yaml.safe_load(LIMITS.read_text())["limits"]
    for entry in entries:
        (model,) = entry["models"]
        card = next(each for each in book.iter_cards(entry["provider"]) if each.model == model)
        assert (card.context_window or 0) >= entry.get("context_window", 0)
        assert (card.caps.max_output or 0) >= entry.get("max_output", 0)
    assert len(entries) > 100


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_no_window_is_below_the_price_list_s(book: PriceBook, provider: str) -> None:
    listed = next(each for each in data.providers if each.id == provider)
    windows = [
        (model.id, model.context_window, card.context_window)
        for card, model in zip(book.iter_cards(provider), listed.models, strict=True)
        if (card.context_window or 0) < (model.context_window or 0)
    ]
    assert windows == []
