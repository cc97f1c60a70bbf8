"""What the tags of a Datadog monitor say: which mode it asks for, and for which part of the calls.

The webhook and the reconciliation read them alike, so that both mean the same signal.
"""

from collections.abc import Iterable, Sequence

from common.adapters.alert_readings import bounded, level_of
from common.brownout.modes import GLOBAL, Mode, NoScope, scope_of

MOST_SCOPES = 20
"""Of one alert. One that names more is tagged wrongly, and would take the room of others."""

MOST_LEFT_OUT = 200
"""Scopes beyond that which are named."""

LEVEL_TAG = "brownout:"
_SCOPE_TAG = "brownout_scope:"
_LONGEST_GROUP = 500
_EVERYTHING = "*"
"""The group of a monitor that has no groups."""


def group_of(scope: str) -> str:
    """The tags that tell the alerts of one monitor apart, in one order."""
    tags = sorted({tag.strip() for tag in scope.split(",")} - {"", _EVERYTHING})
    return bounded(",".join(tags), _LONGEST_GROUP)


def tagged_level(tags: Iterable[str]) -> Mode | str:
    """The level that the tags name, the highest of several; or why there is none."""
    named = [tag.removeprefix(LEVEL_TAG) for tag in tags if tag.startswith(LEVEL_TAG)]
    levels = [level for word in named if (level := level_of(word)) is not None]
    if levels:
        return max(levels)
    if named:
        return f"{LEVEL_TAG}{named[0][:40]} is no level: write soft, hard or emergency"
    return f"no level: tag the monitor {LEVEL_TAG}soft, hard or emergency, or name it in a policy"


def warning(level: Mode) -> Mode:
    """What a monitor asks for while it only warns."""
    return Mode(max(level - 1, Mode.SOFT))


def tagged_scopes(
    tags: Iterable[str], default_org: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The scopes that the tags name, each once, and what is wrong with the others.

    Of too many the first ones by name count, so that the order of the tags means nothing.
    """
    named = [tag.removeprefix(_SCOPE_TAG) for tag in tags if tag.startswith(_SCOPE_TAG)]
    read = [scope_of(text, default_org) for text in named]
    scopes = tuple(dict.fromkeys(scope for scope in read if isinstance(scope, str)))
    wrong = [scope.detail for scope in read if isinstance(scope, NoScope)][:3]
    if len(scopes) > MOST_SCOPES:
        in_order = sorted(scopes)
        scopes, left_out = tuple(in_order[:MOST_SCOPES]), in_order[MOST_SCOPES:]
        wrong.append(_left_out(left_out))
    return (scopes if named else (GLOBAL,)), tuple(wrong)


def _left_out(scopes: Sequence[str]) -> str:
    beyond = len(scopes) - MOST_LEFT_OUT
    more = f" and {beyond} more" if beyond > 0 else ""
    names = ", ".join(scopes[:MOST_LEFT_OUT])
    return f"an alert has at most {MOST_SCOPES} scopes; left out: {names}{more}"
