"""Where a call goes is told by its URL in one way, for us as for other readers of it."""

import string
import traceback

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.adapters.lean_errors import NotARequest
from common.adapters.lean_urls import Proxy, read_proxy, read_url
from common.core.errors import InvalidSettings
from common.runtime.function_settings import SETTINGS
from common.runtime.settings import read_settings

HOSTS = st.one_of(
    st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,9}[a-zA-Z0-9])?(\.[a-z]{2,5}){0,2}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
PORTS = st.one_of(st.just(""), st.integers(1, 65_535).map(lambda port: f":{port}"))
TEXT = st.text(string.printable.strip() + " é€%?/.", max_size=20)


@given(st.sampled_from(["http", "https"]), HOSTS, PORTS, TEXT, st.one_of(st.none(), TEXT))
def test_reads_what_it_reads_as_httpx_does(
    scheme: str, host: str, port: str, path: str, query: str | None
) -> None:
    url = f"{scheme}://{host}{port}/{path}" + ("" if query is None else f"?{query}")
    try:
        read = read_url(url)
    except NotARequest:
        return
    other = httpx.URL(url)

    default = {"http": 80, "https": 443}[scheme]
    assert read.origin == (other.scheme, other.raw_host.decode(), other.port or default)
    assert read.host == other.netloc
    assert read.target == other.raw_path


@pytest.mark.parametrize(
    ("url", "origin", "host", "target"),
    [
        ("https://api.openai.com/v1/x", ("https", "api.openai.com", 443), b"api.openai.com", None),
        ("https://A.B:443/v1/x", ("https", "a.b", 443), b"a.b", None),
        ("http://a.b:8080/v1/x", ("http", "a.b", 8080), b"a.b:8080", None),
        ("http://[::1]:8080/v1/x", ("http", "::1", 8080), b"[::1]:8080", None),
        ("https://a.b", ("https", "a.b", 443), b"a.b", b"/"),
        ("https://a.b?x=1", ("https", "a.b", 443), b"a.b", b"/?x=1"),
        ("https://a.b/x?#y", ("https", "a.b", 443), b"a.b", b"/x?"),
        ("https://a.b/a b?c d", ("https", "a.b", 443), b"a.b", b"/a%20b?c%20d"),
    ],
)
def test_reads(url: str, origin: tuple[str, str, int], host: bytes, target: bytes | None) -> None:
    read = read_url(url)

    assert (read.origin, read.host, read.target) == (origin, host, target or b"/v1/x")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.b/x",
        "ftp://a.b/x",
        "https:///x",
        "https://:443/x",
        "https://user@a.b/x",
        "https://user:word@a.b/x",
        "https://a.b\\@c.d/x",
        "https://a.b:0/x",
        "https://a.b:65536/x",
        "https://a.b:x/x",
        "https://a b/x",
        "https://a.b\r\nx/",
        "https://ä.b/x",
        "https://[a.b]/x",
        "https://[::1/x",
        "https://::1/x",
        "https://a.b/x/../y",
        "https://a.b/..",
        "https://a.b/./y",
        "https://a.b/x/%2E%2e/y",
    ],
)
def test_refuses(url: str) -> None:
    with pytest.raises(NotARequest):
        read_url(url)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy:3128", Proxy("proxy", 3128, by_tls=False, authorization=None)),
        ("https://proxy", Proxy("proxy", 443, by_tls=True, authorization=None)),
        (
            "http://user:w%40rd@[::1]:8080/",
            Proxy("::1", 8080, by_tls=False, authorization=b"Basic dXNlcjp3QHJk"),
        ),
        ("http://u:a@b@p:1", Proxy("p", 1, by_tls=False, authorization=b"Basic dTphQGI=")),
        ("http://u@p:1", Proxy("p", 1, by_tls=False, authorization=b"Basic dTo=")),
    ],
)
def test_reads_a_proxy(url: str, proxy: Proxy) -> None:
    assert read_proxy(url) == proxy


UNREADABLE_PROXIES = [
    "socks5://secret:1080",
    "secret:3128",
    "http://",
    "http://secret:b",
    "http://u:secret/PW@proxy:3128",
    "http://u:12345/secret@proxy:3128",
    "http://u:12345?secret@proxy:3128",
    "http://u:12345#secret@proxy:3128",
    "http://u:secret@proxy:notaport",
    "http://u:secret@proxy:99999",
    "http://u:secret@proxy:0",
    "http://u:secret@",
    "http://[::1secret",
    "http://proxy:3128/secret",
    "http://proxy:3128 secret",
]


@pytest.mark.parametrize("url", UNREADABLE_PROXIES)
def test_says_what_a_proxy_is_given_as_and_nothing_of_what_was_given(url: str) -> None:
    with pytest.raises(ValueError, match=r"^a proxy is given as http://HOST:PORT") as refused:
        read_proxy(url)

    told = "".join(traceback.format_exception(refused.value))
    assert "secret" not in told.lower()
    assert "PW" not in told


@pytest.mark.parametrize("function", ["proxy", "brownout_tick", "pricing", "insights"])
def test_no_function_that_reaches_out_starts_with_a_proxy_that_is_none(
    monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    monkeypatch.delenv("K_SERVICE", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://u:secret/PW@proxy:3128")

    with pytest.raises(InvalidSettings, match=r"^HTTPS_PROXY: .*given as http://HOST") as refused:
        read_settings(SETTINGS[function])

    assert "secret" not in "".join(traceback.format_exception(refused.value)).lower()
