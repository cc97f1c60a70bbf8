"""A policy file: YAML read into a policy, or into all that is wrong with it, line by line.

A stored policy needs none of this: import it where a file is read, because PyYAML comes with it.
"""

from dataclasses import replace
from importlib.resources import files

from common.brownout.policy import Policy
from common.brownout.policy_models import policy_from_data
from common.brownout.policy_problems import At, PolicyInvalid, Problem
from common.core.yaml_lines import Found, NotYaml, read_yaml

MOST_BYTES = 128 * 1024
MOST_VALUES = 10_000


def read_policy(text: str, default_org: str | None = None) -> Policy:
    """The policy in a file.

    Args:
        text: the whole file.
        default_org: completes scopes that name no organisation.

    Raises:
        PolicyInvalid: names every problem with its line.
    """
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise PolicyInvalid([Problem((), None, f"is longer than {MOST_BYTES // 1024} KiB")])
    try:
        root = read_yaml(text, MOST_VALUES)
    except NotYaml as error:
        raise PolicyInvalid([Problem((), None, f"no YAML: {error.reason}", error.line)]) from None
    try:
        return policy_from_data(root.plain(), default_org)
    except PolicyInvalid as error:
        placed = [replace(each, line=_line(root, each.at)) for each in error.problems]
    raise PolicyInvalid(sorted(placed, key=lambda each: (each.line or 0, each.path)))


def shipped_policy() -> Policy:
    """The policy that comes with the code."""
    return read_policy(files("common.brownout").joinpath("defaults.yaml").read_text("utf-8"))


def _line(root: Found, at: At) -> int:
    """The line of a place; of one that is not there, of what it would be in."""
    found = root
    for part in at:
        if isinstance(part, int):
            inside = found.items[part] if part < len(found.items) else None
        else:
            inside = found.members.get(part)
        if inside is None:
            break
        found = inside
    return found.line
