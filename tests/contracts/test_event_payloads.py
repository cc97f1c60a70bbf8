"""What is published of an event: JSON as pydantic writes it, by a faster writer."""

from datetime import UTC
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime

from common.core.event_types import EVENT_TYPES
from common.core.events import Event

TIMES = st.datetimes(timezones=st.just(UTC))
KINDS = sorted(set(EVENT_TYPES.values()), key=lambda kind: kind.__name__)


LABELS = st.lists(st.text()).map(tuple)


def values_of(name: str, annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, within its limits or not: nobody looks when an event is written."""
    if name == "labels":  # texts of a pattern
        return LABELS
    if annotation is AwareDatetime:
        return TIMES
    return st.none() | TIMES if annotation == AwareDatetime | None else st.from_type(annotation)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_is_what_pydantic_writes(kind: type[Event], data: st.DataObject) -> None:
    fields = {name: values_of(name, each.annotation) for name, each in kind.model_fields.items()}

    event = data.draw(
        st.fixed_dictionaries(fields).map(lambda given: kind.model_construct(**given))
    )

    assert event.payload() == event.model_dump_json().encode()
