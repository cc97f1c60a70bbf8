"""The HTTP side of `scripts/cloudops`: requests, pages, and one clear line for every failure."""

import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import quote, urlsplit

import httpx
import typer

DEFAULT_URL = "http://127.0.0.1:3000"
_TIMEOUT_S = 60.0
_DURATION = re.compile(r"(\d{1,6})([mhd])")
_TOKEN = re.compile(r"[!-~]+")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def fail(message: str) -> NoReturn:
    """End with one line on standard error and exit code 1."""
    typer.echo(message, err=True)
    raise typer.Exit(1)


def moment_text(text: str, *, ahead: bool = False) -> str:
    """A time as the API takes it: `text` is a duration before now, a date (UTC) or a time.

    `ahead`: a duration is one from now on.
    """
    duration = _DURATION.fullmatch(text)
    try:
        if duration:
            length = int(duration[1]) * _UNITS[duration[2]]
            moment = datetime.now(UTC) + (length if ahead else -length)
        else:
            moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        fail(f"{text!r} is not a time: write 90m, 1h, 7d, 2026-11-01 or 2026-11-01T12:00:00Z")
    return moment.isoformat().replace("+00:00", "Z")


def segment(text: str) -> str:
    """An id or a name as one segment of a path.

    What would be more than one there ends the command: a server may decode `%2F` before it looks
    for what a path leads to, and segments of dots are taken out of it.
    """
    if not text:
        fail("the id is empty")
    if "/" in text or "\\" in text or not text.strip("."):
        fail(f"{text!r} is no id: ids have lower-case letters, digits and -")
    return quote(text, safe="")


def is_local(url: str) -> bool:
    """Whether it is an address of this machine alone."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def web_client(url: str, headers: Mapping[str, str]) -> httpx.Client:
    """What asks there. The proxy variables of a machine are for the internet, not for itself."""
    return httpx.Client(headers=headers, timeout=_TIMEOUT_S, trust_env=not is_local(url))


class ApiClient:
    """Requests to one API. Whatever goes wrong ends the command with one line."""

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            fail(f"{url!r} is not an address: write http://127.0.0.1:3000 or https://...")
        if token is not None and not _TOKEN.fullmatch(token):
            # Not repeated here: it is a secret.
            fail("the token is none: it is empty, or has spaces, line ends or other characters")
        self.url = url.rstrip("/")
        self.token = token
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self.http = web_client(url, headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()

    def get(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in query.items() if value is not None}
        return self._answer("GET", path, params=given)

    def text(self, path: str, query: dict[str, Any]) -> str:
        """An answer that is no JSON, unless it is a problem."""
        response = self._request("GET", path, params=query)
        if not response.is_success:
            self._checked(response, self._read(response))
        return response.text

    def post(
        self, path: str, body: dict[str, Any], *, version: str | None = None
    ) -> dict[str, Any]:
        """`version` is the one that was read, where what is made follows another."""
        condition = {} if version is None else {"if-match": f'"{version}"'}
        return self._answer("POST", path, json=body, headers=condition)

    def attempt(self, path: str, body: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
        """Whether a POST succeeded, and its answer or problem."""
        response, answer = self._response("POST", path, json=body)
        return response.is_success, answer

    def find(self, path: str) -> dict[str, Any] | None:
        """One thing, None where there is none."""
        response, answer = self._response("GET", path)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        return self._checked(response, answer)

    def put(self, path: str, body: dict[str, Any], *, version: str | None) -> dict[str, Any]:
        """Replace what was read with this version; None makes what is not there."""
        condition = {"if-none-match": "*"} if version is None else {"if-match": f'"{version}"'}
        return self._answer("PUT", path, json=body, headers=condition)

    def delete(self, path: str) -> dict[str, Any]:
        """Remove what is there, whatever it holds."""
        return self._answer("DELETE", path, headers={"if-match": "*"})

    def rows(self, path: str, query: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The rows of all pages, and the last answer."""
        answers = [self.get(path, {**query, "limit": 500})]
        while answers[-1]["next"] is not None:
            answers.append(self.get(path, {**query, "limit": 500, "after": answers[-1]["next"]}))
        return [row for answer in answers for row in answer["data"]], answers[-1]

    def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        return self._checked(*self._response(method, path, **request))

    def _response(
        self, method: str, path: str, **request: Any
    ) -> tuple[httpx.Response, dict[str, Any]]:
        """The response and its JSON."""
        response = self._request(method, path, **request)
        return response, self._read(response)

    def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self.http.request(method, f"{self.url}/api/v1/{path}", **request)
        except httpx.HTTPError as error:
            fail(f"{self.url} does not answer ({error}). Run scripts/dev, or give --url.")

    def _read(self, response: httpx.Response) -> dict[str, Any]:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            fail(f"{self.url} is not this API: it answered {response.status_code} without JSON.")
        return answer

    def _checked(self, response: httpx.Response, answer: dict[str, Any]) -> dict[str, Any]:
        if response.is_success:
            return answer
        field = f" ({answer['field']})" if answer.get("field") else ""
        detail = answer.get("detail", "no detail")
        fail(f"{response.status_code} {answer.get('code', 'unknown')}{field}: {detail}")
