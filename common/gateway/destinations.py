"""Where calls go: an address, whose prices apply there, and the keys that pay.

OpenAI, Anthropic and Gemini are there without being configured. More upstreams, and more
credentials for these three, are documents (`upstream_records.py`), read by `directory.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from common.core.secrets import Secret


@dataclass(frozen=True, slots=True)
class Credential:
    """A provider key of the installation. Heavier ones get more of the calls."""

    name: str
    secret: Secret
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Place:
    """A project and location of Vertex AI, where the function's own identity pays."""

    project: str
    location: str

    @property
    def url(self) -> str:
        """The host is built, never configured: the identity's token can go nowhere else."""
        prefix = "" if self.location == "global" else f"{self.location}-"
        return f"https://{prefix}aiplatform.googleapis.com"

    @property
    def path(self) -> str:
        return f"/projects/{self.project}/locations/{self.location}"


@dataclass(frozen=True, slots=True)
class Destination:
    """An upstream that calls can go to.

    `provider` names the price list, None where there is none. `openai_path` is what OpenAI's
    ``/v1`` becomes behind `base_url`. `credentials` serve calls that bring no provider key,
    `unset` names the variables of others that are not set here. `models` are those that no price
    list has. `allow_private` opens addresses inside the own network.
    """

    name: str
    provider: str | None
    base_url: str
    openai_path: str = ""
    credentials: tuple[Credential, ...] = ()
    unset: tuple[str, ...] = ()
    place: Place | None = None
    models: tuple[str, ...] = ()
    allow_private: bool = False

    @property
    def price_list(self) -> str:
        """What prices are looked up under: without a list only own rates are, by its name."""
        return self.provider or f"u/{self.name}"

    @property
    def pays(self) -> bool:
        """Whether a call without a provider key can be sent."""
        return bool(self.credentials) or self.place is not None


Destinations: TypeAlias = Mapping[str, Destination]
"""By name."""

VERTEX_OPENAI_PATH = "/endpoints/openapi"
VENDORS: Destinations = MappingProxyType(
    {
        "openai": Destination("openai", "openai", "https://api.openai.com", "/v1"),
        "anthropic": Destination("anthropic", "anthropic", "https://api.anthropic.com", "/v1"),
        "gemini": Destination(
            "gemini", "google", "https://generativelanguage.googleapis.com", "/v1beta/openai"
        ),
    }
)
VENDOR_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "openai": "OPENAI_API_KEY",
        "anthropic": "ANTHROPIC_API_KEY",
        "gemini": "GEMINI_API_KEY",
    }
)
"""The variable of each vendor's one credential, where no document names others."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """The simulated provider in place of a real one, for calls that show its key."""

    url: str
    key: Secret = field(default_factory=lambda: Secret("sim"))

    def base_url(self, destination: Destination) -> str:
        if destination.name in VENDORS:
            return f"{self.url}/{destination.name}"
        return f"{self.url}/vertex" if destination.place else f"{self.url}/u/{destination.name}"
