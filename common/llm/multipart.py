"""The short text fields of a multipart form (RFC 7578), found without decoding its files.

A price may rest on the `model` that such a form names, so a reading that could differ from the
provider's is no reading. The boundary is taken from the body's first line; `is_announced` says
whether the request's content type names the same. Another one could begin a second form inside a
file of this one: a part needs a content disposition to be a field, so a body that holds that word
anywhere but in the head of each part is not read. Neither is one with a field twice, or in a
spelling that readers disagree on.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

MOST_PARTS = 128
HEAD_BYTES = 4096
VALUE_BYTES = 256
"""Of a field that is looked at; others may have any length."""

_BLOCK_BYTES = 256 * 1024
_DISPOSITION = b"content-disposition"
_OPENING = re.compile(rb"--([0-9A-Za-z'()+_,\-./:=?]{1,70})\r\n")
_BOUNDARY = re.compile(r";[ \t]*boundary=(?:\"([^\"\\]*)\"|([^\s\";]+))", re.IGNORECASE)
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*)")
_FORM_DATA = re.compile(
    rb"form-data((?:;[ \t]*[\w*\-]+=(?:\"(?:[^\"\\]|\\.)*+\"|[^\s\";]+))+)", re.IGNORECASE
)
_PARAMETER = re.compile(rb";[ \t]*([\w*\-]+)=(?:\"((?:[^\"\\]|\\.)*+)\"|([^\s\";]+))")
_PLAIN_NAME = re.compile(rb"[\w.\-\[\]]{1,128}")
_PLAIN_VALUE = re.compile(rb"[\x20-\x7e]*")
_ENCODINGS = frozenset({b"7bit", b"8bit", b"binary"})


def is_form(body: bytes) -> bool:
    """Whether the body begins as a multipart form does."""
    return body.startswith(b"--")


def is_announced(body: bytes, content_type: str) -> bool:
    """Whether a form's boundary is the one that the request's content type names."""
    opening = _OPENING.match(body)
    if opening is None:
        return False
    found = _BOUNDARY.findall(content_type)
    return [quoted or bare for quoted, bare in found] == [opening[1].decode()]


@dataclass(frozen=True, slots=True)
class Part:
    """Where a part's content stands in the body."""

    name: str
    is_file: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Form:
    """The parts of a form, and its wanted text fields; None is one that cannot be read for sure."""

    fields: Mapping[str, str | None]
    parts: tuple[Part, ...]


def read_form(body: bytes, wanted: Collection[str]) -> Form | None:
    """The form, or None where another reader could see other parts."""
    try:
        parts = tuple(_parts(body))
    except _Unsure:
        return None
    fields: dict[str, str | None] = {}
    for part in parts:
        if part.name in wanted:
            fields[part.name] = None if part.name in fields else _text(body, part)
    return Form(fields, parts)


class _Unsure(Exception):
    """Another reader could read this form otherwise."""


def _parts(body: bytes) -> Iterator[Part]:
    opening = _OPENING.match(body)
    if opening is None:
        raise _Unsure
    delimiter = b"\r\n--" + opening[1]
    at = opening.end()
    for count in range(1, MOST_PARTS + 1):
        name, is_file, size = _read_head(body[at : at + HEAD_BYTES])
        end = body.find(delimiter, at + size)
        if end < 0:
            raise _Unsure
        yield Part(name, is_file, at + size, end)
        at = end + len(delimiter) + 2
        follows = body[at - 2 : at]
        if follows == b"--":
            if body[at : at + 3] not in (b"", b"\r\n") or _dispositions(body) != count:
                raise _Unsure
            return
        if follows != b"\r\n":
            raise _Unsure
    raise _Unsure


def _text(body: bytes, part: Part) -> str | None:
    value = body[part.start : min(part.end, part.start + VALUE_BYTES + 1)]
    if part.is_file or len(value) > VALUE_BYTES or not _PLAIN_VALUE.fullmatch(value):
        return None
    return value.decode()


def _read_head(start: bytes) -> tuple[str, bool, int]:
    """A part's name, whether it is a file, and the length of its head."""
    lines, blank, _ = start.partition(b"\r\n\r\n")
    headers: dict[bytes, bytes] = {}
    for line in lines.split(b"\r\n"):
        header = _HEADER.fullmatch(line)
        if header is None or header[1].lower() in headers:
            raise _Unsure
        headers[header[1].lower()] = header[2]
    if not blank or headers.get(b"content-transfer-encoding", b"binary").lower() not in _ENCODINGS:
        raise _Unsure
    disposition = _FORM_DATA.fullmatch(headers.get(_DISPOSITION, b""))
    if disposition is None:
        raise _Unsure
    parameters: dict[bytes, bytes] = {}
    for parameter, quoted, bare in _PARAMETER.findall(disposition[1]):
        if parameter.lower() in parameters:
            raise _Unsure
        parameters[parameter.lower()] = quoted or bare
    name = parameters.get(b"name", b"")
    if not _PLAIN_NAME.fullmatch(name) or b"name*" in parameters:
        raise _Unsure
    is_file = b"filename" in parameters or b"filename*" in parameters
    return name.decode("latin-1"), is_file, len(lines) + len(blank)


def _dispositions(body: bytes) -> int:
    """How often the word stands in the body, in any case, found block by block."""
    return sum(block.count(_DISPOSITION) for block in _lower_blocks(body))


def _lower_blocks(body: bytes) -> Iterator[bytes]:
    """Overlapping blocks such that each place of the word is whole in exactly one."""
    for start in range(0, len(body), _BLOCK_BYTES):
        yield body[start : start + _BLOCK_BYTES + len(_DISPOSITION) - 1].lower()
