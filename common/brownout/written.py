"""What people write about brownouts: reasons and notes, read in lists, mails and chats."""

from common.core.errors import InvalidInput


def is_shown(text: str) -> bool:
    """Whether every character of a text shows: lines and tabs do, other control characters not."""
    return text.replace("\n", " ").replace("\t", " ").isprintable()


def check_written(text: str, field: str, most: int) -> None:
    """Refuse a text that says nothing, is longer than `most` characters, or cannot be shown.

    Raises:
        InvalidInput: one of these; `field` is what it was written for.
    """
    if not 0 < len(text.strip()) <= most or not is_shown(text):
        raise InvalidInput(f"say why, in 1 to {most} printable characters", field=field)
