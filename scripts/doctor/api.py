"""Whether the API answers, lets the caller in, has its stores and tells the right time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from scripts.doctor.findings import Finding, Patient
from scripts.doctor.replies import APPLY, Fields, Reply, ask, bearer, refusal, who

MOST_SKEW = timedelta(seconds=5)
SWEEP = "budgets_sweep"


@dataclass(frozen=True, slots=True)
class ApiFound:
    """`health` is what the API says of itself, None where none answers; `admits` the caller."""

    findings: tuple[Finding, ...]
    health: Fields | None
    admits: bool


def look_at_api(patient: Patient) -> ApiFound:
    asked_at = datetime.now(UTC)
    reply = ask(patient.http, f"{patient.api_url}/api/v1/health", bearer(patient.token))
    answered_at = datetime.now(UTC)
    if isinstance(reply, str) or reply.body is None or "sources" not in reply.body:
        return ApiFound((_unreached(patient, reply),), None, admits=False)
    refused = tuple(_admission(patient))
    findings = (
        *_sources(patient, reply.body),
        *_skew(datetime.fromisoformat(reply.body["as_of"]), asked_at, answered_at),
        *refused,
    )
    return ApiFound(findings, reply.body, admits=not refused)


def _unreached(patient: Patient, reply: Reply | str) -> Finding:
    url = patient.api_url
    start = "run scripts/dev, or give --url"
    if isinstance(reply, str):
        fix = start if patient.is_local else "give --url what `terraform output api_url` prints"
        return Finding(f"{url}: the API does not answer ({reply})", fix)
    if reply.is_refused_by_cloud_run and not patient.is_local:
        return refusal("the API", "private_callers", reply.status, patient.token)
    what = f"{url} is not this API: it answered {reply.status}"
    if patient.is_local:
        return Finding(what, start)
    if reply.status >= 500:
        return Finding(
            f"{url}: the API does not start ({reply.status})",
            "see what the function ...-api logs: a wrong setting or a missing right is named there",
        )
    return Finding(what, "give --url what `terraform output api_url` prints")


def _sources(patient: Patient, health: Fields) -> Iterator[Finding]:
    for source in health["sources"]:
        if source["status"] == "ok":
            continue
        if source["name"] == SWEEP:
            # On a laptop the schedule is kept by the stack itself, and begins with a full minute.
            if not patient.is_local:
                yield Finding(
                    f"budgets are not swept: {source['detail']}",
                    "see whether the Cloud Scheduler job ...-budgets-sweep succeeds, and what the"
                    " function ...-budgets logs",
                )
            continue
        yield Finding(
            f"{source['name']}: {source['detail']}",
            "stop other processes that use its file, and see that its disk has room"
            if patient.is_local
            else "see whether terraform plan shows what is missing, and what the function ...-api"
            " logs",
        )


def _skew(told: datetime, asked_at: datetime, answered_at: datetime) -> Iterator[Finding]:
    """The API's time lies between question and answer where clocks agree, however long it took."""
    ahead = max(told - answered_at, asked_at - told)
    if ahead > MOST_SKEW:
        yield Finding(
            f"the clocks differ by {ahead.total_seconds():.0f} s",
            "let both machines set their clocks by NTP",
        )


def _admission(patient: Patient) -> Iterator[Finding]:
    reply = ask(patient.http, f"{patient.api_url}/api/v1/prices/book", bearer(patient.token))
    if isinstance(reply, str) or reply.is_success:
        return
    problem = reply.body or {}
    detail = problem.get("detail", f"it answered {reply.status}")
    if reply.status == 403 and patient.token is not None:
        yield Finding(
            f"{who(patient.token)} may invoke the API and is none of its administrators",
            f'add "{who(patient.token)}" to console_admins {APPLY}',
        )
    elif reply.status in {401, 403}:
        fix = "call it as http://127.0.0.1" if patient.is_local else "send a token as it says"
        yield Finding(f"the API does not know who calls: {detail}", fix)
    else:
        yield Finding(
            f"the API does not tell its prices: {detail}", "see what the function ...-api logs"
        )
