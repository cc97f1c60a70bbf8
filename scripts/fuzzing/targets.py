"""All that is fuzzed. New forms are among it by themselves."""

import os
from collections.abc import Mapping
from pathlib import Path

from scripts.fuzzing.forms import form_targets
from scripts.fuzzing.heads import head_targets
from scripts.fuzzing.masking import masking_target
from scripts.fuzzing.pieces import piece_targets
from scripts.fuzzing.replies import reply_targets
from scripts.fuzzing.seeds import Seeds
from scripts.fuzzing.target import Target


def targets() -> Mapping[str, Target]:
    """Targets by name; seeded with recorded replies where TEST_DATA names their folder."""
    folder = os.environ.get("TEST_DATA")
    recordings = Path(folder) / "provider-replies" if folder else None
    forms = form_targets(Seeds(recordings))
    found = [*forms, *piece_targets(), *head_targets(), *reply_targets(), masking_target()]
    return {target.name: target for target in found}
