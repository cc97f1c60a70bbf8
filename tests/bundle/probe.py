"""Serves one request of a deployed function in this process, and prints what that imported.

Printed are the answer's status and each third-party module with its distribution.

Arguments: the function's name, the method, the path, the headers as a JSON object, the body.
"""

import asyncio
import json
import sys
from importlib.metadata import distributions
from typing import Any

from functions_framework.aio import create_asgi_app


async def status_of(
    application: Any, method: str, path: str, headers: dict[str, str], body: bytes
) -> int:
    """The status that the application answers with."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    statuses = []

    async def receive() -> dict[str, object]:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }
    await application(scope, receive, send)
    [status] = statuses
    return int(status)


def owners() -> dict[str, str | None]:
    """Third-party modules by name, each with its distribution, None if it has none."""
    of_file = {
        str(each.locate_file(file)): each.name.lower().replace("_", "-")
        for each in distributions()
        for file in each.files or ()
    }
    found: dict[str, str | None] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and "site-packages" in file:
            found[name] = of_file.get(file)
    return found


def main() -> None:
    function, method, path, headers, body = sys.argv[1:]
    application = create_asgi_app(function, "main.py", "http")  # type: ignore[no-untyped-call] # untyped there
    status = asyncio.run(status_of(application, method, path, json.loads(headers), body.encode()))
    sys.stdout.write(json.dumps({"status": status, "owners": owners()}))


if __name__ == "__main__":
    main()
