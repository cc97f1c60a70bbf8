"""`scripts/terraform_mutations`: would the checks notice if a line of Terraform were wrong?

Every field of functions/functions.yaml and every argument and block of terraform/**/*.tf is
changed, one at a time, in a copy: renamed, dropped, given a wrong type, turned to something else,
given wider rights. The checks of tests/terraform and Terraform's own tests have to refuse it.
Whoever survives has to be in scripts/mutations/harmless.yaml, with the reason why it does no harm;
one without a reason is exit 1, and so is, after a whole run, a reason that nothing needs any more.
"""

import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer
import yaml

from scripts.mutations.hcl_mutants import hcl_mutants
from scripts.mutations.mutant import Mutant
from scripts.mutations.table_mutants import table_mutants
from scripts.mutations.together import refused_together
from scripts.mutations.trials import TABLE, Refusal, Trial, a_trial
from scripts.terraform_checks.checkouts import ProvidersMissing, copy_checkout, modules
from scripts.terraform_checks.hcl_text import read

ROOT = Path(__file__).resolve().parents[2]
HARMLESS = ROOT / "scripts/mutations/harmless.yaml"
SCHEMA = Refusal("terraform validate", "the provider's schema refuses it")

Outcome = tuple[Mutant, Refusal | None]

cli = typer.Typer(add_completion=False)

_trial: Trial | None = None
"""What the process of a worker tries its mutants in."""


@cli.command()
def main(
    *,
    sample: Annotated[int | None, typer.Option(help="Try only so many, taken at random.")] = None,
    seed: Annotated[int, typer.Option(help="Which ones a sample takes.")] = 0,
    only: Annotated[
        list[str] | None, typer.Option(help="Try those whose name this pattern fits; repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes.")] = len(os.sched_getaffinity(0)),
    names_only: Annotated[bool, typer.Option("--list", help="Name the mutants.")] = False,
) -> None:
    """Change Terraform and its table in every way, and print what no check notices."""
    all_there_are = list(mutants(ROOT))
    everything = [each for each in all_there_are if any(fits(each, one) for one in only or ["*"])]
    chosen = everything
    if sample is not None and sample < len(everything):
        chosen = sorted(random.Random(seed).sample(everything, sample), key=lambda each: each.name)  # noqa: S311 -- repeatable
    if names_only:
        typer.echo("\n".join(mutant.name for mutant in chosen))
        return
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = try_all(chosen, Path(folder), jobs)
    reasons = yaml.safe_load(HARMLESS.read_text(encoding="utf-8"))
    survivors = [mutant for mutant, refusal in outcomes if refusal is None]
    unexplained = [mutant for mutant in survivors if reason(mutant, reasons) is None]
    spare = unneeded(survivors, reasons) if len(chosen) == len(all_there_are) else []
    typer.echo("\n".join(report(outcomes, reasons)))
    typer.echo(
        f"{len(chosen)} of {len(all_there_are)} mutants in {time.monotonic() - started:.0f} s"
    )
    for mutant in unexplained:
        typer.echo(f"survives, and nobody says why that is harmless: {mutant.name}", err=True)
    for pattern in spare:
        typer.echo(f"a reason that nothing needs: {pattern}", err=True)
    raise typer.Exit(code=int(bool(unexplained or spare)))


def mutants(root: Path) -> Iterator[Mutant]:
    """All there are: of the table first, then of Terraform's files."""
    yield from table_mutants((root / TABLE).read_text(encoding="utf-8"))
    files = read(root / "terraform")
    yield from hcl_mutants({f"terraform/{path}": text for path, text in files.items()})


def try_all(chosen: Sequence[Mutant], folder: Path, jobs: int) -> list[Outcome]:
    """Each mutant with who refused it, in the order of `chosen`.

    Raises:
        typer.Exit: there are no providers, or the checks refuse what nobody has changed, before
            the first mutant or after the last one.
    """
    template = folder / "template"
    checkout = copy_checkout(ROOT, template)
    try:
        for module in modules(checkout.terraform):
            checkout.init(module)
    except ProvidersMissing as missing:
        typer.echo(f"terraform init found no providers: {missing}", err=True)
        raise typer.Exit(code=2) from None
    unchanged = a_trial(template, folder / "unchanged", ROOT)
    _stop_if_refused(unchanged)
    by_schema = refused_together(unchanged.checkout, chosen)
    typer.echo(f"{len(by_schema)} of {len(chosen)} refused by schemas", err=True)
    left = [mutant for mutant in chosen if mutant not in by_schema]
    with ProcessPoolExecutor(jobs, initializer=_start, initargs=(template, folder)) as pool:
        found: dict[Mutant, Refusal | None] = dict.fromkeys(by_schema, SCHEMA)
        for number, (mutant, refusal) in enumerate(zip(left, pool.map(_try, left), strict=True)):
            found[mutant] = refusal
            if refusal is None or number % 100 == 0:
                name = "" if refusal else f": {mutant.name} survives"
                typer.echo(f"{number + 1} of {len(left)}{name}", err=True)
    _stop_if_refused(unchanged)  # else a machine in trouble would look like good checks
    return [(mutant, found[mutant]) for mutant in chosen]


def _stop_if_refused(unchanged: Trial) -> None:
    if wrong := unchanged.baseline():
        typer.echo(f"Without any mutant, {wrong.check}: {wrong.words}", err=True)
        raise typer.Exit(code=2)


def reason(mutant: Mutant, reasons: dict[str, str]) -> str | None:
    """Why it does no harm that nobody refuses this mutant."""
    return next((why for pattern, why in reasons.items() if fits(mutant, pattern)), None)


def fits(mutant: Mutant, pattern: str) -> bool:
    """Patterns are names of mutants with * for any text; brackets mean themselves."""
    return fnmatchcase(mutant.name, pattern.replace("[", "[[]"))


def unneeded(survivors: Sequence[Mutant], reasons: dict[str, str]) -> list[str]:
    return [pattern for pattern in reasons if not any(fits(each, pattern) for each in survivors)]


def report(outcomes: Sequence[Outcome], reasons: dict[str, str]) -> list[str]:
    """Counts by kind and by check, then each survivor with its reason."""
    kinds = Counter(mutant.kind for mutant, _ in outcomes)
    alive = Counter(mutant.kind for mutant, refusal in outcomes if refusal is None)
    checks = Counter(refusal.check for _, refusal in outcomes if refusal)
    lines = [f"{'mutants':<34}{'tried':>7}{'survive':>9}"]
    lines += [f"{kind:<34}{number:>7}{alive[kind]:>9}" for kind, number in sorted(kinds.items())]
    share = 100 * alive.total() / max(1, len(outcomes))
    lines += [f"{'all':<34}{len(outcomes):>7}{alive.total():>9}  {share:.1f} %", ""]
    lines += [f"{'refused by':<34}{'mutants':>7}"]
    lines += [f"{check:<34}{number:>7}" for check, number in checks.most_common()]
    survivors = [mutant for mutant, refusal in outcomes if refusal is None]
    lines += [
        "",
        *(f"{each.name}\n    {reason(each, reasons) or 'NO REASON'}" for each in survivors),
    ]
    return lines


def _start(template: Path, folder: Path) -> None:
    global _trial  # noqa: PLW0603 -- one for each process, made when it starts
    _trial = a_trial(template, folder / f"trial-{os.getpid()}", ROOT)


def _try(mutant: Mutant) -> Refusal | None:
    assert _trial is not None
    return _trial.refusal(mutant)


if __name__ == "__main__":
    cli()
