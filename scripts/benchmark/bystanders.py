"""How much of the machine other processes used meanwhile: what they take disturbs every figure.

It is what all CPUs did by /proc/stat, without what this process and those it has waited for did.
Interrupts are left out, since much of their time is the measured calls' own traffic.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.processes import TICK_S

DISTURBS = 0.03
"""Of the time of all CPUs."""
_STAT = Path("/proc/stat")
_USER, _NICE, _SYSTEM, _STOLEN = 0, 1, 2, 7


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds until a moment: of everything, and of this process with all it has ended."""

    at_s: float
    everything_s: float
    own_s: float

    def others_until(self, later: "Used", cpus: int) -> float:
        """The part of the time of all CPUs that others used from here on, 0 to 1."""
        others_s = (later.everything_s - self.everything_s) - (later.own_s - self.own_s)
        return max(0.0, others_s) / ((later.at_s - self.at_s) * cpus)


def used_so_far() -> Used:
    """What is used up to now."""
    fields = _STAT.read_text().split("\n", 1)[0].split()[1:]
    ticks = sum(int(fields[each]) for each in (_USER, _NICE, _SYSTEM, _STOLEN))
    own = os.times()
    own_s = own.user + own.system + own.children_user + own.children_system
    return Used(time.monotonic(), ticks * TICK_S, own_s)
