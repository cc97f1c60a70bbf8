"""The engines of whole stacks in tests: the local ones, or with ENGINES=cloud those on emulators.

The emulators' addresses are in the environment then (`tests/emulated.py`).
"""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path


def urls(name: str) -> dict[str, str]:
    """Engines of the cloud that nothing of another name uses."""
    project = f"p-{sha256(name.encode()).hexdigest()[:20]}"
    return {
        "STATE_URL": f"firestore://{project}/state",
        "BUS_URL": f"pubsub://{project}/dev",
        "WAREHOUSE_URL": f"bigquery://{project}/usage",
    }


def chosen(data: Path) -> Mapping[str, str]:
    """The settings of a stack that keeps its files in this folder."""
    return urls(str(data)) if os.environ.get("ENGINES") == "cloud" else {}
