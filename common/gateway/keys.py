"""Gateway keys: their text, their digest, and what a key says about the calls made with it.

A key is the only source of attribution, so spend cannot be forged onto another team. Its text is
``ocg_``, 32 random bytes as base64url and a CRC-32 as six base62 digits: secret scanners can match
it, and garbage is refused without a look-up. Only the SHA-256 of the text is ever stored; it
suffices because the text holds 256 random bits. A digest is never accepted in place of the text.
"""

import hashlib
import re
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from common.brownout.modes import PRIORITIES, Priority
from common.budgets.rate_limits import CallLimits
from common.core.ports import Document, Ref, Value

KEYS = "keys"
"""Collection of the key documents; the id is the digest of the key's text."""

PREFIX = "ocg_"
_RANDOM_BYTES = 32
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(high + low for high in _BASE62 for low in _BASE62)
_CHECKSUM_DIGITS = 6
_FORM = re.compile(r"ocg_[A-Za-z0-9_-]{43}[A-Za-z0-9]{6}")
_KEY_ID_DIGITS = 12

Refusal: TypeAlias = Literal["expired", "revoked"]
OnDisconnect: TypeAlias = Literal["stop", "finish"]
PriorityName: TypeAlias = Literal["batch", "normal", "critical"]


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """What a key may be used for. An empty tuple of globs allows everything.

    `tags` names the tags that a caller may set itself with ``x-gateway-tags``; no others.
    `priority` is the highest that a call may ask for with ``x-priority``; `may_opt_out` lets calls
    with ``x-brownout: strict`` be answered as they are asked, or not at all.
    `on_disconnect` says what happens to a call whose client leaves: stop it, which stops the bill
    soon and leaves an estimate, or let it finish within a minute, which costs what it costs.
    """

    models: tuple[str, ...] = ()
    upstreams: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    on_disconnect: OnDisconnect = "stop"
    limits: CallLimits = field(default_factory=CallLimits)
    priority: PriorityName = "normal"
    may_opt_out: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is stored. It never holds the key's text, so no repr or log can show it.

    `line` survives rotation: spend and limits of "the key" follow it. `may_act_as` names agents
    of the key's team that a call may be attributed to instead of `agent`.
    """

    digest: str
    key_id: str
    name: str
    line: str
    org: str
    team: str
    agent: str
    project: str | None
    tags: Mapping[str, str]
    may_act_as: tuple[str, ...]
    policy: KeyPolicy
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def from_document(cls, document: Document) -> "Key":
        data = document.data
        policy = data["policy"]
        return cls(
            digest=document.ref.id,
            key_id=data["key_id"],
            name=data["name"],
            line=data["line"],
            org=data["org"],
            team=data["team"],
            agent=data["agent"],
            project=data["project"],
            tags=data["tags"],
            may_act_as=tuple(data["may_act_as"]),
            policy=KeyPolicy(
                models=tuple(policy["models"]),
                upstreams=tuple(policy["upstreams"]),
                tags=tuple(policy["tags"]),
                on_disconnect=policy["on_disconnect"],
                limits=CallLimits(**policy["limits"]),
                priority=policy["priority"],
                may_opt_out=policy["may_opt_out"],
            ),
            created_by=data["created_by"],
            created_at=data["created_at"],
            expires_at=data["expires_at"],
            revoked_at=data["revoked_at"],
        )

    def to_data(self) -> dict[str, Value]:
        """The document's data. The digest is the document's id and is not repeated."""
        return {
            "key_id": self.key_id,
            "name": self.name,
            "line": self.line,
            "org": self.org,
            "team": self.team,
            "agent": self.agent,
            "project": self.project,
            "tags": dict(self.tags),
            "may_act_as": list(self.may_act_as),
            "policy": {
                "models": list(self.policy.models),
                "upstreams": list(self.policy.upstreams),
                "tags": list(self.policy.tags),
                "on_disconnect": self.policy.on_disconnect,
                "limits": asdict(self.policy.limits),
                "priority": self.policy.priority,
                "may_opt_out": self.policy.may_opt_out,
            },
            "created_by": self.created_by,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "revoked_at": self.revoked_at,
        }


def new_key_text(entropy: Callable[[int], bytes]) -> str:
    """A fresh key. `entropy(n)` answers n random bytes of cryptographic quality."""
    body = PREFIX + urlsafe_b64encode(entropy(_RANDOM_BYTES)).decode().rstrip("=")
    return body + _checksum(body)


def key_digest(text: str) -> str | None:
    """The SHA-256 of a key's text in hexadecimal; None if the form or the checksum is wrong."""
    if _FORM.fullmatch(text) is None:
        return None
    if text[-_CHECKSUM_DIGITS:] != _checksum(text[:-_CHECKSUM_DIGITS]):
        return None
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def key_id_of(digest: str) -> str:
    """The part of a digest that people and events name a key by."""
    return digest[:_KEY_ID_DIGITS]


def key_ref(digest: str) -> Ref:
    return Ref(KEYS, digest)


def granted_priority(policy: KeyPolicy, wished: str) -> Priority:
    """The priority of a call that asks for one: never above the key's, normal without a word."""
    asked = PRIORITIES.get(wished.strip().lower(), Priority.NORMAL)
    return min(asked, PRIORITIES[policy.priority])


def refusal(key: Key, now: datetime) -> Refusal | None:
    """Why a call with this key must be refused at `now`; None if it may be used."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and now >= key.expires_at:
        return "expired"
    return None


def _checksum(body: str) -> str:
    rest, low = divmod(zlib.crc32(body.encode("ascii")), len(_PAIRS))
    high, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]
