"""Filters of Pub/Sub subscriptions, as far as this project writes them.

Two forms joined by OR: `hasPrefix(attributes.type, "a.")` and `attributes.type = "a.b"`. An empty
filter takes every message (https://cloud.google.com/pubsub/docs/subscription-message-filter).
"""

import re

LONGEST = 256
"""Bytes of a filter."""

_TERM = re.compile(r'hasPrefix\(attributes\.type, "([^"\\]*)"\)|attributes\.type = "([^"\\]*)"')


class NotAFilter(Exception):
    """The text is not of the two forms."""


def passes(filter_: str, type_: str) -> bool:
    """Whether a message whose attribute `type` is this one is delivered.

    Raises:
        NotAFilter: the text has another form, or is longer than a filter may be.
    """
    if len(filter_.encode()) > LONGEST:
        raise NotAFilter(f"{len(filter_.encode())} bytes, {LONGEST} at most: {filter_}")
    return not filter_ or True in [_term_passes(term, type_) for term in filter_.split(" OR ")]


def _term_passes(term: str, type_: str) -> bool:
    match = _TERM.fullmatch(term)
    if match is None:
        raise NotAFilter(f"not a filter of ours: {term}")
    prefix, exact = match.groups()
    return type_.startswith(prefix) if prefix is not None else type_ == exact
