"""Google's metadata server on this machine, as Cloud Run has one: it hands out tokens.

google-auth asks it where the variables of `variables` are set and no file of credentials is there.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0
_ACCOUNT = "/computeMetadata/v1/instance/service-accounts/"
_EMAIL = "gateway@acme.iam.gserviceaccount.com"


@dataclass(slots=True)
class MetadataServer:
    """Answers while `gate` is set; every token is a new one unless `token` names one.

    `half` sends half an answer when the gate is shut. `left` is set when a client that was kept
    waiting has gone.
    """

    address: str = ""
    token: str | None = None
    expires_in: int = 3600
    status: int = 200
    half: bool = False
    gate: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    heads: list[dict[str, str]] = field(default_factory=list)
    token_requests: list[str] = field(default_factory=list)

    def variables(self, empty: Path) -> dict[str, str]:
        """The environment in which it is the only source of credentials."""
        return {
            "GCE_METADATA_HOST": self.address,
            "GCE_METADATA_IP": self.address,
            "NO_GCE_CHECK": "false",
            "GOOGLE_APPLICATION_CREDENTIALS": "",
            "CLOUDSDK_CONFIG": str(empty),
            "GOOGLE_CLOUD_PROJECT": "",
        }

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        path, _, _ = path.partition("?")
        if path.endswith("/token"):
            self.token_requests.append(path)
            given = self.token or f"ya29.sim-{len(self.token_requests)}"
            told: Any = {"access_token": given, "expires_in": self.expires_in}
            # What an error's reply holds must not be seen anywhere either.
            return self.status, "application/json", json.dumps(told).encode()
        if path.startswith(_ACCOUNT):
            told = {"email": _EMAIL, "scopes": [], "aliases": ["default"]}
            return 200, "application/json", json.dumps(told).encode()
        return 200, "application/text", b"acme"


@contextmanager
def metadata_server() -> Iterator[MetadataServer]:
    """One that answers, until the block ends."""
    state = MetadataServer()
    state.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.heads.append({name.lower(): value for name, value in self.headers.items()})
            status, kind, body = state.answer(self.path)
            if self.path.partition("?")[0].endswith("/token"):
                state.asked.set()
                if not state.gate.is_set() and self._kept_waiting(body):
                    return
            with suppress(ConnectionError):  # A client that waited too long has gone.
                self._begin(status, kind, body)
                self.wfile.write(body)

        def _begin(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("metadata-flavor", "Google")
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()

        def _kept_waiting(self, body: bytes) -> bool:
            """Hold the answer back; whether it has been given in another way."""
            if not state.half:
                state.gate.wait(PATIENCE_S)
                return False
            self._begin(200, "application/json", body)
            self.wfile.write(body[: len(body) // 2])
            self.connection.settimeout(PATIENCE_S)
            if self.connection.recv(1) == b"":
                state.left.set()
            self.close_connection = True
            return True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
