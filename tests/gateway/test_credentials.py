"""Whose key is whose, and what goes on to the provider."""

import pytest

from common.core.secrets import Secret
from common.gateway.credentials import (
    ProviderKey,
    answered_headers,
    forwarded_headers,
    forwarded_query,
    managed_key,
    read_credentials,
)
from common.gateway.destinations import Credential
from common.gateway.keys import key_digest
from common.gateway.refusals import Refusal
from tests.gateway.making import key_text

OURS = key_text()
MANAGED = Credential("main", Secret("sk-installation"))


def _read(headers: dict[str, str], *, query: str = "", anthropic: bool = False) -> ProviderKey:
    """The key that pays for a call with these headers."""
    shown = read_credentials(headers, query, "anthropic" if anthropic else "openai")
    assert shown.digest == key_digest(OURS)
    return shown.own or managed_key(MANAGED, "anthropic" if anthropic else "openai")


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"authorization": "Bearer sk-mine"}, ("authorization", "Bearer sk-mine")),
        ({"authorization": "bearer   sk-mine"}, ("authorization", "Bearer sk-mine")),
        ({"x-api-key": "sk-mine"}, ("x-api-key", "sk-mine")),
        (
            {"authorization": "Bearer sk-mine", "x-api-key": OURS},
            ("authorization", "Bearer sk-mine"),
        ),
        ({"authorization": f"Bearer {OURS}", "x-api-key": "sk-mine"}, ("x-api-key", "sk-mine")),
    ],
)
@pytest.mark.parametrize("anthropic", [False, True])
def test_a_caller_s_own_provider_key_goes_through_in_its_form(
    headers: dict[str, str], sent: tuple[str, str], anthropic: bool
) -> None:
    found = _read({"x-gateway-key": OURS, **headers}, anthropic=anthropic)

    assert ((found.header, found.value.reveal()), found.managed) == (sent, False)
    assert found.secret.reveal() == "sk-mine"


def test_a_provider_key_beside_ours_pays_whichever_header_ours_is_in() -> None:
    found = _read({"authorization": f"Bearer {OURS}", "x-api-key": "sk-mine"}, anthropic=True)

    assert (found.secret.reveal(), found.managed) == ("sk-mine", False)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": f"Bearer {OURS}"}, ""),
        ({"x-api-key": OURS}, ""),
        ({"x-goog-api-key": OURS}, ""),
        ({"api-key": OURS}, ""),
        ({}, f"a=1&key={OURS}"),
        ({"x-gateway-key": OURS}, ""),
        ({"x-gateway-key": OURS, "authorization": f"Bearer {OURS}"}, ""),
        ({"x-gateway-key": OURS, "authorization": "Bearer "}, ""),
        ({"x-gateway-key": OURS, "authorization": "Basic c2s6"}, ""),
    ],
)
def test_the_installation_s_key_pays_where_only_ours_was_sent(
    headers: dict[str, str], query: str
) -> None:
    openai = _read(headers, query=query)
    anthropic = _read(headers, query=query, anthropic=True)

    assert (openai.managed, openai.credential, anthropic.managed) == (True, "main", True)
    assert (openai.header, openai.value.reveal()) == ("authorization", "Bearer sk-installation")
    assert (anthropic.header, anthropic.value.reveal()) == ("x-api-key", "sk-installation")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_gateway_key"),
        ({"authorization": "Bearer sk-mine"}, "missing_gateway_key"),
        ({"authorization": OURS}, "missing_gateway_key"),
        ({"x-gateway-key": ""}, "missing_gateway_key"),
        ({"x-gateway-key": "sk-mine"}, "invalid_gateway_key"),
        ({"x-gateway-key": OURS[:-1] + ("a" if OURS[-1] != "a" else "b")}, "invalid_gateway_key"),
        ({"authorization": "Bearer ocg_short"}, "invalid_gateway_key"),
        ({"x-gateway-key": str(key_digest(OURS))}, "invalid_gateway_key"),
    ],
)
def test_a_missing_or_damaged_key_is_401(headers: dict[str, str], code: str) -> None:
    with pytest.raises(Refusal) as raised:
        _read(headers)

    assert (raised.value.code, raised.value.status) == (code, 401)


def test_no_refusal_repeats_a_key() -> None:
    with pytest.raises(Refusal) as raised:
        _read({"x-gateway-key": "ocg_almost", "authorization": "Bearer sk-mine"})

    assert "sk-mine" not in raised.value.message
    assert "almost" not in raised.value.message


def test_credentials_do_not_show_themselves() -> None:
    found = _read({"x-gateway-key": OURS, "authorization": "Bearer sk-mine"})

    assert "sk-mine" not in repr(found)


def test_only_the_chosen_credential_reaches_the_provider() -> None:
    raw = [
        (name.encode(), value.encode())
        for name, value in {
            "host": "gateway.example.com",
            "x-gateway-key": OURS,
            "x-gateway-agent": "indexer",
            "authorization": "Bearer sk-mine",
            "x-api-key": "sk-other",
            "x-goog-api-key": "AIza",
            "api-key": "azure",
            "x-brownout-mode": "hard",
            "x-priority": "high",
            "cookie": "a=b",
            "connection": "keep-alive, X-Hop",
            "x-hop": "1",
            "keep-alive": "timeout=5",
            "transfer-encoding": "chunked",
            "te": "trailers",
            "trailer": "x",
            "upgrade": "h2c",
            "expect": "100-continue",
            "proxy-authorization": "Basic x",
            "content-length": "12",
            "accept-encoding": "gzip, br",
            "x-forwarded-for": "192.0.2.1",
            "forwarded": "for=192.0.2.1",
            "via": "1.1 x",
            "x-serverless-authorization": "Bearer token",
            "x-goog-iap-jwt-assertion": "token",
            "anthropic-version": "2023-06-01",
            "openai-organization": "org-1",
            "content-type": "application/json",
            "user-agent": "OpenAI/Python 3",
        }.items()
    ]
    found = _read({"x-gateway-key": OURS, "authorization": "Bearer sk-mine"})

    assert forwarded_headers(raw, found) == [
        (b"anthropic-version", b"2023-06-01"),
        (b"openai-organization", b"org-1"),
        (b"content-type", b"application/json"),
        (b"user-agent", b"OpenAI/Python 3"),
        (b"authorization", b"Bearer sk-mine"),
        (b"accept-encoding", b"identity"),
    ]


def test_a_repeated_header_is_forwarded_as_often_as_it_came() -> None:
    raw = [(b"anthropic-beta", b"one"), (b"anthropic-beta", b"two")]
    found = _read({"x-gateway-key": OURS})

    assert forwarded_headers(raw, found)[:2] == raw


@pytest.mark.parametrize(
    ("query", "forwarded"),
    [
        ("", ""),
        ("a=%20b&c", "a=%20b&c"),
        ("key=AIza&a=1", "key=AIza&a=1"),
        (f"key={OURS}", ""),
        (f"beta=true&key={OURS}&b=", "beta=true&b="),
        (f"k%65y={OURS}&a=1", "a=1"),
        (f"key=AIza&key={OURS}", ""),
    ],
)
def test_a_gateway_key_is_taken_out_of_the_query(query: str, forwarded: str) -> None:
    assert forwarded_query(query, _read({"x-gateway-key": OURS}), "openai") == forwarded


def test_a_provider_s_headers_pass_but_for_those_of_the_connection() -> None:
    raw = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"3"),
        (b"X-Request-Id", b"req_1"),
        (b"Set-Cookie", b"a=b"),
        (b"Connection", b"close"),
        (b"Transfer-Encoding", b"chunked"),
        (b"X-Gateway-Cost-Usd", b"0"),
    ]
    kept = [(b"content-type", b"application/json"), (b"x-request-id", b"req_1")]

    assert answered_headers(raw, edited=True) == kept
    assert (b"content-length", b"3") in answered_headers(raw, edited=False)


def test_a_header_that_the_provider_s_connection_names_is_for_that_connection() -> None:
    raw = [
        (b"X-Hop", b"1"),
        (b"Connection", b"keep-alive, X-Hop"),
        (b"X-Kept", b"1"),
        (b"connection", b" x-other ,"),
        (b"x-other", b"1"),
    ]

    assert answered_headers(raw, edited=False) == [(b"x-kept", b"1")]


def test_a_caller_does_not_choose_who_pays_with_the_installation_s_key() -> None:
    raw = [(b"x-goog-user-project", b"theirs")]

    managed = forwarded_headers(raw, _read({"x-gateway-key": OURS}))
    own = forwarded_headers(raw, _read({"x-gateway-key": OURS, "authorization": "Bearer sk-mine"}))

    assert raw[0] not in managed
    assert raw[0] in own
