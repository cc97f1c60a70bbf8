"""Aligned tables of text for `scripts/cloudops`."""

from collections.abc import Sequence
from dataclasses import dataclass

import typer


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    is_number: bool = False


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], total: Sequence[str] | None = None
) -> None:
    """Print rows under their names, numbers to the right, and the total below a line."""
    names = [column.name for column in columns]
    lines = [names, *rows] + ([] if total is None else [total])
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    typer.echo(_line(columns, names, widths))
    for row in rows:
        typer.echo(_line(columns, row, widths))
    if total is not None:
        typer.echo("-" * (sum(widths) + 2 * (len(widths) - 1)))
        typer.echo(_line(columns, total, widths))


def _line(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if column.is_number else cell.ljust(width)
        for column, cell, width in zip(columns, cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()
