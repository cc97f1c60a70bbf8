"""Runs a command beside emulators of Firestore, Pub/Sub and BigQuery, on the engines of the cloud.

    scripts/environment --tests tests.emulated scripts/dev
    scripts/environment --tests tests.emulated scripts/bench --rollups --emulators
    ENGINES=cloud scripts/environment --tests tests.emulated scripts/test tests/sdks

The command finds their addresses and the engines' URLs in its environment; with ENGINES=cloud each
stack of a test has URLs of its own. Emulators forget everything when the command ends.
"""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bigquery_server import serving
from tests.chosen_engines import urls
from tests.emulators import FIRESTORE, PUBSUB, running


def main(*command: str) -> int:
    """The command's exit status."""
    if not command:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as emulators:
        place = Path(folder)
        try:
            addresses = {
                "FIRESTORE_EMULATOR_HOST": emulators.enter_context(running(FIRESTORE, place)),
                "PUBSUB_EMULATOR_HOST": emulators.enter_context(running(PUBSUB, place)),
                "BIGQUERY_EMULATOR_HOST": emulators.enter_context(serving(place)),
            }
        except pytest.skip.Exception as missing:
            sys.exit(str(missing))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command ends first, and says how
        process = subprocess.Popen(
            command,
            env={**urls("emulated"), **os.environ, **addresses},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 -- no threads here
        )
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
