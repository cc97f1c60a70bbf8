"""What a module that is applied by itself comes to, without a cloud."""

import json
from collections.abc import Mapping
from typing import Any

from scripts.terraform_checks.checkouts import Checkout, errors, messages

State = Mapping[str, Any]


def states(
    checkout: Checkout, module: str, runs: Mapping[str, State], *providers: str
) -> list[State]:
    """What each run with these variables comes to, in their order, without a cloud."""
    document = {
        **({"mock_provider": {name: {} for name in providers}} if providers else {}),
        "run": {name: {"variables": variables} for name, variables in runs.items()},
    }
    folder = checkout.terraform / module / "made"
    folder.mkdir(exist_ok=True)
    (folder / "made.tftest.json").write_text(json.dumps(document))

    printed = checkout.test("-verbose", "-test-directory=made", module=module)

    assert errors(printed) == []
    return [message["test_state"] for message in messages(printed, "test_state")]
