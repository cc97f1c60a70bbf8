"""What the body of Datadog's webhook says, in every form it comes in."""

import json
import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from common.adapters.alert_readings import Ignored, Understood, Unreadable
from common.adapters.datadog import FIELDS, TRANSITIONS, read_webhook
from common.brownout.modes import Mode
from common.brownout.policy import Meaning
from common.brownout.signals import Signal
from tests.brownout.scenes import T0
from tests.brownout.webhook_scenes import a_default_body, a_payload


def read(
    body: object = None,
    monitors: dict[str, Meaning] | None = None,
    org: str | None = "acme",
    **of: Any,
) -> Understood | Ignored | Unreadable:
    data = a_payload(**of) if body is None else body
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    return read_webhook(content, received_at=T0, default_org=org, monitors=monitors or {})


def understood(body: object = None, **of: Any) -> Understood:
    found = read(body, **of)
    assert isinstance(found, Understood), found
    return found


def the_signal(body: object = None, **of: Any) -> Signal:
    [signal] = understood(body, **of).received.signals
    return signal


def test_reads_the_payload_that_the_module_sets_up() -> None:
    found = understood()

    assert found.received.event_id.startswith("7211111111111111111:")
    assert found.received.deed == "raise"
    assert found.received.signals == (
        Signal(
            source="datadog",
            monitor="1234567",
            group="env:prod,service:chat",
            scope="team:acme/search",
            level=Mode.HARD,
            observed_at=T0,
            received_at=T0,
            lease_until=T0,
            link="https://app.datadoghq.com/event/event?id=7211111111111111111",
        ),
    )


def test_reads_the_default_body_of_a_monitor_that_the_policy_names() -> None:
    monitors = {"monitor:1234567": Meaning(Mode.EMERGENCY, "provider:openai")}

    signal = the_signal(a_default_body(), monitors=monitors)

    assert (signal.level, signal.scope, signal.group, signal.observed_at) == (
        Mode.EMERGENCY,
        "provider:openai",
        "env:prod,service:chat",
        T0,
    )


def test_keeps_no_free_text_of_the_default_body() -> None:
    found = read(a_default_body())

    assert isinstance(found, Ignored)
    assert found.reason.startswith("no level")
    assert set(found.fields) == {
        "id",
        "monitor",
        "transition",
        "scope",
        "date",
        "updated",
        "org",
    }
    assert "slow" not in repr(found)


@pytest.mark.parametrize(
    ("transition", "deed", "level"),
    [
        ("Triggered", "raise", Mode.HARD),
        ("Re-Triggered", "raise", Mode.HARD),
        ("Warn", "raise", Mode.SOFT),
        ("Re-Warn", "raise", Mode.SOFT),
        ("Renotify", "renew", Mode.HARD),
        ("Recovered", "end", None),
        ("  re-triggered ", "raise", Mode.HARD),
    ],
)
def test_knows_what_each_transition_asks_for(
    transition: str, deed: str, level: Mode | None
) -> None:
    received = understood(transition=transition).received

    levels = [] if level is None else [level]
    assert (received.deed, [each.level for each in received.signals]) == (deed, levels)


@pytest.mark.parametrize("transition", ["No Data", "Re-No Data", "no  data"])
def test_keeps_what_was_known_where_there_is_no_data(transition: str) -> None:
    received = understood(transition=transition).received

    assert (received.deed, received.signals) == ("keep", ())


@pytest.mark.parametrize("transition", ["Muted", "Alert", "OK", "triggered!"])
def test_ignores_a_transition_that_nobody_knows(transition: str) -> None:
    found = read(transition=transition)

    assert isinstance(found, Ignored)
    assert transition.lower() in found.reason


def test_knows_all_transitions_that_there_are() -> None:
    """As listed in https://docs.datadoghq.com/integrations/webhooks/ (ALERT_TRANSITION)."""
    assert set(TRANSITIONS) == {
        "recovered",
        "triggered",
        "re-triggered",
        "no data",
        "re-no data",
        "warn",
        "re-warn",
        "renotify",
    }


def test_never_warns_below_soft() -> None:
    assert the_signal(transition="Warn", tags="brownout:soft").level == Mode.SOFT


def test_renews_a_warning_one_level_lower() -> None:
    assert the_signal(transition="Renotify", type="warning").level == Mode.SOFT


@pytest.mark.parametrize(
    ("tags", "scopes"),
    [
        ("brownout:hard", ["global"]),
        ("brownout:hard,brownout_scope:global", ["global"]),
        ("brownout:hard, brownout_scope:model:llama3:8b", ["model:llama3:8b"]),
        (
            "brownout_scope:team:search,brownout:hard,brownout_scope:provider:openai",
            ["team:acme/search", "provider:openai"],
        ),
        ("brownout:hard,brownout_scope:team:search,brownout_scope:team:acme/search", None),
        (["brownout:hard", "brownout_scope:org:other"], ["org:other"]),
    ],
)
def test_takes_every_scope_that_the_tags_name_once(tags: Any, scopes: list[str] | None) -> None:
    found = [each.scope for each in understood(tags=tags).received.signals]

    assert found == (scopes or ["team:acme/search"])


def test_notes_a_scope_that_is_none_beside_one_that_is() -> None:
    found = understood(tags="brownout:hard,brownout_scope:galaxy:milky,brownout_scope:org:acme")

    assert [each.scope for each in found.received.signals] == ["org:acme"]
    assert len(found.notes) == 1
    assert "galaxy:milky" in found.notes[0]


def test_takes_no_scope_that_is_none_for_everything() -> None:
    found = read(tags="brownout:hard,brownout_scope:galaxy:milky")

    assert isinstance(found, Ignored)


def test_takes_no_team_without_an_organisation_for_everything() -> None:
    assert isinstance(read(org=None), Ignored)


def test_bounds_the_scopes_of_one_event() -> None:
    names = [f"o{n:04}" for n in range(2000)]
    tags = ["brownout:hard", *(f"brownout_scope:org:{name}" for name in reversed(names))]

    found = understood(tags=",".join(tags))

    assert [each.scope for each in found.received.signals] == [f"org:{n}" for n in names[:20]]
    [note] = found.notes
    assert note.startswith("an alert has at most 20 scopes; left out: org:o0020, org:o0021,")
    assert note.endswith(", org:o0219 and 1780 more")


@pytest.mark.parametrize("tags", ["brownout:extreme", "brownout:normal", "brownout:"])
def test_ignores_a_level_that_is_none(tags: str) -> None:
    found = read(tags=tags)

    assert isinstance(found, Ignored)
    assert "is no level" in found.reason


def test_takes_the_highest_of_several_levels() -> None:
    assert the_signal(tags="brownout:soft,brownout:emergency").level == Mode.EMERGENCY


@pytest.mark.parametrize(
    ("meaning", "transition", "level", "scope"),
    [
        (Meaning(Mode.EMERGENCY, "org:x"), "Triggered", Mode.EMERGENCY, "org:x"),
        (Meaning(Mode.EMERGENCY, "org:x"), "Warn", Mode.HARD, "org:x"),
        (Meaning(Mode.SOFT, None), "Triggered", Mode.SOFT, "team:acme/search"),
        (Meaning(None, "org:x"), "Triggered", Mode.HARD, "org:x"),
    ],
)
def test_believes_the_policy_more_than_the_tags(
    meaning: Meaning, transition: str, level: Mode, scope: str
) -> None:
    signal = the_signal(transition=transition, monitors={"monitor:1234567": meaning})

    assert (signal.level, signal.scope) == (level, scope)


@pytest.mark.parametrize("nothing", [None, "", "null", "  ", "$ALERT_ID", {}, [], 1.5, True])
def test_takes_what_was_not_filled_in_for_missing(nothing: Any) -> None:
    found = read(monitor=nothing)

    assert isinstance(found, Unreadable)
    assert found.missing == ("monitor",)


def test_names_all_that_is_missing() -> None:
    found = read({"v": 1, "id": "$ID"})

    assert isinstance(found, Unreadable)
    assert found.missing == ("id", "monitor", "transition")


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b'"text"', b"{}"])
def test_finds_nothing_in_json_that_is_no_event(body: bytes) -> None:
    found = read(body)

    assert isinstance(found, Unreadable)
    assert found.missing == ("id", "monitor", "transition")


def test_takes_numbers_for_ids() -> None:
    found = understood(id=7211111111111111111, monitor=1234567)

    assert found.received.event_id == understood().received.event_id
    assert found.received.signals[0].monitor == "1234567"


SECONDS = int(T0.timestamp())


@pytest.mark.parametrize(
    ("updated", "date", "seen"),
    [
        (SECONDS - 60, "", T0 - timedelta(seconds=60)),
        (str((SECONDS - 60) * 1000), "", T0 - timedelta(seconds=60)),
        ((SECONDS - 60) * 1000.0, "", T0 - timedelta(seconds=60)),
        ("$LAST_UPDATED", SECONDS - 90, T0 - timedelta(seconds=90)),
        (SECONDS + 1, "", T0),
        ((SECONDS + 601) * 1000, "", T0),
        ("yesterday", "", T0),
        ("0", "", T0),
        (-SECONDS, "", T0),
        ("9" * 400, "", T0),
        (None, None, T0),
    ],
)
def test_reads_seconds_and_milliseconds_and_doubts_the_future(
    updated: Any, date: Any, seen: datetime
) -> None:
    assert the_signal(updated=updated, date=date).observed_at == seen


@pytest.mark.parametrize(
    "link",
    ["http://app.datadoghq.com/x", "javascript:alert(1)", "https://x/ y", "https://" + "x" * 500],
)
def test_keeps_no_link_that_nobody_should_follow(link: str) -> None:
    assert the_signal(link=link).link is None


def test_tells_the_groups_of_a_monitor_apart_whatever_the_order_of_their_tags() -> None:
    tags = [f"tag:{n}" for n in range(9)]

    signal = the_signal(scope=" , ".join(reversed(tags)))

    assert signal.group == ",".join(tags)
    assert signal.id == the_signal(scope=",".join(tags)).id
    assert signal.id != the_signal(scope=",".join(tags[1:])).id


def test_tells_long_groups_of_one_beginning_apart() -> None:
    one, other = (the_signal(scope=f"pod:{'x' * 2000}{end}") for end in "ab")

    assert one.id != other.id
    assert len(one.group) == len(other.group) == 500


BROKEN = b"""{"v":1, "id": 7211, "monitor":"1234567","transition":"Triggered",
 "tags":"brownout:hard,brownout_scope:org:acme", "updated":"1772452800000", "scope": "env:prod",
 "link": "the "quoted" text"}"""


def test_searches_the_fields_of_a_body_that_is_no_json() -> None:
    found = understood(BROKEN)

    assert found.received.event_id.startswith("7211:")
    assert [(each.scope, each.group) for each in found.received.signals] == [
        ("org:acme", "env:prod")
    ]
    assert found.notes == ("the body is no JSON: fields were searched for",)


@pytest.mark.parametrize("name", ["id", "monitor", "transition", "tags", "updated"])
def test_names_what_cannot_be_found_in_a_body_that_is_no_json(name: str) -> None:
    found = read(BROKEN.replace(f'"{name}"'.encode(), b'"other"'))

    assert isinstance(found, Unreadable)
    assert found.missing == (name,)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\x00", b"[" * 60_000, b"1" * 60_000])
def test_finds_nothing_in_what_is_no_json_at_all(body: bytes) -> None:
    found = read(body)

    assert isinstance(found, Unreadable)
    assert found.missing == ("id", "monitor", "transition", "tags", "updated")


def test_cuts_what_it_lets_others_keep() -> None:
    found = read({name: f"{name}{'x' * 5000}" for name in FIELDS})

    assert all(len(text) <= 300 for text in found.fields.values())


def test_holds_no_character_that_a_store_or_a_log_refuses() -> None:
    odd = "a\x00b\ud800c\nd"

    found = understood(monitor=odd, scope=odd, link=f"https://x/{odd}", id=odd)

    assert found.received.event_id.startswith("a b c d:")
    repr(found).encode()


def test_searches_any_body_in_time_that_grows_with_its_length() -> None:
    """The worst of many pieces is done at once; a pattern that starts over would take minutes."""
    chance = random.Random(7)
    pieces = ['"id"', ":", '"', "\\", "7", "\n", " ", '"tags":"', '"monitor":"\\"']

    for piece in pieces:
        body = "{" + "".join(chance.choice([piece, piece, '"id":"']) for _ in range(9000))
        assert isinstance(read(body.encode()[:65536]), Unreadable | Ignored | Understood)
