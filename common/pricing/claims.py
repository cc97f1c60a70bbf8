"""Which correction of a call is its first, its second and so on: the one that claims the number.

A correction says the difference between two costs of a call, so those of a call must follow each
other like links of a chain, and no link may stand beside another. What shows in the warehouse comes
too late to see to that: a correction is on its way for seconds, or for as long as a laptop's stack
is stopped. So before a correction is published it claims its number in
`usage_corrections/{id}`, which is created once and holds the event. Whoever finds the number taken
publishes what is there again, under the same id, which is counted once, and corrects the call
further when that has arrived. Differences of a chain add up to the same in any order of arrival.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from common.core.correction_events import UsageCorrected
from common.core.ports import Committed, Create, Document, Documents, Ref, Unknown

CLAIMS = "usage_corrections"
CLAIM_LIFE = timedelta(days=35)
"""Longer than Pub/Sub keeps what is not delivered (31 days), and shorter than an event counts."""
ATTEMPTS = 3


async def claims_of(
    documents: Documents, corrections: Sequence[UsageCorrected]
) -> list[UsageCorrected | None]:
    """What has the number of each already; None where it is free.

    Raises:
        StoreUnavailable: no answer in time.
    """
    found = await documents.get_many([_ref(each) for each in corrections])
    return [None if document is None else _event_of(document) for document in found]


async def claim(
    documents: Documents, corrections: Sequence[UsageCorrected], now: datetime
) -> list[UsageCorrected | None]:
    """What has the number of each from now on: itself, or what was made earlier.

    None where the store does not say, and nothing may be published; at most 500 corrections.

    Raises:
        StoreUnavailable: no answer in time.
    """
    for _ in range(ATTEMPTS):
        held = await claims_of(documents, corrections)
        free = [each for each, there in zip(corrections, held, strict=True) if there is None]
        if not free:
            return held
        outcome = await documents.commit([_claim(each, now) for each in free])
        if isinstance(outcome, Unknown):
            return held
        if isinstance(outcome, Committed):
            return [there or each for each, there in zip(corrections, held, strict=True)]
    return await claims_of(documents, corrections)


def _claim(correction: UsageCorrected, now: datetime) -> Create:
    text = correction.payload().decode()
    return Create(_ref(correction), {"event": text, "delete_at": now + CLAIM_LIFE})


def _event_of(document: Document) -> UsageCorrected:
    return UsageCorrected.model_validate_json(document.data["event"])


def _ref(correction: UsageCorrected) -> Ref:
    return Ref(CLAIMS, correction.id)
