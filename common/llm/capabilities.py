"""What a model takes and gives at most.

The price list names the context windows of some models and no longest output. What it lacks stands
in `limits.yaml`, written from a second table, and in the overlay, each figure with its source. The
tables disagree here and there: the larger figure counts, because a limit here bounds what a call
may cost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.llm.picture_tokens import PictureTokens, read_picture_tokens


@dataclass(frozen=True, slots=True)
class ModelCaps:
    """Limits in tokens, None where no table has one.

    `context_window` is the most that one inference reads. `runs_tools` names what the model does
    on its own, unasked and without a limit, such as searching. `pictures` is what those it makes
    take.
    """

    context_window: int | None = None
    max_output: int | None = None
    runs_tools: str | None = None
    pictures: PictureTokens | None = None

    @property
    def longest_output(self) -> int | None:
        """What a call without a cap may generate: a window is shared with the output."""
        return self.max_output if self.max_output is not None else self.context_window


def read_caps(raw: Mapping[str, Any]) -> ModelCaps:
    """The limits of one model of a compiled book."""
    return ModelCaps(
        context_window=raw.get("context_window"),
        max_output=raw.get("max_output"),
        runs_tools=raw.get("runs_tools"),
        pictures=read_picture_tokens(raw.get("pictures")),
    )
