"""`scripts/cloudops doctor`: what may be wrong with an installation, and the fix for each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from scripts.commands.cloudops_client import ApiClient

MOST_SKEW = timedelta(seconds=5)
PROXY_HEALTH = "/gateway/v1/health"


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    fix: str


def findings(client: ApiClient, proxy_url: str) -> Iterator[Finding]:
    """Everything found wrong with the API at `client.url` and the proxy at `proxy_url`."""
    yield from _api(client)
    yield from _proxy(client, proxy_url)


def _api(client: ApiClient) -> Iterator[Finding]:
    health = _json(client.http, f"{client.url}/api/v1/health")
    if health is None or "sources" not in health:
        yield Finding(f"{client.url}: the API does not answer", "run scripts/dev, or give --url")
        return
    for source in health["sources"]:
        if source["status"] != "ok":
            yield Finding(
                f"{source['name']}: {source['detail']}",
                "stop other processes that use its file, and see that its disk has room",
            )
    skew = datetime.fromisoformat(health["as_of"]) - datetime.now(UTC)
    if abs(skew) > MOST_SKEW:
        yield Finding(
            f"the clocks differ by {skew.total_seconds():.0f} s",
            "let both machines set their clocks by NTP",
        )
    book = _json(client.http, f"{client.url}/api/v1/prices/book")
    if book is None or "data" not in book:
        yield Finding(
            "the API refuses this caller", "set CLOUDOPS_TOKEN to an administrator's identity token"
        )


def _proxy(client: ApiClient, proxy_url: str) -> Iterator[Finding]:
    health = _json(client.http, f"{proxy_url.rstrip('/')}{PROXY_HEALTH}")
    if health is None:
        yield Finding(f"{proxy_url}: the proxy does not answer", "run scripts/dev, or give --proxy")


def _json(http: httpx.Client, url: str) -> dict[str, Any] | None:
    try:
        answer = http.get(url).json()
    except (httpx.HTTPError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None
