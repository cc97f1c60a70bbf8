"""Targets with a known end, so that it shows whether the fuzzer tells one from another."""

import os
import re
from collections.abc import Mapping

from scripts.fuzzing.target import Target

_ENDLESS = re.compile(rb"(a*)*b")


def targets() -> Mapping[str, Target]:
    planted = (
        Target("sound", lambda _: None, [b"a"]),
        Target("crashes", _check_crashes, [b"abc"]),
        Target("hangs", _check_hangs, [b"a"]),
        Target("ends", lambda _: os._exit(0), [b"a"]),
    )
    return {target.name: target for target in planted}


def _check_crashes(data: bytes) -> None:
    if len(data) > 4:
        raise ValueError("five bytes")


def _check_hangs(_: bytes) -> None:
    _ENDLESS.match(b"a" * 60)
