"""The knobs of the simulated provider, for the whole process and for one request.

A knob has one name everywhere: the field here with dashes (`latency-ms`), the option of
`python -m scripts.simulated` with `--` before it, and the request header with `x-simulated-` before
it. A header changes the one request that carries it and nothing else.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, get_args

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from scripts.simulated.refusals import Refusal

Fault = Literal[
    "status-400",
    "status-401",
    "status-403",
    "status-404",
    "status-408",
    "status-409",
    "status-413",
    "status-422",
    "status-429",
    "status-500",
    "status-502",
    "status-503",
    "status-504",
    "status-529",
    "garbage",
    "reset",
    "cut",
    "stall",
    "no-usage",
    "error-event",
    "slow",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)

RANDOM_FAULTS: tuple[Fault, ...] = (
    "status-429",
    "status-500",
    "status-503",
    "garbage",
    "reset",
    "cut",
    "no-usage",
    "error-event",
)
"""What `fault-rate` draws from when `fault` names none: everything that ends by itself at once."""

SLOW_LATENCY_MS = 2000
SLOW_INTERVAL_MS = 200

KNOB_PREFIX = "x-simulated-"
NOT_KNOBS = frozenset({"x-simulated-tag", "x-simulated-replay"})
"""Headers with the prefix that say something about the request instead of changing the answer."""


class Behaviour(BaseModel):
    """How requests are answered. Written by people, so unknown names are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=True,
        validate_by_alias=True,
    )

    latency_ms: float = Field(0, ge=0, le=600_000, description="before the first byte")
    chunk_interval_ms: float = Field(0, ge=0, le=600_000, description="between two stream events")
    fault: Fault | None = Field(None, description="what goes wrong")
    fault_rate: float | None = Field(
        None, ge=0, le=1, description="share of requests with the fault, or with one of several"
    )
    fault_after: int = Field(3, ge=0, description="events sent before cut, stall and error-event")
    seed: int = Field(0, description="other texts, lengths and random faults")
    output_tokens: int | None = Field(None, ge=0, description="of each plain text, below the cap")
    input_tokens: int | None = Field(
        None,
        ge=1,
        description="of the whole input, none of it cached; or seconds, where these are billed",
    )
    tool_arguments: str | None = Field(
        None, description="JSON object that every tool is called with, whatever its schema"
    )
    refuse_stream_options: Literal["400", "422"] | None = Field(
        None, description="by which status compatible endpoints refuse `stream_options`"
    )
    refuse_member: str | None = Field(
        None,
        min_length=1,
        description="member that is refused where a request has it, dotted; with `=` one value",
    )
    bill_factor: Decimal = Field(
        Decimal(1), gt=0, le=1000, description="what the cost reports multiply each amount by"
    )
    bill_buckets: int = Field(31, ge=1, le=31, description="most days of a page of the reports")
    bill_after_disconnect: Literal["stop", "finish"] = Field(
        "stop", description="whether generation goes on, and is billed, when the client has left"
    )

    @field_validator("tool_arguments")
    @classmethod
    def _is_an_object(cls, text: str | None) -> str | None:
        if text is not None and not isinstance(orjson.loads(text), dict):
            raise ValueError("not a JSON object")
        return text

    @property
    def arguments(self) -> Mapping[str, Any] | None:
        """What tools are called with; None leaves it to their schemas."""
        if self.tool_arguments is None:
            return None
        given: dict[str, Any] = orjson.loads(self.tool_arguments)
        return given

    def for_request(self, headers: Mapping[bytes, bytes]) -> "Behaviour":
        """These knobs with those that the request's headers name.

        Raises:
            Refusal: an unknown knob or a value it cannot have (400).
        """
        overrides = {
            name.decode("latin-1")[len(KNOB_PREFIX) :]: value.decode("latin-1")
            for name, value in headers.items()
            if name.startswith(b"x-simulated-") and name.decode("latin-1") not in NOT_KNOBS
        }
        if not overrides:
            return self
        if "fault" in overrides and "fault-rate" not in overrides:
            # A request that names its fault means this one, whatever the process does at random.
            return self._with({**overrides, "fault-rate": None})
        return self._with(overrides)

    def changed(self, values: Mapping[str, object]) -> "Behaviour":
        """These knobs with others; null takes one back to its default.

        Raises:
            Refusal: an unknown knob or a value it cannot have (400).
        """
        kept = self.model_dump(by_alias=True, exclude_unset=True)
        merged = {**kept, **values}
        return _checked({name: value for name, value in merged.items() if value is not None})

    def _with(self, values: Mapping[str, object]) -> "Behaviour":
        return _checked({**self.model_dump(by_alias=True), **values})

    def pace_ms(self) -> tuple[float, float]:
        """Latency and interval that apply, the fault `slow` included."""
        if self.fault != "slow":
            return self.latency_ms, self.chunk_interval_ms
        return max(self.latency_ms, SLOW_LATENCY_MS), max(self.chunk_interval_ms, SLOW_INTERVAL_MS)


def _checked(values: Mapping[str, object]) -> Behaviour:
    try:
        return Behaviour.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        knob = ".".join(str(part) for part in first["loc"])
        raise Refusal(400, f"[simulated] the knob {knob!r} is wrong: {first['msg']}") from None
