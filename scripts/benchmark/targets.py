"""What stands before the provider: served before an address until a block ends, whoever it is."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.ports import Put
from common.gateway.upstream_records import UpstreamRecord, upstream_ref
from scripts.benchmark.deployed import Deployed, served
from scripts.benchmark.processes import Running
from scripts.benchmark.shapes import AS_THE_PROVIDER, Front

_UPSTREAM = "bench"


class Target(Protocol):
    """One of those that are measured. `name` is what its figures are found by."""

    @property
    def name(self) -> str: ...

    def served(
        self, provider: str, folder: Path, /, *, authority: Path | None, cpu: int | None
    ) -> AbstractContextManager[tuple[Running, Front]]:
        """Serve it before the provider at this address, with its files in `folder`.

        `authority` is the certificate that it trusts, of a provider that is reached by TLS.

        Raises:
            processes.NotStarted: it does not start; the text says why.
        """


class Peer(Target, Protocol):
    """Another gateway. `version` is what of it is installed."""

    @property
    def version(self) -> str: ...


@dataclass(frozen=True, slots=True)
class OwnGateway:
    """The gateway as it is bundled.

    By TLS the provider is a private upstream: what stands for the vendors is addressed by http.
    """

    proxy: Deployed
    name: str = "gateway"

    @contextmanager
    def served(
        self, provider: str, folder: Path, /, *, authority: Path | None, cpu: int | None
    ) -> Iterator[tuple[Running, Front]]:
        settings, front = {"SIMULATED_PROVIDER_URL": provider}, AS_THE_PROVIDER
        if authority is not None:
            folder.mkdir(parents=True, exist_ok=True)
            asyncio.run(_store_upstream(folder, provider))
            settings = {"SSL_CERT_FILE": str(authority)}
            front = Front(f"/u/{_UPSTREAM}/v1/chat/completions")
        with served(self.proxy, folder, settings, cpu=cpu) as process:
            yield process, front


async def _store_upstream(data: Path, provider: str) -> None:
    record = UpstreamRecord(
        _UPSTREAM, base_url=f"{provider}/openai/v1", provider="openai", allow_private=True
    )
    documents = SqliteDocuments(data / "state.sqlite")
    try:
        await documents.commit([Put(upstream_ref(record.name), record.to_data())])
    finally:
        await documents.aclose()
