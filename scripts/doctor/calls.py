"""Whether the calls of the last day arrived everywhere, have a price, and had a key."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from scripts.doctor.findings import Finding, Patient
from scripts.doctor.replies import Fields, Reply, ask, bearer
from scripts.pubsub_http import DEAD_LETTERS, LOG_IN, MOST_AT_ONCE, PubsubFailed

SPAN = timedelta(hours=24)
SETTLED = timedelta(minutes=15)
"""A call that is older has been delivered, or is being refused."""

NAMED = 3
"""Models that a finding names."""


def find_in_calls(patient: Patient, now: datetime) -> Iterator[Finding]:
    """Yield what is wrong with calls up to `now`, the API's time, as far as it tells them."""
    until = now.replace(second=0, microsecond=0) - SETTLED
    span = {"since": _text(until - SPAN), "until": _text(until)}
    counted = _usage(patient, "summary", {**span, "group": "provider,model"})
    stored = _usage(patient, "calls", {**span, "limit": 1})
    if counted is not None and stored is not None:
        yield from _lost(counted["total"]["calls"], stored["total"]["calls"])
    if counted is not None:
        yield from _unpriced(counted["data"])
    refused = _usage(patient, "summary", {**span, "error_code": "missing_provider_key"})
    if refused is not None and refused["total"]["calls"]:
        yield Finding(
            f"{refused['total']['calls']:,} calls of a day brought no provider key, and the proxy"
            " had none for them",
            "start scripts/dev with the vendor's key"
            if patient.is_local
            else "give the proxy the vendor's key in secret_versions and secret_values, or send"
            " one with the calls",
        )


def find_dead_letters(patient: Patient) -> Iterator[Finding]:
    """Yield that there are some, if it is known where. They stay where they are."""
    if patient.bus is None:
        return
    try:
        found = patient.bus.pull(DEAD_LETTERS, MOST_AT_ONCE)
        patient.bus.release(DEAD_LETTERS, [each.handle for each in found])
    except PubsubFailed as error:
        yield Finding(
            f"dead letters cannot be looked at: {error}",
            f"see that --bus is right, and that you may: {LOG_IN}, roles/pubsub.editor",
        )
        return
    count = len({each.message_id for each in found})
    if count:
        more = " or more" if count == MOST_AT_ONCE else ""
        yield Finding(
            f"{count}{more} dead {'letter waits' if count == 1 else 'letters wait'}",
            "scripts/dead_letters list says why; mend that, then scripts/dead_letters replay",
        )


def _lost(counted: int, stored: int) -> Iterator[Finding]:
    if counted < stored:
        yield Finding(
            f"{stored - counted:,} of {stored:,} calls of a day are not counted in budgets and"
            " reports",
            "scripts/dead_letters list, and see what the function ...-usage logs",
        )
    elif counted > stored:
        yield Finding(
            f"{counted - stored:,} of {counted:,} calls of a day are not in the warehouse",
            "scripts/dead_letters list, and see why the subscription ...-warehouse-usage-raw fails",
        )


def _unpriced(groups: list[Fields]) -> Iterator[Finding]:
    """Calls at a provider with a price list. One without a list has no prices by intention."""
    unknown = {
        group["group"]["model"]: group["unpriced_reasons"]["unknown_model"]
        for group in groups
        if group["group"]["provider"] and group["unpriced_reasons"].get("unknown_model")
    }
    if unknown:
        most = sorted(unknown, key=lambda model: (-unknown[model], str(model)))[:NAMED]
        yield Finding(
            f"{sum(unknown.values()):,} calls of a day have no price, as the price book lacks"
            f" {', '.join(map(str, most))}{' and more' if len(unknown) > NAMED else ''}",
            "take newer prices: scripts/lock --upgrade, scripts/price_book, then deploy",
        )


def _usage(patient: Patient, what: str, query: dict[str, str | int]) -> Fields | None:
    """What a report says, None where the API does not answer it."""
    url = f"{patient.api_url}/api/v1/usage/{what}"
    reply = ask(patient.http, url, bearer(patient.token), {"limit": 500, **query})
    return reply.body if isinstance(reply, Reply) and reply.is_success else None


def _text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
