"""A consumer for tests: remembers every envelope and answers as it was told."""

import asyncio
import base64
import json
from typing import Any


class Inbox:
    """An endpoint. Answers the given statuses first, an exception is raised; then always 204."""

    def __init__(self, *answers: int | Exception) -> None:
        self._answers = list(answers)
        self.envelopes: list[dict[str, Any]] = []
        self._arrived = asyncio.Condition()

    async def __call__(self, envelope: dict[str, Any]) -> int:
        self.envelopes.append(envelope)
        answer = self._answers.pop(0) if self._answers else 204
        async with self._arrived:
            self._arrived.notify_all()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def holds(self, count: int) -> None:
        """Wait until `count` envelopes have arrived."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: len(self.envelopes) >= count)

    @property
    def ids(self) -> list[str]:
        """Ids of the events, in order of arrival."""
        return [event["id"] for event in self.events]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [
            json.loads(base64.b64decode(envelope["message"]["data"])) for envelope in self.envelopes
        ]
