"""What tests are sent with is read when one is made, and is refused where it may cost money."""

import os

import pytest

from common.core.errors import InvalidSettings
from common.core.ports import Documents
from common.llm.price_book import bundled_book
from common.runtime.function_settings import LlmTestSettings, ProxySettings
from common.runtime.llm_tests import make_llm_tests
from common.runtime.settings import read_settings
from tests.api.conftest import SetClock

NAMES = ("TEST_LLM_UPSTREAM", "PROXY_URL", "TEST_LLM_KEY")


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


async def test_is_read_at_each_test(
    documents: Documents, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = make_llm_tests(documents, clock, os.urandom, bundled_book())
    before = tests.way()
    for name, value in zip(NAMES, ("tried", "https://proxy", "ocg_x"), strict=True):
        monkeypatch.setenv(name, value)
    after = tests.way()

    assert (before.upstream, before.proxy_url, before.key) == (None, None, None)
    assert (after.upstream, after.proxy_url) == ("tried", "https://proxy")
    assert after.key is not None
    assert after.key.reveal() == "ocg_x"
    assert "ocg_x" not in repr(after)


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "gemini"])
def test_refuses_a_vendor(monkeypatch: pytest.MonkeyPatch, vendor: str) -> None:
    monkeypatch.setenv("TEST_LLM_UPSTREAM", vendor)

    with pytest.raises(InvalidSettings, match=r"^TEST_LLM_UPSTREAM: .*costs money"):
        read_settings(ProxySettings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TEST_LLM_UPSTREAM", "../orgs"),
        ("PROXY_URL", "http://proxy.example.com"),
        ("PROXY_URL", "https://proxy.example.com/?key=x"),
        ("TEST_LLM_KEY", "ocg_canary\nx"),
    ],
)
def test_refuses_what_cannot_be_sent(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(InvalidSettings, match=f"^{name}: ") as refused:
        read_settings(LlmTestSettings)
    assert "canary" not in str(refused.value)
