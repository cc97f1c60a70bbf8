"""Events through Pub/Sub: the `Bus` engine of the cloud.

`publish` returns when Pub/Sub has stored the event. Callers share requests: while none is under
way an event leaves at once; behind one under way events gather until it is answered, or for a few
milliseconds. So nobody waits while it is quiet, and many calls at once cost few requests.

A request whose answer was lost is sent again, so an event may be stored twice: consumers are
idempotent by its id. A message that Pub/Sub refuses takes no other with it.

Topics, subscriptions, filters, retries and dead letters are Terraform's. Deliveries arrive as HTTP
requests, which `common/runtime/push.py` reads.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import google.auth
from google.api_core import exceptions
from google.api_core.retry import AsyncRetry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.pubsub_v1.services.publisher import PublisherAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.types import pubsub
from grpc import aio  # type: ignore[import-untyped]  # grpcio ships no types

from common.adapters.bus_subscriptions import message_attributes
from common.core.errors import PublishFailed
from common.core.events import TOPICS, Event

SCOPES = ("https://www.googleapis.com/auth/pubsub",)
MOST_MESSAGES = 1000
MOST_BYTES = 9_000_000
"""Of one request: Pub/Sub takes 1,000 messages and 10 MB, framing included.

https://cloud.google.com/pubsub/quotas#resource_limits
"""
GATHERING_S = 0.005

_CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_send_message_length", -1),
    # Retries are those below, not some of a configuration from outside.
    ("grpc.service_config_disable_resolution", 1),
)
_PASSING = if_exception_type(
    exceptions.Aborted,
    exceptions.Cancelled,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
    exceptions.Unknown,
)

_Message = pubsub.PubsubMessage.pb()
_Request = pubsub.PublishRequest.pb()


class PubsubBus:
    """The topics PREFIX-usage, PREFIX-events and PREFIX-commands of a project.

    Nothing is opened before the first use: a fork may come first.
    """

    def __init__(
        self, project: str, prefix: str, *, emulator: str | None = None, deadline_s: float = 10.0
    ) -> None:
        """Note the address.

        Args:
            project: of Google Cloud.
            prefix: of the topics' names.
            emulator: HOST:PORT of an emulator, which is asked without encryption or credentials.
            deadline_s: seconds after which an event counts as not accepted, repeated attempts
                included.
        """
        self._emulator = emulator
        self._deadline_s = deadline_s
        self._retry = AsyncRetry(
            predicate=_PASSING, initial=0.05, maximum=1.0, multiplier=2.0, timeout=deadline_s
        )
        self._names: dict[str, str] = {
            topic: f"projects/{project}/topics/{prefix}-{topic}" for topic in TOPICS
        }
        self._outboxes = {name: _Outbox(self._sender(name)) for name in self._names.values()}
        self._opening = asyncio.Lock()
        self._client: PublisherAsyncClient | None = None
        self._closed = False

    async def publish(self, topic: str, event: Event) -> None:
        """Return when Pub/Sub has stored the event.

        Raises:
            PublishFailed: there is no such topic, the event is too large, or Pub/Sub did not say in
                time that it has it.
        """
        name = self._names.get(topic)
        if name is None:
            raise PublishFailed(f"there is no topic {topic}: use one of {', '.join(TOPICS)}")
        if self._closed:
            raise PublishFailed(f"{name}: the bus is closed")
        message = _Message(data=event.payload(), attributes=message_attributes(event))
        size = message.ByteSize()
        if size > MOST_BYTES:
            raise PublishFailed(f"{name}: {event.id} has {size} bytes, more than {MOST_BYTES}")
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._outboxes[name].put(message, size)
        except TimeoutError:
            raise PublishFailed(f"{name}: no answer within {self._deadline_s:g} s") from None

    async def aclose(self) -> None:
        """Send what was handed over and close; every later event is not accepted."""
        self._closed = True
        for outbox in self._outboxes.values():
            await outbox.finish()
        if self._client is not None:
            await self._client.transport.close()  # type: ignore[no-untyped-call]  # it has no types

    def _sender(self, name: str) -> "Callable[[list[Any]], Awaitable[None]]":
        async def send(messages: list[Any]) -> None:
            request = pubsub.PublishRequest(_Request(topic=name, messages=messages))
            try:
                client = await self._open()
                await client.publish(request, retry=self._retry, timeout=self._deadline_s)
            except exceptions.InvalidArgument as error:
                raise _Refused(f"{name}: {error.message}") from error
            except (exceptions.GoogleAPIError, GoogleAuthError) as error:
                raise PublishFailed(f"{name}: {error}") from error

        return send

    async def _open(self) -> PublisherAsyncClient:
        async with self._opening:
            if self._client is None:
                transport = PublisherGrpcAsyncIOTransport(channel=await self._channel())
                self._client = PublisherAsyncClient(transport=transport)
            return self._client

    async def _channel(self) -> aio.Channel:
        if self._emulator is not None:
            return aio.insecure_channel(self._emulator, options=_CHANNEL_OPTIONS)
        # It asks the metadata server, and waits.
        credentials, _ = await asyncio.to_thread(google.auth.default, scopes=SCOPES)
        return PublisherGrpcAsyncIOTransport.create_channel(
            credentials=credentials, options=_CHANNEL_OPTIONS
        )


class _Refused(PublishFailed):
    """Pub/Sub does not take this request, however often it is sent."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    message: Any
    accepted: "asyncio.Future[None]"


class _Outbox:
    """The events of one topic on their way out."""

    def __init__(self, send: Callable[[list[Any]], Awaitable[None]]) -> None:
        self._send = send
        self._gathered: list[_Waiting] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def put(self, message: Any, size: int) -> None:
        """Return when the message is accepted.

        Raises:
            PublishFailed: it is not.
        """
        loop = asyncio.get_running_loop()
        if len(self._gathered) == MOST_MESSAGES or self._bytes + size > MOST_BYTES:
            self._leave()
        waiting = _Waiting(message, loop.create_future())
        self._gathered.append(waiting)
        self._bytes += size
        if not self._under_way:
            self._leave()
        elif self._timer is None:
            self._timer = loop.call_later(GATHERING_S, self._leave)
        await waiting.accepted

    async def finish(self) -> None:
        """Wait for what is under way and what has gathered behind it."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gathered:
            request = asyncio.create_task(self._deliver(self._gathered))
            self._under_way.add(request)
            request.add_done_callback(self._answered)
            self._gathered, self._bytes = [], 0

    def _answered(self, request: "asyncio.Task[None]") -> None:
        self._under_way.discard(request)
        if not self._under_way:
            self._leave()

    async def _deliver(self, batch: list[_Waiting]) -> None:
        failure: PublishFailed | None = PublishFailed("the bus was closed before it was sent")
        try:
            await self._send([waiting.message for waiting in batch])
            failure = None
        except _Refused as error:
            failure = error
            if len(batch) > 1:
                for waiting in batch:
                    await self._deliver([waiting])
        except PublishFailed as error:
            failure = error
        finally:
            for waiting in batch:
                if not waiting.accepted.done():  # its caller has not gone
                    _settle(waiting.accepted, failure)


def _settle(accepted: "asyncio.Future[None]", failure: PublishFailed | None) -> None:
    if failure is None:
        accepted.set_result(None)
    else:  # each caller has an exception of its own, since raising writes into it
        accepted.set_exception(PublishFailed(failure.detail))
