"""Runs of targets in processes of their own, and what came of them."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.fuzzing.seeds import LARGEST_BYTES

INPUT_SECONDS = 3
MEMORY_MB = 1024
_STARTING_S = 120
_HUNG = 70
"""libFuzzer's exit code for an input that takes longer than its limit."""

_ENDED = re.compile(r"^(?:Done|Executed) ", re.MULTILINE)
_RUNS = re.compile(r"^(?:stat::number_of_executed_units: |#)(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one target. A process that ends otherwise than told is a crash too."""

    target: str
    runs: int
    crashes: int
    hangs: int
    seconds: float
    finding: Path | None = None
    text: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.crashes or self.hangs)


def fuzz(module: str, target: str, seeds: Sequence[bytes], *, seconds: int, findings: Path) -> Run:
    """Feed a target for so many seconds. An input that fails is kept in `findings`."""
    findings.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as corpus:
        for number, seed in enumerate(seeds):
            Path(corpus, str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-artifact_prefix={findings}/{target}-", corpus]
        return _run(module, target, options, seconds + _STARTING_S)


def repeat(module: str, target: str, finding: Path) -> Run:
    """Feed a target with one input again."""
    return _run(module, target, [str(finding)], _STARTING_S)


def _run(module: str, target: str, options: list[str], most_seconds: float) -> Run:
    limits = [
        f"-timeout={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={LARGEST_BYTES}",
        "-print_final_stats=1",
    ]
    command = [sys.executable, "-P", "-m", "scripts.fuzzing.session", module, target]
    root = str(Path(__file__).resolve().parents[2])
    begun = time.monotonic()
    try:
        done = subprocess.run(
            [*command, *limits, *options],
            env={**os.environ, "PYTHONPATH": root},
            capture_output=True,
            check=False,
            timeout=most_seconds,
        )
        code, text = done.returncode, (done.stderr + done.stdout).decode(errors="replace")
    except subprocess.TimeoutExpired:
        code, text = _HUNG, f"the process did not end within {most_seconds:g} s"
    counts = [int(count) for count in _RUNS.findall(text)]
    found = re.search(r"Test unit written to (\S+)", text)
    return Run(
        target,
        runs=max(counts, default=0),
        crashes=int(code not in (0, _HUNG) or (code == 0 and not _ENDED.search(text))),
        hangs=int(code == _HUNG),
        seconds=time.monotonic() - begun,
        finding=Path(found[1]) if found is not None else None,
        text=text,
    )
