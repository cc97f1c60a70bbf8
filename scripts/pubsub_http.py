"""Pub/Sub over its HTTP interface, for commands that people run, with the rights that they have.

The environment of a laptop has no client of Pub/Sub, and these commands need four requests of it.
Credentials are the application default ones, which Terraform takes too. An emulator is asked
without any.
"""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import google.auth
import httpx
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from common.adapters.bus_subscriptions import message_attributes
from common.core.errors import PublishFailed
from common.core.events import Event
from common.runtime.settings import BusSettings

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SERVICE = "https://pubsub.googleapis.com"
SCOPES = ("https://www.googleapis.com/auth/pubsub",)
TIMEOUT_S = 60.0
MOST_AT_ONCE = 100
"""Messages of one pull: even the largest, 10 MB each, fit into memory."""

DEAD_LETTERS = "dead-letter"
"""The subscription that keeps what others have given up."""

LOG_IN = "gcloud auth application-default login"


class PubsubFailed(Exception):
    """Pub/Sub did not do what it was asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message that nobody else gets before it is released or its deadline has passed."""

    handle: str
    message_id: str
    data: bytes
    attributes: Mapping[str, str]
    publish_time: datetime


class PubsubHttp:
    """The topics and subscriptions of one installation, named PREFIX-... in a project.

    Every method raises PubsubFailed.
    """

    def __init__(
        self, project: str, prefix: str, *, emulator: str | None = None, service: str = SERVICE
    ) -> None:
        self._project, self._prefix = project, prefix
        self._asks_for_credentials = emulator is None
        self._credentials: Credentials | None = None
        self._http = httpx.Client(
            base_url=f"{service if emulator is None else f'http://{emulator}'}/v1",
            timeout=TIMEOUT_S,
            trust_env=emulator is None,
        )

    @classmethod
    def of(cls, settings: BusSettings) -> "PubsubHttp | None":
        """That of the settings, None where the bus is another."""
        if settings.bus_url is None or not settings.bus_url.startswith("pubsub://"):
            return None
        project, _, prefix = settings.bus_url.removeprefix("pubsub://").partition("/")
        return cls(project, prefix, emulator=settings.pubsub_emulator_host)

    def close(self) -> None:
        self._http.close()

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        """Return when Pub/Sub has stored the message."""
        message = {"data": base64.b64encode(data).decode(), "attributes": dict(attributes)}
        self._ask(f"topics/{self._prefix}-{topic}:publish", {"messages": [message]})

    def pull(self, subscription: str, most: int) -> list[Received]:
        """What waits now, at most `most`; Pub/Sub may answer nothing although something waits."""
        asked = {"maxMessages": min(most, MOST_AT_ONCE), "returnImmediately": True}
        answer = self._ask(f"subscriptions/{self._prefix}-{subscription}:pull", asked)
        return [_received(each) for each in answer.get("receivedMessages", [])]

    def acknowledge(self, subscription: str, handle: str) -> None:
        name = f"subscriptions/{self._prefix}-{subscription}"
        self._ask(f"{name}:acknowledge", {"ackIds": [handle]})

    def release(self, subscription: str, handles: Sequence[str]) -> None:
        """Let others have the messages at once."""
        name = f"subscriptions/{self._prefix}-{subscription}"
        for start in range(0, len(handles), MOST_AT_ONCE):
            ids = list(handles[start : start + MOST_AT_ONCE])
            self._ask(f"{name}:modifyAckDeadline", {"ackIds": ids, "ackDeadlineSeconds": 0})

    def _ask(self, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        name, _, verb = what.rpartition(":")
        try:
            response = self._http.post(
                f"/projects/{self._project}/{what}", json=body, headers=self._identity()
            )
            answer = response.json()
        except httpx.HTTPError as error:
            raise PubsubFailed(f"{name}: Pub/Sub does not answer {verb} ({error})") from None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise PubsubFailed(f"{name}: Pub/Sub answered {response.status_code} without JSON")
        if not response.is_success:
            said = answer.get("error", {}).get("message", "no reason")
            raise PubsubFailed(f"{name}: {verb} answered {response.status_code}: {said}")
        return answer

    def _identity(self) -> dict[str, str]:
        if not self._asks_for_credentials:
            return {}
        try:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=SCOPES)
            if not self._credentials.valid:
                self._credentials.refresh(Request())  # type: ignore[no-untyped-call]  # it has no types
        except GoogleAuthError as error:
            raise PubsubFailed(f"there are no credentials: {LOG_IN} ({error})") from None
        return {"authorization": f"Bearer {self._credentials.token}"}


class HttpBus:
    """The port `Bus` over it."""

    def __init__(self, pubsub: PubsubHttp) -> None:
        self._pubsub = pubsub

    async def publish(self, topic: str, event: Event) -> None:
        """Return when Pub/Sub has stored the event.

        Raises:
            PublishFailed: it did not say that it has.
        """
        attributes = message_attributes(event)
        try:
            await asyncio.to_thread(self._pubsub.publish, topic, event.payload(), attributes)
        except PubsubFailed as error:
            raise PublishFailed(str(error)) from error


def _received(told: Mapping[str, Any]) -> Received:
    message = told["message"]
    return Received(
        handle=told["ackId"],
        message_id=message["messageId"],
        data=base64.b64decode(message.get("data", "")),
        attributes=message.get("attributes", {}),
        publish_time=datetime.fromisoformat(message["publishTime"]),
    )
