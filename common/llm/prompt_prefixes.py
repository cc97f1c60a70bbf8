"""What a prompt begins with, known by a digest: its instructions and tools.

Providers put tools and instructions before the conversation, and cache by what comes first. Two
calls that agree in them could share a cache, and a call that comes again agrees in them too. Of
the text itself only a digest and a length leave this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

_MEMBERS = ("tools", "system", "instructions", "systemInstruction", "system_instruction")
_CONVERSATIONS = ("messages", "input")
_LEADING = ("system", "developer")
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Prefix:
    """`digest` is of this process's eyes alone: only a keyed hash of it is kept anywhere."""

    digest: bytes
    size_bytes: int


def read_prefix(asked: Mapping[str, Any]) -> Prefix | None:
    """Instructions and tools of a request; None where it has none, or they cannot be read."""
    kept: list[object] = [(name, asked[name]) for name in _MEMBERS if asked.get(name)]
    for name in _CONVERSATIONS:
        turns = asked.get(name)
        if isinstance(turns, list):
            for turn in turns:
                if not isinstance(turn, dict) or turn.get("role") not in _LEADING:
                    break
                kept.append(turn)
    if not kept:
        return None
    try:
        text = orjson.dumps(kept)
    except TypeError:  # nested deeper than it can be written
        return None
    return Prefix(blake2b(text, digest_size=DIGEST_BYTES).digest(), len(text))
