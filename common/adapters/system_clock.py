"""The clock of the operating system: the only module that asks it for the time.

Everything else is handed a `Clock`, so that tests decide what time it is.
"""

import time
from datetime import UTC, datetime


class SystemClock:
    """Aware UTC time, and seconds that never run backwards."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
