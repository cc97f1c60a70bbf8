"""Credentials in memory: a value that never shows itself."""

import hmac


class Secret:
    """A credential that reads ``***`` in every text; `reveal()` is the only way to its own."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def fingerprint(self, key: bytes) -> str:
        """12 hex digits of an HMAC-SHA-256: comparable between calls, useless to a reader."""
        return hmac.digest(key, self._text.encode(), "sha256").hex()[:12]

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
