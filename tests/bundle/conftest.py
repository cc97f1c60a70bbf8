"""Deployed functions, and a provider to call: made once per session and worker."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from scripts.benchmark.deployed import Deployed, deploy
from scripts.benchmark.surroundings import simulated_provider
from scripts.environments import IndexUnreachable
from tests.emulators import firestore_emulator, pubsub_emulator

__all__ = ["firestore_emulator", "pubsub_emulator"]

Deploy = Callable[[str], Deployed]


@dataclass(frozen=True, slots=True)
class Provider:
    """A simulated provider, and the folder of its ledger."""

    address: str
    data: Path


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    """Deploys a function by its name; skips where its requirements cannot be had."""

    @cache
    def once(function: str) -> Deployed:
        try:
            return deploy(function, tmp_path_factory.mktemp(function))
        except IndexUnreachable as error:
            pytest.skip(str(error))

    return once


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    data = tmp_path_factory.mktemp("provider")
    with simulated_provider(data) as running:
        yield Provider(running.address, data)
