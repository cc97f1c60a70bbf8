"""The event that says how good a caller found an answer: a number and labels, never text."""

from hashlib import sha256
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from common.core.events import CountedEvent

CALL_ID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
"""The form of the ids that calls are given (`time_ordered_id`)."""
LABEL = "[a-z0-9_.-]{1,40}"
MOST_LABELS = 10


class CallFeedback(CountedEvent):
    """The holder of a key rates a call.

    Whether that line made the call is not known here: who counts feedback looks it up.
    """

    type: Literal["call.feedback"] = "call.feedback"

    call_id: str = Field(pattern=f"^{CALL_ID}$", description="the id that the caller says it rates")
    org: str
    team: str
    agent: str
    line: str = Field(description="the line of the key that rates")
    score: float = Field(ge=0, le=1, description="0: useless, 1: as good as can be")
    labels: tuple[Annotated[str, Field(pattern=f"^{LABEL}$")], ...] = Field(max_length=MOST_LABELS)

    @classmethod
    def given(
        cls,
        call_id: str,
        score: float,
        labels: tuple[str, ...],
        *,
        org: str,
        team: str,
        agent: str,
        line: str,
        now: AwareDatetime,
    ) -> "CallFeedback":
        """One event for each call and line, however often it is rated."""
        digest = sha256(f"call.feedback {line} {call_id}".encode()).hexdigest()
        return cls(
            id=digest[:32],
            event_time=now,
            call_id=call_id,
            org=org,
            team=team,
            agent=agent,
            line=line,
            score=score,
            labels=labels,
        )
