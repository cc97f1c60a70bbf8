"""What stands between is held against the provider's own count, and left out when it fails."""

import json
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from scripts.benchmark.load import Load, begin, run_load
from scripts.benchmark.measures import QUICK, CountsDiffer, Cpus
from scripts.benchmark.peers import litellm, portkey
from scripts.benchmark.processes import NotStarted, Running
from scripts.benchmark.repetition import Bench, peer_rows
from scripts.benchmark.rows import OF_ITS_CORE, tls_row
from scripts.benchmark.shapes import AS_THE_PROVIDER, PATH, SMALL, Front
from scripts.benchmark.surroundings import simulated_provider
from scripts.benchmark.targets import OwnGateway
from scripts.benchmark.tls import make_certificates
from scripts.commands.lock import pins
from tests.bundle.conftest import Deploy, Provider


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing stands between: the provider's own address, or no start at all."""

    starts: bool = True
    name: str = "nothing"
    version: str = "1"

    @contextmanager
    def served(
        self, provider: str, _folder: Path, /, *, authority: Path | None, cpu: int | None
    ) -> Iterator[tuple[Running, Front]]:
        assert authority is None
        assert cpu is None
        if not self.starts:
            raise NotStarted("a library is\nmissing")
        yield Running(os.getpid(), provider, 0.0), AS_THE_PROVIDER


def bench(folder: Path) -> Bench:
    return Bench(folder, QUICK, Cpus(None, None), counted_within_s=0.5)


def test_keeps_figures_when_the_provider_counts_what_clients_count(tmp_path: Path) -> None:
    found = bench(tmp_path)

    with found.before_provider(Nothing(), QUICK) as (one, process, _):
        one.call(process, SMALL, 2, 5)
        one.note("row", "nothing", "calls", "1", 5)

    assert list(found.figures.values()) == [5]


def test_has_no_figures_when_the_provider_got_one_call_more(tmp_path: Path) -> None:
    found = bench(tmp_path)

    with (  # noqa: PT012 - the end of the block is what fails
        pytest.raises(CountsDiffer, match="2 calls through nothing were answered and 3 charged"),
        found.before_provider(Nothing(), QUICK) as (one, process, provider),
    ):
        one.call(process, SMALL, 1, 2)
        one.note("row", "nothing", "calls", "1", 2)
        run_load(provider, Load(SMALL.request(provider, ""), 1, 1))  # as if tried again

    assert found.figures == {}


def test_leaves_a_peer_out_that_does_not_start_and_says_so(tmp_path: Path) -> None:
    found = bench(tmp_path)

    peer_rows(found, Nothing(starts=False), {}, first=True)

    assert found.figures == {}
    assert found.left_out == [
        "nothing's calls are left out: a library is missing",
        "nothing's figures of memory are left out: a library is missing",
        "nothing's streams are left out: a library is missing",
    ]


def test_asks_a_peer_at_its_own_path_with_its_own_headers() -> None:
    front = Front("/v1/chat/completions", {"authorization": "Bearer theirs", "x-to": "openai"})

    head = SMALL.request("http://127.0.0.1:1", "", front).partition(b"\r\n\r\n")[0].decode()

    assert head.startswith("POST /v1/chat/completions HTTP/1.1\r\n")
    assert "authorization: Bearer theirs\r\n" in head
    assert "x-to: openai" in head
    assert "Bearer sim" not in head


async def test_counts_a_call_that_waits_for_a_connection_from_when_it_was_due() -> None:
    began_s = time.perf_counter() - 10

    assert await begin(Load(b"", 1, 9, per_second=2), began_s, 4) == began_s + 2
    assert await begin(Load(b"", 1, 9), began_s, 4) > began_s + 2


def test_makes_every_call_at_a_pace(provider: Provider) -> None:
    request = SMALL.request(provider.address, "none")

    result = run_load(provider.address, Load(request, 2, 5, per_second=500))

    assert len(result.latencies_s) == 5
    assert result.elapsed_s > 3 / 500  # a timer may be a moment early


def test_serves_the_provider_by_tls_to_whoever_trusts_its_authority(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "certificates")
    trust = ssl.create_default_context(cafile=made.authority)

    with simulated_provider(tmp_path / "provider", certificate=made.provider) as running:
        health = f"{running.address}/simulated/health"
        told = httpx.get(health, verify=trust, trust_env=False).json()
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(health, verify=ssl.create_default_context(), trust_env=False)

    assert running.address.startswith("https://")
    assert told["simulated"] is True
    assert made.provider.parent.stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_reaches_the_provider_by_tls_through_the_gateway(deployed: Deploy, tmp_path: Path) -> None:
    found = bench(tmp_path)
    gateway = OwnGateway(deployed("proxy"))
    made = make_certificates(tmp_path / "certificates")

    with found.before_provider(gateway, QUICK, made) as (one, process, _):
        tls_row(one, gateway.name, process)

    assert {figure.measure for figure in found.figures} == {"CPU", "calls", OF_ITS_CORE}


def test_pins_peers_and_names_no_registry() -> None:
    text = litellm.REQUIREMENTS.read_text()
    wanted = json.loads(portkey.WANTED.read_text())["dependencies"]

    assert "litellm" in pins(text)
    assert [name for name, pin in pins(text).items() if "--hash=sha256:" not in pin] == []
    assert all(version[0].isdigit() for version in wanted.values())
    assert "index-url" not in text
    assert PATH.endswith("/v1/chat/completions")
