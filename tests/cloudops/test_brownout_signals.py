"""`scripts/cloudops brownout status|signals|deliveries`: which alert holds a mode, what came."""

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from common.brownout.deliveries import Delivery, delivery_entry
from common.brownout.modes import Mode
from common.brownout.signals import Evidence, Signal, signal_ref
from common.brownout.state import STATE, State
from common.brownout.trajectory import Lease, ScopeState
from common.core.ports import Put, Write
from tests.chosen_engines import state_of
from tests.cloudops.conftest import Cloudops

NOW = datetime.now(UTC).replace(microsecond=0)
UNTIL = NOW + timedelta(hours=1)
LINK = "https://app.datadoghq.com/monitors/17"


def shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def a_signal(scope: str = "provider:openai", **fields: Any) -> Signal:
    members: dict[str, Any] = {
        "source": "datadog",
        "monitor": "17",
        "group": "env:prod",
        "scope": scope,
        "level": Mode.HARD,
        "observed_at": NOW,
        "received_at": NOW,
        "lease_until": UNTIL,
        "link": LINK,
        "evidence": Evidence("error_rate", "12 %", "5 %"),
    }
    return Signal(**members | fields)


def store(folder: Path, writes: Sequence[Write]) -> None:
    async def commit() -> None:
        documents = state_of(folder)
        await documents.commit(writes)
        await documents.aclose()

    asyncio.run(commit())


def hold(folder: Path, *signals: Signal) -> None:
    """Two scopes are in hard; signals are those of the first."""
    lease = Lease(Mode.HARD, UNTIL, "errors")
    held = ScopeState(Mode.HARD, NOW, NOW, NOW, Mode.HARD, (lease,))
    state = State(scopes={"provider:openai": held, "team:acme/x": held})
    signals_ = [Put(signal_ref(each), each.to_data()) for each in signals]
    store(folder, [Put(STATE, state.to_data()), *signals_])


def cells(line: str) -> list[str]:
    return re.split(r" {2,}", line)


def test_says_which_monitor_holds_a_scope_what_it_saw_and_where(
    cloudops: Cloudops, tmp_path: Path
) -> None:
    hold(tmp_path, a_signal(), a_signal(monitor="18", lease_until=NOW - timedelta(minutes=1)))

    _, openai, team, told, _ = cloudops("brownout", "status").output.splitlines()

    assert cells(openai)[-1] == "hard by datadog monitor 17 (env:prod)"
    assert cells(team)[-1] == "hard, errors"
    assert told == (
        f"datadog monitor 17 (env:prod) says hard of provider:openai until {shown(UNTIL)};"
        f" error_rate 12 %, limit 5 %; {LINK}"
    )


def test_does_not_fill_the_screen_with_many(cloudops: Cloudops, tmp_path: Path) -> None:
    hold(tmp_path, *(a_signal(monitor=str(number)) for number in range(30)))

    lines = cloudops("brownout", "status").output.splitlines()

    assert lines[-2] == "10 more: `brownout signals` lists them."
    assert len(lines) == 3 + 20 + 2
    assert cells(lines[1])[-1].endswith(" and 27 more")


def test_lists_signals(cloudops: Cloudops, tmp_path: Path) -> None:
    over = NOW - timedelta(minutes=1)
    plain = a_signal("global", group="", lease_until=over, link=None, evidence=None, about="cost")
    hold(tmp_path, a_signal(), plain)

    names, *rows, count = cloudops("brownout", "signals").output.splitlines()
    one = cloudops("brownout", "signals", "--scope", "global").output.splitlines()
    listed = json.loads(cloudops("brownout", "signals", "--json").stdout)

    assert cells(names) == ["scope", "level", "alert", "until", "measured", "link"]
    assert sorted(map(cells, rows)) == [
        ["global", "hard", "datadog monitor 17", f"over since {shown(over)}", "cost", "-"],
        [
            "provider:openai",
            "hard",
            "datadog monitor 17 (env:prod)",
            shown(UNTIL),
            "error_rate 12 %, limit 5 %",
            LINK,
        ],
    ]
    assert (count, one[-1], len(listed["data"])) == ("2 signals.", "1 signal.", 2)


def test_lists_what_senders_posted(cloudops: Cloudops, tmp_path: Path) -> None:
    fields = {"monitor": "17", "transition": "Triggered"}
    taken = Delivery("datadog", NOW, 200, "applied", None, fields, ("one scope had no room",))
    later = NOW + timedelta(seconds=1)
    refused = Delivery("monitoring", later, 422, "refused", "the body does not say: id", {})
    store(
        tmp_path,
        [delivery_entry(taken, b"000000"), delivery_entry(refused, b"111111")],
    )

    names, *rows, count = cloudops("brownout", "deliveries").output.splitlines()
    one = cloudops("brownout", "deliveries", "--limit", "1").output.splitlines()

    assert cells(names) == ["time", "source", "http", "status", "monitor", "transition", "why"]
    assert [cells(row)[1:] for row in rows] == [
        ["monitoring", "422", "refused", "-", "-", "the body does not say: id"],
        ["datadog", "200", "applied", "17", "Triggered", "one scope had no room"],
    ]
    assert (count, len(one)) == ("2 requests.", 3)
