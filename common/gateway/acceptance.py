"""Why a call is not moved to a model: what is publicly known of the two.

A price list says which models its provider sells, and a name what a model is made for. A list knows
no model of tomorrow: one that a rule names together with its upstream is believed, unless another
vendor sells it. Of an upstream without a list nothing is known, and the rule's author is believed
there, but for requests that hold more than text: those go to models that are known to take it.

Of the members of a request only those count that the model asked for takes and the other refuses:
what both take for wrong is the client's own affair.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from common.gateway.choice import Target
from common.gateway.destinations import VENDORS
from common.llm.capabilities import ModelCaps
from common.llm.edits import NotSafe, Recipient
from common.llm.generation_config import find_config
from common.llm.model_inputs import (
    Kind,
    answers_chats,
    made_for,
    taken_by,
    takes_json_mode,
)
from common.llm.model_traits import may_think_unasked, openai_efforts, takes_low_verbosity
from common.llm.paths import Endpoint, FormName
from common.llm.price_book import Card, PriceBook
from common.llm.reductions.model_members import refused_member
from common.llm.reductions.request import Request, Unsafe
from common.llm.reductions.thinking_carried import carry_thinking
from common.routing.rules import AUTO

_OPENAI_S = frozenset({"openai", "azure"})
"""Price lists of upstreams whose models take what is known of OpenAI's."""

_OPENAI_FORMS = frozenset({"openai_chat", "openai_responses"})
_OWN_OF_GOOGLE = ("gem", "text")
"""Google's list has the models of others too, which Vertex AI serves in their own formats."""

_KINDS: Mapping[FormName, Kind] = MappingProxyType(
    {
        "openai_embeddings": "embeddings",
        "gemini_embeddings": "embeddings",
        "openai_images": "pictures",
        "openai_speech": "speech",
        "openai_transcripts": "transcripts",
    }
)
"""What models are made for that a form is for; the others take what the model asked for is."""

_NAME_KINDS = frozenset({"openai", "anthropic", "google"})
"""Price lists whose models say in their names what they are made for."""
_CACHES = ("cachedContent", "cached_content")
_MOST_REMEMBERED = 500


def not_had(
    endpoint: Endpoint, asked: Target, target: Target, book: PriceBook, *, is_prefixed: bool
) -> str | None:
    """Why the upstream is not known to serve a model, in a few words; None where it may.

    Args:
        endpoint: what the call is for.
        asked: where its client sent it.
        target: where it would go.
        book: what is sold.
        is_prefixed: the rule names the upstream too.
    """
    to, model = target.destination, target.facts.model or ""
    if to.provider is None or model in to.models:
        return None
    card = book.card(to.price_list, model)
    if to.provider == "google" and card is not None and not card.model.startswith(_OWN_OF_GOOGLE):
        return f"none of {to.name}'s models"
    if card is None and not (is_prefixed and not _is_of_others(to.name, model, book)):
        return f"not known to be at {to.name}"
    own = asked.facts.model if asked.facts.model != AUTO else None
    is_openai_s = to.provider in _OPENAI_S
    fits = _fits(endpoint.form, own, model, is_openai_s=is_openai_s)
    if fits and to.provider not in _NAME_KINDS and card is not None:
        fits = _reads_alone(card) == (_KINDS.get(endpoint.form or "unread") == "embeddings")
    return None if fits else f"no model for {endpoint.name}"


def _is_of_others(upstream: str, model: str, book: PriceBook) -> bool:
    """Whether one vendor is to be asked for what another one sells."""
    return upstream in VENDORS and any(
        book.card(other.price_list, model) is not None
        for other in VENDORS.values()
        if other.name != upstream
    )


@lru_cache(maxsize=_MOST_REMEMBERED)
def _fits(form: FormName | None, own: str | None, model: str, *, is_openai_s: bool) -> bool:
    """Whether a model is made for requests of a form, such as those for a model of its own kind."""
    kind = made_for(model)
    if form == "openai_completions":
        return kind == "completions" or (kind == "text" and not is_openai_s)
    if form == "openai_chat" and is_openai_s and not answers_chats(model):
        return False
    usual = made_for(own) if own is not None else "text"
    return kind == (_KINDS.get(form, usual) if form is not None else usual)


def _reads_alone(card: Card) -> bool:
    """Whether it is paid for what it reads, and writes nothing that is paid."""
    units = {unit for price in card.terms.prices for unit in price.rates}
    return "input_tokens" in units and not any(unit.startswith("output") for unit in units)


def not_taken(
    endpoint: Endpoint,
    asked: Target,
    target: Target,
    members: Mapping[str, Any],
    features: frozenset[str],
) -> str | None:
    """Why a model does not take what a request says, or is not known to; None where it does.

    Args:
        endpoint: what the call is for.
        asked: where its client sent it.
        target: where it would go.
        members: the request.
        features: what it holds beside text.
    """
    if features:
        taken = taken_by(target.facts.model or "")
        if taken is None:
            return f"nothing is known of what it takes, and the call has {min(features)}"
        if lacking := features - taken:
            return f"takes no {min(lacking)}"
    refused = _refused(endpoint, asked, target, members)
    return f"takes no such {refused}" if refused is not None else None


def _refused(
    endpoint: Endpoint, asked: Target, target: Target, members: Mapping[str, Any]
) -> str | None:
    """The member of a request that this model refuses, and the one asked for does not."""
    form = endpoint.form
    if form in _OPENAI_FORMS:
        is_openai_s = target.destination.provider in _OPENAI_S
        return _of_openai(form, asked, target, members) if is_openai_s else None
    if form == "anthropic_messages":
        is_carried = not _thinks(members) or _is_carried(endpoint, form, asked, target, members)
        return None if is_carried else "thinking"
    if form is None or not form.startswith("gemini"):
        return None
    # What is cached is cached for one model.
    if cache := next((name for name in _CACHES if members.get(name) is not None), None):
        return cache
    config = find_config(form, members)
    given = config.members if not isinstance(config, NotSafe) else {}
    is_carried = not _thinks(given) or _is_carried(endpoint, form, asked, target, members)
    return None if is_carried else "thinking"


def _thinks(members: Mapping[str, Any]) -> bool:
    """Whether a request says how much is to be thought."""
    return any(
        name.startswith(("thinking", "output_config")) and value is not None
        for name, value in members.items()
    )


def _is_carried(
    endpoint: Endpoint, form: FormName, asked: Target, target: Target, members: Mapping[str, Any]
) -> bool:
    """Whether another model thinks as much when it is asked in these very words."""
    to, model = asked.destination, asked.facts.model
    request = Request(form, members, Recipient(endpoint, to.name, model, ModelCaps(), to.provider))
    carried = carry_thinking(request, target.facts.model or "")
    return not isinstance(carried, Unsafe) and carried.members == members


@lru_cache(maxsize=_MOST_REMEMBERED)
def _habits(model: str) -> tuple[bool, bool]:
    """Whether a model of OpenAI's thinks unasked, and takes `verbosity`."""
    return may_think_unasked(model), takes_low_verbosity(model)


_TAKES_ALL = (False, True)


def _of_openai(
    form: FormName, asked: Target, target: Target, members: Mapping[str, Any]
) -> str | None:
    model, own = target.facts.model or "", asked.facts.model or ""
    # Of a model that nothing is known of a client may have asked everything.
    is_known = own != AUTO and asked.destination.provider in _OPENAI_S
    before = _habits(own) if is_known else _TAKES_ALL
    after = _habits(model)
    if before != after:
        for name, value in members.items():
            if value is None or (name == "temperature" and value == 1):  # which all have unasked
                continue
            if _is_refused(form, name, value, after) and not _is_refused(form, name, value, before):
                return name
    wanted = members.get("response_format")
    if wanted is not None and not takes_json_mode(model):
        return "response_format"
    return _effort(form, members, model)


def _is_refused(form: FormName, name: str, value: object, habits: tuple[bool, bool]) -> bool:
    thinks, low_verbosity = habits
    found = refused_member(form, {name: value}, thinks=thinks, low_verbosity=low_verbosity)
    return found is not None


def _effort(form: FormName, members: Mapping[str, Any], model: str) -> str | None:
    """How much is to be thought, in a word that a model takes beside the tools of a request."""
    name, around, tools = "reasoning_effort", members, members.get("tools")
    if form == "openai_responses":
        reasoning = members.get("reasoning")
        name, around, tools = "effort", reasoning if isinstance(reasoning, dict) else {}, None
    word = around.get(name)
    if word is None and not tools:
        return None
    efforts = openai_efforts(model)
    if efforts is None:
        return None if word is None else name
    if word is not None and word not in efforts.words:
        return name
    asks = word if word is not None else efforts.usual
    return "tools" if tools and not efforts.beside_functions and asks != "none" else None
