"""How the sources of signals stand, and which of their monitors differ from the policy."""

from decimal import Decimal

import httpx

from common.brownout.drift import Watched
from common.brownout.modes import Mode
from common.brownout.sources import SourceStatus
from common.core.ports import Documents, Put
from tests.api.brownout_scenes import at
from tests.api.conftest import NOW

LINK = "https://app.datadoghq.eu/monitors/17"


def watched(fires_at: str) -> Watched:
    return Watched("17", "provider:openai", Mode.HARD, "latency_p95", Decimal(fires_at), LINK)


async def test_tells_how_each_source_stands(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    silent = SourceStatus("datadog", "silent", NOW, silent_since=at(-60), cause="it answers 500")
    await documents.commit([Put(silent.ref, silent.to_data())])

    [source] = (await client.get("/api/v1/brownout")).json()["data"]["sources"]

    assert source == {
        "source": "datadog",
        "standing": "silent",
        "asked_at": "2026-11-01T12:00:00Z",
        "silent_since": "2026-11-01T11:59:00Z",
        "cause": "it answers 500",
        "alerts": None,
        "drifts": [],
    }


async def test_tells_which_monitor_differs_from_the_policy_in_force(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    fine, other = watched("5.0"), watched("6.0")
    status = SourceStatus("datadog", "answers", NOW, alerts=0, watched=(fine, other))
    await documents.commit([Put(status.ref, status.to_data())])

    [source] = (await client.get("/api/v1/brownout")).json()["data"]["sources"]

    assert source["drifts"] == [
        {
            "monitor": "17",
            "scope": "provider:openai",
            "level": "hard",
            "measure": "latency_p95",
            "fires_at": "6.0",
            "policy_says": "5",
            "told": "monitor 17 fires at 6 s, the policy says 5 s",
            "link": LINK,
        }
    ]
