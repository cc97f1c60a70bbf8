"""nginx as a plain proxy before the same provider: the least that standing in between costs."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from scripts.benchmark.processes import Running, running

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  client_max_body_size 32m;
  client_body_buffer_size 256k;
  upstream provider {{ server {provider}; keepalive 128; keepalive_requests 1000000; }}
  server {{
    listen {listen};
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""
_STARTED = "start worker process "


def nginx_binary() -> str | None:
    """Where nginx is installed; None if it is not."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@contextmanager
def nginx(binary: str, provider: str, folder: Path, *, cpu: int | None) -> Iterator[Running]:
    """Serve nginx with one worker in front of the provider at this address, until the block ends.

    Raises:
        processes.NotStarted: it does not start; the text says why.
    """
    folder.mkdir(parents=True)
    listen = f"127.0.0.1:{_free_port()}"
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(folder=folder, listen=listen, provider=urlsplit(provider).netloc)
    )
    command = [binary, "-p", str(folder), "-e", "stderr", "-c", str(configuration)]
    log = folder / "log"
    with running(
        command, ready=f"({_STARTED})", folder=folder, log=log, variables={}, cpu=cpu
    ) as process:
        yield Running(process.pid, f"http://{listen}", process.started_s)


def _free_port() -> int:
    """A port free a moment ago: nginx can neither choose one itself nor say which it has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
