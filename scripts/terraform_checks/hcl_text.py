"""Where arguments and blocks stand in Terraform's files, as `terraform fmt` writes them.

Each argument begins a line (`name = ...`) and ends where its brackets close; so do the keys of an
object that is written over several lines. Each block begins a line with its type, its labels and an
opening brace. That is all this reads: no expression is evaluated.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BLOCK = re.compile(r'^( *)([a-z_]\w*)((?: "[^"\n]*")*) \{(\}?)', re.MULTILINE)
_ARGUMENT = re.compile(r'^( *)("[^"\n]+"|[A-Za-z_][\w-]*) += (?=\S)', re.MULTILINE)
_ITEM = re.compile(r'^( *)("(?:[^"\\\n]|\\.)*"|[a-z_][\w.\[\]"]*),$', re.MULTILINE)
_HEREDOC = re.compile(r"<<-?(\w+)\n")
_QUOTED = re.compile(rf'#|"|{_HEREDOC.pattern}')


@dataclass(frozen=True, slots=True)
class Piece:
    """A block, an argument or an item of a list.

    `start` and `end` bound whole lines; `value_start` and `value_end` what stands behind the `=`
    of an argument, or between the braces of a block. `path` names the blocks and arguments around
    it, outermost first, and itself.
    """

    kind: str
    path: tuple[str, ...]
    name: str
    start: int
    end: int
    value_start: int
    value_end: int

    def value(self, text: str) -> str:
        return text[self.value_start : self.value_end]


@cache
def pieces(text: str) -> tuple[Piece, ...]:
    """Everything in one file, in the order of its beginnings."""
    masked = mask(text)
    found: list[Piece] = []
    for match in sorted([*_found(masked)], key=lambda each: each.start()):
        kind = {_BLOCK: "block", _ARGUMENT: "argument", _ITEM: "item"}[match.re]
        start = match.start()
        around = [each for each in found if each.value_start <= start < each.value_end]
        if kind == "item" and not (around and around[-1].kind != "block"):
            continue
        name = text[match.start(2) : match.end(2)].strip('"')
        if kind == "block":
            labels = re.findall(r'"([^"]*)"', text[match.start(3) : match.end(3)])
            name = " ".join([name, *labels])
            opened = masked.index("{", match.end(3))
            value_start, value_end = opened + 1, _closing(masked, opened)
            end = value_end + 1
        elif kind == "argument":
            value_start = match.end()
            end = value_end = _end_of_value(masked, value_start)
        else:
            value_start, value_end = match.start(2), match.end(2)
            end = match.end()
        path = (*(around[-1].path if around else ()), name)
        found.append(Piece(kind, path, name, start, end, value_start, value_end))
    return tuple(found)


def read(folder: Path) -> dict[str, str]:
    """Every .tf file of a folder and below, by its path in it; what `init` brought is left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.tf"))
        if ".terraform" not in path.parts
    }


@cache
def mask(text: str) -> str:
    """The text at equal length, with what comments, strings and heredocs say blanked."""
    out: list[str] = []
    position = 0
    while match := _QUOTED.search(text, position):
        out.append(text[position : match.start()])
        if match[0] == "#":
            start, end = match.end(), text.find("\n", match.end())
        elif match[0] == '"':
            start, end = match.end(), _end_of_string(text, match.start()) - 1
        else:
            start = match.end()
            stop = re.compile(rf"^[ \t]*{match[1]}$", re.MULTILINE).search(text, start)
            end = stop.start() if stop else len(text)
        end = end if end >= 0 else len(text)
        out.append(match[0] + re.sub(r"[^\n]", "_", text[start:end]))
        position = end
        if match[0] == '"':
            out.append('"')
            position += 1
    return "".join([*out, text[position:]])


def _found(masked: str) -> Iterator[re.Match[str]]:
    for pattern in (_BLOCK, _ARGUMENT, _ITEM):
        yield from pattern.finditer(masked)


def _end_of_string(text: str, start: int) -> int:
    """Behind the closing quote; `${` may hold strings of its own."""
    position, depth = start + 1, 0
    while position < len(text):
        two = text[position : position + 2]
        if depth == 0 and two[0] == '"':
            return position + 1
        if two[0] == "\\" or two == "$$":
            position += 2
        elif two == "${":
            depth, position = depth + 1, position + 2
        elif depth and two[0] == '"':
            position = _end_of_string(text, position)
        else:
            depth += (two[0] == "{") * (depth > 0) - (two[0] == "}") * (depth > 0)
            position += 1
    raise ValueError(f"a string that begins at {start} does not end")


def _closing(masked: str, opened: int) -> int:
    depth = 0
    for position in range(opened, len(masked)):
        depth += (masked[position] in "{[(") - (masked[position] in "}])")
        if depth == 0:
            return position
    raise ValueError(f"a bracket that opens at {opened} does not close")


def _end_of_value(masked: str, start: int) -> int:
    """The end of the line on which every bracket of the value is closed."""
    depth = 0
    if heredoc := _HEREDOC.match(masked, start):
        stop = re.compile(rf"^[ \t]*{heredoc[1]}$", re.MULTILINE).search(masked, heredoc.end())
        return stop.end() if stop else len(masked)
    for position in range(start, len(masked)):
        letter = masked[position]
        if letter in "}])" and depth == 0:
            return position
        depth += (letter in "{[(") - (letter in "}])")
        if letter == "\n" and depth == 0:
            return position
    return len(masked)
