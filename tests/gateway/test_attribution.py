"""The key decides who pays; headers refine only what the key opens."""

import pytest

from common.gateway.attribution import Attribution, attribute, is_strict
from common.gateway.keys import KeyPolicy, PriorityName
from tests.gateway.making import a_key

HASH_KEY = b"installation"


def _attribute(**headers: str) -> Attribution:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return attribute(a_key(), named, HASH_KEY)


def test_the_key_names_agent_and_tags() -> None:
    found = _attribute()

    assert (found.agent, found.tags, found.warnings) == ("crawler", {"env": "prod"}, ())
    assert (found.user_hash, found.session_hash) == (None, None)


def test_an_agent_the_key_may_act_as_is_obeyed() -> None:
    found = _attribute(x_gateway_agent="indexer")

    assert (found.agent, found.warnings) == ("indexer", ())


@pytest.mark.parametrize("agent", ["ceo", "", "INDEXER", "indexer "])
def test_any_other_agent_is_named_and_ignored(agent: str) -> None:
    found = _attribute(x_gateway_agent=agent)

    assert found.agent == "crawler"
    assert found.warnings == ("x-gateway-agent is not an agent this key may act as; ignored",)


def test_a_tag_the_key_opens_is_taken() -> None:
    found = _attribute(x_gateway_tags=" feature=search, ")

    assert (found.tags, found.warnings) == ({"env": "prod", "feature": "search"}, ())


@pytest.mark.parametrize(
    "text", ["env=dev", "team=x", "feature", "=x", "feature=\x07", "feature=" + "x" * 257]
)
def test_a_tag_the_key_does_not_open_is_dropped(text: str) -> None:
    found = _attribute(x_gateway_tags=text)

    assert found.tags == {"env": "prod"}
    assert found.warnings == ("1 of x-gateway-tags ignored: not opened by this key, or malformed",)


def test_a_user_is_kept_as_a_hash_that_needs_the_installation_s_key() -> None:
    here = _attribute(x_gateway_user="jane@example.com", x_gateway_session="s1")
    elsewhere = attribute(a_key(), {"x-gateway-user": "jane@example.com"}, b"another")

    assert here.user_hash is not None
    assert len(here.user_hash) == 32
    assert here.user_hash not in {elsewhere.user_hash, here.session_hash}
    assert "jane" not in repr((here.user_hash, here.tags, here.warnings))


def test_unknown_headers_of_ours_are_counted_not_repeated() -> None:
    found = _attribute(x_gateway_team="payroll", x_gateway_org="other")

    assert found.warnings == ("2 unknown x-gateway-* headers ignored",)
    assert (found.key.org, found.key.team) == ("acme", "search")


@pytest.mark.parametrize(
    ("grant", "headers", "warning"),
    [
        ("normal", {"x-priority": "batch"}, None),
        ("normal", {"x-priority": " "}, None),
        ("critical", {"x-priority": "Critical"}, None),
        (
            "normal",
            {"x-priority": "critical"},
            "x-priority: critical is not granted to this key; taken as normal",
        ),
        (
            "batch",
            {"x-priority": "normal"},
            "x-priority: normal is not granted to this key; taken as batch",
        ),
        (
            "critical",
            {"x-priority": "9; urgent"},
            "x-priority is none of batch, normal, critical; taken as normal",
        ),
        ("normal", {"x-brownout": "off"}, "x-brownout takes the word strict alone; ignored"),
        (
            "normal",
            {"x-brownout": "Strict"},
            "x-brownout: strict is not granted to this key; ignored",
        ),
    ],
)
def test_what_a_call_wishes_of_a_brownout_in_vain_is_named(
    grant: PriorityName, headers: dict[str, str], warning: str | None
) -> None:
    found = attribute(a_key(policy=KeyPolicy(priority=grant)), headers, HASH_KEY)

    assert found.warnings == (() if warning is None else (warning,))


def test_a_key_that_may_opt_out_is_warned_of_other_words_alone() -> None:
    key = a_key(policy=KeyPolicy(may_opt_out=True))

    assert attribute(key, {"x-brownout": "strict"}, HASH_KEY).warnings == ()
    assert len(attribute(key, {"x-brownout": "none"}, HASH_KEY).warnings) == 1
    assert is_strict(key, {"x-brownout": " STRICT "})
    assert not is_strict(key, {"x-brownout": "off"})
    assert not is_strict(a_key(), {"x-brownout": "strict"})
