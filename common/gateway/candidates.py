"""One call, aimed at another model than its client named, if that one can take it.

A client in OpenAI's format reaches the models of every upstream; one that speaks a vendor's own
format stays with the upstream it called. A model that its upstream is not known to have, or that
would ignore or refuse a part of the request, is no candidate: a call that is moved must get the
answer it asked for.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

from common.gateway.acceptance import not_had, not_taken
from common.gateway.access import check_access
from common.gateway.choice import Target, choose_target, with_model_in_path
from common.gateway.credentials import ProviderKey
from common.gateway.destinations import Destinations
from common.gateway.keys import Key
from common.gateway.refusals import Refusal
from common.llm.forms import FORMS, MeteredForm
from common.llm.model_inputs import handed_in
from common.llm.openai_format import PREFIXED_ENDPOINTS, RequestBody, split_prefix
from common.llm.paths import Endpoint
from common.llm.price_book import PriceBook


@dataclass(frozen=True)
class Movable:
    """A call that may be aimed at other models.

    `asked` is where its client sent it, with `body` as it came; `own` is the client's provider key,
    which pays at that upstream alone.
    """

    key: Key
    endpoint: Endpoint
    body: RequestBody
    asked: Target
    own: ProviderKey | None
    destinations: Destinations
    _aimed: dict[str, Target | str] = field(default_factory=dict)

    @property
    def form(self) -> MeteredForm | None:
        return FORMS[self.endpoint.form] if self.endpoint.form is not None else None

    @property
    def may_move(self) -> bool:
        """Whether it costs, names a model and was read; what is answered later stays."""
        facts = self.asked.facts
        is_read = facts.readable and facts.model is not None and facts.unmetered is None
        return (
            self.endpoint.metered and self.form is not None and is_read and not facts.asynchronous
        )

    @cached_property
    def features(self) -> frozenset[str]:
        """What the request holds beside text."""
        form = self.endpoint.form
        return handed_in(form, self.body.members) if form is not None else frozenset()

    def pays_at(self, target: Target) -> ProviderKey | None:
        """The client's key, where it belongs."""
        return self.own if target.destination.name == self.asked.destination.name else None

    def aimed_at(self, model: str, book: PriceBook) -> Target | str:
        """The call as it is sent to a model, or why it is not, in a few words.

        `book` says which models are book where.
        """
        if model not in self._aimed:
            asked = _is_asked(self, model)
            self._aimed[model] = self.asked if asked else _aimed(self, model, book)
        return self._aimed[model]


def _is_asked(movable: Movable, model: str) -> bool:
    """Whether a rule names the very model that the call does, at the very upstream."""
    asked, endpoint = movable.asked, movable.endpoint
    if model == asked.asked:
        return True
    if not model.endswith(asked.facts.model or ""):
        return False
    prefix, name = split_prefix(model)
    if name and prefix in movable.destinations:
        return (prefix, name) == (asked.destination.name, asked.facts.model)
    upstream = endpoint.upstream if _is_front(endpoint) else asked.destination.name
    return (upstream, model) == (asked.destination.name, asked.facts.model)


def _aimed(movable: Movable, model: str, book: PriceBook) -> Target | str:
    try:
        target = _at_front(movable, model) if _is_front(movable.endpoint) else _at(movable, model)
        if isinstance(target, str):
            return target
        check_access(movable.key, target.destination, target.facts, target.body, metered=True)
    except Refusal as refusal:
        return refusal.code
    if not target.destination.pays and movable.pays_at(target) is None:
        return "no key for it here"
    endpoint, asked = movable.endpoint, movable.asked
    is_prefixed = model.startswith(f"{target.destination.name}/")
    against = not_had(endpoint, asked, target, book, is_prefixed=is_prefixed)
    if against is None:
        against = not_taken(endpoint, asked, target, movable.body.members, movable.features)
    return target if against is None else against


def _is_front(endpoint: Endpoint) -> bool:
    """Whether the model's name says which upstream serves a call."""
    return endpoint.upstream == "openai" and endpoint.name in PREFIXED_ENDPOINTS


def _at_front(movable: Movable, model: str) -> Target | str:
    asked = movable.asked
    prefix, name = split_prefix(model)
    own_name = name if prefix == "openai" and name else model
    sent = movable.body.with_model(own_name)
    if sent is None:
        return "the body names no model that could be replaced"
    # All else that a request says is as it was.
    facts = replace(asked.facts, model=own_name, size_bytes=len(sent))
    if "/" not in own_name and asked.destination.name == movable.endpoint.upstream:
        return Target(asked.destination, asked.path, sent, facts, asked.asked)
    found = choose_target(
        movable.endpoint, facts, movable.body, movable.destinations, movable.key.policy
    )
    if ignored := movable.body.ignored_by(found.destination.name):
        return f"ignores {', '.join(ignored)}"
    sent = found.body if "/" in own_name else sent
    return Target(found.destination, found.path, sent, found.facts, asked.asked)


def _at(movable: Movable, model: str) -> Target | str:
    """The same upstream, under another model's name."""
    asked = movable.asked
    prefix, name = split_prefix(model)
    if prefix == asked.destination.name:
        model = name
    elif name and prefix in movable.destinations:
        return f"at another upstream, where {movable.endpoint.name} cannot be sent from here"
    if movable.endpoint.model is not None:
        path = with_model_in_path(asked.path, asked.facts.model or "", model)
        return replace(asked, path=path, facts=replace(asked.facts, model=model))
    sent = movable.body.with_model(model)
    if sent is None:
        return "the body names no model that could be replaced"
    facts = replace(asked.facts, model=model, size_bytes=len(sent))
    return Target(asked.destination, asked.path, sent, facts, asked.asked)
