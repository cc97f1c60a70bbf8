"""The keys this instance has seen, in memory, and how soon it obeys a revocation.

A known key is trusted for 60 s, an unknown one for 10 s, so that neither a call nor an attack costs
a read each time. Revocations are told by `gateway/control` (`control.py`) and obeyed as soon as it
is read. While the store is down, keys already seen go on working for 10 minutes.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.core.errors import StoreUnavailable
from common.core.ports import Clock, Documents
from common.gateway.control import CONTROL, KEYS_CHANGED, REFRESH_AFTER_S, Control
from common.gateway.keys import Key, key_id_of, key_ref, refusal
from common.gateway.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

KNOWN_FOR_S = 60.0
UNKNOWN_FOR_S = 10.0
OUTAGE_FOR_S = 600.0
CAPACITY = 10_000


@dataclass(slots=True)
class _Entry:
    key: Key | None
    read_at: float
    tried_at: float


class KeyRing:
    """Keys by digest. One per process."""

    def __init__(self, documents: Documents, clock: Clock, control: Control) -> None:
        self._documents = documents
        self._clock = clock
        self._control = control
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._changes: Mapping[str, object] = {}
        self._followed: object = None

    async def find(self, digest: str) -> Key:
        """The key with this digest, usable or not.

        Raises:
            Refusal: invalid_gateway_key, store_unavailable.
        """
        await self._control.follow()
        self._forget_changed()
        now = self._clock.monotonic()
        entry = self._entries.get(digest)
        if entry is None or not _usable(entry, now):
            entry = await self._read(digest, entry)
        if entry.key is None:
            raise Refusal(
                "invalid_gateway_key",
                "The gateway key is well formed but unknown here. Check which installation made "
                "it, or ask for a new one.",
            )
        return entry.key

    def require_usable(self, key: Key) -> None:
        """Refuse a key that is over.

        Raises:
            Refusal: expired_gateway_key, revoked_gateway_key.
        """
        reason = refusal(key, self._clock.now())
        if reason == "expired":
            raise Refusal(
                "expired_gateway_key",
                f"The gateway key {key.key_id} ({key.name}) has expired. "
                "Use the key that replaced it, or have it rotated.",
            )
        if reason == "revoked":
            raise Refusal(
                "revoked_gateway_key",
                f"The gateway key {key.key_id} ({key.name}) was revoked. "
                "Ask an administrator for a new one.",
            )

    async def _read(self, digest: str, old: _Entry | None) -> _Entry:
        now = self._clock.monotonic()
        key_id = key_id_of(digest)
        changed = self._changes.get(key_id)
        try:
            # Together: a key that is new here may come with a budget that is new here too.
            [document, control] = await self._documents.get_many([key_ref(digest), CONTROL])
        except StoreUnavailable as error:
            if old is not None and old.key is not None and now - old.read_at < OUTAGE_FOR_S:
                old.tried_at = self._clock.monotonic()
                logger.warning("keys.served_from_memory", extra={"key_id": old.key.key_id})
                return old
            raise _unavailable(error) from None
        self._control.learn(control, now)
        self._forget_changed()
        if self._changes.get(key_id) != changed:
            # It was changed while it was read, and this may be what it was before.
            return await self._read(digest, None)
        entry = _Entry(Key.from_document(document) if document else None, now, now)
        self._entries[digest] = entry
        self._entries.move_to_end(digest)
        if len(self._entries) > CAPACITY:
            self._entries.popitem(last=False)
        return entry

    def _forget_changed(self) -> None:
        if self._control.data is self._followed:
            return
        self._followed = self._control.data
        changes = self._control.data.get(KEYS_CHANGED, {})
        changed = {key_id for key_id in changes if self._changes.get(key_id) != changes[key_id]}
        if changed:
            for digest in [d for d in self._entries if key_id_of(d) in changed]:
                del self._entries[digest]
        self._changes = changes


def _usable(entry: _Entry, now: float) -> bool:
    """Whether a call may go on with this entry without asking the store."""
    age = now - entry.read_at
    if age < (KNOWN_FOR_S if entry.key is not None else UNKNOWN_FOR_S):
        return True
    # While the store is down, only one call every so often waits to hear so again.
    return (
        entry.read_at < entry.tried_at
        and age < OUTAGE_FOR_S
        and now - entry.tried_at < REFRESH_AFTER_S
    )


def _unavailable(error: StoreUnavailable) -> Refusal:
    return Refusal(
        "store_unavailable",
        f"The gateway cannot check keys right now ({error.detail}). Try again shortly.",
        retry_after_s=5,
    )
