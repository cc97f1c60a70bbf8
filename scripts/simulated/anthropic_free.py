"""What costs nothing at Anthropic besides its list of models: token counts, batches and files.

Submitting a batch stands here too: what it will cost is not decided when it is accepted.
"""

from typing import Any
from urllib.parse import parse_qsl

import orjson

from scripts.simulated import anthropic_requests
from scripts.simulated.anthropic_batches import Batches
from scripts.simulated.anthropic_files import Files
from scripts.simulated.vendors import Call, decoded

Answer = tuple[bytes, bytes]
"""A content type, and a body of it."""
FREE = ("/v1/messages/", "/v1/files")
"""How the paths of these endpoints begin."""
_JSON = b"application/json"
_LINES = b"application/x-jsonl"


class FreeEndpoints:
    """The objects of the simulated account, and the requests that make and read them."""

    def __init__(self) -> None:
        self._files = Files()
        self._batches = Batches()

    def answer(self, call: Call, body: bytes) -> Answer:
        """The answer to a request whose path and method `vendors.check_route` let pass.

        Raises:
            Refusal: the request is not one the API accepts, or its object is not there.
        """
        match call.path.strip("/").split("/"):
            case [_, "files", *rest]:
                return _JSON, orjson.dumps(self._file(call, rest, body))
            case [_, _, "count_tokens"]:
                counted = anthropic_requests.count(decoded(call, body))
                return _JSON, orjson.dumps({"input_tokens": counted})
            case [_, _, _, identity, "results"]:
                return _LINES, self._batches.results(identity)
            case [_, _, _, *rest]:
                return _JSON, orjson.dumps(self._batch(call, rest, body))
        raise ValueError(call.path)

    def _file(self, call: Call, rest: list[str], body: bytes) -> Any:
        match call.method, rest:
            case "GET", []:
                return self._files.page(_query(call))
            case "GET", [identity]:
                return self._files.named(identity)
            case "DELETE", [identity]:
                return self._files.delete(identity)
            case "GET", [identity, _]:
                return self._files.content(identity)
        content_type = call.headers.get(b"content-type", b"")
        return self._files.add(content_type, body, call.exchange)

    def _batch(self, call: Call, rest: list[str], body: bytes) -> Any:
        match call.method, rest:
            case "GET", []:
                return self._batches.page(_query(call))
            case "GET", [identity]:
                return self._batches.named(identity).described
            case "DELETE", [identity]:
                return self._batches.delete(identity)
            case "POST", [identity, _]:
                return self._batches.cancel(identity, call.exchange)
        return self._batches.create(decoded(call, body), call.exchange)


def _query(call: Call) -> dict[str, str]:
    return dict(parse_qsl(call.query.decode("latin-1")))
