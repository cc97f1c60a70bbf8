"""Mutants that the providers' schemas alone refuse, tried together.

Terraform names the line of each argument it does not know, of each value of a wrong type and of
each block that lacks an argument. A mutant counts as refused only where its own line, or the block
it was taken from, is named for that. Blocks that depend on a refused one are not looked at, so the
rest is tried again until nobody is refused any more.
"""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.mutations.mutant import Kind, Mutant
from scripts.terraform_checks.checkouts import COMPANIONS, Checkout, Message

SUMMARIES: Mapping[Kind, str] = {
    "rename": "Unsupported argument",
    "drop": "Missing required argument",
    "type": "Incorrect attribute value type",
}
"""What Terraform says of each kind, if the schema refuses it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A mutant among others in one file, with the lines it stands on there."""

    mutant: Mutant
    first_line: int
    last_line: int


def refused_together(checkout: Checkout, mutants: Sequence[Mutant]) -> set[Mutant]:
    """Those of one kind that the schemas refuse."""
    kinds = {mutant.kind for mutant in mutants}
    refused: set[Mutant] = set()
    for kind in kinds & {*SUMMARIES}:
        left = [mutant for mutant in mutants if mutant.kind == kind and mutant.of_schema]
        while found := _round(checkout, kind, left):
            refused |= found
            left = [mutant for mutant in left if mutant not in found]
    return refused


def _round(checkout: Checkout, kind: Kind, mutants: Iterable[Mutant]) -> set[Mutant]:
    by_file: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        by_file[mutant.file].append(mutant)
    before = {file: (checkout.root / file).read_text(encoding="utf-8") for file in by_file}
    placed: list[Placed] = []
    try:
        for file, inside in by_file.items():
            text, places = _apply_all(before[file], inside)
            (checkout.root / file).write_text(text, encoding="utf-8")
            placed += places
        named = [
            _from_the_root(diagnostic, folder)
            for folder in {_validated_in(file) for file in by_file}
            for diagnostic in checkout.validate(folder)
            if diagnostic["summary"] == SUMMARIES[kind] and "range" in diagnostic
        ]
    finally:
        for file, text in before.items():
            (checkout.root / file).write_text(text, encoding="utf-8")
    return {place.mutant for place in placed if any(_is_about(each, place) for each in named)}


def _validated_in(file: str) -> str:
    """The configuration whose validation reads this file."""
    folder = Path(file).parent.relative_to("terraform").as_posix()
    return folder if folder in COMPANIONS else "."


def _from_the_root(diagnostic: Message, folder: str) -> Message:
    """The diagnostic with its file as seen from `terraform/`, not from the folder validated."""
    span = diagnostic["range"]
    return {
        **diagnostic,
        "range": {**span, "filename": posixpath.normpath(f"{folder}/{span['filename']}")},
    }


def _apply_all(text: str, mutants: Iterable[Mutant]) -> tuple[str, list[Placed]]:
    """All of them at once, from the end to the beginning, so that places before stay."""
    ordered = sorted(mutants, key=lambda mutant: mutant.start)
    parts, places, position, line = [], [], 0, 1
    for mutant in ordered:
        kept = text[position : mutant.start]
        line += kept.count("\n")
        last = line + mutant.replacement.count("\n")
        places.append(Placed(mutant, line, last))
        parts += [kept, mutant.replacement]
        position, line = mutant.end, last
    return "".join([*parts, text[position:]]), places


def _is_about(diagnostic: Message, place: Placed) -> bool:
    """Whether the diagnostic is for this mutant: its line, or for what is missing its name."""
    span = diagnostic["range"]
    if Path("terraform", span["filename"]).as_posix() != place.mutant.file:
        return False
    if place.mutant.kind == "drop":
        argument = place.mutant.place.rpartition(" / ")[2].partition(" (")[0]
        block = place.mutant.place.split(" / ")[0].split(" ")
        snippet = (diagnostic.get("snippet") or {}).get("context") or ""
        missing = f'The argument "{argument}" is required' in diagnostic["detail"]
        return (
            missing and all(word in snippet for word in block[1:]) and _is_direct(place, diagnostic)
        )
    return bool(place.first_line <= span["start"]["line"] <= place.last_line)


def _is_direct(place: Placed, diagnostic: Message) -> bool:
    """A block is named by its first line, which stands before what was taken out of it."""
    return bool(diagnostic["range"]["start"]["line"] <= place.first_line)
