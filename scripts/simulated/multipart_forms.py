"""Multipart forms as the vendors' servers take them apart, by the boundary of the header."""

import re
from dataclasses import dataclass

from scripts.simulated.refusals import Refusal

_BOUNDARY = re.compile(rb'multipart/form-data;.*?boundary="?([^";]+)"?', re.IGNORECASE)
_NAME = re.compile(r'\bname="([^"]*)"')
_FILE_NAME = re.compile(r'\bfilename="([^"]*)"')


@dataclass(frozen=True, slots=True)
class FormPart:
    """One field. `file_name` is None for a text."""

    name: str
    file_name: str | None
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")


def form_parts(content_type: bytes, body: bytes) -> list[FormPart]:
    """The parts of a form in their order.

    Raises:
        Refusal: it is no multipart form (400).
    """
    boundary = _BOUNDARY.match(content_type)
    if boundary is None:
        raise Refusal(400, "Invalid Content-Type: files are uploaded as multipart/form-data.")
    delimiter = b"\r\n--" + boundary.group(1)
    opening, *pieces = (b"\r\n" + body).split(delimiter)
    if opening.strip() or not pieces or not pieces[-1].startswith(b"--"):
        raise Refusal(400, "Could not parse multipart form")
    parts: list[FormPart] = []
    for piece in pieces[:-1]:
        head, separator, content = piece.partition(b"\r\n\r\n")
        name = _NAME.search(head.decode(errors="replace"))
        if name is None or not separator:
            raise Refusal(400, "Could not parse multipart form")
        file_name = _FILE_NAME.search(head.decode(errors="replace"))
        parts.append(FormPart(name.group(1), file_name.group(1) if file_name else None, content))
    return parts


def texts_and_files(
    parts: list[FormPart], fields: frozenset[str]
) -> tuple[dict[str, str], dict[str, list[FormPart]]]:
    """The texts and the files of a form by name; `x[]` is another spelling of `x`.

    Raises:
        Refusal: a name is not known, or a text comes twice (400).
    """
    texts: dict[str, str] = {}
    files: dict[str, list[FormPart]] = {}
    for part in parts:
        name = part.name.removesuffix("[]")
        if name not in fields:
            message = f"Unknown parameter: '{part.name}'."
            raise Refusal(400, message, param=part.name, code="unknown_parameter")
        if part.file_name is not None:
            files.setdefault(name, []).append(part)
        elif name not in texts:
            texts[name] = part.text
        elif part.name == name:
            raise Refusal(400, f"Duplicate parameter: '{name}'.", param=name)
        else:
            texts[name] += f",{part.text}"
    return texts, files
