"""What is posted has the form of its receiver and keeps its limits, whatever a message says."""

import hmac
import json
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.core.secrets import Secret
from common.incidents.channels import Channel
from common.incidents.outgoing import REPEATED, post_of
from common.incidents.pagerduty import EU_URL, pagerduty_body
from common.incidents.slack import escaped, slack_body
from common.incidents.teams import teams_body
from common.incidents.told import SEVERITIES, Link, Told, cut, units
from common.incidents.webhook import signature
from tests.gateway.making import START
from tests.notifier.conftest import HOOK, PAGER, SLACK, TEAMS

AWKWARD = st.sampled_from('&<>\U0001f600"\\\n')


def _repeated(characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda each, many: each * many, characters, st.integers(1, 6_000))


TEXTS = st.one_of(
    st.text(st.characters(), max_size=200), _repeated(st.characters()), _repeated(AWKWARD)
)
LINKS = st.builds(
    Link,
    TEXTS,
    st.one_of(
        TEXTS,
        st.builds(lambda path: f"https://a.example/{path}", TEXTS),
        st.just("https://a.example/?b&c"),
    ),
)
MESSAGES = st.builds(
    Told,
    id=st.just("event-1"),
    type=st.just("incident.opened"),
    severity=st.sampled_from(SEVERITIES),
    scope=TEXTS,
    title=TEXTS,
    what=st.lists(TEXTS, max_size=80).map(tuple),
    since=st.just(START),
    doing=TEXTS,
    affected=TEXTS,
    links=st.lists(LINKS, max_size=5).map(tuple),
    dedup_key=TEXTS,
    happened_at=st.just(START),
)

PLAIN = Told(
    id="event-1",
    type="incident.opened",
    severity="error",
    scope="team:acme/search",
    title="Opened: <!channel> & more",
    what=("It goes from normal to hard.",),
    since=START - timedelta(hours=1),
    doing="Calls are made cheaper.",
    affected="Calls of team:acme/search",
    links=(
        Link("The incident", "https://console.example.com/console/incidents/1"),
        Link("The cause", "https://app.datadoghq.com/monitors/1?a=1&b=2"),
    ),
    dedup_key="2026-11-20-abc234",
    happened_at=START,
)


@given(MESSAGES, TEXTS)
def test_slack_takes_every_message(told: Told, note: str) -> None:
    body = slack_body(told, note)

    json.dumps(body).encode()
    assert 1 <= units(body["text"]) <= 3_000
    assert 1 <= len(body["blocks"]) <= 50
    header, *blocks = body["blocks"]
    assert 1 <= units(header["text"]["text"]) <= 150
    for block in blocks:
        assert block["type"] == "section"
        assert 1 <= units(block["text"]["text"]) <= 3_000 if "text" in block else True
        fields = block.get("fields", [])
        assert len(fields) <= 10
        assert all(1 <= units(each["text"]) <= 2_000 for each in fields)


@given(TEXTS, st.integers(10, 300))
def test_slack_sees_no_mention_and_no_entity_cut_in_two(text: str, limit: int) -> None:
    shown = escaped(text, limit)

    assert units(shown) <= limit
    assert "<" not in shown
    assert ">" not in shown
    assert all(part.startswith(("amp;", "lt;", "gt;")) for part in shown.split("&")[1:])


@given(MESSAGES, TEXTS)
def test_teams_takes_every_message(told: Told, note: str) -> None:
    body = teams_body(told, note)

    assert len(json.dumps(body).encode()) < 28_000
    [attachment] = body["attachments"]
    assert attachment["content"]["body"][0]["inlines"][0]["text"]


@given(MESSAGES, TEXTS)
def test_pagerduty_takes_every_message(told: Told, note: str) -> None:
    body = pagerduty_body(told, note, "trigger", "key")

    assert len(json.dumps(body).encode()) < 512_000
    assert 1 <= units(body["payload"]["summary"]) <= 1_024
    assert len(body["dedup_key"]) <= 255
    assert all(each["href"].startswith("http") for each in body["links"])


@given(MESSAGES, TEXTS, st.booleans())
def test_a_webhook_takes_every_message(told: Told, note: str, repeated: bool) -> None:
    post = post_of(HOOK, Secret("key"), told, notes=(note,), maybe_repeated=repeated, now=START)

    assert post is not None
    assert json.loads(post.body)["maybe_repeated"] is repeated


@given(TEXTS, st.integers(0, 50))
def test_cuts_no_character_in_two(text: str, limit: int) -> None:
    whole = text.encode("utf-8", "replace").decode()

    shown = cut(whole, limit)

    assert units(shown) <= limit
    assert whole.startswith(shown.removesuffix("...") if units(whole) > limit > 3 else "")


def test_says_to_slack_what_since_when_what_is_done_and_who_is_affected() -> None:
    assert slack_body(PLAIN, "") == {
        "text": "[error] Opened: &lt;!channel&gt; &amp; more",
        "blocks": [
            {
                "type": "header",
                "text": {
                    "type": "plain_text",
                    "text": "[error] Opened: &lt;!channel&gt; &amp; more",
                    "emoji": False,
                },
            },
            {"type": "section", "text": _mrkdwn("It goes from normal to hard.")},
            {
                "type": "section",
                "fields": [
                    _mrkdwn("*Since*\n2026-11-20 11:00:00 UTC"),
                    _mrkdwn("*Scope*\nteam:acme/search"),
                    _mrkdwn("*What is done*\nCalls are made cheaper."),
                    _mrkdwn("*Affected*\nCalls of team:acme/search"),
                ],
            },
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": "<https://console.example.com/console/incidents/1|The incident> · "
                    "<https://app.datadoghq.com/monitors/1?a=1&amp;b=2|The cause>",
                },
            },
        ],
    }


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def test_sends_teams_a_card_in_the_envelope_of_workflows() -> None:
    body = teams_body(PLAIN, "a note")

    [attachment] = body["attachments"]
    card = attachment["content"]
    assert (body["type"], attachment["contentType"], attachment["contentUrl"]) == (
        "message",
        "application/vnd.microsoft.card.adaptive",
        None,
    )
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    shown = ["".join(run["text"] for run in block["inlines"]) for block in card["body"]]
    assert shown == [
        "error: Opened: <!channel> & more",
        "It goes from normal to hard.",
        "Since: 2026-11-20 11:00:00 UTC",
        "Scope: team:acme/search",
        "What is done: Calls are made cheaper.",
        "Affected: Calls of team:acme/search",
        "a note",
    ]
    assert [each["url"] for each in card["actions"]] == [link.url for link in PLAIN.links]


@pytest.mark.parametrize("severity", SEVERITIES)
def test_tells_pagerduty_the_severity_one_to_one(severity: Any) -> None:
    body = pagerduty_body(replace(PLAIN, severity=severity), "", "trigger", "key")

    assert body["payload"]["severity"] == severity
    assert (body["routing_key"], body["dedup_key"]) == ("key", "2026-11-20-abc234")


@pytest.mark.parametrize("deed", ["acknowledge", "resolve"])
def test_tells_pagerduty_no_more_than_the_key_of_what_is_over(deed: Any) -> None:
    assert pagerduty_body(PLAIN, "", deed, "key") == {
        "routing_key": "key",
        "event_action": deed,
        "dedup_key": "2026-11-20-abc234",
    }


def test_keeps_long_keys_of_pagerduty_apart() -> None:
    keys = {
        pagerduty_body(replace(PLAIN, dedup_key="k" * 300 + end), "", "trigger", "")["dedup_key"]
        for end in "ab"
    }

    assert len(keys) == 2


def test_signs_what_a_receiver_of_ones_own_is_sent() -> None:
    post = post_of(HOOK, Secret("key"), PLAIN, notes=(), maybe_repeated=False, now=START)

    assert post is not None
    time, _, told = post.headers["x-signature"].partition(",v1=")
    assert time == f"t={int(START.timestamp())}"
    expected = hmac.new(b"key", time[2:].encode() + b"." + post.body, sha256).hexdigest()
    assert hmac.compare_digest(told, expected)
    assert (
        signature(post.body + b" ", Secret("key"), int(START.timestamp()))
        != (post.headers["x-signature"])
    )


@pytest.mark.parametrize("channel", [SLACK, TEAMS, PAGER, HOOK], ids=lambda each: each.kind)
def test_says_that_it_may_be_a_repetition(channel: Channel) -> None:
    def body(*, maybe_repeated: bool) -> str:
        post = post_of(
            channel, Secret("s"), PLAIN, notes=(), maybe_repeated=maybe_repeated, now=START
        )
        assert post is not None
        return post.body.decode()

    assert REPEATED in body(maybe_repeated=True)
    assert REPEATED not in body(maybe_repeated=False)


def test_posts_to_the_region_that_a_channel_of_pagerduty_names() -> None:
    european = replace(PAGER, url=EU_URL)

    post = post_of(european, Secret("k"), PLAIN, notes=(), maybe_repeated=False, now=START)

    assert post is not None
    assert post.url.reveal() == EU_URL


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "https://", "https://a b", "https://a/|x", "file:///etc", "http://[x"],
)
def test_shows_no_link_that_leads_elsewhere_than_to_the_web(url: str) -> None:
    told = replace(PLAIN, links=(Link("x", url),))

    for body in (
        slack_body(told, ""),
        teams_body(told, ""),
        pagerduty_body(told, "", "trigger", ""),
    ):
        assert url not in json.dumps(body)


def test_shows_nothing_of_a_post_in_its_text() -> None:
    post = post_of(
        SLACK, Secret("https://hooks.slack.com/x"), PLAIN, notes=(), maybe_repeated=False, now=START
    )

    assert repr(post) == "Post(url=***)"
