"""Faults planted in what an apply comes to, to see that a check finds them."""

import copy
from dataclasses import replace
from typing import Any

from scripts.terraform_checks.mocked_apply import Applied


def changed(applied: Applied, address: str, path: str, value: Any) -> Applied:
    """`applied` with one argument of one resource set to something else."""
    resources = {**applied.resources, address: copy.deepcopy(dict(applied.resources[address]))}
    place: Any = resources[address]
    *around, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in around:
        place = place[part]
    place[last] = value
    return replace(applied, resources=resources)


def without(applied: Applied, address: str) -> Applied:
    assert address in applied.resources
    resources = {key: values for key, values in applied.resources.items() if key != address}
    return replace(applied, resources=resources)


def with_one_more(applied: Applied, address: str, **values: Any) -> Applied:
    return replace(applied, resources={**applied.resources, address: values})


def with_output(applied: Applied, name: str, value: Any) -> Applied:
    return replace(applied, outputs={**applied.outputs, name: value})
