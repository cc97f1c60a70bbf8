"""Every change to Terraform's files that is tried, one at a time.

Arguments are renamed, dropped and given a value of no fitting type; each reference in one is turned
to something else that exists; literals become others; rights become wider and conditions let
everything through. Blocks are dropped. What texts for people say is left alone.
"""

import re
from collections.abc import Iterator, Mapping

from scripts.mutations.mutant import Kind, Mutant
from scripts.terraform_checks.hcl_text import Piece, pieces

FITS_NOTHING = '[{ fits = ["nothing"] }]'
TEXTS = (
    "description",
    "error_message",
    "display_name",
    "content",
    "title",
    "remedy",
    "friendly_name",
)
"""Arguments that only people read: their words are not changed."""
WORDS_OF_A_NAME = 4
"""A literal with more is a text for people too."""
FOR_TERRAFORM = ("count", "depends_on", "for_each", "provider", "providers", "source", "version")
"""Arguments that Terraform reads itself: no schema knows them."""
WIDER = (
    (re.compile(r'"roles/(?!owner)[\w.]+"'), '"roles/owner"'),
    (re.compile(r'"ALLOW_INTERNAL_ONLY"'), '"ALLOW_ALL"'),
    (re.compile(r'"enforced"'), '"inherited"'),
)
EVERYBODY = '"allUsers"'

Change = tuple[Kind, str, str, int]
"""What kind of change, the text before and after it, and where it begins in the value."""

_NAMES = re.compile(
    r"(?<![\w.])(?:var\.\w+|local\.\w+|each\.(?:key|value(?:\.\w+)*)"
    r"|(?:data\.)?(?:datadog|google|random|time)_\w+\.\w+(?:\[[^\[\]]*\])?(?:\.\w+)?"
    r"|module\.\w+(?:\[[^\[\]]*\])?\.\w+)"
)
_STRING = re.compile(r'^"((?:[^"\\$%]|\\.)*)"$')
_NUMBER = re.compile(r"^\d+$")
_BOOLEAN = {"true": "false", "false": "true"}
_TWINS = {"id": "name", "name": "id", "uri": "name", "member": "name", "email": "member"}
"""Attributes to mistake for each other, where no other resource of the type is there."""


def hcl_mutants(files: Mapping[str, str]) -> Iterator[Mutant]:
    """All mutants of all files, in their order."""
    names = _Names(files)
    for file, text in files.items():
        seen: dict[str, int] = {}
        for piece in pieces(text):
            place = " / ".join(piece.path)
            seen[place] = seen.get(place, 0) + 1
            if seen[place] > 1:  # the second condition of a resource, say
                place = f"{place} ({seen[place]})"
            yield from _of_piece(file, text, piece, place, names)


def _of_piece(file: str, text: str, piece: Piece, place: str, names: "_Names") -> Iterator[Mutant]:
    of_schema = _is_of_schema(text, piece)

    def mutant(kind: Kind, change: str, start: int, end: int, replacement: str) -> Mutant:
        return Mutant(file, place, kind, change, start, end, replacement, of_schema)

    yield mutant("drop", "", *_whole_lines(text, piece), "")
    if piece.kind != "argument":
        return
    start, end = piece.value_start, piece.value_end
    at = text.index(piece.name, piece.start) + len(piece.name)
    yield mutant("rename", "", at, at, "_renamed")
    yield mutant("type", "", start, end, FITS_NOTHING)
    if piece.name == "condition":
        yield mutant("wider", "to true", start, end, "true")
    if piece.name == "member":
        yield mutant("wider", "to everybody", start, end, EVERYBODY)
    if piece.name in TEXTS or _holds_others(text, piece):
        return  # each line of an object is a piece of its own
    value = piece.value(text)
    changes = [*names.others(value, piece.path[0], file), *_wider(value)]
    for kind, old, new, place_in_value in changes:
        first = start + place_in_value
        yield mutant(kind, f"{old} to {new}", first, first + len(old), new)
    if other := _other_value(value):
        yield mutant("value", f"to {other}", start, end, other)


def _wider(value: str) -> Iterator[Change]:
    for pattern, wide in WIDER:
        for match in pattern.finditer(value):
            yield "wider", match[0], wide, match.start()


def _other_value(value: str) -> str | None:
    """Another value of the same type, of a literal."""
    if value in _BOOLEAN:
        return _BOOLEAN[value]
    if _NUMBER.match(value):
        return str(int(value) + 1)
    text = _STRING.match(value)
    is_sentence = len(value.split()) > WORDS_OF_A_NAME
    if text and not is_sentence and not value.startswith('"roles/'):
        return f'"{text[1]}-other"' if text[1] else '"other"'
    return None


def _holds_others(text: str, piece: Piece) -> bool:
    return any(
        other.kind == "argument" and piece.value_start <= other.start < piece.value_end
        for other in pieces(text)
        if other is not piece
    )


def _is_of_schema(text: str, piece: Piece) -> bool:
    """An argument of a resource, a data source or a module, or of a block in one."""
    around = [each for each in pieces(text) if each.value_start <= piece.start < each.value_end]
    return (
        piece.kind == "argument"
        and piece.name not in FOR_TERRAFORM
        and bool(around)
        and all(each.kind == "block" for each in around)
        and around[0].name.startswith(("resource datadog_", "resource google_", "data ", "module "))
        and around[-1].name != "lifecycle"
        and not around[-1].name.startswith("dynamic ")
        and not _holds_others(text, piece)
    )


def _whole_lines(text: str, piece: Piece) -> tuple[int, int]:
    end = text.find("\n", piece.end)
    line_ends = end >= 0 and not text[piece.end : end].strip(" ,")
    return piece.start, end + 1 if line_ends else piece.end


class _Names:
    """What there is to refer to, and what each name can be mistaken for."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._variables: dict[tuple[str, str], list[str]] = {}
        self._types: dict[tuple[str, str], str] = {}
        self._locals: dict[str, list[str]] = {}
        self._resources: dict[tuple[str, str], list[str]] = {}
        self._values: dict[tuple[str, str], list[str]] = {}
        for file, text in files.items():
            for piece in pieces(text):
                self._note(file, _folder(file), piece, text)

    def _note(self, file: str, folder: str, piece: Piece, text: str) -> None:
        first = piece.path[0].split(" ")
        if piece.path[:-1] and first[0] == "variable" and piece.path[1:] == ("type",):
            type_ = piece.value(text).split("(")[0]
            self._types[folder, first[1]] = type_
            self._variables.setdefault((folder, type_), []).append(first[1])
        elif piece.path[:-1] == ("locals",):
            self._locals.setdefault(folder, []).append(piece.name)
        elif len(piece.path) == 1 and first[0] == "resource":
            self._resources.setdefault((folder, first[1]), []).append(first[2])
        if piece.kind == "block" and len(piece.path) == 1:
            used = set(re.findall(r"each\.value\.\w+", text[piece.start : piece.end]))
            self._values[file, piece.path[0]] = sorted(used)

    def others(self, value: str, block: str, file: str) -> Iterator[Change]:
        """Each reference once, and what it can be mistaken for."""
        done = set()
        for match in _NAMES.finditer(value):
            if match[0] not in done and (other := self._other(match[0], block, file)):
                done.add(match[0])
                yield "reference", match[0], other, match.start()

    def _other(self, name: str, block: str, file: str) -> str | None:
        folder, parts = _folder(file), name.split(".")
        if parts[0] == "var":
            alike = self._variables.get((folder, self._types.get((folder, parts[1]), "")), [])
            other = _next(alike, parts[1])
            return f"var.{other}" if other else None
        if parts[0] == "local":
            other = _next(self._locals.get(folder, []), parts[1])
            return f"local.{other}" if other else None
        if parts[0] == "each":
            used = self._values.get((file, block), [])
            return _next(used, name) or ("each.value" if parts[1] == "key" else "each.key")
        if parts[0] == "module":
            return _with_twin(name)
        kind, _, rest = name.partition(".")
        own = re.split(r"[\[.]", rest)[0]
        alike = self._resources.get((folder, kind), [])
        other = _next([each for each in alike if each], own)
        if other and "[" not in name:
            return name.replace(f"{kind}.{own}", f"{kind}.{other}", 1)
        return _with_twin(name)


def _with_twin(name: str) -> str | None:
    start, _, attribute = name.rpartition(".")
    return f"{start}.{_TWINS[attribute]}" if attribute in _TWINS else None


def _next(names: list[str], name: str) -> str | None:
    """The one behind it, in a circle; None where it is alone."""
    if name not in names or len(names) < 2:
        return None
    return names[(names.index(name) + 1) % len(names)]


def _folder(file: str) -> str:
    return file.rpartition("/")[0]
