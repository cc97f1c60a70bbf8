"""A token that found its way into a body is struck out, however it is written there."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.api.struck_tokens import StruckTokens
from tests.brownout.webhook_scenes import Webhook, a_payload, a_webhook

TOKENS = ('a-"token"/of\\the test', "1234567890123456")
STRIKES = StruckTokens(TOKENS)


def escaped(text: str, form: str = "\\u{:04x}") -> str:
    return "".join(form.format(ord(each)) for each in text)


@pytest.fixture
async def webhook(tmp_path: Path) -> AsyncIterator[Webhook]:
    async with a_webhook(tmp_path, tokens=TOKENS) as webhook:
        yield webhook


UPPER = "\\u{:04X}"
FORMS = [
    *(f'"{escaped(token)}"' for token in TOKENS),
    *(f'"x{escaped(token[:5])}{json.dumps(token[5:])[1:-1]}y"' for token in TOKENS),
    *(json.dumps(token) for token in TOKENS),
    f'"{escaped(TOKENS[0], UPPER)}"',
    json.dumps(TOKENS[0]).replace("/", "\\/"),
    json.dumps(TOKENS[0].replace(" ", "\t")),
    TOKENS[1],
    f"{TOKENS[1]}.0",
    "1.234567890123456e15",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_strikes_it_out_of_what_parses(form: str, encoding: str) -> None:
    struck = json.loads(STRIKES.body(f'{{"a": [{{"b": {form}}}]}}'.encode(encoding)))

    [[inner]] = [struck["a"]]
    assert "***" in inner["b"]
    assert not any(token in inner["b"] for token in TOKENS)


def test_strikes_it_out_of_names() -> None:
    assert json.loads(STRIKES.body(f'{{"{escaped(TOKENS[1])}": 1}}'.encode())) == {"***": 1}


@pytest.mark.parametrize("form", [each for each in FORMS[:8] if "\\t" not in each])
def test_strikes_it_out_of_what_does_not_parse(form: str) -> None:
    struck = STRIKES.body(f'{{"id": {form}, "x": "the "quoted" text"}}'.encode())

    assert b"***" in struck
    assert struck.endswith(b', "x": "the "quoted" text"}')


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "x", ["x", {"y": [1]}], {}, float("inf")])
def test_leaves_everything_else_as_it_is(value: object) -> None:
    assert json.loads(STRIKES.body(json.dumps({"a": value}).encode())) == {"a": value}


@pytest.mark.parametrize("depth", [100, 400, 900, 30_000])
def test_never_fails_on_what_lies_deep(depth: int) -> None:
    body = b"[" * depth + json.dumps(TOKENS[1]).encode() + b"]" * depth

    assert TOKENS[1].encode() not in STRIKES.body(body)


async def test_shows_no_escaped_token_anywhere(
    webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    payload = a_payload()
    written = [
        *(json.dumps({**payload, name: "@"}) for name in payload),
        json.dumps(payload | {"tags": "brownout:hard,brownout_scope:@"}),
        json.dumps(payload | {"tags": "brownout:@"}),
        json.dumps(payload | {"monitor": "@"}) + "}",
    ]

    answers = [
        await webhook.posts(body.replace("@", escaped(token)).encode(encoding), token=token)
        for body in written
        for encoding in ("utf-8", "utf-16")
        for token in TOKENS
    ]

    stored = [await webhook.all_of(name) for name in ("webhook_deliveries", "brownout_signals")]
    seen = [
        *(f"{each.headers} {each.text}" for each in answers),
        *(repr(record.__dict__) for record in caplog.records),
        repr(stored),
        repr(await webhook.events()),
    ]
    shown = [*TOKENS, repr(TOKENS[0])[1:-1], json.dumps(TOKENS[0])[1:-1], escaped(TOKENS[1])[:12]]
    assert [text for text in seen if any(each in text for each in shown)] == []
    assert "***" in repr(stored)
