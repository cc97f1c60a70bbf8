"""What happens to the traffic and to the upstream, what the model takes for granted, and the arms.

Everything stands here that the figures depend on beside the policy and the trace. Times are seconds
after the trace's begin, money is in nano-USD.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal, TypeAlias, get_args

from common.brownout.modes import Mode, Priority
from common.brownout.policy import PlannedEdit, Policy, Shed, Strategy
from common.core.money import Nanos

SceneName: TypeAlias = Literal["calm", "flash", "outage", "runaway"]
SCENES: tuple[SceneName, ...] = get_args(SceneName)
ArmName: TypeAlias = Literal["none", "shed-batch-only", "datadog", "datadog+rollup", "all"]
ARMS: tuple[ArmName, ...] = get_args(ArmName)
BreakName: TypeAlias = Literal["slower_recovery", "smaller_savings", "correlated_failures"]
BREAKS: tuple[BreakName, ...] = get_args(BreakName)

BEGINS_S = 900.0
ENDS_S = 1800.0
"""The incident."""
TUNING_SEEDS = range(1, 11)
"""Seeds that parameters of model and policy may be chosen on."""
FIGURE_SEEDS = range(101, 111)
"""Seeds that nothing was chosen on: those of every figure that is quoted."""


@dataclass(frozen=True, slots=True)
class PoolKind:
    """A model's machines: prices per token, tokens per second of all calls and at most of one."""

    model: str
    input_price: Nanos
    output_price: Nanos
    tokens_s: float
    tokens_s_of_one: float
    slots: int


BIG = PoolKind("gpt-5", 3_000, 15_000, 4_200.0, 90.0, 110)
SMALL = PoolKind("gpt-5-mini", 300, 1_500, 8_400.0, 150.0, 220)
"""Two names that the shipped policy maps to each other; their sizes and prices are made up."""
PROVIDER = "openai"


@dataclass(frozen=True, slots=True)
class Assumptions:
    """The model. Shares are of the calls, lengths of answers are parts of what was asked for.

    `crowding` was chosen on the tuning seeds, without brownouts: with 27 a flash leaves about a
    third of the calls served, an outage a twelfth and a runaway four fifths.

    Attributes:
        instances: of the gateway.
        critical: share of such calls.
        normal: the same; the rest is batch.
        flash: traffic of the flash, in calm ones.
        outage: capacity of the big pool in the outage, in calm ones.
        runaway: share of the calls that are answered with about `runaway_tokens`.
        runaway_tokens: mean, a tenth of it is the deviation.
        timeout_s: after which the gateway gives a call up.
        client_retries: of calls that failed or may come back.
        first_chunk_s: of a call to an idle pool.
        crowding: by how many times that a full pool's first chunk takes longer.
        steepness: power of the part of the slots that are taken.
        shorter_soft: answers where soft's hint and effort work.
        shorter_hard: answers where those of hard and emergency do.
        replaceable: calls that may go to the small pool in hard; in emergency critical ones.
        fresh: conversations that may change model and effort while no provider fails.
        small_in_incident: capacity of the small pool in the incident, in calm ones.
        recovers_s: for how long the incident fades after its end.
        seen_after_s: a change of the state is seen by all instances.
        rollup_delay_s: after a minute until the tick judges the rollups.
        datadog_delay_s: the same for monitors of Datadog.
    """

    instances: int = 4
    critical: float = 0.20
    normal: float = 0.55
    flash: int = 4
    outage: float = 0.15
    runaway: float = 0.35
    runaway_tokens: int = 2_000
    timeout_s: float = 60.0
    client_retries: int = 2
    first_chunk_s: float = 0.4
    crowding: float = 27.0
    steepness: float = 4.0
    shorter_soft: float = 0.65
    shorter_hard: float = 0.52
    replaceable: float = 0.70
    fresh: float = 0.40
    small_in_incident: float = 1.0
    recovers_s: float = 0.0
    seen_after_s: float = 2.0
    rollup_delay_s: float = 2.0
    datadog_delay_s: float = 60.0

    def told(self) -> str:
        return " ".join(f"{each.name}={getattr(self, each.name)}" for each in fields(self))


def broken(name: BreakName) -> Assumptions:
    """The model with one assumption replaced by a worse one."""
    match name:
        case "slower_recovery":
            return Assumptions(recovers_s=600.0)
        case "smaller_savings":
            return Assumptions(shorter_soft=0.85, shorter_hard=0.75, replaceable=0.40)
        case "correlated_failures":
            return Assumptions(small_in_incident=0.15)


@dataclass(frozen=True, slots=True)
class Arm:
    """Who may move modes, under which policy. `treats` False: calls go out as they came."""

    name: ArmName
    policy: Policy
    treats: bool = True
    rollup: bool = True
    datadog: bool = True
    own: bool = True


def arm_of(name: ArmName, shipped: Policy) -> Arm:
    """An arm with the shipped policy, enforced."""
    policy = replace(shipped, enforcement="enforce")
    match name:
        case "none":
            return Arm(name, policy, treats=False, rollup=False, datadog=False, own=False)
        case "shed-batch-only":
            shed = (PlannedEdit(Shed(), frozenset({Priority.BATCH})),)
            only = {each: Strategy(hard=shed, emergency=shed) for each in policy.strategies}
            return Arm(name, replace(policy, strategies=only))
        case "datadog":
            return Arm(name, policy, rollup=False, own=False)
        case "datadog+rollup":
            return Arm(name, policy, own=False)
        case "all":
            return Arm(name, policy)


def replaceable_share(model: Assumptions, mode: Mode, priority: Priority) -> float:
    """Of the calls that the policy would move to the small pool, those that it serves as well."""
    if mode == Mode.EMERGENCY and priority < Priority.CRITICAL:
        return 1.0
    return model.replaceable


def strength(at_s: float, model: Assumptions) -> float:
    """How much of the incident there is: 0 before it, 1 in it, and then fading."""
    if not at_s >= BEGINS_S:
        return 0.0
    if at_s < ENDS_S:
        return 1.0
    if model.recovers_s == 0.0:
        return 0.0
    return max(0.0, 1.0 - (at_s - ENDS_S) / model.recovers_s)
