"""Events of brownouts, and the command that keeps them going."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from common.core.events import Event, Topic


class SignalTold(BaseModel):
    """One of the signals that hold a scope in a mode."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str
    monitor: str
    level: str
    link: str | None


class BrownoutModeChanged(Event):
    """A scope went into another mode. Of one scope, the greatest `seq` is the newest."""

    topic: ClassVar[Topic] = "events"
    type: Literal["brownout.mode_changed"] = "brownout.mode_changed"

    scope: str
    seq: int = Field(description="numbers the changes of all scopes")
    before: str = Field(description="normal, soft, hard or emergency")
    after: str
    cause: str = Field(description="signal, recovery, override or expiry")
    signals: tuple[SignalTold, ...]
    episode: str = Field(description="from leaving normal to being back")
    enforced: bool = Field(description="false: what would be done is only recorded")
    policy_version: int


class BrownoutTick(Event):
    """The command of every minute: take up what was left undone, and look at the sources."""

    topic: ClassVar[Topic] = "commands"
    type: Literal["brownout.tick"] = "brownout.tick"
