"""What a run is asked for: checked before it begins, since a run takes an hour."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.benchmark.kept import Kept, NotKept, read_kept

Mode = Literal["calls", "rollups", "brownout", "profile"]

_EMULATORS: Mapping[Mode, tuple[str, ...]] = {
    "rollups": ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"),
    "brownout": ("FIRESTORE_EMULATOR_HOST",),
}
"""What has to name an emulator, by what is measured."""


class CannotBegin(Exception):
    """Options that do not go together, or a file that cannot be read or written; one line."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to measure, and how. `earlier` is what figures are held against."""

    mode: Mode
    quick: bool
    emulators: bool
    peers: bool
    json_file: Path | None
    earlier: Kept | None


def mode_asked(*, rollups: bool, brownout: bool, profile: bool) -> Mode:
    """The one that is asked for; calls, if none is.

    Raises:
        CannotBegin: there are several.
    """
    options: dict[Mode, bool] = {"rollups": rollups, "brownout": brownout, "profile": profile}
    chosen = [mode for mode, is_asked in options.items() if is_asked]
    if len(chosen) > 1:
        raise CannotBegin(f"{' and '.join(f'--{mode}' for mode in chosen)}: measure one at a time")
    return chosen[0] if chosen else "calls"


def check_asked(
    mode: Mode,
    *,
    quick: bool,
    emulators: bool,
    peers: bool,
    json_file: Path | None,
    compare: Path | None,
) -> Asked:
    """All that is asked for, if it can be done.

    Raises:
        CannotBegin: it cannot; the text says why.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        raise CannotBegin("CPU time and memory are read from /proc, which Linux has")
    if emulators:
        _check_emulators(mode)
    if peers and mode != "calls":
        raise CannotBegin(f"--peers is of no use with --{mode}")
    if json_file is not None:
        _check_writable(json_file)
    try:
        earlier = None if compare is None else read_kept(compare, mode)
    except NotKept as error:
        raise CannotBegin(f"--compare: {error}") from None
    return Asked(mode, quick, emulators, peers, json_file, earlier)


def _check_emulators(mode: Mode) -> None:
    if mode not in _EMULATORS:
        raise CannotBegin("--emulators goes with --rollups or --brownout")
    missing = [name for name in _EMULATORS[mode] if not os.environ.get(name)]
    if missing:
        raise CannotBegin(f"--emulators: set {', '.join(missing)} to HOST:PORT of an emulator")


def _check_writable(file: Path) -> None:
    if file.is_dir():
        raise CannotBegin(f"--json: {file} is a folder")
    if not file.parent.is_dir():
        raise CannotBegin(f"--json: there is no folder {file.parent}")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise CannotBegin(f"--json: {file} cannot be written")
