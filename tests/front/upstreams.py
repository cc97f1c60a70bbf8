"""The upstreams of these tests: how each is configured, called, and answers for itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.gateway.upstream_records import CredentialRecord, UpstreamRecord

PLACE = "/v1/projects/acme/locations/europe-west4/endpoints/openapi"


@dataclass(frozen=True, slots=True)
class Vendor:
    """One prefix. `model` is its vendor's own name; `simulated` where the simulated one serves it.

    `address` is the real one, of which `path` follows the simulated address.
    """

    prefix: str
    model: str
    address: str
    simulated: str
    record: UpstreamRecord | None = None
    strict: bool = False
    thinks: bool = False

    @property
    def asked(self) -> str:
        return f"{self.prefix}/{self.model}"


def _configured(
    name: str, model: str, base_url: str, provider: str | None, **fields: bool
) -> Vendor:
    record = UpstreamRecord(
        name,
        base_url=base_url,
        provider=provider,
        models=() if provider else (model,),
        credentials=(CredentialRecord(name, f"{name.upper()}_API_KEY"),),
    )
    return Vendor(name, model, base_url, f"/u/{name}", record, **fields)


_ALL = (
    Vendor("openai", "gpt-4o-mini", "https://api.openai.com/v1", "/openai/v1", strict=True),
    Vendor("anthropic", "claude-sonnet-4-5", "https://api.anthropic.com/v1", "/anthropic/v1"),
    Vendor(
        "gemini",
        "gemini-2.5-flash",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "/gemini/v1beta/openai",
        thinks=True,
    ),
    Vendor(
        "vertex",
        "google/gemini-2.5-flash",
        f"https://europe-west4-aiplatform.googleapis.com{PLACE}",
        f"/vertex{PLACE}",
        UpstreamRecord("vertex", identity="google", project="acme", location="europe-west4"),
        thinks=True,
    ),
    _configured("mistral", "mistral-large-latest", "https://api.mistral.ai/v1", "mistral"),
    _configured(
        "deepseek", "deepseek-reasoner", "https://api.deepseek.com", "deepseek", thinks=True
    ),
    _configured("xai", "grok-4", "https://api.x.ai/v1", "x-ai", thinks=True),
    _configured(
        "groq", "openai/gpt-oss-120b", "https://api.groq.com/openai/v1", "groq", thinks=True
    ),
    _configured(
        "openrouter", "anthropic/claude-sonnet-4.5", "https://openrouter.ai/api/v1", "openrouter"
    ),
    _configured("azure", "gpt-4o-mini", "https://acme.openai.azure.com/openai/v1", "azure"),
    _configured("relay", "gpt-4.1", "https://llm.example.com/v1", "openai", strict=True),
    _configured("ollama", "llama3:8b", "https://ollama.example.com/v1", None),
    _configured("vllm", "org/own-model", "https://vllm.example.com/v1", None),
)
VENDORS: Mapping[str, Vendor] = {vendor.prefix: vendor for vendor in _ALL}
BILLED = tuple(name for name in VENDORS if name not in ("ollama", "vllm"))
VARIABLES = tuple(f"{name.upper()}_API_KEY" for name in VENDORS if name != "vertex")
