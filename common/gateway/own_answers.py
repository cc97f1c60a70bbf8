"""What the gateway tells a key's holder about itself, and what it is told of its answers.

`GET /gateway/v1/status` and `POST /gateway/v1/estimate` know their caller by the gateway key, as
calls do, and judge a described call by the very steps a call takes. Nothing is sent to a provider,
held or published, but for feedback (`POST /v1/feedback`), which is published. Errors have OpenAI's
form, since no provider's API is called.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from common.core.ids import time_ordered_id
from common.core.ports import Clock
from common.gateway.access import may_call
from common.gateway.answer import Answer
from common.gateway.call import Call
from common.gateway.credentials import Shown, read_credentials
from common.gateway.deadlines import Deadlines
from common.gateway.destinations import Destination
from common.gateway.directory import Directory
from common.gateway.estimates import Aim, Estimates, budget_told
from common.gateway.feedback import FEEDBACK_PATHS, MOST_BYTES, FeedbackDesk
from common.gateway.incoming import Incoming
from common.gateway.keys import Key
from common.gateway.pool import Pool
from common.gateway.refusals import Refusal
from common.gateway.spending import Spending
from common.llm.facts import EDIT_LIMIT_BYTES
from common.llm.paths import Endpoint
from common.llm.price_book import PriceBook
from common.llm.protocol import PROTOCOLS
from common.llm.unmetered import UnmeteredPaths

logger = logging.getLogger(__name__)

STATUS_PATH = "/gateway/v1/status"
ESTIMATE_PATH = "/gateway/v1/estimate"
_METHODS = {STATUS_PATH: "GET", ESTIMATE_PATH: "POST", **dict.fromkeys(FEEDBACK_PATHS, "POST")}
_ACCEPTED = 202
_PROTOCOL = PROTOCOLS["openai"]


class Identify(Protocol):
    """Find the caller's key and attribute the call; raises Refusal."""

    async def __call__(
        self, call: Call, shown: Shown, incoming: Incoming, deadlines: Deadlines
    ) -> Key: ...


@dataclass(frozen=True, slots=True)
class OwnAnswers:
    """Answers for key holders. `identify` and `aim` are the steps that calls take."""

    identify: Identify
    aim: Aim
    directory: Directory
    spending: Spending
    pool: Pool
    clock: Clock
    entropy: Callable[[int], bytes]
    book: PriceBook
    body_bytes: int
    body_s: float
    unmetered: UnmeteredPaths
    feedback: FeedbackDesk

    async def answered(self, incoming: Incoming, answer: Answer) -> bool:
        """Answer a request for one of these paths; False for any other."""
        if incoming.path not in _METHODS:
            return False
        request_id = time_ordered_id(self.clock.now(), self.entropy(10))
        try:
            body = await self._answer(incoming, request_id)
        except Refusal as refusal:
            await answer.refuse(refusal, _PROTOCOL, request_id)
        else:
            status = _ACCEPTED if incoming.path in FEEDBACK_PATHS else 200
            await answer.whole(status, orjson.dumps(body), request_id)
        await answer.end()
        return True

    async def _answer(self, incoming: Incoming, request_id: str) -> dict[str, Any]:
        """What is answered. Every failure leaves as a Refusal."""
        method = _METHODS[incoming.path]
        if incoming.method != method:
            raise Refusal(
                "method_not_allowed", f"{incoming.path} takes {method} only.", allow=(method,)
            )
        deadlines = Deadlines(self.body_s)
        works = {STATUS_PATH: self._status, ESTIMATE_PATH: self._estimate}
        work = works.get(incoming.path, self._rate)
        try:
            with deadlines:
                return await work(incoming, deadlines, request_id)
        except TimeoutError:
            raise Refusal(
                "incomplete_request",
                f"The request could not be answered within {self.body_s:g} s. Send it again.",
            ) from None
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001 - the one place that owns this request
            logger.error(  # noqa: TRY400 - the message of an unknown error is not safe to log
                "own_answer.failed",
                extra={"request_id": request_id, "error": type(error).__name__},
            )
            raise Refusal(
                "internal_error",
                f"The gateway failed on this request. Give its operator the id {request_id}.",
            ) from None

    async def _status(
        self, incoming: Incoming, deadlines: Deadlines, request_id: str
    ) -> dict[str, Any]:
        endpoint = Endpoint("openai", "status", "GET", incoming.path, None)
        call = self._call(request_id, endpoint)
        key, _ = await self._known(call, incoming, deadlines)
        # Without a model all budgets of the key's scopes apply, whichever models they are for.
        to = await self.spending.applicable(call, key, None)
        standings = await self.spending.standings(to)
        destinations = await self.directory.current()
        return {
            "identity": _identity(call, key),
            "budgets": [
                budget_told(self.spending, standing, self.clock.now()) for standing in standings
            ],
            "upstreams": [
                self._upstream(destinations[name])
                for name in sorted(destinations)
                if may_call(key.policy, destinations[name])
            ],
            "book": call.book.digest,
        }

    async def _estimate(
        self, incoming: Incoming, deadlines: Deadlines, request_id: str
    ) -> dict[str, Any]:
        endpoint = Endpoint("openai", "estimate", "POST", incoming.path, None)
        caller = self._call(request_id, endpoint)
        key, shown = await self._known(caller, incoming, deadlines)
        # The described body is looked for in the bytes, which costs too much in larger ones.
        most_bytes = min(self.body_bytes, EDIT_LIMIT_BYTES)
        sent = await incoming.body(deadlines, most_bytes, self.body_s)
        estimates = Estimates(
            aim=self.aim,
            make_call=lambda asked: self._call(request_id, asked),
            spending=self.spending,
            unmetered=self.unmetered,
        )
        return await estimates.of(sent, caller, key, shown, incoming)

    async def _rate(
        self, incoming: Incoming, deadlines: Deadlines, request_id: str
    ) -> dict[str, Any]:
        endpoint = Endpoint("openai", "feedback", "POST", incoming.path, None)
        caller = self._call(request_id, endpoint)
        key, _ = await self._known(caller, incoming, deadlines)
        sent = await incoming.body(deadlines, MOST_BYTES, self.body_s)
        return await self.feedback.take(sent, caller, key)

    async def _known(
        self, call: Call, incoming: Incoming, deadlines: Deadlines
    ) -> tuple[Key, Shown]:
        shown = read_credentials(incoming.headers, incoming.query, call.protocol.name)
        return await self.identify(call, shown, incoming, deadlines), shown

    def _call(self, request_id: str, endpoint: Endpoint) -> Call:
        """A call that nobody accounts."""
        return Call(
            id=request_id,
            started_at=self.clock.now(),
            arrived_s=self.clock.monotonic(),
            protocol=PROTOCOLS[endpoint.protocol],
            endpoint=endpoint,
            book=self.book,
        )

    def _upstream(self, destination: Destination) -> dict[str, Any]:
        """The keys of an upstream by name; those that are not set by their variable."""
        credentials: list[dict[str, Any]] = []
        for each in destination.credentials:
            rests_s = round(self.pool.resting_s(destination, each), 3)
            state = "resting" if rests_s else "set"
            credentials.append({"name": each.name, "state": state, "resting_s": rests_s})
        credentials += [
            {"variable": variable, "state": "unset", "resting_s": 0.0}
            for variable in destination.unset
        ]
        return {
            "name": destination.name,
            "provider": destination.provider,
            "pays": destination.pays,
            "credentials": credentials,
        }


def _identity(call: Call, key: Key) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "line": key.line,
        "org": key.org,
        "team": key.team,
        "agent": call.attribution.agent if call.attribution is not None else key.agent,
        "project": key.project,
        "expires_at": key.expires_at,
    }
