"""Events of notifications: one did not arrive, and somebody wants to see whether they do."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from common.core.events import Event, Topic


class NotificationFailed(Event):
    """A channel did not take a message, and it is not tried again.

    Told once for a while: others that it does not take until then have none of these.
    """

    topic: ClassVar[Topic] = "events"
    type: Literal["notification.failed"] = "notification.failed"

    channel: str
    of_event: str = Field(description="the id of the event that the message tells of")
    of_type: str
    attempts: int
    reason: str = Field(description="never an address or a secret")
    rests_until: AwareDatetime | None = Field(
        None, description="nothing is sent there until then; null: others are still tried"
    )


class NotificationTest(Event):
    """Somebody wants to see whether messages arrive in a channel."""

    topic: ClassVar[Topic] = "events"
    type: Literal["notification.test"] = "notification.test"

    channel: str
    actor: str
