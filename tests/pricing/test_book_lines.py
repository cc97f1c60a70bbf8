"""A book put together from two: what is kept is kept byte for byte, and under the right terms."""

import json
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest

from common.core.errors import InvalidInput
from common.llm.price_book import PriceBook
from common.pricing.book_lines import ALL, BookLines, CardKey, assemble, same_content
from tests.pricing.lists import card_text, changed, compiled, lab, model, names, provider, without

AT = datetime(2026, 11, 22, tzinfo=UTC)
OLD = lab()
FAR = {"when": {"region": "far"}, "units": ["input_tokens"], "factor": [2, 1]}
NEAR = {"when": {"region": "near"}, "units": ["input_tokens"], "factor": [3, 1]}


def with_terms(book: bytes, multipliers: list[Any], **left_out: list[int]) -> BookLines:
    """The book with factors, and with those that models leave out."""
    lines = BookLines.read(book)
    part = lines.part("lab")
    for each in part["models"]:
        if each["id"] in left_out:
            each["without"] = left_out[each["id"]]
    part["multipliers"] = multipliers
    written = [json.dumps(each, separators=(",", ":")).encode() for each in (lines.head, part)]
    return BookLines.read(zlib.compress(b"\n".join(written), 9, wbits=31))


def factor(book: bytes, name: str, region: str) -> float:
    """What a call from there costs of what others cost."""
    card = PriceBook.load(book).card("lab", name)
    assert card is not None
    near, far = (card.cost({"input_tokens": 6}, AT, each)[0] for each in ({}, {"region": region}))
    return far / near


def test_is_the_new_book_when_nothing_is_kept() -> None:
    new = compiled(lab(model("one"), model("two")))

    assert assemble(BookLines.read(compiled(OLD)), BookLines.read(new), []) == new


def test_keeps_a_list_whole() -> None:
    old, new = compiled(OLD), compiled(changed(without(OLD, "one"), "two", prices={}))

    book = assemble(BookLines.read(old), BookLines.read(new), [CardKey("lab", ALL)])

    assert BookLines.read(book).lines == BookLines.read(old).lines


def test_leaves_the_other_lines_as_they_are() -> None:
    shop = provider("shop", model("own"))
    new = BookLines.read(compiled([*without(OLD, "one"), shop]))

    book = assemble(BookLines.read(compiled([*OLD, shop])), new, [CardKey("lab", "one")])

    assert BookLines.read(book).lines["shop"] == new.lines["shop"]
    assert list(BookLines.read(book).lines) == ["lab", "shop"]


def test_puts_a_card_first_that_was_first() -> None:
    old = lab(model("one"), model("two"))

    book = assemble(
        BookLines.read(compiled(old)),
        BookLines.read(compiled(lab(model("new"), model("two")))),
        [CardKey("lab", "one")],
    )

    assert names(book) == ["one", "new", "two"]


def test_keeps_a_card_out_of_the_factors_that_it_was_out_of() -> None:
    old = with_terms(compiled(OLD), [FAR, NEAR], one=[0])
    new = with_terms(compiled(without(OLD, "one")), [NEAR, FAR])

    book = assemble(old, new, [CardKey("lab", "one")])

    assert (factor(book, "one", "far"), factor(book, "one", "near")) == (1, 3)
    assert (factor(book, "two", "far"), factor(book, "two", "near")) == (2, 3)


def test_keeps_a_card_byte_for_byte_where_the_factors_stay() -> None:
    old = with_terms(compiled(OLD), [FAR, NEAR], one=[1])
    new = with_terms(compiled(without(OLD, "one")), [FAR, NEAR])

    book = assemble(old, new, [CardKey("lab", "one")])

    assert card_text(book, "one") == card_text(old.data, "one")


def test_falls_back_to_no_list_that_is_gone() -> None:
    shop = provider("shop", model("own"), fallback_model_providers=["lab"])
    old = BookLines.read(compiled([*OLD, shop]))
    new = BookLines.read(compiled([provider("shop", model("other"))]))

    book = PriceBook.load(assemble(old, new, [CardKey("shop", ALL)]))

    assert (book.providers, book.card("shop", "one")) == (("shop",), None)
    assert book.card("shop", "own") is not None


def test_compares_what_books_say_and_not_what_they_are_from() -> None:
    one, same, other = (
        BookLines.read(compiled(raw, read_at=at))
        for raw, at in ((OLD, 1), (OLD, 2), (without(OLD, "one"), 1))
    )

    assert (same_content(one, same), same_content(one, other)) == (True, False)


def test_refuses_what_is_no_book() -> None:
    with pytest.raises(InvalidInput, match="damaged"):
        BookLines.read(compiled(OLD)[:-9])
