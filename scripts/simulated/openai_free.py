"""What costs nothing at OpenAI besides its list of models: moderations, files and batches.

Submitting a batch stands here too: what it will cost is not decided when it is accepted.
"""

from urllib.parse import parse_qsl

import orjson

from scripts.simulated import openai_moderations
from scripts.simulated.openai_batches import Batches
from scripts.simulated.openai_files import Files
from scripts.simulated.vendors import Call, decoded

Answer = tuple[bytes, bytes]
"""A content type, and a body of it."""
FREE = ("/v1/moderations", "/v1/files", "/v1/batches")
"""How the paths of these endpoints begin."""
_JSON = b"application/json"


class FreeEndpoints:
    """The objects of the simulated account, and the requests that make and read them."""

    def __init__(self) -> None:
        self._files = Files()
        self._batches = Batches(self._files)

    def answer(self, call: Call, body: bytes) -> Answer:
        """The answer to a request whose path and method `vendors.check_route` let pass.

        Raises:
            Refusal: the request is not one the API accepts, or its object is not there.
        """
        _, kind, *rest = call.path.strip("/").split("/")
        if kind == "files":
            return self._file(call, rest, body)
        if kind == "batches":
            return self._batch(call, rest, body)
        return _JSON, openai_moderations.answer(decoded(call, body), call.exchange)

    def _file(self, call: Call, rest: list[str], body: bytes) -> Answer:
        answer: object
        match call.method, rest:
            case "GET", []:
                answer = self._files.page(_query(call))
            case "GET", [identity]:
                answer = self._files.named(identity).described
            case "DELETE", [identity]:
                answer = self._files.delete(identity)
            case "GET", [identity, _]:
                return b"application/octet-stream", self._files.content(identity)
            case _:
                content_type = call.headers.get(b"content-type", b"")
                answer = self._files.add(content_type, body, call.exchange)
        return _JSON, orjson.dumps(answer)

    def _batch(self, call: Call, rest: list[str], body: bytes) -> Answer:
        answer: object
        match call.method, rest:
            case "GET", []:
                answer = self._batches.page(_query(call))
            case "GET", [identity]:
                answer = self._batches.named(identity)
            case "POST", [identity, _]:
                answer = self._batches.cancel(identity, call.exchange)
            case _:
                answer = self._batches.create(decoded(call, body), call.exchange)
        return _JSON, orjson.dumps(answer)


def _query(call: Call) -> dict[str, str]:
    return dict(parse_qsl(call.query.decode("latin-1")))
