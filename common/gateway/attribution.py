"""Who a call is charged to: the key decides, the caller may refine what the key opens.

`x-gateway-agent` is obeyed within the key's `may_act_as`, `x-gateway-tags` for tag names that the
key opens; user and session are kept as keyed hashes. Anything else is dropped and named in
`x-gateway-warning`, never obeyed: spend cannot be forged onto another team.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from common.gateway.keys import Key

AGENT_HEADER = "x-gateway-agent"
TAGS_HEADER = "x-gateway-tags"
USER_HEADER = "x-gateway-user"
SESSION_HEADER = "x-gateway-session"
GATEWAY_HEADERS = frozenset(
    {
        *("x-gateway-key", "x-gateway-fit", "x-gateway-route", "x-gateway-cost-event"),
        *(AGENT_HEADER, TAGS_HEADER, USER_HEADER, SESSION_HEADER),
    }
)

MAX_TAGS = 20
MAX_VALUE_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Attribution:
    key: Key
    agent: str
    tags: Mapping[str, str]
    user_hash: str | None
    session_hash: str | None
    warnings: tuple[str, ...]


def attribute(key: Key, headers: Mapping[str, str], hash_key: bytes) -> Attribution:
    """Attribution of one call.

    Args:
        key: the gateway key, already found valid.
        headers: lower-case names.
        hash_key: secret of the installation, so that hashes cannot be guessed from names.
    """
    warnings: list[str] = []
    agent = headers.get(AGENT_HEADER, key.agent)
    if agent != key.agent and agent not in key.may_act_as:
        warnings.append(f"{AGENT_HEADER} is not an agent this key may act as; ignored")
        agent = key.agent
    tags = {**key.tags, **_tags(headers.get(TAGS_HEADER, ""), key, warnings)}
    unknown = [n for n in headers if n.startswith("x-gateway-") and n not in GATEWAY_HEADERS]
    if unknown:
        warnings.append(f"{len(unknown)} unknown x-gateway-* headers ignored")
    return Attribution(
        key=key,
        agent=agent,
        tags=tags,
        user_hash=_hash(headers.get(USER_HEADER), hash_key),
        session_hash=_hash(headers.get(SESSION_HEADER), hash_key),
        warnings=tuple(warnings),
    )


def _tags(text: str, key: Key, warnings: list[str]) -> dict[str, str]:
    """Tags of ``name=value,name=value`` that the key opens."""
    tags: dict[str, str] = {}
    dropped = 0
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = pair.partition("=")
        usable = equals and len(value) <= MAX_VALUE_CHARACTERS and value.isprintable()
        if usable and name in key.policy.tags and len(tags) < MAX_TAGS:
            tags[name] = value
        else:
            dropped += 1
    if dropped:
        warnings.append(f"{dropped} of {TAGS_HEADER} ignored: not opened by this key, or malformed")
    return tags


def _hash(text: str | None, hash_key: bytes) -> str | None:
    if not text:
        return None
    return hmac.digest(hash_key, text.encode(), "sha256").hex()[:32]
