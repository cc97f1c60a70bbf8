"""Messages as the Events API of PagerDuty takes them, version 2.

Form and limits: https://developer.pagerduty.com/docs/events-api-v2-overview (a summary of 1,024
characters, a dedup key of 255, 512 kB in all).
"""

from hashlib import sha256
from typing import Any

from common.incidents.told import Deed, Told, clean, cut, usable_links

URL = "https://events.pagerduty.com/v2/enqueue"
EU_URL = "https://events.eu.pagerduty.com/v2/enqueue"
SUMMARY_CHARS = 1_024
KEY_CHARS = 255
DETAIL_CHARS = 5_000
MOST_LINES = 50
SOURCE = "open-cloud-ops"


def pagerduty_body(told: Told, note: str, deed: Deed, routing_key: str) -> dict[str, Any]:
    """The JSON object of an event. `routing_key` is a secret."""
    body: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": deed,
        "dedup_key": _key(told.dedup_key),
    }
    if deed != "trigger":
        return body
    details = {
        "what": [cut(clean(line), DETAIL_CHARS) for line in told.what[:MOST_LINES]],
        "since": told.since.isoformat(),
        "what is done": cut(clean(told.doing), DETAIL_CHARS),
        "affected": cut(clean(told.affected), DETAIL_CHARS),
        "event": f"{told.type} {told.id}"[:SUMMARY_CHARS],
    }
    if note:
        details["note"] = cut(clean(note), DETAIL_CHARS)
    body["payload"] = {
        "summary": cut(clean(told.title) or "-", SUMMARY_CHARS),
        "source": SOURCE,
        "severity": told.severity,
        "timestamp": told.happened_at.isoformat(),
        "component": cut(clean(told.scope) or "-", SUMMARY_CHARS),
        "class": told.type,
        "custom_details": details,
    }
    body["client"] = "Open Cloud Ops"
    body["links"] = [
        {"href": link.url, "text": cut(clean(link.label) or "-", 100)}
        for link in usable_links(told.links)[:2]
    ]
    return body


def _key(text: str) -> str:
    """The key, or a digest of it: two long ones that were cut could be one alert."""
    return text if len(text) <= KEY_CHARS else sha256(text.encode()).hexdigest()
