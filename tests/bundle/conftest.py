"""Deployed functions: bundled, unpacked and installed once per session and worker."""

from collections.abc import Callable
from functools import cache

import pytest

from scripts.benchmark.deployed import Deployed, IndexUnreachable, deploy

Deploy = Callable[[str], Deployed]


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
