"""Storing what a source says, none of it over something newer that was told meanwhile."""

from collections.abc import Sequence

from common.brownout.signals import Signal, merged, signal_ref
from common.core.ports import Clock, Documents, Put, Write
from common.core.transactions import Entropy, Read, transact

MOST_AT_ONCE = 400
"""Signals of one commit."""


async def store_signals(
    documents: Documents, clock: Clock, entropy: Entropy, told: Sequence[Signal]
) -> None:
    """Store all of them, the first ones first.

    Raises:
        StoreUnavailable, VersionConflict: the rest is not stored.
    """
    for first in range(0, len(told), MOST_AT_ONCE):
        together = told[first : first + MOST_AT_ONCE]

        async def decide(
            read: Read, together: Sequence[Signal] = together
        ) -> tuple[Sequence[Write], None]:
            known = await read([signal_ref(signal) for signal in together])
            kept = (
                merged(None if before is None else Signal.from_document(before), signal)
                for signal, before in zip(together, known, strict=True)
            )
            return [Put(signal_ref(each), each.to_data()) for each in kept if each], None

        await transact(documents, clock, decide, entropy=entropy)
