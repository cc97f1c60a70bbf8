"""No secret of a channel stands in a log, a document, an event or an error."""

import logging
from dataclasses import replace

import pytest

from common.core.errors import CloudOpsError
from common.core.ports import Query
from common.gateway.upstream import UpstreamDisconnected, UpstreamUnreachable
from common.incidents.channels import CHANNELS
from common.incidents.notices import CHANNEL_STATES, NOTICES
from common.runtime.logs import JsonLines
from tests.notifier.conftest import FOUR, SECRETS, Reply, Scene, an_incident

HOSTS = ("hooks.slack.com", "prod-1.example.com", "events.pagerduty.com", "ops.example.com")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(),
        Reply(400, body="|".join(SECRETS.values()).encode()),
        Reply(404, body=SECRETS["CHANNEL_SLACK"].encode()),
        Reply(500, body=SECRETS["CHANNEL_PAGER"].encode()),
        Reply(302, [(b"location", SECRETS["CHANNEL_TEAMS"].encode())]),
        UpstreamUnreachable("ClientConnectorError"),
        UpstreamDisconnected("ServerDisconnectedError"),
    ],
)
async def test_nothing_that_is_kept_or_told_holds_a_secret(
    scene: Scene, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    caplog.set_level(logging.DEBUG)
    await scene.add(*FOUR)
    scene.receivers.replies = {host: [reply] * 30 for host in HOSTS}
    errors = []

    for _ in range(10):
        try:
            await scene.notifier().take(an_incident())
        except CloudOpsError as error:
            errors.append(repr(error))

    kept = [
        repr(document.data)
        for collection in (CHANNELS, NOTICES, CHANNEL_STATES)
        for document in await scene.documents.query(Query(collection))
    ]
    lines = [JsonLines().format(record) for record in caplog.records]
    events = [event.model_dump_json() for event in scene.bus.published]
    assert kept
    assert lines
    for text in (*kept, *lines, *events, *errors):
        for secret in ("slack-secret", "teams-secret", "routing-key-secret", "signing-key-secret"):
            assert secret not in text


async def test_an_address_that_is_refused_is_not_repeated(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await scene.add(replace(FOUR[0]))
    scene.secrets["CHANNEL_SLACK"] = "http://hooks.slack.com/slack-secret"

    await scene.notifier().take(an_incident())

    told = [*map(JsonLines().format, caplog.records), *map(repr, scene.bus.published)]
    assert told
    assert all("slack-secret" not in text for text in told)
