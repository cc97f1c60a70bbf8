"""Whether the proxy answers those who may call it, and is of one release with the API."""

from collections.abc import Iterator

from scripts.doctor.findings import Finding, Patient
from scripts.doctor.replies import Fields, Reply, ask, bearer, refusal

HEALTH = "/gateway/v1/health"
STATUS = "/gateway/v1/status"


def find_in_proxy(patient: Patient, api_health: Fields | None) -> Iterator[Finding]:
    """Yield what is wrong with the proxy, if its address is known."""
    if patient.proxy_url is None:
        return
    url = patient.proxy_url.rstrip("/")
    identity: dict[str, str] = {}
    reply = ask(patient.http, f"{url}{HEALTH}")
    if isinstance(reply, Reply) and reply.is_refused_by_cloud_run and patient.token is not None:
        # Where not everybody may call it, callers say who they are beside the provider's key.
        identity = {"x-serverless-authorization": bearer(patient.token)["authorization"]}
        reply = ask(patient.http, f"{url}{HEALTH}", identity)
    if isinstance(reply, str):
        fix = "run scripts/dev" if patient.is_local else "take what `terraform output` prints"
        yield Finding(
            f"{url}: the proxy does not answer ({reply})", f"{fix}, or give another --proxy"
        )
    elif reply.is_refused_by_cloud_run:
        yield _closed(patient, reply.status)
    elif reply.body is None or not reply.is_success or "book" not in reply.body:
        yield Finding(
            f"{url} is not the proxy: it answered {reply.status}",
            "give --proxy what `terraform output proxy_url` prints",
        )
    else:
        if api_health is not None:
            yield from _differences(patient, reply.body, api_health["data"])
        if patient.gateway_key is not None:
            headers = {"x-gateway-key": patient.gateway_key, **identity}
            yield from _credentials(patient, ask(patient.http, f"{url}{STATUS}", headers))


def _closed(patient: Patient, status: int) -> Finding:
    if patient.token is not None:
        return refusal("the proxy", "public_invokers", status, patient.token)
    return Finding(
        f"the proxy: Cloud Run lets only some callers in ({status})",
        'add "allUsers" to public_invokers; where the organisation forbids that, the callers, who'
        " then send their identity token in X-Serverless-Authorization",
    )


def _differences(patient: Patient, proxy: Fields, api: Fields) -> Iterator[Finding]:
    again = "restart scripts/dev" if patient.is_local else "run scripts/bundle and terraform apply"
    if proxy["version"] != api["version"]:
        yield Finding(
            f"the API is of version {api['version']} and the proxy of {proxy['version']}", again
        )
    elif proxy["book"] != api["price_book"]:
        yield Finding(
            f"the API knows price book {api['price_book'][:12]} and the proxy charges by"
            f" {proxy['book'][:12]}",
            again,
        )


def _credentials(patient: Patient, reply: Reply | str) -> Iterator[Finding]:
    """Variables that an upstream names and that are not set.

    A vendor that nobody configured may live without one: its callers bring their own keys.
    """
    if isinstance(reply, str) or reply.body is None or not reply.is_success:
        told = reply if isinstance(reply, str) else _error(reply)
        yield Finding(
            f"the proxy does not tell how it stands: {told}",
            "scripts/cloudops keys list, and give --key a key that is usable",
        )
        return
    configured = _configured(patient)
    for upstream in reply.body["upstreams"]:
        for credential in upstream["credentials"]:
            if credential["state"] == "unset" and upstream["name"] in configured:
                variable = credential["variable"]
                yield Finding(
                    f"upstream {upstream['name']}: {variable} is not set where the proxy runs",
                    f"start scripts/dev with {variable}"
                    if patient.is_local
                    else f"name a secret for {variable} at proxy in functions/functions.yaml, give"
                    " it in secret_versions and secret_values, and run terraform apply",
                )


def _configured(patient: Patient) -> set[str]:
    """The upstreams that somebody has set; empty where the API does not tell."""
    url = f"{patient.api_url}/api/v1/upstreams"
    reply = ask(patient.http, url, bearer(patient.token), {"limit": 500})
    if isinstance(reply, str) or reply.body is None or not reply.is_success:
        return set()
    return {row["name"] for row in reply.body["data"]}


def _error(reply: Reply) -> str:
    error = (reply.body or {}).get("error")
    said = error.get("message") if isinstance(error, dict) else None
    return str(said or f"it answered {reply.status}")
