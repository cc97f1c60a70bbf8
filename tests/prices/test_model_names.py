"""A model is found under the names under which genai-prices finds it, and under no other."""

from collections.abc import Iterator, Mapping
from random import Random

import pytest
from genai_prices import types

from common.llm.price_book import LONGEST_NAME, NAMES_REMEMBERED, PriceBook, bundled_book
from scripts.commands.price_book import BOOK

SEED = 20261122
DATES = ("-20251211", "-20250230", "-2025-12-11", "-20251211:free", "-20241301-preview")


def texts(clause: object) -> Iterator[str]:
    """What a clause compares names with; patterns are not names but close to some."""
    for value in vars(clause).values():
        if isinstance(value, str):
            yield value.strip("^$").replace("\\d{8}", "20260102").replace("\\", "")
        else:
            for part in value:
                yield from texts(part)


def mutations(name: str, random: Random) -> Iterator[str]:
    cut = random.randrange(len(name) + 1)
    yield from (name, name.upper(), name[:cut], name[cut:], name[:cut] + name[cut + 1 :])
    yield from (name + random.choice(DATES), random.choice(("models/", "us.", "x/")) + name)
    yield random.choice((f"{name}-latest", f"{name}@001", f" {name}", f"{name}:free"))


def expected_key(
    name: str, provider: types.Provider, providers: Mapping[str, types.Provider]
) -> str | None:
    model = provider.find_model(name, all_providers=list(providers.values()))
    if model is None:
        return None
    lists = (provider, *(providers[other] for other in provider.fallback_model_providers or ()))
    owner = next(each for each in lists if any(model is listed for listed in each.models))
    return f"{owner.id}/{model.id}"


@pytest.mark.slow
def test_it_finds_the_models_that_genai_prices_finds(
    book: PriceBook,
    providers: Mapping[str, types.Provider],
    known_differences: Mapping[str, Mapping[str, str]],
) -> None:
    random = Random(SEED)
    every_id = [model.id for provider in providers.values() for model in provider.models]
    differences: set[str] = set()
    tried = 0
    for provider in providers.values():
        known = {model.id for model in provider.models}
        known.update(text for model in provider.models for text in texts(model.match))
        borrowed = random.sample(every_id, 60)
        names = {
            mutation for name in sorted(known) + borrowed for mutation in mutations(name, random)
        }
        for name in sorted(names | {"claude-mythos-5"}):
            card = book.card(provider.id, name)
            expected = expected_key(name, provider, providers)
            tried += 1
            if (card.key if card else None) == expected:
                continue
            kind = "api_prefix" if name.startswith(("models/", "google/")) else "alias"
            overlaid = expected is None and provider.id in {"google", "anthropic"}
            differences.add(kind if overlaid else f"{provider.id} {name}: {card}, not {expected}")
    assert tried > 20_000
    assert differences == set(known_differences["names"])


@pytest.mark.parametrize(
    ("provider", "name", "key"),
    [
        ("google", "models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("google", "models/models/gemini-2.5-pro", None),
        ("openai", "models/gpt-4o", None),
        ("anthropic", "Claude-Mythos-5", "anthropic/claude-fable-5"),
        ("anthropic", "claude-mythos-5-1", "anthropic/claude-fable-5-1"),
        ("azure", "gpt-4.1-nano-2025-04-14", "openai/gpt-4.1-nano"),
        ("OpenAI", "gpt-4o", None),
        ("nobody", "gpt-4o", None),
        ("openai", "", None),
    ],
)
def test_it_finds_a_card_by_name(
    book: PriceBook, provider: str, name: str, key: str | None
) -> None:
    card = book.card(provider, name)
    assert (card.key if card else None) == key


def test_it_does_not_look_at_names_longer_than_256_characters(book: PriceBook) -> None:
    assert book.card("openai", "moderation".ljust(LONGEST_NAME, "x")) is not None
    assert book.card("openai", "moderation".ljust(LONGEST_NAME + 1, "x")) is None


def test_it_remembers_a_bounded_number_of_names() -> None:
    book = PriceBook.load(BOOK.read_bytes())
    for number in range(NAMES_REMEMBERED + 500):
        assert book.card("openai", f"nobody-{number}") is None
    assert book._remembered.cache_info().currsize == NAMES_REMEMBERED  # noqa: SLF001 - how much is remembered shows nowhere else


def test_it_answers_with_the_same_card_however_a_model_is_named(book: PriceBook) -> None:
    assert book.card("openai", "gpt-4o-2024-08-06") is book.card("openai", "GPT-4o")


def test_it_reads_the_bundled_book_once() -> None:
    assert bundled_book() is bundled_book()
