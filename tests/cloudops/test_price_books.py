"""`scripts/cloudops price-books`, against a live API."""

import asyncio
import json
from pathlib import Path

from tests.chosen_engines import state_of
from tests.cloudops.conftest import Cloudops
from tests.pricing.conftest import Pricing
from tests.pricing.lists import RATES, changed, lab


async def _hold(folder: Path) -> str:
    """Publish a book that holds a price of lab/two; its digest."""
    documents = state_of(folder)
    pricing = Pricing(documents)
    await pricing.refresh(changed(lab(), "two", prices={**RATES, "input_mtok": 20}))
    sha = (await pricing.published()).sha
    await documents.aclose()
    return sha


def test_says_that_none_is_published(cloudops: Cloudops) -> None:
    said = cloudops("price-books", "list").output.splitlines()

    assert said[-1] == "The book that ships with the code is in force."


def test_shows_what_is_held_and_approves_it(cloudops: Cloudops, tmp_path: Path) -> None:
    sha = asyncio.run(_hold(tmp_path))

    shown = cloudops("price-books", "show", sha).output
    approved = cloudops("price-books", "approve", sha, "lab/two").output
    rows = json.loads(cloudops("price-books", "list", "--json").stdout)["data"]

    assert shown == (
        "lab/two: a price moves by more than 30 %; input_tokens per 1,000,000: 2 -> 20.\n"
        "1 card is held.\n"
    )
    assert approved == "0 cards are held.\n"
    assert [(row["number"], row["held"], row["before"]) for row in rows] == [
        (2, 0, sha),
        (1, 1, None),
    ]
    assert "20" in cloudops("prices", "lab/two").output


def test_says_in_one_line_what_is_not_held(cloudops: Cloudops, tmp_path: Path) -> None:
    sha = asyncio.run(_hold(tmp_path))

    result = cloudops("price-books", "approve", sha, "lab/one")

    assert result.exit_code == 1
    assert "422 invalid_input (models): 'lab/one' is not held: lab/two" in result.output
