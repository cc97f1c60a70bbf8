"""One local stack for all tests of the official SDKs; they only read what it answers."""

from collections.abc import Iterator

import pytest

from tests.local_stack.process import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack") / "data") as running:
        yield running
