"""What is measured: names, kinds and units of metrics, and the names of attributes.

Names that begin with ``gen_ai.`` are those of the conventions for generative AI, which are in
development: CONVENTIONS is the revision that they are taken from, and this is the one place that
follows a later one. Whoever measures says `Measurement`; who sends it where is not known here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

CONVENTIONS = "27f82f09c4e797dda0832f0030e3bd3e747e4b9d"
"""Commit of https://github.com/open-telemetry/semantic-conventions-genai (docs/gen-ai)."""

Kind: TypeAlias = Literal["counter", "histogram", "gauge"]

OPERATION = "gen_ai.operation.name"
GEN_AI_PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
MODALITY = "gen_ai.token.modality"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
HTTP_STATUS = "http.response.status_code"

PROVIDER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "aws": "aws.bedrock",
        "azure": "azure.ai.openai",
        "google": "gcp.gen_ai",
        "mistral": "mistral_ai",
        "moonshotai": "moonshot_ai",
        "x-ai": "x_ai",
    }
)
"""Providers that the conventions call otherwise than the price list. `google` is Gemini's own
address and that of Vertex AI, for which they have a name together."""

SECONDS = tuple(0.01 * 2**doubled for doubled in range(14))
"""0.01 to 81.92, doubling: the bounds that the conventions give to times of calls."""
TOKENS = tuple(4**power for power in range(14))
"""1 to 67,108,864, as the conventions give them to counts of tokens."""
COST = tuple(4**power for power in range(2, 19))
"""16 nano-USD to 69 USD; in nano-USD as the values are."""
LONG_SECONDS = (60, 120, 240, 480, 600, 900, 1200, 1800, 3600, 7200, 14400, 28800)

NANOS_PER_USD = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric. Values are told as they are kept, and sent divided by `parts` of the unit.

    `bounds` are those of a histogram's buckets, in what values are told in.
    """

    name: str
    kind: Kind
    unit: str
    about: str
    parts: int = 1
    bounds: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of one metric. Money is whole nano-USD."""

    instrument: Instrument
    value: float
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def _counter(name: str, unit: str, about: str, parts: int = 1) -> Instrument:
    return Instrument(name, "counter", unit, about, parts)


OPERATION_DURATION = Instrument(
    "gen_ai.client.operation.duration",
    "histogram",
    "s",
    "Time of a call to a provider.",
    bounds=SECONDS,
)
TIME_TO_FIRST_CHUNK = Instrument(
    "gen_ai.client.operation.time_to_first_chunk",
    "histogram",
    "s",
    "Time to the first chunk of a streamed call.",
    bounds=SECONDS,
)
USED_INPUT = _counter(
    "gen_ai.client.inference.usage.input_tokens",
    "{token}",
    "Tokens of requests, cached ones included, as providers report them.",
)
USED_OUTPUT = _counter(
    "gen_ai.client.inference.usage.output_tokens",
    "{token}",
    "Tokens of answers, those of reasoning included, as providers report them.",
)
USED_CACHE_READ = _counter(
    "gen_ai.client.inference.usage.cache_read.input_tokens",
    "{token}",
    "Tokens of requests that were read from a provider's cache.",
)
USED_CACHE_WRITE = _counter(
    "gen_ai.client.inference.usage.cache_write.input_tokens",
    "{token}",
    "Tokens of requests that were written into a provider's cache.",
)
USED_REASONING = _counter(
    "gen_ai.client.inference.usage.reasoning.output_tokens",
    "{token}",
    "Tokens of answers that were reasoning.",
)
TOKENS_USED = Instrument(
    "custom.llm.tokens.used", "histogram", "{token}", "Tokens of a call, by type.", bounds=TOKENS
)
COST_PER_REQUEST = Instrument(
    "custom.llm.cost.per_request",
    "histogram",
    "USD",
    "Cost of a call whose whole cost is known.",
    parts=NANOS_PER_USD,
    bounds=COST,
)
COST_TOTAL = _counter(
    "custom.llm.cost.total", "USD", "Cost of calls, as far as it is known.", NANOS_PER_USD
)
CALLS_UNPRICED = _counter(
    "custom.llm.calls.unpriced", "{call}", "Calls whose cost is not known in whole."
)
RESPONSE_DURATION = Instrument(
    "custom.llm.response.duration",
    "histogram",
    "s",
    "Time of a call that was answered, from its arrival.",
    bounds=SECONDS,
)
SERVICE_REQUESTS = _counter("custom.service.requests", "{call}", "Calls by how they ended.")
BROWNOUT_ACTIONS = _counter(
    "custom.brownout.actions", "{edit}", "What brownouts gave up of calls, by what became of it."
)
RESPONSE_TRUNCATED = _counter(
    "custom.response.truncated", "{call}", "Answers that were cut at the most tokens allowed."
)
RESPONSE_EMPTY = _counter("custom.response.empty", "{call}", "Answers without a token.")
QUALITY_SCORE = Instrument(
    "custom.response.quality_score",
    "histogram",
    "1",
    "What callers rated answers, 0 to 1.",
    bounds=tuple(tenths / 10 for tenths in range(1, 11)),
)
CURRENT_MODE = Instrument(
    "custom.brownout.current_mode",
    "gauge",
    "1",
    "Mode of a scope: 0 normal, 1 soft, 2 hard, 3 emergency.",
)
ACTIVATIONS = _counter(
    "custom.brownout.activations.count", "{change}", "Changes of a scope to a higher mode."
)
RECOVERY_DURATION = Instrument(
    "custom.brownout.recovery.duration",
    "histogram",
    "s",
    "Time from leaving normal to being back.",
    bounds=LONG_SECONDS,
)
COST_SAVED = _counter(
    "custom.brownout.cost_saved", "USD", "What brownouts saved, once they were over.", NANOS_PER_USD
)
COST_LOST = _counter(
    "custom.brownout.cost_lost", "USD", "What brownouts cost, once they were over.", NANOS_PER_USD
)
AVAILABILITY = Instrument(
    "custom.service.availability",
    "gauge",
    "%",
    "Calls answered, of all but those refused for what they asked, in the last five minutes.",
)
TOKEN_COST_PER_HOUR = Instrument(
    "custom.token_cost_per_hour",
    "gauge",
    "USD",
    "Cost of the last five minutes, as much as it would be in an hour.",
    parts=NANOS_PER_USD,
)
TTFT_P95 = Instrument(
    "custom.llm.ttft.p95",
    "gauge",
    "s",
    "Time to the first chunk that 95 % of the streamed calls of the last five minutes had by then.",
)
TELEMETRY_DROPPED = _counter(
    "custom.telemetry.dropped", "{fact}", "Calls, changes, readings and spans that were not sent."
)

INSTRUMENTS: tuple[Instrument, ...] = (
    OPERATION_DURATION,
    TIME_TO_FIRST_CHUNK,
    USED_INPUT,
    USED_OUTPUT,
    USED_CACHE_READ,
    USED_CACHE_WRITE,
    USED_REASONING,
    TOKENS_USED,
    COST_PER_REQUEST,
    COST_TOTAL,
    CALLS_UNPRICED,
    RESPONSE_DURATION,
    SERVICE_REQUESTS,
    BROWNOUT_ACTIONS,
    RESPONSE_TRUNCATED,
    RESPONSE_EMPTY,
    QUALITY_SCORE,
    CURRENT_MODE,
    ACTIVATIONS,
    RECOVERY_DURATION,
    COST_SAVED,
    COST_LOST,
    AVAILABILITY,
    TOKEN_COST_PER_HOUR,
    TTFT_P95,
    TELEMETRY_DROPPED,
)

OTHER = "other"
MOST_VALUES: Mapping[str, int] = MappingProxyType(
    {
        GEN_AI_PROVIDER: 50,
        REQUEST_MODEL: 50,
        ERROR_TYPE: 12,
        "provider": 50,
        "model": 50,
        "org": 50,
        "team": 100,
        "agent": 200,
        "scope": 200,
        "reason": 12,
        "action": 12,
    }
)
"""How many values of an attribute an instance tells apart; later ones are OTHER."""
MOST_SERIES = 2_000
"""Series of one instance; attributes of later ones are OTHER."""


class Telemetry(Protocol):
    """Where measurements go, and traces of calls. Neither ever fails whoever tells them."""

    def record(self, facts: "Sequence[Fact]") -> None:
        """Take what is known of some facts. Nothing is sent yet."""

    def miss(self, facts: int, reason: str) -> None:
        """Count facts that happened and of which nobody will tell more."""

    async def flush(self) -> None:
        """Return when what was recorded before is sent, or is kept to be sent later."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the time of a call, as traces show it. Ids are numbers, times in ns since 1970.

    `failed`: what went wrong, None where nothing did.
    """

    name: str
    kind: Literal["server", "client"]
    trace_id: int
    span_id: int
    parent_id: int | None
    start_ns: int
    end_ns: int
    attributes: Mapping[str, str | int | Sequence[str]]
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened once: all that is measured of it, and its part of a trace."""

    measurements: Sequence[Measurement]
    spans: Sequence[Span] = ()
