"""Credentials in memory: a value that never shows itself."""

import hmac
from hashlib import blake2b


def keyed_hash(text: bytes, key: bytes, *, purpose: bytes, digits: int = 32) -> str:
    """Hexadecimal digits that nobody makes, or tries a guess against, without the key.

    A keyed BLAKE2b (RFC 7693), of which a key's first 64 bytes count. Equal texts of two purposes
    have nothing in common.
    """
    used = key[: blake2b.MAX_KEY_SIZE]
    return blake2b(text, digest_size=digits // 2, key=used, person=purpose).hexdigest()


class Secret:
    """A credential that reads ``***`` in every text; `reveal()` is the only way to its own."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def fingerprint(self, key: bytes) -> str:
        """12 hexadecimal digits: comparable between calls, useless to a reader."""
        return keyed_hash(self._text.encode(), key, purpose=b"credential", digits=12)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self._text.encode(), other._text.encode()
        )

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not serialised")
