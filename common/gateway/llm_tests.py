"""One chat call through the installation's own proxy, to see what a call gets right now.

It goes the way of every call, with a gateway key, to an upstream that is there for it: whatever a
brownout gives up is given up of this call too. The key stands in one header and in no text that is
made here. At most `MOST_A_MINUTE` are sent over all instances.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import orjson

from common.budgets.rate_limits import CallLimits
from common.budgets.rate_windows import Over, RateWindows
from common.core.errors import CloudOpsError
from common.core.money import Nanos
from common.core.ports import Clock
from common.core.secrets import Secret
from common.gateway.sending import says_simulated
from common.gateway.upstream import Upstream, UpstreamError, UpstreamReply, UpstreamRequest
from common.llm.costs import cost_of
from common.llm.forms import FORMS
from common.llm.price_book import PriceBook

MOST_A_MINUTE = 60
DEADLINE_S = 50.0
"""Below what the function that serves it has."""
MOST_BYTES = 1024 * 1024
"""Of an answer."""

_LINE = "test-llm"
"""What its calls are counted under. No key's line is called so: those are random."""
_LONGEST_CAUSE = 300
_FORM = FORMS["openai_chat"]
_OK = 200


class LlmTestUnset(CloudOpsError):
    code = "test_llm_unset"
    status = 503


class TooManyLlmTests(CloudOpsError):
    code = "rate_limited"
    status = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            f"{MOST_A_MINUTE} tests are made in a minute; try again in {retry_after_s} s"
        )
        self.retry_after_s = retry_after_s


class LlmTestFailed(CloudOpsError):
    code = "test_llm_failed"
    status = 502


class LlmTestOverdue(CloudOpsError):
    code = "test_llm_timeout"
    status = 504


@dataclass(frozen=True, slots=True)
class Way:
    """How tests are sent. What is None is not set, and no test is sent then."""

    proxy_url: str | None
    upstream: str | None
    key: Secret | None


@dataclass(frozen=True, slots=True)
class LlmTested:
    """What became of a test.

    `cost` is by the price list of the upstream's provider, None where it has none for the model:
    then `cost_reason` says why. `edits` are what was given up, by name, and to what.
    """

    response: str
    model: str
    mode: str
    edits: tuple[tuple[str, str], ...]
    tokens: Mapping[str, int]
    cost: Nanos | None
    cost_reason: str | None
    duration_ms: float
    simulated: bool
    request_id: str


@dataclass(frozen=True, slots=True)
class LlmTests:
    """Makes tests. One per process.

    `way` is asked at each test, `connect` opens the connection to the proxy for one of them.
    """

    way: Callable[[], Way]
    connect: Callable[[], AbstractAsyncContextManager[Upstream]]
    windows: RateWindows
    clock: Clock
    book: PriceBook
    deadline_s: float = DEADLINE_S

    async def make(self, prompt: str, model: str) -> LlmTested:
        """Send one call and wait for its whole answer.

        Raises:
            LlmTestUnset: names what is to be set.
            TooManyLlmTests: the minute's tests are made.
            LlmTestFailed: the proxy or the provider refused it, or did not answer.
            LlmTestOverdue: no whole answer in time.
            StoreUnavailable: it cannot be counted.
        """
        url, key = _set_up(self.way())
        found = await self.windows.admit(_LINE, CallLimits(rpm=MOST_A_MINUTE), 0)
        if isinstance(found, Over):
            raise TooManyLlmTests(found.resets_in_s)
        asked = {"model": model, "messages": [{"role": "user", "content": prompt}]}
        headers = [
            (b"authorization", f"Bearer {key.reveal()}".encode()),
            (b"content-type", b"application/json"),
            (b"accept", b"application/json"),
        ]
        # Its address is the installation's own: it may be one of the own network.
        request = UpstreamRequest("POST", url, headers, orjson.dumps(asked), allow_private=True)
        started_s = self.clock.monotonic()
        reply_headers, body = await self._answer(request)
        duration_s = self.clock.monotonic() - started_s
        told = {
            name.decode("latin-1").lower(): text.decode("latin-1") for name, text in reply_headers
        }
        metered = _FORM.read_reply(body)
        cost = cost_of(
            metered,
            _FORM.read_facts(request.body),
            book=self.book,
            provider=told.get("x-gateway-provider", ""),
            at=self.clock.now(),
        )
        return LlmTested(
            response=_text(body),
            model=metered.model or model,
            mode=told.get("x-brownout-mode", "normal"),
            edits=_edits(told.get("x-brownout-actions", "")),
            tokens=metered.units,
            cost=cost.nanos,
            cost_reason=cost.reason,
            duration_ms=round(duration_s * 1000, 1),
            simulated=says_simulated(reply_headers),
            request_id=told.get("x-gateway-request-id", ""),
        )

    async def _answer(self, request: UpstreamRequest) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """The headers and the body of a good answer."""
        try:
            async with asyncio.timeout(self.deadline_s), self.connect() as upstream:
                reply = await upstream.send(request)
                try:
                    body = await _body(reply)
                finally:
                    await reply.aclose()
        except TimeoutError:
            raise LlmTestOverdue(f"no whole answer within {self.deadline_s:g} s") from None
        except UpstreamError as error:
            raise LlmTestFailed(
                f"the proxy at PROXY_URL does not answer ({error}); see that it is the address "
                "of this installation's proxy"
            ) from None
        if reply.status != _OK:
            raise _refused(reply, body)
        return reply.headers, body


def _set_up(way: Way) -> tuple[str, Secret]:
    """The address of the call, and the key."""
    given = {
        "TEST_LLM_UPSTREAM": (
            way.upstream,
            "the name of an upstream that answers simulated text, for the functions api and proxy",
        ),
        "PROXY_URL": (way.proxy_url, "the address of the proxy, for the function api"),
        "TEST_LLM_KEY": (way.key, "a gateway key, as a secret of the function api"),
    }
    missing = [f"{name} ({what})" for name, (value, what) in given.items() if value is None]
    if missing or way.proxy_url is None or way.key is None:
        raise LlmTestUnset(f"no test can be sent: set {', '.join(missing)}")
    return f"{way.proxy_url.rstrip('/')}/u/{way.upstream}/v1/chat/completions", way.key


async def _body(reply: UpstreamReply) -> bytes:
    body = bytearray()
    async for chunk in reply.chunks():
        body += chunk
        if len(body) > MOST_BYTES:
            raise LlmTestFailed(f"the answer has more than {MOST_BYTES} bytes")
    return bytes(body)


def _refused(reply: UpstreamReply, body: bytes) -> LlmTestFailed:
    code = next((text for name, text in reply.headers if name.lower() == b"x-gateway-error"), None)
    who = "the provider answered" if code is None else f"the proxy refused it ({code.decode()}):"
    message = _member(_parsed(body), "error", "message")
    told = f": {message[:_LONGEST_CAUSE]}" if isinstance(message, str) else ""
    return LlmTestFailed(f"{who} {reply.status}{told}")


def _text(body: bytes) -> str:
    choices = _member(_parsed(body), "choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        raise LlmTestFailed("what was answered is no chat completion")
    text = _member(first, "message", "content")
    return text if isinstance(text, str) else ""


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _member(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _edits(told: str) -> tuple[tuple[str, str], ...]:
    """What the proxy's header says was given up."""
    pairs = (each.partition("=") for each in told.split(",") if each)
    return tuple((name, value) for name, _, value in pairs)
