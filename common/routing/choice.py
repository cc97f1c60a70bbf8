"""Which models a call is sent to, by the rules of its organisation.

Pure: what a rule needs to know of a call is handed in, and what it costs to find out (features, how
much of a budget is used) is only asked for by rules that name it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from math import inf, log
from typing import TypeAlias

from common.core.money import Nanos
from common.routing.complexity import score
from common.routing.rules import AUTO, Match, RouteTable, Rule, Structural, Use

Draw: TypeAlias = Callable[[str], float]
"""A number from 0 up to 1 for a text, the same in every process."""


@dataclass(frozen=True)
class Asking:
    """One call, as rules see it.

    `read_session` gives what a weighted draw stays with; `has_session` where its caller named that.
    `is_bound` says whether the call names what is kept of earlier ones, `read_features` what the
    request holds beside text, `read_form` the features of a structural choice, `read_budget_used`
    how much of the tightest hard budget is used, 0 to 1; `expected_cost` what the call may cost
    with a model, None where that is not known.
    """

    team: str
    agent: str
    project: str | None
    tags: Mapping[str, str]
    model: str | None
    endpoint: str
    stream: bool
    input_tokens: int
    has_session: bool
    read_session: Callable[[], str]
    is_bound: Callable[[], bool]
    read_features: Callable[[], frozenset[str]]
    read_form: Callable[[], Mapping[str, float]]
    read_budget_used: Callable[[], float]
    expected_cost: Callable[[str], Nanos | None]

    @cached_property
    def session(self) -> str:
        return self.read_session()

    @cached_property
    def features(self) -> frozenset[str]:
        return self.read_features()

    @cached_property
    def budget_used(self) -> float:
        return self.read_budget_used()


@dataclass(frozen=True, slots=True)
class Choice:
    """The models to try, the best first. `why` says in a word or two how the first was chosen."""

    rule: str
    models: tuple[str, ...]
    why: str
    shadow: bool = field(default=False)


def choose(table: RouteTable, asking: Asking, draw: Draw) -> Choice | None:
    """The models of the first rule that matches, or None where the call goes where it was sent."""
    for rule in table.rules:
        if _matches(rule.match, asking):
            return _chosen(rule, asking, draw)
    return None


def _matches(match: Match, asking: Asking) -> bool:
    """Whether a rule is for the call; what is dear to find out is looked at last."""
    return (
        _is(asking.team, match.team)
        and _is(asking.agent, match.agent)
        and _is(asking.project, match.project)
        and _is(asking.model, match.model)
        and _is(asking.endpoint, match.endpoint)
        and match.stream in (None, asking.stream)
        and match.input_tokens_from <= asking.input_tokens
        and (match.input_tokens_to is None or asking.input_tokens < match.input_tokens_to)
        and all(_is(asking.tags.get(name), glob) for name, glob in match.tags.items())
        and (not match.has or match.has <= asking.features)
        and (not match.lacks or match.lacks.isdisjoint(asking.features))
        and (not match.budget_used_from or asking.budget_used * 100 >= match.budget_used_from)
    )


def _is(value: str | None, glob: str | None) -> bool:
    return glob is None or (value is not None and fnmatchcase(value, glob))


def _chosen(rule: Rule, asking: Asking, draw: Draw) -> Choice:
    if _stays(rule.use, asking):
        return Choice(rule.name, (asking.model or "",), "goes on", rule.shadow)
    first, why = _first(rule.use, asking, draw)
    models = dict.fromkeys((*first, *rule.fallbacks))
    return Choice(rule.name, tuple(models), why, rule.shadow)


def _stays(use: Use, asking: Asking) -> bool:
    """Whether a call goes on with the model it names: another may know nothing of what was before.

    A rule with one model, and a draw that is bound to a session, take all calls of a conversation
    to the same one; `AUTO` names none to stay with.
    """
    is_steady = use.fixed is not None or (use.weighted is not None and asking.has_session)
    return not is_steady and asking.model != AUTO and asking.is_bound()


def _first(use: Use, asking: Asking, draw: Draw) -> tuple[tuple[str, ...], str]:
    """The models of a use in the order to try them, and why the first one is."""
    if use.fixed is not None:
        return (use.fixed,), "fixed"
    if use.cheapest is not None:
        return _by_cost(use.cheapest, asking), "cheapest"
    if use.weighted is not None:
        return (_drawn(use.weighted, asking.session, draw),), "weighted"
    if use.ladder is not None:
        used = asking.budget_used * 100
        left = [each.model for each in use.ladder if used < each.until]
        # The steps below are there for what this one's budget lets through no more.
        return tuple(left or [use.ladder[-1].model]), f"{used:.0f} % of a budget used"
    assert use.structural is not None
    return _by_form(use.structural, asking)


def _by_cost(models: tuple[str, ...], asking: Asking) -> tuple[str, ...]:
    """By what the call is expected to cost; what has no price comes last, in the order written."""
    costs = {model: asking.expected_cost(model) for model in models}
    return tuple(sorted(models, key=lambda each: inf if costs[each] is None else costs[each] or 0))


def _drawn(weighted: Mapping[str, int], session: str, draw: Draw) -> str:
    """Weighted rendezvous hashing: a session keeps its model while that has its weight."""
    return max(
        weighted, key=lambda each: -weighted[each] / log(_inside(draw(f"route {each} {session}")))
    )


def _inside(drawn: float) -> float:
    return min(max(drawn, 1e-12), 1 - 1e-12)


def _by_form(use: Structural, asking: Asking) -> tuple[tuple[str, ...], str]:
    found = score(use.intercept, use.weights, asking.read_form())
    model = use.large if found >= use.threshold else use.small
    return (model,), f"complexity {found:.2f}"
