"""What happens to running calls when the platform ends an instance.

Cloud Run sends SIGTERM and, 10 s later, SIGKILL
(https://cloud.google.com/run/docs/container-contract#instance-shutdown). The server takes no more
calls by then and waits for those that run, for as long as they take: the longest would be killed
without an account of what they cost.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType

FINISHES_WITHIN_S = 8.0
"""Since SIGTERM: then two seconds are left to account for what was cut off."""


def before_the_end(stop: Callable[[], None]) -> None:
    """Have `stop` called on the running loop, some seconds after the process is asked to end.

    The server's own handler is called at once, as before. Does nothing where there is none, and
    outside the main thread, which alone hears signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    servers_own = signal.getsignal(signal.SIGTERM)
    if not callable(servers_own):
        return

    def ended(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(loop.call_later, FINISHES_WITHIN_S, stop)
        servers_own(number, frame)

    signal.signal(signal.SIGTERM, ended)
