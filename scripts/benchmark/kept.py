"""Figures as they are kept in a file between runs: written by `--json`, read by `--compare`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from scripts.benchmark.measures import Figure


class NotKept(Exception):
    """A file is none of kept figures; the text says why, in one line."""


class KeptFigure(BaseModel):
    """One figure of every repetition."""

    row: str
    target: str
    measure: str
    unit: str
    values: Annotated[list[float], Field(min_length=1)]


class Kept(BaseModel):
    """A run. `mode` is what was measured; None: it was not said when the file was written."""

    machine: dict[str, str]
    figures: Annotated[list[KeptFigure], Field(min_length=1)]
    mode: str | None = None

    def runs(self) -> dict[Figure, list[float]]:
        return {
            Figure(each.row, each.target, each.measure, each.unit): each.values
            for each in self.figures
        }


def read_kept(file: Path, mode: str) -> Kept:
    """The run that a file keeps, which must be one of the same `mode`.

    Raises:
        NotKept: it is none, or of another mode.
    """
    try:
        kept = Kept.model_validate_json(file.read_bytes())
    except OSError as error:
        raise NotKept(f"{file} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        why = f"{place}: {first['msg']}" if place else first["msg"]
        raise NotKept(f"{file} keeps no figures of a run: {why}") from None
    if kept.mode not in (None, mode):
        raise NotKept(f"{file} keeps figures of {kept.mode}, and this run is of {mode}")
    return kept


def document(
    mode: str, about: Mapping[str, str], runs: Mapping[Figure, Sequence[float]]
) -> dict[str, Any]:
    """What is kept of a run."""
    figures = [
        {
            "row": figure.row,
            "target": figure.target,
            "measure": figure.measure,
            "unit": figure.unit,
            "median": median(values),
            "values": list(values),
        }
        for figure, values in runs.items()
    ]
    return {"mode": mode, "machine": dict(about), "figures": figures}
