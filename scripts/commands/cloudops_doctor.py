"""`scripts/cloudops doctor`: what may be wrong with an installation, and the fix for each."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from common.core.errors import InvalidSettings
from common.runtime.settings import BusSettings, read_settings
from scripts.commands.cloudops_client import is_local, web_client
from scripts.commands.cloudops_session import Session, print_list
from scripts.doctor.api import look_at_api
from scripts.doctor.brownouts import look_at_brownouts
from scripts.doctor.calls import find_dead_letters, find_in_calls
from scripts.doctor.findings import Finding, Patient
from scripts.doctor.proxy import find_in_proxy
from scripts.pubsub_http import PubsubHttp


def doctor(
    session: Session,
    proxy: Annotated[
        str | None, typer.Option(help="address of the proxy; on a laptop the API's if not given")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="CLOUDOPS_KEY", help="a gateway key, to see how upstreams stand"),
    ] = None,
    bus: Annotated[
        str | None,
        typer.Option(envvar="BUS_URL", help="pubsub://PROJECT/PREFIX, to look for dead letters"),
    ] = None,
) -> None:
    """Look for what is wrong, and say how to put it right.

    Exit code 0 if nothing is found, 1 if anything is, 2 if the doctor cannot look.
    """
    url = session.client.url
    local = is_local(url)
    patient = Patient(
        http=web_client(url, {}),
        api_url=url,
        proxy_url=proxy or (url if local else None),
        token=session.client.token,
        gateway_key=key,
        bus=_pubsub(bus),
        is_local=local,
    )
    notes: list[str] = []
    try:
        found = list(_findings(patient, notes))
    finally:
        patient.close()
    if session.as_json:
        told = [asdict(finding) for finding in found]
        print_list(told, {"count": len(found), "notes": notes})
    else:
        _print(found, notes, patient)
    if found:
        raise typer.Exit(1)


def _findings(patient: Patient, notes: list[str]) -> Iterator[Finding]:
    """Yield what is wrong; what is worth knowing and not wrong is added to `notes`."""
    api = look_at_api(patient)
    yield from api.findings
    yield from find_in_proxy(patient, api.health)
    if api.health is not None and api.admits:
        now = datetime.fromisoformat(api.health["as_of"])
        yield from find_in_calls(patient, now)
        found, worth_knowing = look_at_brownouts(patient, now)
        notes += worth_knowing
        yield from found
    yield from find_dead_letters(patient)


def _print(found: list[Finding], notes: list[str], patient: Patient) -> None:
    for finding in found:
        typer.echo(f"{finding.what}\n    fix: {finding.fix}")
    if not found:
        typer.echo("Nothing is wrong.")
    for note in notes:
        typer.echo(f"Note: {note}.")
    if left_out := patient.not_looked_at():
        typer.echo(f"Not looked at: {', '.join(left_out)}.")


def _pubsub(bus: str | None) -> PubsubHttp | None:
    """Where dead letters are kept, None where they are not on Pub/Sub.

    The options of a local stack name its local bus; `scripts/dead_letters` reads that.
    """
    try:
        settings = read_settings(BusSettings) if bus is None else BusSettings(bus_url=bus)
        return PubsubHttp.of(settings)
    except (InvalidSettings, ValueError):
        typer.echo(f"{bus!r} is no bus: write pubsub://PROJECT/PREFIX", err=True)
        raise typer.Exit(2) from None
