"""nginx as a plain proxy before the same provider: the least that standing in between costs."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scripts.benchmark.processes import Running, free_port, running
from scripts.benchmark.shapes import AS_THE_PROVIDER, Front
from scripts.benchmark.tls import HOST

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
      proxy_pass {scheme}://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      {trust}
    }}
  }}
}}
"""
_TRUST = "proxy_ssl_verify on; proxy_ssl_name {host}; proxy_ssl_trusted_certificate {file};"
_STARTED = "start worker process "


@dataclass(frozen=True, slots=True)
class Nginx:
    """An installed nginx."""

    binary: str
    name: str = "nginx"

    @contextmanager
    def served(
        self, provider: str, folder: Path, /, *, authority: Path | None, cpu: int | None
    ) -> Iterator[tuple[Running, Front]]:
        """Serve it with one worker in front of the provider at this address, until the block ends.

        `authority` is the certificate that it trusts, of a provider that is reached by TLS.

        Raises:
            processes.NotStarted: it does not start; the text says why.
        """
        folder.mkdir(parents=True)
        listen = f"127.0.0.1:{free_port()}"
        parts = urlsplit(provider)
        trust = "" if authority is None else _TRUST.format(host=HOST, file=authority)
        configuration = folder / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=folder,
                listen=listen,
                provider=parts.netloc,
                scheme=parts.scheme,
                trust=trust,
            )
        )
        command = [self.binary, "-p", str(folder), "-e", "stderr", "-c", str(configuration)]
        log = folder / "log"
        with running(
            command, ready=f"({_STARTED})", folder=folder, log=log, variables={}, cpu=cpu
        ) as process:
            yield Running(process.pid, f"http://{listen}", process.started_s), AS_THE_PROVIDER


def installed_nginx() -> Nginx | None:
    """The nginx of this machine; None if there is none."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    return None if binary is None else Nginx(binary)
