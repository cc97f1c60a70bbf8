"""Signals, leases and moments for tests of brownouts, with the field's defaults."""

from datetime import UTC, datetime, timedelta
from typing import Any

from common.brownout.modes import Mode
from common.brownout.signals import Signal
from common.brownout.trajectory import Recovery

T0 = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
RECOVERY = Recovery()
CYCLE = RECOVERY.dwell + RECOVERY.ramp
LEASE = timedelta(minutes=30)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def a_signal(level: Mode = Mode.HARD, scope: str = "global", **changed: Any) -> Signal:
    """A signal of Datadog's that is seen at T0 and goes on."""
    members: dict[str, Any] = {
        "source": "datadog",
        "monitor": "17",
        "group": "",
        "scope": scope,
        "level": level,
        "observed_at": T0,
        "received_at": T0,
        "lease_until": T0 + LEASE,
    }
    return Signal(**{**members, **changed})
