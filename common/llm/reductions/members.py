"""Reading and placing members of a request's objects, which are never changed themselves."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from common.llm.reductions.request import Request

Place: TypeAlias = tuple[str, ...]
"""The names that lead to a member, from the outermost."""


def inner_object(members: Mapping[str, Any], place: Place) -> Mapping[str, Any] | None:
    """The object there; an empty one where it is absent or null, None where it is no object."""
    for name in place:
        found = members.get(name)
        if found is None:
            return {}
        if not isinstance(found, dict):
            return None
        members = found
    return members


def placed(request: Request, place: Place, value: object) -> Request:
    """The request with this value there; objects around it are added where there are none."""
    return replace(request, members=_placed(request.members, place, value))


def without(request: Request, names: frozenset[str]) -> Request:
    """The request without these of its own members."""
    kept = {name: value for name, value in request.members.items() if name not in names}
    return replace(request, members=kept)


def _placed(members: Mapping[str, Any], place: Place, value: object) -> dict[str, Any]:
    name, rest = place[0], place[1:]
    if not rest:
        return {**members, name: value}
    found = members.get(name)
    return {**members, name: _placed(found if isinstance(found, dict) else {}, rest, value)}
