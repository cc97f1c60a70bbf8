"""Who a call is charged to: the key decides, the caller may refine what the key opens.

`x-gateway-agent` is obeyed within the key's `may_act_as`, `x-gateway-tags` for tag names that the
key opens; user and session are kept as keyed hashes. Anything else is dropped and named in
`x-gateway-warning`, never obeyed: spend cannot be forged onto another team. The same goes for what
a call wishes of a brownout: `x-priority` above what the key grants, `x-brownout: strict` without
the grant, and words that are none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from common.brownout.modes import PRIORITIES, Priority
from common.core.secrets import keyed_hash
from common.gateway.credentials import GATEWAY_KEY_HEADER
from common.gateway.keys import Key, granted_priority

AGENT_HEADER = "x-gateway-agent"
TAGS_HEADER = "x-gateway-tags"
USER_HEADER = "x-gateway-user"
SESSION_HEADER = "x-gateway-session"
PRIORITY_HEADER = "x-priority"
STRICT_HEADER = "x-brownout"
STRICT = "strict"
"""The one word of `x-brownout`."""
GATEWAY_HEADERS = frozenset(
    {
        *(GATEWAY_KEY_HEADER, "x-gateway-fit", "x-gateway-route", "x-gateway-cost-event"),
        *(AGENT_HEADER, TAGS_HEADER, USER_HEADER, SESSION_HEADER),
    }
)

_REFINING = ("x-gateway-", PRIORITY_HEADER, STRICT_HEADER)

MAX_TAGS = 20
MAX_VALUE_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Attribution:
    """`priority` is what the call has in a brownout: never above what its key grants."""

    key: Key
    agent: str
    tags: Mapping[str, str]
    user_hash: str | None
    session_hash: str | None
    priority: Priority
    warnings: tuple[str, ...]


def attribute(key: Key, headers: Mapping[str, str], hash_key: bytes) -> Attribution:
    """Attribution of one call.

    Args:
        key: the gateway key, already found valid.
        headers: lower-case names.
        hash_key: secret of the installation, so that hashes cannot be guessed from names.
    """
    said = [name for name in headers if name.startswith(_REFINING)]
    if said == [GATEWAY_KEY_HEADER] or not said:
        priority = granted_priority(key.policy, "")
        return Attribution(key, key.agent, key.tags, None, None, priority, ())
    warnings: list[str] = []
    agent = headers.get(AGENT_HEADER, key.agent)
    if agent != key.agent and agent not in key.may_act_as:
        warnings.append(f"{AGENT_HEADER} is not an agent this key may act as; ignored")
        agent = key.agent
    tags = {**key.tags, **_tags(headers.get(TAGS_HEADER, ""), key, warnings)}
    unknown = [n for n in said if n.startswith("x-gateway-") and n not in GATEWAY_HEADERS]
    if unknown:
        warnings.append(f"{len(unknown)} unknown x-gateway-* headers ignored")
    wished = _word(headers, PRIORITY_HEADER)
    priority = granted_priority(key.policy, wished)
    warnings += _not_granted(key, headers, wished, priority)
    return Attribution(
        key=key,
        agent=agent,
        tags=tags,
        user_hash=_hash(headers.get(USER_HEADER), hash_key, b"user"),
        session_hash=_hash(headers.get(SESSION_HEADER), hash_key, b"session"),
        priority=priority,
        warnings=tuple(warnings),
    )


def is_strict(key: Key, headers: Mapping[str, str]) -> bool:
    """Whether a call is to be answered as it asks or not at all, and its key may ask for that."""
    return key.policy.may_opt_out and _word(headers, STRICT_HEADER) == STRICT


def _not_granted(key: Key, headers: Mapping[str, str], wished: str, given: Priority) -> list[str]:
    """What a call wishes of a brownout and does not get."""
    warnings = []
    if wished and wished not in PRIORITIES:
        known = ", ".join(PRIORITIES)
        warnings.append(f"{PRIORITY_HEADER} is none of {known}; taken as {given.word}")
    elif wished and PRIORITIES[wished] > given:
        warnings.append(
            f"{PRIORITY_HEADER}: {wished} is not granted to this key; taken as {given.word}"
        )
    word = _word(headers, STRICT_HEADER)
    if word and word != STRICT:
        warnings.append(f"{STRICT_HEADER} takes the word {STRICT} alone; ignored")
    elif word and not key.policy.may_opt_out:
        warnings.append(f"{STRICT_HEADER}: {STRICT} is not granted to this key; ignored")
    return warnings


def _word(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name, "").strip().lower()


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


def _hash(text: str | None, hash_key: bytes, purpose: bytes) -> str | None:
    return keyed_hash(text.encode(), hash_key, purpose=purpose) if text else None
