"""Bounds on how many series an instance makes: each costs memory here and money at the sink.

The first values of an attribute are told apart, later ones share the value `other`; the last series
that an instance may have are one for each metric in which every attribute is `other`. So no sum
loses anything, whatever callers send.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping

from common.core.metrics import INSTRUMENTS, MOST_SERIES, MOST_VALUES, OTHER, Instrument

logger = logging.getLogger(__name__)


class Series:
    """The series of one instance."""

    def __init__(self, most: int = MOST_SERIES) -> None:
        self._room = most - len(INSTRUMENTS)
        self._known: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        self._values: defaultdict[str, set[str]] = defaultdict(set)

    def fold(self, instrument: Instrument, attributes: Mapping[str, str]) -> Mapping[str, str]:
        """The attributes of the series that a measurement belongs to."""
        bounded = {name: self._bounded(name, value) for name, value in attributes.items()}
        series = instrument.name, frozenset(bounded.items())
        if series in self._known:
            return bounded
        if len(self._known) < self._room:
            self._known.add(series)
            if len(self._known) == self._room:
                logger.warning("telemetry.series_full", extra={"series": self._room})
            return bounded
        return dict.fromkeys(bounded, OTHER)

    def _bounded(self, name: str, value: str) -> str:
        values = self._values[name]
        if value in values:
            return value
        if len(values) >= MOST_VALUES.get(name, MOST_SERIES):
            return OTHER
        values.add(value)
        return value
