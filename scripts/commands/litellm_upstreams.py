"""The upstreams that stand for a LiteLLM config's deployments, and what is lost on the way.

What has no counterpart is told as a loss, with what to do instead. Everything follows the order of
the file, so the same file gives the same upstreams.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

from common.api.manifest_models import NamedUpstream, holds_credential, read_manifest
from common.api.upstream_routes import record_of
from common.core.errors import CloudOpsError, InvalidInput
from common.core.yaml_lines import Found
from common.gateway.destinations import VENDOR_VARIABLES, VENDORS
from common.gateway.upstream_records import MAX_MODELS, check_record, check_url, is_private
from common.llm.price_book import PriceBook
from scripts.commands.litellm_credentials import (
    Names,
    Told,
    Variables,
    credential_names,
    weight_of,
    whole_weights,
)
from scripts.commands.litellm_file import Deployment, LitellmConfig
from scripts.commands.litellm_providers import Address, NotReachable, locate, variable_in

_LONGEST_MODEL = 256


@dataclass(frozen=True, slots=True)
class Call:
    """A deployment's model as it is called here: `name` is what clients send in OpenAI's format."""

    deployment: Deployment
    upstream: str
    model: str

    @property
    def name(self) -> str:
        return self.model if self.upstream == "openai" else f"{self.upstream}/{self.model}"


@dataclass(frozen=True, slots=True)
class Imported:
    """What a config becomes.

    `upstreams` are as a manifest has them, `variables` those that the proxy needs, each with its
    upstream, `notices` what is to be done before an apply, `losses` what is not imported.
    """

    upstreams: list[dict[str, Any]] = field(default_factory=list)
    variables: list[tuple[str, str]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    notices: list[Told] = field(default_factory=list)
    losses: list[Told] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Located:
    """A deployment, its parameters with those of its credential, and where its calls go."""

    deployment: Deployment
    params: Mapping[str, Found]
    address: Address
    model: str


@dataclass(slots=True)
class _Upstream:
    name: str
    address: Address
    line: int
    calls: list[Call] = field(default_factory=list)
    weights: dict[str, Fraction | None] = field(default_factory=dict)
    models_of: dict[str, set[str]] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(call.model for call in self.calls))


def import_upstreams(config: LitellmConfig, book: PriceBook) -> Imported:
    """The upstreams of a config's deployments."""
    imported = Imported()
    located = list(_located(config, book, imported.losses))
    names, made = Names(VENDORS), dict[Address, _Upstream]()
    variables = Variables(name for each in located if (name := _variable(each)) is not None)
    names_of = Counter(each.model_name for each in config.deployments)
    for each in located:
        address, deployment = each.address, each.deployment
        if address not in made:
            name = address.name if _is_vendor(address) else names.new(address.name)
            made[address] = _Upstream(name, address, deployment.line)
        upstream = made[address]
        upstream.calls.append(Call(deployment, upstream.name, each.model))
        if address.project is None:
            key = each.params.get("api_key")
            env = variables.of(upstream.name, address.variable, key, deployment.line)
            is_one_of_several = names_of[deployment.model_name] > 1
            weight = each.params.get("weight") if is_one_of_several else None
            _share(upstream, env, each.model, weight, imported.losses)
    for upstream in made.values():
        if _is_added(upstream, book, imported):
            imported.notices.extend(variables.notices.get(upstream.name, []))
            _tell_of(upstream, imported)
    return imported


def shown(text: str) -> str:
    """A word of the config as it may be told: nothing that may be a key, nothing unprintable."""
    if holds_credential(text) or not text.isprintable():
        return "(not shown)"
    return text if len(text) <= 120 else f"{text[:120]}..."


def _located(config: LitellmConfig, book: PriceBook, losses: list[Told]) -> Iterator[_Located]:
    """The deployments that an upstream can stand for."""
    kept = _kept_credentials(config)
    for each in config.deployments:
        params = _with_kept(each, kept, losses)
        try:
            address, model = locate(params, book)
        except NotReachable as error:
            losses.append(Told(each.line, f"model {shown(each.model)}", str(error)))
        else:
            yield _Located(each, params, address, model)


def _is_vendor(address: Address) -> bool:
    return address.base_url is None and address.project is None


def _kept_credentials(config: LitellmConfig) -> Mapping[str, Mapping[str, Found]]:
    """The values of `credential_list` by name."""
    kept = {}
    for each in config.sections.get("credential_list", Found(None, 1)).items:
        name = each.members.get("credential_name", Found(None, 1)).text
        if name is not None:
            kept[name] = each.members.get("credential_values", Found(None, 1)).members
    return kept


def _with_kept(
    deployment: Deployment, kept: Mapping[str, Mapping[str, Found]], losses: list[Told]
) -> Mapping[str, Found]:
    """A deployment's parameters with those of the credential it names; its own come first."""
    name = deployment.params.get("litellm_credential_name")
    if name is None:
        return deployment.params
    values = kept.get(name.text or "")
    if values is None:
        losses.append(
            Told(name.line, "litellm_credential_name", "credential_list has none of this name")
        )
        return deployment.params
    return {**values, **deployment.params}


def _variable(located: _Located) -> str | None:
    """The variable that holds a deployment's key in LiteLLM, if one does."""
    key = located.params.get("api_key")
    if key is None or not key.value:
        return located.address.variable
    return variable_in(key.text or "")


def _share(
    upstream: _Upstream, env: str, model: str, found: Found | None, losses: list[Told]
) -> None:
    """Give a key its share of an upstream's calls: the first weight that a deployment names.

    `found` is the deployment's weight among others of its name, None where it names none.
    """
    upstream.models_of.setdefault(env, set()).add(model)
    upstream.weights.setdefault(env, None)
    if found is None or found.value is None:
        return
    weight = weight_of(found)
    if weight is None:
        losses.append(
            Told(found.line, "weight", "no plain number as 10 or 0.5: 1 is put in its place")
        )
    elif upstream.weights[env] is None:
        upstream.weights[env] = weight
    elif upstream.weights[env] != weight:
        first = f"a key has one weight for all models: {env} keeps the first"
        losses.append(Told(found.line, "weight", first))


def _is_added(upstream: _Upstream, book: PriceBook, imported: Imported) -> bool:
    """Add the upstream, unless it is one that may not be called."""
    variables = list(upstream.weights)
    if variables != [VENDOR_VARIABLES.get(upstream.name)]:
        losses: list[Told] = []
        made = _as_manifest(upstream, book, losses)
        try:
            read_manifest({"name": "alone", "upstreams": [made]})
            check_record(record_of(upstream.name, NamedUpstream.model_validate(made)))
        except CloudOpsError as error:
            # Its name is not told: it is made of the address, which may hold a key.
            imported.losses.append(Told(upstream.line, "this upstream", error.detail))
            return False
        imported.losses.extend(losses)
        imported.upstreams.append(made)
        variables = [each["env"] for each in made.get("credentials", [])]
    imported.calls.extend(upstream.calls)
    imported.variables.extend((env, upstream.name) for env in variables)
    return True


def _tell_of(upstream: _Upstream, imported: Imported) -> None:
    """What somebody who applies the upstream must know of it."""
    address, line = upstream.address, upstream.line
    if address.unknown is not None:
        instead = f"put the value of {address.unknown} in place of its .invalid address"
        imported.losses.append(Told(line, f"the address of {upstream.name}", instead))
    url = urlsplit(address.base_url or "")
    if url.scheme == "http" and not is_private(url.hostname or ""):
        what = f"{upstream.name} is called over the internet without encryption"
        imported.notices.append(Told(line, what, "its key can be read on the way: use https"))
    if address.base_url is not None and _needs_leave(address.base_url):
        what = f"{upstream.name} has allow_private"
        instead = "its address is inside the own network or without https: check that it is meant"
        imported.notices.append(Told(line, what, instead))
    if address.base_url is not None and address.prices is None:
        what = f"{upstream.name} has no provider"
        instead = (
            "calls have no cost and hard budgets refuse them; if a price list applies, name it"
        )
        imported.notices.append(Told(line, what, instead))
    shares = list(upstream.models_of.values())
    if any(models != shares[0] for models in shares):
        what = f"{upstream.name} has keys for some of its models only"
        told = Told(line, what, "here every key of an upstream pays for all its models")
        imported.losses.append(told)


def _as_manifest(upstream: _Upstream, book: PriceBook, losses: list[Told]) -> dict[str, Any]:
    address = upstream.address
    made: dict[str, Any] = {"name": upstream.name}
    if address.project is not None:
        made |= {"identity": "google", "project": address.project, "location": address.location}
    elif address.base_url is not None:
        made["base_url"] = address.base_url
        if address.prices is not None:
            made["provider"] = address.prices
        if _needs_leave(address.base_url):
            made["allow_private"] = True
    unlisted = _unlisted(upstream, book, losses)
    if unlisted:
        made["models"] = unlisted
    if upstream.weights:
        made["credentials"] = _credentials(upstream, losses)
    return made


def _credentials(upstream: _Upstream, losses: list[Told]) -> list[dict[str, Any]]:
    named = {env: Fraction(1) if w is None else w for env, w in upstream.weights.items()}
    used = {env: weight for env, weight in named.items() if weight > 0}
    losses.extend(
        Told(upstream.line, f"weight 0 of {env}", "the key is left out: it gets no calls")
        for env in named
        if env not in used
    )
    whole = whole_weights(list(used.values())) if used else []
    if whole is None:
        what = f"the weights of {upstream.name}"
        losses.append(Told(upstream.line, what, "too far apart for 1 to 1000: all are 1"))
    weights = dict.fromkeys(used, 1) if whole is None else dict(zip(used, whole, strict=True))
    return [
        {"name": name, "env": env, **({"weight": weights[env]} if weights[env] != 1 else {})}
        for env, name in credential_names(list(used)).items()
    ]


def _unlisted(upstream: _Upstream, book: PriceBook, losses: list[Told]) -> list[str]:
    """Models that the upstream's price list lacks, so that they are listed all the same."""
    address = upstream.address
    vendor = VENDORS.get(upstream.name)
    provider = "google" if address.project else vendor.provider if vendor else address.prices
    lacking = [
        model
        for model in upstream.models
        if "*" not in model and (provider is None or book.card(provider, model) is None)
    ]
    fit = [
        model
        for model in lacking
        if len(model) <= _LONGEST_MODEL and model.isprintable() and not holds_credential(model)
    ][:MAX_MODELS]
    if len(fit) < len(lacking):
        what = f"{len(lacking) - len(fit)} models of {upstream.name}"
        losses.append(Told(upstream.line, what, f"at most {MAX_MODELS} proper names are listed"))
    return fit


def _needs_leave(base_url: str) -> bool:
    """Whether an address may be called only if its owner says so."""
    try:
        check_url(base_url, allow_private=False)
    except InvalidInput:
        return True
    return False
