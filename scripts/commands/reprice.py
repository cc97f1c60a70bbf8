"""`scripts/reprice`: restate what calls have cost, under a price book and the overrides of now.

History is never rewritten. Each call that costs something else gets a correction, an event that
says the exact difference and why: sums change by that, and reports tell how many calls were
restated. Running it twice changes nothing, and running it with other prices before the corrections
have arrived leaves these calls for the next run. Budgets that hold calls keep what they settled, in
past periods and in the present one; those that only watch are told from the sums, so their present
period moves with them.

Locally the warehouse belongs to the running stack: stop it first. Corrections arrive when it runs
again.
"""

import asyncio
import os
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import typer

from common.core.errors import CloudOpsError, NotFound
from common.core.money import usd_text
from common.pricing.restatement import Chosen, Restated, Restatement
from common.pricing.restating import Left
from common.runtime.app import app
from common.runtime.settings import BusSettings, WarehouseSettings, read_settings
from scripts.local_stack.pushes import push_subscriptions
from scripts.pubsub_http import HttpBus, PubsubHttp

IN_FORCE = "current"
_LEFT: dict[Left, str] = {
    "same": "cost the same",
    "estimated": "were estimated, and stay so",
    "unknown": "had no known cost, and stay so",
    "not_reproduced": "do not tell all that their price came from, and stay as they are",
    "unpriced": "have no price there, and stay as they are",
    "on_its_way": "are restated so already: their corrections are on their way",
    "other_on_its_way": "have an earlier correction on its way, to another cost: "
    "run it again in a minute, or when the stack of a laptop has run",
}

cli = typer.Typer(add_completion=False)


@cli.command()
def main(
    since: Annotated[str, typer.Option("--from", help="a day or a time, as 2026-11-01")],
    until: Annotated[str, typer.Option("--to", help="not included")],
    *,
    org: Annotated[str | None, typer.Option(help="only this organisation")] = None,
    provider: Annotated[str | None, typer.Option(help="only calls at this provider")] = None,
    model: Annotated[str | None, typer.Option(help="only this model, as calls are billed")] = None,
    book: Annotated[str, typer.Option(help="SHA-256 of a price book")] = IN_FORCE,
    reason: Annotated[str, typer.Option(help="why, as the corrections say it")] = "repriced",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only tell")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Folder of a local stack (default: DATA_DIR, else .data).")
    ] = None,
) -> None:
    """Restate the cost of calls. Exit code 1 if it has to be run again, 2 if it could not run."""
    if data is not None:
        os.environ["DATA_DIR"] = str(data)
    chosen = Chosen(_instant(since, "--from"), _instant(until, "--to"), org, provider, model)
    sha = None if book == IN_FORCE else book
    try:
        _check_ledger()
        found = asyncio.run(_run(chosen, sha, reason, is_dry=dry_run))
    except CloudOpsError as error:
        typer.echo(f"Nothing more is restated: {error.detail}", err=True)
        raise typer.Exit(2) from None
    for line in told(found, is_dry=dry_run):
        typer.echo(line)
    raise typer.Exit(1 if found.failed or found.left["other_on_its_way"] else 0)


def _check_ledger() -> None:
    """Refuse a laptop's warehouse that is not there: it would be made, and found empty.

    Raises:
        NotFound: there is none.
        InvalidSettings: a setting is wrong.
    """
    settings = read_settings(WarehouseSettings)
    url = settings.warehouse_url
    if url is not None and url.startswith("bigquery://"):
        return
    file = settings.data_dir / "warehouse.duckdb" if url is None else Path(url.partition("///")[2])
    if not file.is_file():
        raise NotFound(
            f"there is no ledger at {file}: give --data the folder that scripts/dev has used"
        )


async def _run(chosen: Chosen, sha: str | None, reason: str, *, is_dry: bool) -> Restated:
    app().push_subscriptions = list(push_subscriptions())
    pubsub = PubsubHttp.of(read_settings(BusSettings))
    bus = app().bus if pubsub is None else HttpBus(pubsub)
    try:
        books = app().books
        restatement = Restatement(app().documents, app().warehouse, bus, app().clock, books)
        return await restatement.run(chosen, sha=sha, reason=reason, is_dry=is_dry)
    finally:
        if pubsub is not None:
            pubsub.close()
        await app().aclose(drain_s=0)


def told(found: Restated, *, is_dry: bool) -> list[str]:
    """What became of calls, a line for each kind."""
    verb = "would be" if is_dry else "are"
    change = found.new_nanos - found.old_nanos
    difference = f"{'-' if change < 0 else '+'}${usd_text(abs(change))}"
    costs = f"${usd_text(found.old_nanos)} -> ${usd_text(found.new_nanos)} ({difference})"
    lines = [f"{found.corrected:,} of {found.calls:,} calls {verb} restated"]
    if found.corrected:
        lines[0] += f": {costs}"
    lines += [f"{found.left[why]:,} {text}" for why, text in _LEFT.items() if found.left[why]]
    if found.failed:
        lines.append(f"{found.failed:,} corrections were not accepted: run it again")
    return lines


def _instant(text: str, option: str) -> datetime:
    try:
        if len(text) == len("2026-11-01"):
            return datetime.combine(date.fromisoformat(text), time(0), UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter(
            f"{option} is a day or a time with an offset, as 2026-11-01 or 2026-11-01T12:00:00Z"
        )
    return moment.astimezone(UTC)


if __name__ == "__main__":
    cli(prog_name="scripts/reprice")
