"""Events of brownouts, and the command that keeps them going."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

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


class BrownoutPolicyChanged(Event):
    """Another version of the policy holds from now on."""

    topic: ClassVar[Topic] = "events"
    type: Literal["brownout.policy_changed"] = "brownout.policy_changed"

    version: int
    before: int = Field(description="the version that held until then; 0 ships with the code")
    enforcement: str = Field(description="shadow or enforce")
    note: str
    actor: str = Field(description="email of who saved it")


class BrownoutBlind(Event):
    """A source of signals cannot tell how things stand; what it said before counts on for now.

    One of these is one episode: it is published again under the same id, if at all.
    """

    topic: ClassVar[Topic] = "events"
    type: Literal["brownout.blind"] = "brownout.blind"

    source: str = Field(description="datadog, monitoring or rollup")
    since: AwareDatetime = Field(description="when it was first found silent")
    cause: Literal["unreachable", "no_data"] = Field(
        description="unreachable: it does not answer; no_data: one of its monitors sees nothing"
    )
    monitor: str | None = Field(description="the monitor that sees nothing, null for all of them")
    group: str = Field("", description="what of the monitor: its tags; empty where it has none")
    link: str | None


class BrownoutSighted(Event):
    """A source of signals, or one of its monitors, tells how things stand.

    Of a source once for each time that it was told to be unreachable, which says nothing of single
    monitors. Of a monitor for every word of it, whether it was blind before or not.
    """

    topic: ClassVar[Topic] = "events"
    type: Literal["brownout.sighted"] = "brownout.sighted"

    source: str = Field(description="datadog, monitoring or rollup")
    since: AwareDatetime | None = Field(
        None, description="when it was first found silent; null of a monitor"
    )
    monitor: str | None = Field(None, description="the monitor, null for the source itself")
    group: str = Field("", description="what of the monitor: its tags; empty where it has none")


class BrownoutSettled(Event):
    """A scope has stayed normal for as long as the policy asks for (`incidents.resolve_after`)."""

    topic: ClassVar[Topic] = "events"
    type: Literal["brownout.settled"] = "brownout.settled"

    scope: str
    seq: int = Field(description="of the change to normal")
    since: AwareDatetime = Field(description="when that was")
    episode: str


class BrownoutTick(Event):
    """The command of every minute: take up what was left undone, and look at the sources."""

    topic: ClassVar[Topic] = "commands"
    type: Literal["brownout.tick"] = "brownout.tick"
