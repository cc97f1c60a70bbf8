"""Which models and providers a key covers, and that no spelling of a body gets around it."""

import pytest

from common.gateway.access import check_access
from common.gateway.destinations import VENDORS
from common.gateway.keys import KeyPolicy
from common.gateway.refusals import Refusal
from common.llm.forms import FORMS
from common.llm.paths import ProtocolName
from tests.gateway.making import a_key

CHEAP = KeyPolicy(models=("gpt-4o-mini*", "claude-haiku-?-5"))


def _check(
    policy: KeyPolicy, body: bytes, *, protocol: ProtocolName = "openai", metered: bool = True
) -> None:
    form = FORMS["openai_chat" if protocol == "openai" else "anthropic_messages"]
    destination = VENDORS[protocol]
    check_access(a_key(policy=policy), destination, form.read_facts(body), body, metered=metered)


def _code(policy: KeyPolicy, body: bytes) -> str:
    with pytest.raises(Refusal) as raised:
        _check(policy, body)
    return raised.value.code


@pytest.mark.parametrize("model", [b"gpt-4o-mini", b"gpt-4o-mini-2024-07-18", b"claude-haiku-4-5"])
def test_a_model_within_the_globs_passes(model: bytes) -> None:
    _check(CHEAP, b'{"model":"' + model + b'"}')


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"gpt-5"}',
        b'{"model":"GPT-4O-MINI"}',
        b'{"model":" gpt-4o-mini"}',
        b'{"model":""}',
        b'{"model":["gpt-4o-mini"]}',
        b"{}",
    ],
)
def test_any_other_model_is_refused(body: bytes) -> None:
    assert _code(CHEAP, body) == "model_not_allowed"


def test_a_call_without_a_model_is_told_why() -> None:
    with pytest.raises(Refusal, match="names none; nobody tells which models an agent works with"):
        _check(CHEAP, b"{}")


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"gpt-4o-mini","model":"gpt-5"}',
        b'{"model":"gpt-5","model":"gpt-4o-mini"}',
        b'{"m\\u006fdel":"gpt-5","model":"gpt-4o-mini"}',
        b'{"model":"gpt-4o-mini","x":{"a":1,"a":2}}',
        b'{"model":"gpt-4o-mini"',
        b'[{"model":"gpt-4o-mini"}]',
        b'{"model":"gpt-4o-mini","x":"\\ud800"}',
        b'\xef\xbb\xbf{"model":"gpt-4o-mini"}',
        '{"model":"gpt-4o-mini"}'.encode("utf-16"),
        b"",
    ],
)
def test_a_body_that_could_name_another_model_is_refused(body: bytes) -> None:
    assert _code(CHEAP, body) == "unreadable_request"


def test_a_key_without_globs_carries_any_body() -> None:
    _check(KeyPolicy(), b'{"model":"gpt-5","model":"o3"')


def test_a_provider_outside_the_key_s_list_is_refused() -> None:
    policy = KeyPolicy(upstreams=("anthropic",))

    assert _code(policy, b'{"model":"gpt-5"}') == "upstream_not_allowed"
    _check(policy, b'{"model":"claude-haiku-4-5"}', protocol="anthropic")


def test_a_list_of_models_needs_the_provider_but_no_model() -> None:
    _check(CHEAP, b"", metered=False)
    with pytest.raises(Refusal, match="may not call openai"):
        _check(KeyPolicy(upstreams=("anthropic",)), b"", metered=False)


def test_a_refusal_says_what_is_allowed() -> None:
    with pytest.raises(Refusal, match=r"'gpt-5'. It may use: gpt-4o-mini\*, claude-haiku-\?-5"):
        _check(CHEAP, b'{"model":"gpt-5"}')


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%s\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n\xff\r\n--b--\r\n'
)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (FORM % b"whisper-1", None),
        (FORM % b"gpt-4o-transcribe", "model_not_allowed"),
        (FORM % b"whisper-1" + FORM % b"gpt-4o-transcribe", "unreadable_request"),
    ],
)
def test_a_form_names_its_model_as_a_body_does(body: bytes, code: str | None) -> None:
    key = a_key(policy=KeyPolicy(models=("whisper-*",)))
    facts = FORMS["openai_transcripts"].read_facts(body)

    if code is None:
        check_access(key, VENDORS["openai"], facts, body, metered=True)
        return
    with pytest.raises(Refusal) as raised:
        check_access(key, VENDORS["openai"], facts, body, metered=True)
    assert raised.value.code == code
