"""A message on its way: what is posted to whom, and what may come of it.

A `Post` holds a secret in its address, a header or its body, and shows none of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from common.core.secrets import Secret
from common.incidents.channels import Channel
from common.incidents.pagerduty import URL, pagerduty_body
from common.incidents.slack import slack_body
from common.incidents.teams import teams_body
from common.incidents.told import Told
from common.incidents.webhook import SIGNATURE, signature, webhook_body

REPEATED = "This may be a repetition: it is not known whether the first one arrived."


@dataclass(frozen=True, slots=True)
class Post:
    """One request by POST of JSON. What of it is secret is not told for each kind: all is."""

    url: Secret
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The receiver will never take it.

    `may_be_its_form`: perhaps it is this message alone, and not whatever is sent there.
    """

    reason: str
    may_be_its_form: bool = False


@dataclass(frozen=True, slots=True)
class NotNow:
    """The receiver may take it later, after `after_s` seconds if it said so.

    `sent` tells that all of it may have arrived all the same.
    """

    reason: str
    after_s: float | None = None
    sent: bool = False


Result: TypeAlias = Taken | Refused | NotNow


class Sender(Protocol):
    async def send(self, post: Post) -> Result:
        """Post it, within ten seconds. Reasons hold no address, header or body. Never raises."""


def post_of(
    channel: Channel,
    secret: Secret,
    told: Told,
    *,
    notes: tuple[str, ...],
    maybe_repeated: bool,
    now: datetime,
) -> Post | None:
    """What is posted to a channel; None where its receiver has nothing to do with it.

    `notes` stand below the message.
    """
    note = " ".join((*notes, REPEATED) if maybe_repeated else notes)
    match channel.kind:
        case "slack":
            return Post(secret, _json(slack_body(told, note)))
        case "teams":
            return Post(secret, _json(teams_body(told, note)))
        case "pagerduty":
            if told.deed is None:
                return None
            body = pagerduty_body(told, note, told.deed, secret.reveal())
            return Post(Secret(channel.url or URL), _json(body))
        case "webhook":
            text = _json(webhook_body(told, note, maybe_repeated=maybe_repeated))
            signed = signature(text, secret, int(now.timestamp()))
            return Post(Secret(channel.url or ""), text, {SIGNATURE: signed})


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()
