"""LiteLLM's proxy before the same provider: one worker, no database, a master key.

It is installed from hash-pinned requirements into an environment of its own, with bytecode, as the
gateway's functions are. Retries are off, since a call that is made twice would be counted as two.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.processes import Running, free_port, running
from scripts.benchmark.shapes import MODEL, Front
from scripts.commands.bundle import ROOT
from scripts.commands.lock import pins
from scripts.environments import environment

REQUIREMENTS = Path(__file__).with_name("litellm.txt")
ENVIRONMENTS = ROOT / ".venv/peers"

_KEY = "sk-bench"


@dataclass(frozen=True, slots=True)
class LiteLlm:
    """An installed proxy."""

    python: Path
    name: str = "LiteLLM"

    @property
    def version(self) -> str:
        return pins(REQUIREMENTS.read_text())["litellm"].split()[0]

    @contextmanager
    def served(
        self, provider: str, folder: Path, /, *, authority: Path | None, cpu: int | None
    ) -> Iterator[tuple[Running, Front]]:
        """Serve it before the provider at this address, until the block ends.

        `authority` is the certificate that it trusts, of a provider that is reached by TLS.

        Raises:
            processes.NotStarted: it does not start; the text says why.
        """
        folder.mkdir(parents=True)
        configuration = folder / "config.json"  # JSON is YAML
        configuration.write_text(json.dumps(_configuration(provider)))
        options = ["--config", configuration.name, "--host", "127.0.0.1", "--num_workers", "1"]
        variables = {
            "HOME": str(folder),
            "PATH": "/usr/bin:/bin",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # its price list, otherwise read from the web
            "LITELLM_TELEMETRY": "False",
            "LITELLM_LOG": "ERROR",
        }
        if authority is not None:
            variables["SSL_CERT_FILE"] = str(authority)
        port = free_port()
        with running(
            [str(self.python.parent / "litellm"), *options, "--port", str(port)],
            ready=port,
            folder=folder,
            log=folder / "log",
            variables=variables,
            cpu=cpu,
        ) as process:
            yield process, Front("/v1/chat/completions", {"authorization": f"Bearer {_KEY}"})


def installed() -> LiteLlm:
    """The proxy, installed if it is not yet.

    Raises:
        environments.IndexUnreachable: it is not installed yet and cannot be.
    """
    return LiteLlm(environment(REQUIREMENTS, ENVIRONMENTS))


def _configuration(provider: str) -> dict[str, object]:
    parameters = {
        "model": f"openai/{MODEL}",
        "api_base": f"{provider}/openai/v1",
        "api_key": "sim",
    }
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": parameters}],
        "litellm_settings": {"num_retries": 0, "telemetry": False},
        "router_settings": {"num_retries": 0},
        "general_settings": {"master_key": _KEY},
    }
