"""Identifiers: who may be named how, and the ids that are made here."""

import re
from datetime import datetime
from typing import NewType

OrgId = NewType("OrgId", str)
TeamId = NewType("TeamId", str)
AgentId = NewType("AgentId", str)
ProjectId = NewType("ProjectId", str)
CallId = NewType("CallId", str)

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""The form of organisation, team, agent and project ids."""


def is_slug(text: str) -> bool:
    return SLUG.fullmatch(text) is not None


def time_ordered_id(now: datetime, entropy: bytes) -> str:
    """A UUID of version 7 (RFC 9562): milliseconds first, so that ids sort by time of arrival.

    Args:
        now: aware time.
        entropy: at least 10 random bytes.
    """
    milliseconds = int(now.timestamp() * 1000)
    random_part = int.from_bytes(entropy[:10], "big")
    value = (milliseconds & ((1 << 48) - 1)) << 80 | random_part
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
