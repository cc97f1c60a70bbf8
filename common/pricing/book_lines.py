"""A compiled book taken apart into its lines, and one put together from the lines of two.

What nobody touches is carried over as it is written: a whole line as bytes, a card with every
member in its order. So a card that is kept is kept byte for byte, and the same two books with the
same cards kept give the same bytes.
"""

import gzip
import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from common.core.errors import InvalidInput
from common.llm.price_book import PriceBook

ALL = "*"
"""In place of a model: everything that a provider's line says."""


class CardKey(NamedTuple):
    """A model of a provider's list, by its id; or with `ALL` that whole list."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class BookLines:
    """`lines` holds each provider's, in the book's order."""

    data: bytes
    head: Mapping[str, Any]
    lines: Mapping[str, bytes]

    @classmethod
    def read(cls, data: bytes) -> "BookLines":
        """The lines of a compiled book.

        Raises:
            InvalidInput: it is damaged, of another format, or names a model of a provider twice.
        """
        PriceBook.load(data)
        first, *lines = gzip.decompress(data).splitlines()
        head = json.loads(first)
        book = cls(data, head, dict(zip(head["providers"], lines, strict=True)))
        for provider in book.lines:
            ids = [model["id"] for model in book.part(provider)["models"]]
            if len(set(ids)) < len(ids):
                twice = next(each for each in ids if ids.count(each) > 1)
                raise InvalidInput(f"{provider}/{twice} stands twice in the list", field="prices")
        return book

    def part(self, provider: str) -> dict[str, Any]:
        """What the line of a provider says."""
        read: dict[str, Any] = json.loads(self.lines[provider])
        return read

    def cards(self) -> dict[CardKey, Mapping[str, Any]]:
        """Every card as it is written."""
        return {
            CardKey(provider, model["id"]): model
            for provider in self.lines
            for model in self.part(provider)["models"]
        }


def same_content(one: BookLines, other: BookLines) -> bool:
    """Whether two books say the same, whatever they were made from and when."""
    heads = [{**each.head, "sources": None} for each in (one, other)]
    return heads[0] == heads[1] and dict(one.lines) == dict(other.lines)


def assemble(old: BookLines, new: BookLines, kept: Collection[CardKey]) -> bytes:
    """The new book with these cards as they stand in the old one.

    Args:
        old: has all of `kept`.
        new: gives all else, and the units: a unit that both have means the same in both.
        kept: what stays.
    """
    if not kept:
        return new.data
    lines = dict(new.lines)
    for provider in old.lines:
        ids = {each.model for each in kept if each.provider == provider}
        if ALL in ids:
            lines[provider] = old.lines[provider]
        elif ids:
            part = new.part(provider) if provider in new.lines else None
            lines[provider] = _written(_with_kept(old.part(provider), part, ids))
    for provider in {each.provider for each in kept}:
        lines[provider] = _reachable(lines[provider], lines)
    head = {**new.head, "providers": list(lines)}
    return zlib.compress(b"\n".join([_written(head), *lines.values()]), 9, wbits=31)


def _with_kept(
    old: Mapping[str, Any], new: Mapping[str, Any] | None, ids: Collection[str]
) -> dict[str, Any]:
    """The new line with these models of the old one: in the same place where they still stand.

    One that is gone follows the model it followed, because the first that matches a name counts.
    """
    if new is None:
        return {**old, "models": [model for model in old["models"] if model["id"] in ids]}
    models = list(new["models"])
    before: str | None = None
    for model in old["models"]:
        places = {each["id"]: place for place, each in enumerate(models)}
        if model["id"] in ids:
            card = _under(model, old.get("multipliers", ()), new.get("multipliers", ()))
            if model["id"] in places:
                models[places[model["id"]]] = card
            else:
                models.insert(0 if before is None else places[before] + 1, card)
        if model["id"] in ids or model["id"] in places:
            before = model["id"]
    return {**new, "models": models}


def _under(model: Mapping[str, Any], old: Sequence[Any], new: Sequence[Any]) -> Mapping[str, Any]:
    """The card under the multipliers of the new line, which it leaves out by their number."""
    if "without" not in model or list(old) == list(new):
        return model
    left_out = [old[number] for number in model["without"]]
    return {**model, "without": [new.index(each) for each in left_out if each in new]}


def _reachable(line: bytes, lines: Collection[str]) -> bytes:
    """The line without the lists it falls back to that are in the book no more."""
    part = json.loads(line)
    known = [each for each in part.get("fallbacks", ()) if each in lines]
    return line if known == part.get("fallbacks", []) else _written({**part, "fallbacks": known})


def _written(part: Mapping[str, Any]) -> bytes:
    """In the form in which `compile_book` writes a line."""
    return json.dumps(part, separators=(",", ":")).encode()
