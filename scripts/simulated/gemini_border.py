"""Google's API at the border, the Gemini API's and Vertex AI's: keys, headers, errors and faults.

An error is `{"error": {code, message, status}}`, in a stream as its last chunk. No message repeats
any part of a key.
"""

from urllib.parse import parse_qsl

import orjson

from scripts.simulated.gemini_content import is_array
from scripts.simulated.refusals import SERVER_ERRORS, Refusal

BAD_JSON = "Invalid JSON payload received. Unexpected token."
HEADERS = [
    (b"vary", b"Origin"),
    (b"server-timing", b"gfet4t7; dur=1"),
    (b"x-content-type-options", b"nosniff"),
]
STREAM = ":streamGenerateContent"
INTERACTIONS = "/interactions"
_OF_VERTEX = "/publishers/"
_TOKENS = b"ya29."
"""How Google's access tokens begin."""

_STATUSES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    504: "DEADLINE_EXCEEDED",
}
_MESSAGES = {
    400: "Request contains an invalid argument.",
    401: "Request had invalid authentication credentials.",
    403: "Your API key does not have permission to use it.",
    404: "Requested entity was not found.",
    429: "You exceeded your current quota, please check your plan and billing details.",
    500: "An internal error has occurred. Please retry or report in "
    "https://developers.generativeai.google/guide/troubleshooting",
    503: "The model is overloaded. Please try again later.",
    504: "Deadline expired before operation could complete.",
}
_STATUS_FAULTS = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
FAULTS = {
    f"status-{status}": Refusal(
        status, f"{_MESSAGES.get(status, 'The request failed.')} [simulated fault]"
    )
    for status in _STATUS_FAULTS
}


def check_key(path: str, headers: dict[bytes, bytes], query: bytes, wanted: bytes) -> None:
    """The key stands in a header or in the query; Vertex AI takes an access token in its place.

    Raises:
        Refusal: no key (403), or a wrong one (400), as Google answers them; no token (401).
    """
    if _OF_VERTEX in path:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not (token == wanted or token.startswith(_TOKENS)):
            raise Refusal(
                401,
                "Request had invalid authentication credentials. Expected OAuth 2 access token, "
                "login cookie or other valid authentication credential.",
            )
        return
    in_query = dict(parse_qsl(query.decode("latin-1"))).get("key")
    given = headers.get(b"x-goog-api-key", in_query.encode() if in_query else None)
    if given is None:
        raise Refusal(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). "
            "Please use API Key or other form of API consumer identity to call this API.",
        )
    if given != wanted:
        raise Refusal(400, "API key not valid. Please pass a valid API key.")


def traffic(path: str, headers: dict[bytes, bytes]) -> str | None:
    """What Vertex AI calls the capacity that serves a call; None at the Gemini API."""
    if _OF_VERTEX not in path:
        return None
    dedicated = headers.get(b"x-vertex-ai-llm-request-type") == b"dedicated"
    return "PROVISIONED_THROUGHPUT" if dedicated else "ON_DEMAND"


def error(refusal: Refusal) -> bytes:
    """The body Google answers with."""
    by_status = "INVALID_ARGUMENT" if refusal.status < SERVER_ERRORS else "UNAVAILABLE"
    status = _STATUSES.get(refusal.status, by_status)
    told = {"code": refusal.status, "message": refusal.message, "status": status}
    return orjson.dumps({"error": told})


def error_chunk(path: str, query: bytes) -> bytes:
    """What an error looks like after a stream has started."""
    if path.endswith(INTERACTIONS):
        told = {"message": FAULTS["status-503"].message, "code": "service_unavailable"}
        return b"event: error\ndata: %b\n\n" % orjson.dumps({"error": told, "event_type": "error"})
    failed = error(FAULTS["status-503"])
    return b",\r\n%b\r\n]" % failed if is_array(query) else b"data: %b\r\n\r\n" % failed


def answers_array(path: str, query: bytes) -> bool:
    """Whether the answer is a stream that is one JSON array."""
    return path.endswith(STREAM) and is_array(query)
