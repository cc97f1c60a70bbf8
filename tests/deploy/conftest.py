"""Parts of an installation: its Pub/Sub on the emulator, and what stands behind Cloud Run."""

import base64
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.runtime.app import app
from tests.deploy.cloud import Cloud, a_cloud, resolves_here
from tests.emulators import a_project, pubsub_emulator

__all__ = ["pubsub_emulator"]

PREFIX = "oco"
ATTEMPTS = 5
"""The fewest deliveries before a dead letter that Pub/Sub allows."""

DEADLINE_S = 600


@dataclass(frozen=True, slots=True)
class Pubsub:
    """The emulator, asked for one project. `consumer` is a subscription that refuses."""

    project: str
    http: httpx.Client

    @property
    def url(self) -> str:
        return f"pubsub://{self.project}/{PREFIX}"

    def ask(self, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        method = "POST" if ":" in what else "PUT"
        response = self.http.request(method, f"projects/{self.project}/{what}", json=body)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        message = {"data": base64.b64encode(data).decode(), "attributes": dict(attributes)}
        self.ask(f"topics/{PREFIX}-{topic}:publish", {"messages": [message]})

    def take(self, subscription: str) -> list[dict[str, Any]]:
        """Messages that wait, acknowledged at once: attributes and data."""
        received = self._pull(subscription)
        if received:
            ids = [each["ackId"] for each in received]
            self.ask(f"subscriptions/{PREFIX}-{subscription}:acknowledge", {"ackIds": ids})
        return [
            {
                "attributes": each["message"]["attributes"],
                "data": json.loads(base64.b64decode(each["message"]["data"])),
            }
            for each in received
        ]

    def give_up(self, subscription: str) -> None:
        """Refuse what waits until Pub/Sub makes dead letters of it."""
        for _ in range(ATTEMPTS):
            ids = [each["ackId"] for each in self._pull(subscription)]
            refusal = {"ackIds": ids, "ackDeadlineSeconds": 0}
            self.ask(f"subscriptions/{PREFIX}-{subscription}:modifyAckDeadline", refusal)
        assert self._pull(subscription) == []

    def _pull(self, subscription: str) -> list[dict[str, Any]]:
        asked = {"maxMessages": 100, "returnImmediately": True}
        answer = self.ask(f"subscriptions/{PREFIX}-{subscription}:pull", asked)
        found: list[dict[str, Any]] = answer.get("receivedMessages", [])
        return found


@pytest.fixture
def pubsub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pubsub]:
    """Topics, a consumer that may give up, another one, and where dead letters stay."""
    address = request.getfixturevalue(pubsub_emulator.__name__)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
    app.cache_clear()
    with httpx.Client(base_url=f"http://{address}/v1/", trust_env=False, timeout=30) as http:
        made = Pubsub(a_project(), http)
        for topic in ("usage", "commands", "dead-letter"):
            made.ask(f"topics/{PREFIX}-{topic}", {})
        names = f"projects/{made.project}/topics/{PREFIX}"
        policy = {"deadLetterTopic": f"{names}-dead-letter", "maxDeliveryAttempts": ATTEMPTS}
        for name, topic in (("consumer", "usage"), ("sweeps", "commands")):
            made.ask(
                f"subscriptions/{PREFIX}-{name}",
                {"topic": f"{names}-{topic}", "deadLetterPolicy": policy},
            )
        for name, topic in (("other", "usage"), ("dead-letter", "dead-letter")):
            made.ask(
                f"subscriptions/{PREFIX}-{name}",
                {"topic": f"{names}-{topic}", "ackDeadlineSeconds": DEADLINE_S},
            )
        monkeypatch.setenv("BUS_URL", made.url)
        yield made
    app.cache_clear()


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A sound installation whose names lead to this machine."""
    real = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        return real("127.0.0.1" if resolves_here(name) else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("BUS_URL", "")
    with a_cloud(tmp_path) as running:
        yield running
