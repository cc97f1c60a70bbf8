"""Any text as the id of a Firestore document or collection, in an order that stays the same.

Firestore refuses ids with a slash, the ids `.` and `..`, and all of the form `__x__`; it allows
1500 bytes (https://cloud.google.com/firestore/quotas). Pages are ordered by id, so escaping must
keep the order of any two ids:

- a dot or a slash becomes a dot and a second character (`.-`, `.:`), which sorts between the
  characters before and behind them;
- a space or a control character, the lowest of all, becomes a space and a second character;
- two underscores at the start get a space at the end, where no escaped text has a single one. Since
  no escaped text has a lower character, a text that continues still sorts behind one that ends.
"""

import re

MAX_ID_BYTES = 1500

_LOW = {chr(code): " " + chr(0x40 + code) for code in range(0x21)}
_CODES = {**_LOW, ".": ".-", "/": ".:"}
_CHARACTERS = {code: character for character, code in _CODES.items()}
_PLAIN = re.compile(r"[\x00-\x20./]")
_ESCAPED = re.compile(r"[ .].")
_RESERVED = "__"


def escape_id(text: str) -> str:
    """The id under which Firestore keeps what is called `text`."""
    escaped = _PLAIN.sub(lambda found: _CODES[found[0]], text)
    return f"{escaped} " if escaped.startswith(_RESERVED) else escaped


def unescape_id(escaped: str) -> str:
    """What `escape_id` was given."""
    if escaped.startswith(_RESERVED):
        escaped = escaped[:-1]
    return _ESCAPED.sub(lambda found: _CHARACTERS[found[0]], escaped)
