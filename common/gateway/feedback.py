"""Takes what a key's holder thinks of an answer, and publishes it.

Checked here is what can be told without asking anybody: who rates, the form of what is sent, and
that the id may be one of a call lately. Whether that call was made with a key of the same line is
known to who has counted it (`common/usage/feedback.py`), which drops what was not; so the answer
is 202, and tells nobody whether a call exists. No field takes text, and an error never quotes what
was sent.
"""

import logging
import re
from dataclasses import dataclass
from typing import Any

import orjson

from common.core.feedback_events import CALL_ID, LABEL, MOST_LABELS, CallFeedback
from common.core.ports import Bus, Clock
from common.gateway.call import Call
from common.gateway.keys import Key
from common.gateway.rates import RateLimits
from common.gateway.refusals import Refusal

logger = logging.getLogger(__name__)

FEEDBACK_PATHS = frozenset({"/v1/feedback", "/gateway/v1/feedback"})
MOST_BYTES = 8 * 1024

OLDEST_DAYS = 39
"""A day less than counted calls are remembered."""
MOST_AHEAD_S = 60
"""How much later than here it may be where the id was made."""

_DAY_S = 86_400
_CALL_ID = re.compile(CALL_ID)
_LABEL = re.compile(LABEL)
_FIELDS = frozenset({"request_id", "score", "labels"})
_FORM = 'Send {"request_id": "...", "score": 0 to 1, "labels": ["..."]}, and nothing else.'


@dataclass(frozen=True, slots=True)
class Rating:
    """What somebody thinks of a call."""

    call_id: str
    score: float
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeedbackDesk:
    """Takes feedback."""

    bus: Bus
    rates: RateLimits
    clock: Clock

    async def take(self, body: bytes, call: Call, key: Key) -> dict[str, Any]:
        """Publish the feedback in a body, which counts as a call of the key's limits.

        Raises:
            Refusal: unreadable_request, rate_limited, store_unavailable.
        """
        now = self.clock.now()
        rating = read_rating(body, now.timestamp())
        event = CallFeedback.given(
            rating.call_id,
            rating.score,
            rating.labels,
            org=key.org,
            team=key.team,
            agent=call.attribution.agent if call.attribution is not None else key.agent,
            line=key.line,
            now=now,
        )
        admitted = await self.rates.admit(key, call)
        try:
            await self._publish(event)
        finally:
            admitted.release()
        return {"status": "accepted", "request_id": rating.call_id}

    async def _publish(self, event: CallFeedback) -> None:
        try:
            await self.bus.publish(event.topic, event)
        except Exception as error:  # noqa: BLE001 - whatever a bus raises, the caller keeps the feedback
            logger.warning("feedback.unpublished", extra={"error": type(error).__name__})
            raise Refusal(
                "store_unavailable",
                "The gateway cannot take feedback right now. Send it again: it counts once.",
                retry_after_s=5,
            ) from None


def read_rating(body: bytes, now_s: float) -> Rating:
    """The feedback in a body that came so many seconds after 1970.

    Raises:
        Refusal: unreadable_request, which says what is wrong.
    """
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _unreadable("The body is not JSON.") from None
    if not isinstance(told, dict):
        raise _unreadable("The body is not an object.")
    if told.keys() - _FIELDS:
        raise _unreadable("The body has a field that feedback does not have: no text is taken.")
    return Rating(_call_id(told.get("request_id"), now_s), _score(told.get("score")), _labels(told))


def _call_id(told: object, now_s: float) -> str:
    if not isinstance(told, str) or _CALL_ID.fullmatch(told) is None:
        raise _unreadable("request_id is not what an answer of the gateway has in its header.")
    # The id begins with its time in milliseconds.
    age_s = now_s - int(told.replace("-", "")[:12], 16) / 1000
    if not -MOST_AHEAD_S <= age_s <= OLDEST_DAYS * _DAY_S:
        raise _unreadable(f"request_id is of no call of the last {OLDEST_DAYS} days.")
    return told


def _score(told: object) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= 1:
        raise _unreadable("score is not a number from 0 to 1.")
    return float(told)


def _labels(told: dict[str, Any]) -> tuple[str, ...]:
    labels = told.get("labels", [])
    if not isinstance(labels, list) or len(labels) > MOST_LABELS:
        raise _unreadable(f"labels is not a list of at most {MOST_LABELS}.")
    if not all(isinstance(each, str) and _LABEL.fullmatch(each) for each in labels):
        raise _unreadable(
            "A label is not 1 to 40 of the characters a to z, 0 to 9, dot, hyphen and underscore."
        )
    return tuple(dict.fromkeys(labels))


def _unreadable(what: str) -> Refusal:
    return Refusal("unreadable_request", f"{what} {_FORM}")
