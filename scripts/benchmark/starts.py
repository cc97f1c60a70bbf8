"""What a cold start costs before the first request: imports and wiring, on each set of engines.

A bundled function is imported in a new process, in its own environment with bytecode, and its parts
are made, as its first request would do; nothing is connected to. The engines of the cloud load the
clients of Google, those of a laptop load none.
"""

import json
import subprocess
from pathlib import Path

from scripts.benchmark.deployed import Deployed

PARTS = {"proxy": "main.app().gateway", "usage": "main.app().usage, main.app().documents"}
"""What each function serves with."""

ENGINES = {
    "local engines": {},
    "cloud engines": {
        "STATE_URL": "firestore://bench/state",
        "BUS_URL": "pubsub://bench/bench",
    },
}

_START = """
import json, sys, time
from pathlib import Path

started_s = time.perf_counter()
import main
exec(sys.argv[1])
taken_s = time.perf_counter() - started_s
lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
[pss_kb] = [line.split()[1] for line in lines if line.startswith("Pss:")]
print(json.dumps([taken_s, int(pss_kb) / 1000]))
"""


def start(deployed: Deployed, engines: str, data: Path) -> tuple[float, float]:
    """Seconds until all parts are made, and megabytes (PSS) of the process then."""
    data.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [deployed.python, "-c", _START, PARTS[deployed.function]],
        cwd=deployed.folder,
        env={"DATA_DIR": str(data), **ENGINES[engines]},
        capture_output=True,
        check=True,
    )
    taken_s, pss_mb = json.loads(done.stdout)
    return taken_s, pss_mb
