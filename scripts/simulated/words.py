"""Text that looks like text: an endless, repeatable walk through a small vocabulary.

One piece is one token. Some pieces hold characters of two, three and four bytes, so that readers of
streams meet text whose bytes can be split inside a character.
"""

import hashlib

import orjson

MARK = "[simulated] "
"""How every generated text begins; it counts as the first token."""

_WORDS = (  # noqa: SIM905 - a vocabulary reads as prose, not as a column
    "the a of to and in is that for with as on are this be at or by from an which can each when "
    "it will than more one its call cost team model token budget answer request reply limit "
    "month day hour minute second price total share change first last next small large fast "
    "slow steady plain table row line page note list item step part whole half rate window "
    "cache prefix stream event signal value figure number sum reason result report summary "
    "question detail example case group agent user client server region service system process "
    "queue worker record store read write send receive open close start stop hold settle count "
    "measure compare choose keep drop move river harbour bridge garden market village mountain "
    "valley forest winter summer morning evening letter paper window corner street station "
    "train ticket journey kitchen bread coffee sugar salt carefully quickly often rarely "
    "usually exactly nearly almost together apart above below between"
).split()
_FOREIGN = (
    "café",
    "naïve",
    "Zürich",
    "façade",
    "東京",
    "日本語",
    "данные",
    "σύνολο",
    "🙂",
    "🚀",
    "½",
    "€",
)
_MARKS = (".", ",", ".", ",", ";", ":", ".\n\n", "?")

_LENGTH = 8192


def _walk() -> tuple[str, ...]:
    drawn = hashlib.shake_128(b"vocabulary").digest(3 * _LENGTH)
    pieces: list[str] = []
    for kind, high, low in zip(drawn[::3], drawn[1::3], drawn[2::3], strict=True):
        index = high << 8 | low
        if kind < 24:  # about one piece in ten
            pieces.append(_MARKS[index % len(_MARKS)])
        elif kind < 36:  # about one piece in twenty
            pieces.append(" " + _FOREIGN[index % len(_FOREIGN)])
        else:
            pieces.append(" " + _WORDS[index % len(_WORDS)])
    return tuple(pieces)


_PIECES = _walk()


def pieces_of_text(count: int, start: int) -> tuple[str, ...]:
    """`count` tokens of text, the mark first; the same start walks the same way."""
    if count <= 0:
        return ()
    words = count - 1
    offset = start % _LENGTH
    walk = _PIECES[offset : offset + words]
    while len(walk) < words:
        walk += _PIECES[: words - len(walk)]
    return (MARK, walk[0].lstrip(), *walk[1:]) if walk else (MARK,)


def pieces_of_literal(text: str) -> tuple[str, ...]:
    """A given text cut into tokens of four characters."""
    return tuple(text[index : index + 4] for index in range(0, len(text), 4))


def count_tokens(text: str) -> int:
    """A quarter of the text's UTF-8 bytes, rounded up."""
    size = len(text) if text.isascii() else len(text.encode())
    return (size + 3) // 4


_ESCAPED = {piece: orjson.dumps(piece) for piece in (MARK, *_PIECES)}


def escaped(piece: str) -> bytes:
    """A piece as a JSON string."""
    return _ESCAPED.get(piece) or orjson.dumps(piece)
