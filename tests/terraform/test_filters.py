"""Terraform's filters and the local bus decide the same."""

import random
import shutil
import string
from functools import cache
from pathlib import Path

import pytest
import yaml

from common.adapters.bus_subscriptions import wants
from common.core.event_types import EVENT_TYPES
from common.core.events import TOPICS
from scripts.functions_table import TopicTrigger, read_functions
from scripts.terraform_checks.checkouts import Checkout
from scripts.terraform_checks.designed_events import Sources
from scripts.terraform_checks.mocked_apply import PLAIN, Applied, apply_mocked, key_of
from scripts.terraform_checks.pubsub_filters import NotAFilter, passes
from tests.repository.sources import ROOT
from tests.terraform.conftest import Installations

HOW_MANY = 10_000
LONGEST_PUSH_S = 600


@cache
def random_types(seed: int) -> tuple[str, ...]:
    """Known types, beginnings of them, longer ones, and some that nobody has thought of."""
    dice = random.Random(seed)
    known = [*EVENT_TYPES]

    def word() -> str:
        return "".join(dice.choices(string.ascii_lowercase + "_", k=dice.randint(0, 8)))

    def near(type_: str) -> str:
        at = dice.randrange(len(type_) + 1)
        return dice.choice(
            [
                type_[:at],
                type_ + word(),
                f"{type_}.",
                type_[:at] + word() + type_[at:],
                type_.upper(),
            ]
        )

    return tuple(
        dice.choice([dice.choice(known), near(dice.choice(known)), f"{word()}.{word()}", word()])
        for _ in range(HOW_MANY)
    )


def random_subscriptions(seed: int) -> dict[str, dict[str, list[str]]]:
    """For each function, what it asks for of each topic: exact types, beginnings, or all."""
    dice = random.Random(seed)
    beginnings = sorted(
        {f"{type_.split('.')[0]}." for type_ in EVENT_TYPES} | {"budget.threshold."}
    )
    choices = [*EVENT_TYPES, *beginnings]
    return {
        name: {topic: sorted(dice.sample(choices, dice.randint(0, 4))) for topic in TOPICS}
        for name, row in read_functions(ROOT).items()
        if row.timeout <= LONGEST_PUSH_S
    }


def filters(applied: Applied) -> dict[str, str]:
    """The filter of each subscription that has a key."""
    found = applied.of_type("google_pubsub_subscription").items()
    return {key_of(address): values["filter"] for address, values in found if key_of(address)}


def differing(filters_: dict[str, str], asked: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Subscriptions and types of which Pub/Sub and the local bus think differently."""
    assert {*filters_} == {*asked}
    return [
        (key, type_)
        for key, filter_ in filters_.items()
        for type_ in random_types(1)
        if passes(filter_, type_) != wants(asked[key], type_)
    ]


def test_delivers_what_the_local_bus_delivers(
    installations: Installations, sources: Sources
) -> None:
    asked = {
        f"{name}-{trigger.topic}": [*trigger.types]
        for name, row in sources.table.functions.items()
        for trigger in row.triggers
        if isinstance(trigger, TopicTrigger)
    }
    asked |= {
        name: [*table.source.types]
        for name, table in sources.warehouse.tables.items()
        if table.source
    }

    assert differing(filters(installations.plain), asked) == []


def test_delivers_what_the_local_bus_delivers_whatever_is_asked_for(
    checkout: Checkout, tmp_path: Path
) -> None:
    subscriptions = random_subscriptions(2)
    copy = Checkout(tmp_path / "copy")
    shutil.copytree(checkout.root, copy.root, symlinks=True)
    path = copy.root / "functions/functions.yaml"
    table = yaml.safe_load(path.read_text())
    for name, by_topic in subscriptions.items():
        table["functions"][name]["triggers"] = [
            {"topic": topic, "types": types} for topic, types in by_topic.items()
        ]
    path.write_text(yaml.safe_dump(table))

    applied, _ = apply_mocked(copy, subscriptions, [PLAIN])
    asked = {
        f"{name}-{topic}": types
        for name, row in subscriptions.items()
        for topic, types in row.items()
    }
    found = {key: text for key, text in filters(applied["plain"]).items() if key in asked}

    assert differing(found, asked) == []
    assert {"hasPrefix" in text for text in found.values()} == {True, False}
    assert {" OR " in text for text in found.values()} == {True, False}
    assert "" in found.values()


def test_tries_types_that_pass_and_types_that_do_not() -> None:
    types = random_types(1)

    assert len(types) == HOW_MANY
    assert {wants(["usage.call"], type_) for type_ in types} == {True, False}
    assert {wants(["budget."], type_) for type_ in types} == {True, False}


@pytest.mark.parametrize(
    "seeded",
    [
        'hasPrefix(attributes.type, "usage.call")',
        'attributes.type = "usage."',
        'attributes.type = "usage.calls"',
        "",
    ],
)
def test_finds_a_filter_that_decides_otherwise(seeded: str) -> None:
    assert differing({"s": seeded}, {"s": ["usage.call"]}) != []


@pytest.mark.parametrize(
    "text",
    [
        'attributes.type="a.b"',
        'attributes.kind = "a.b"',
        'attributes.type = "a" AND attributes.type = "b"',
        'NOT attributes.type = "a"',
        "hasPrefix(attributes.type, 'a.')",
        'attributes.type = "a" OR',
        " OR ".join(['attributes.type = "a.b"'] * 12),
    ],
)
def test_reads_nothing_but_the_two_forms(text: str) -> None:
    with pytest.raises(NotAFilter):
        passes(text, "a.b")


def test_delivers_everything_without_a_filter() -> None:
    assert passes("", "any.type")
