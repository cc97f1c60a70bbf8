"""Commands ask Pub/Sub itself as whoever the default credentials name."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from scripts.pubsub_http import PubsubFailed, PubsubHttp

PUBLISH = "/v1/projects/acme/topics/oco-usage:publish"


@dataclass(slots=True)
class Google:
    """Hands out tokens, and answers every other request with `status` and `body`."""

    address: str = ""
    status: int = 200
    body: bytes = b"{}"
    seen: list[tuple[str, str | None]] = field(default_factory=list)

    def answer(self, path: str, identity: str | None) -> tuple[int, bytes]:
        self.seen.append((path, identity))
        if path == "/token":
            return 200, json.dumps({"access_token": "ya29.ada", "expires_in": 3600}).encode()
        return self.status, self.body


@pytest.fixture
def google() -> Iterator[Google]:
    state = Google()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            status, body = state.answer(self.path, self.headers["authorization"])
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        state.address = f"http://127.0.0.1:{server.server_port}"
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def credentials(google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a service account whose tokens come from here."""
    private = generate_private_key(public_exponent=65537, key_size=2048)
    told = {
        "type": "service_account",
        "client_email": "ci@acme.iam.gserviceaccount.com",
        "private_key": private.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode(),
        "token_uri": f"{google.address}/token",
    }
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(told))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    monkeypatch.setenv("NO_PROXY", "*")


def publish(google: Google, *data: bytes) -> None:
    pubsub = PubsubHttp("acme", "oco", service=google.address)
    try:
        for each in data:
            pubsub.publish("usage", each, {})
    finally:
        pubsub.close()


@pytest.mark.usefixtures("credentials")
def test_asks_for_one_token_and_sends_it_with_every_request(google: Google) -> None:
    publish(google, b"1", b"2")

    assert google.seen == [("/token", None), *[(PUBLISH, "Bearer ya29.ada")] * 2]


def test_asks_nobody_without_credentials(
    google: Google, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))

    with pytest.raises(PubsubFailed, match="gcloud auth application-default login"):
        publish(google, b"1")

    assert google.seen == []


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (403, b'{"error": {"message": "Not you."}}', "publish answered 403: Not you."),
        (502, b"<h1>no</h1>", "Pub/Sub answered 502 without JSON"),
    ],
)
def test_says_why_it_is_refused(google: Google, status: int, body: bytes, told: str) -> None:
    google.status, google.body = status, body

    with pytest.raises(PubsubFailed) as raised:
        publish(google, b"1")

    assert str(raised.value) == f"topics/oco-usage: {told}"
