"""Versions of what the API shows, and the conditions that name them.

A version is a digest of the content, so it is the same wherever it is read, and a change that
changes nothing keeps it.
"""

import hashlib
import json
from collections.abc import Mapping

from common.core.ports import Value


def version_of(data: Mapping[str, Value]) -> str:
    """The version of a content: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()[:16]


def is_named(if_match: str, version: str) -> bool:
    """Whether an If-Match header names this version, or any."""
    tags = [tag.strip() for tag in if_match.split(",")]
    return "*" in tags or f'"{version}"' in tags
