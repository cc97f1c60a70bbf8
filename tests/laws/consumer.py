"""The function `usage` as a process of its own, which may be killed at any moment.

Reads one push envelope a line, each with a number before it, and writes the number and the status
it was answered with. Ends with its input.
"""

import asyncio
import json
import sys
from pathlib import Path

from functions_framework.aio import create_asgi_app

from scripts.local_stack.pushes import endpoint

SOURCE = Path(__file__).parents[2] / "functions/usage/main.py"


async def serve() -> None:
    post = endpoint(create_asgi_app("usage", str(SOURCE), "http"))  # type: ignore[no-untyped-call] # untyped there
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )

    async def answer(line: bytes) -> None:
        number, _, envelope = line.partition(b" ")
        status = await post(json.loads(envelope))
        sys.stdout.write(f"{number.decode()} {status}\n")
        sys.stdout.flush()

    async with asyncio.TaskGroup() as deliveries:
        async for line in lines:
            deliveries.create_task(answer(line))


if __name__ == "__main__":
    asyncio.run(serve())
