"""Where LiteLLM sends a deployment's calls, and whether an upstream can stand there.

An upstream speaks OpenAI's format, so a provider that LiteLLM translates for has none. Variables
are those that LiteLLM reads where a config names none (https://docs.litellm.ai/docs/providers),
addresses the providers' own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from common.api.manifest_models import holds_credential
from common.core.errors import InvalidInput
from common.core.yaml_lines import Found
from common.gateway.destinations import VENDOR_VARIABLES, VENDORS
from common.gateway.upstream_records import check_url
from common.llm.price_book import PriceBook

_VARIABLE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]{0,120})")
_PLACE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_AZURE_PATHS = re.compile(r"(/openai(/v1|/deployments/.*)?)?/?")
_AZURE_MARKS = ("o_series/", "gpt5_series/")
"""LiteLLM's own words before the name of a deployment."""


class NotReachable(Exception):
    """No upstream can stand for a deployment. Its text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What a prefix stands for.

    `prices` is an id of the price list, `variable` the one that LiteLLM reads without an `api_key`.
    Behind a server's own address `path` leads to OpenAI's format.
    """

    upstream: str
    prices: str | None = None
    variable: str | None = None
    base_url: str | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """What makes an upstream this one and no other. `name` is what it would best be called.

    Without a `base_url` or a `project` it is one of the three vendors. `unknown` is the variable
    that holds the address, where the config does not say it; `base_url` then leads nowhere.
    """

    name: str
    base_url: str | None = None
    prices: str | None = None
    variable: str | None = None
    project: str | None = None
    location: str | None = None
    unknown: str | None = None


_COMPATIBLE = Provider("")
PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        "azure": Provider("azure", "azure", "AZURE_API_KEY", path="/openai/v1"),
        "cerebras": Provider(
            "cerebras", "cerebras", "CEREBRAS_API_KEY", "https://api.cerebras.ai/v1"
        ),
        "custom_openai": _COMPATIBLE,
        "deepinfra": Provider(
            "deepinfra", None, "DEEPINFRA_API_KEY", "https://api.deepinfra.com/v1/openai"
        ),
        "deepseek": Provider(
            "deepseek", "deepseek", "DEEPSEEK_API_KEY", "https://api.deepseek.com/v1"
        ),
        "fireworks_ai": Provider(
            "fireworks", "fireworks", "FIREWORKS_API_KEY", "https://api.fireworks.ai/inference/v1"
        ),
        "groq": Provider("groq", "groq", "GROQ_API_KEY", "https://api.groq.com/openai/v1"),
        "hosted_vllm": _COMPATIBLE,
        "litellm_proxy": _COMPATIBLE,
        "llamafile": _COMPATIBLE,
        "lm_studio": _COMPATIBLE,
        "mistral": Provider("mistral", "mistral", "MISTRAL_API_KEY", "https://api.mistral.ai/v1"),
        "nvidia_nim": Provider(
            "nvidia-nim", None, "NVIDIA_NIM_API_KEY", "https://integrate.api.nvidia.com/v1"
        ),
        "ollama": Provider("ollama", None, None, "http://localhost:11434/v1", "/v1"),
        "ollama_chat": Provider("ollama", None, None, "http://localhost:11434/v1", "/v1"),
        "openai": _COMPATIBLE,
        "openai_like": _COMPATIBLE,
        "openrouter": Provider(
            "openrouter", "openrouter", "OPENROUTER_API_KEY", "https://openrouter.ai/api/v1"
        ),
        "perplexity": Provider(
            "perplexity", "perplexity", "PERPLEXITYAI_API_KEY", "https://api.perplexity.ai"
        ),
        "sambanova": Provider(
            "sambanova", None, "SAMBANOVA_API_KEY", "https://api.sambanova.ai/v1"
        ),
        "text-completion-openai": _COMPATIBLE,
        "together_ai": Provider(
            "together", "together", "TOGETHERAI_API_KEY", "https://api.together.xyz/v1"
        ),
        "xai": Provider("xai", "x-ai", "XAI_API_KEY", "https://api.x.ai/v1"),
    }
)
"""Prefixes whose calls LiteLLM sends in OpenAI's format, or to servers that speak it too."""
_VENDOR_PREFIXES: Mapping[str, str] = {
    "openai": "openai",
    "text-completion-openai": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
}
_VERTEX = frozenset({"vertex_ai", "vertex_ai_beta"})


def variable_in(text: str) -> str | None:
    """X of `os.environ/X`, unless a key was put there."""
    match = _VARIABLE.fullmatch(text)
    return None if match is None or holds_credential(match[1]) else match[1]


def locate(params: Mapping[str, Found], book: PriceBook) -> tuple[Address, str]:
    """Where a deployment's calls go, and the model's name there.

    Raises:
        NotReachable: there is no way that needs no translation, or the config does not say it.
    """
    prefix, model = _split(params, book)
    given = _text(params, "api_base") or _text(params, "base_url")
    if not model or model.startswith("os.environ/"):
        raise NotReachable("the config does not say which model: name it")
    if model.startswith("responses/"):
        raise NotReachable("LiteLLM translates to Responses: clients call /openai/v1/responses")
    if prefix in _VERTEX:
        return _vertex(params, model, given)
    vendor = _VENDOR_PREFIXES.get(prefix)
    if vendor is not None and (given is None or _is_at(given, VENDORS[vendor].base_url)):
        return Address(vendor, variable=VENDOR_VARIABLES[vendor]), model
    provider = PROVIDERS.get(prefix)
    if provider is None and vendor is not None:
        raise NotReachable(f"an address of {vendor}'s own format: only the vendor's own is known")
    if provider is None:
        raise NotReachable(
            "LiteLLM translates for this provider, the gateway does not; if it speaks OpenAI's"
            " format somewhere, make an upstream of that address"
        )
    if prefix == "azure":
        for mark in _AZURE_MARKS:
            model = model.removeprefix(mark)
    return _configured(provider, prefix, given), model


def _split(params: Mapping[str, Found], book: PriceBook) -> tuple[str, str]:
    """A deployment's provider, as LiteLLM's prefix, and its model."""
    model = _text(params, "model") or ""
    named = _text(params, "custom_llm_provider")
    prefix, _, rest = model.partition("/")
    if named is not None:
        return named, rest if prefix == named else model
    if rest and prefix != "os.environ":
        return prefix, rest
    for vendor in ("openai", "anthropic"):
        if book.card(vendor, model) is not None:
            return vendor, model
    raise NotReachable("the config does not say whose model it is: write its provider before it")


def _configured(provider: Provider, prefix: str, given: str | None) -> Address:
    if given is None:
        if provider.base_url is None:
            raise NotReachable("the config has no api_base for it: make an upstream of its address")
        return _known(provider)
    unknown = variable_in(given)
    if unknown is not None:
        word = as_slug(unknown)
        name = provider.upstream or re.sub(r"(-api)?(-base)?(-url)?$", "", word) or word
        base_url = f"https://{word}.invalid{provider.path}"
        return Address(name, base_url, provider.prices, provider.variable, unknown=unknown)
    base_url = given.rstrip("/").removesuffix("/chat/completions").rstrip("/")
    if prefix == "azure":
        base_url = _azure(base_url)
    elif provider.path and not base_url.endswith(provider.path):
        base_url += provider.path
    for other in PROVIDERS.values():
        if base_url == other.base_url:
            return _known(other)
    name = provider.upstream or as_slug(_host(base_url))
    return Address(name, base_url, provider.prices, provider.variable)


def _known(provider: Provider) -> Address:
    return Address(provider.upstream, provider.base_url, provider.prices, provider.variable)


def _azure(base_url: str) -> str:
    """A resource's address in its form without versions, which is OpenAI's."""
    try:
        parts = urlsplit(base_url)
    except ValueError:
        parts = urlsplit("")
    if not parts.netloc or parts.query or _AZURE_PATHS.fullmatch(parts.path) is None:
        raise NotReachable(
            "this is no address of an Azure OpenAI resource: an upstream takes"
            " https://RESOURCE.openai.azure.com/openai/v1"
        )
    return f"{parts.scheme}://{parts.netloc}/openai/v1"


def _vertex(params: Mapping[str, Found], model: str, given: str | None) -> tuple[Address, str]:
    name = model.removeprefix("google/")
    if not name.startswith("gemini"):
        raise NotReachable("of Vertex AI only Google's Gemini models are forwarded")
    project, location = _text(params, "vertex_project"), _text(params, "vertex_location")
    places = [each for each in (project, location) if each is not None and _PLACE.fullmatch(each)]
    if len(places) != 2 or given is not None:
        raise NotReachable(
            "an upstream of Vertex AI is a project and a location, written out:"
            " `scripts/cloudops upstreams set vertex --identity google --project P --location L`"
        )
    return Address("vertex", project=project, location=location), name


def _is_at(url: str, vendor: str) -> bool:
    host = _host(url)
    return bool(host) and host == _host(vendor)


def _host(url: str) -> str:
    """The host of an address that may be called, empty where it is none."""
    try:
        check_url(url, allow_private=True)
        return urlsplit(url).hostname or ""
    except InvalidInput:
        return ""


def as_slug(text: str) -> str:
    """The text as a name of letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:50].strip("-") or "upstream"


def _text(params: Mapping[str, Found], name: str) -> str | None:
    found = params.get(name)
    return None if found is None else found.text
