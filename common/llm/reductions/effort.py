"""Lowering how much a model thinks.

Sources: those of `model_traits.py`; Anthropic documentation, "Extended thinking" (a budget is at
least 1,024 tokens), "Prompt caching" (a request of no tokens warms a cache); Gemini API
documentation, "OpenAI compatibility" (tokens that a level stands for).

- A word that the model does not take is never written, nor one that is not below what stands there.
- While the answer to a tool is handed in, thinking stays as it is: it goes on where it stopped.
- `EffortDown` goes down from what stands there, so each time it is applied to its own answer it
  goes down again, until nothing is lower.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from common.llm.edits import NotSafe
from common.llm.generation_config import Config, find_config
from common.llm.model_traits import (
    Budgets,
    Efforts,
    claude_efforts,
    gemini_budgets,
    gemini_levels,
    openai_efforts,
)
from common.llm.reductions.conversation import ends_with_tool_result
from common.llm.reductions.members import Place, inner_object, placed
from common.llm.reductions.request import Reduced, Request, Unsafe
from common.llm.reductions.wanted import EFFORTS, Effort, EffortAtMost, EffortDown

Wanted: TypeAlias = EffortAtMost | EffortDown
Rungs: TypeAlias = Sequence[tuple[Effort, int]]
"""What can be asked for, the least first: the effort, and a number that grows with it."""

UNREADABLE = Unsafe("thinking")
"""How much it thinks cannot be read."""

CLAUDE_LEAST_BUDGET = 1024
_NO_LIMIT = 1 << 64
"""More than a request can ask for."""
_CLAUDE_RUNGS: Rungs = (
    ("low", CLAUDE_LEAST_BUDGET),
    ("medium", 4096),
    ("high", 16384),
    ("xhigh", _NO_LIMIT),
)
_GEMINI_RUNGS: Rungs = (
    ("minimal", 512),
    ("low", 1024),
    ("medium", 8192),
    ("high", 24576),
    ("xhigh", _NO_LIMIT),
)
_GEMINI_UNASKED = 8192
"""The most that 2.5 models think of their own accord."""

_AUTO = -1
_TAKE_EFFORTS = frozenset({"openai", "azure"})
"""Providers whose models take what is known of them here; others may not."""

_TOOLS = ("tools", "functions", "web_search_options")
_WITH_REASONING = frozenset({"chat.completions", "responses"})


def lower_effort(request: Request, wanted: Wanted) -> Reduced | Unsafe | None:
    """The request with less thinking, said as the effort or as a budget in tokens."""
    reduced = _reduced(request, wanted)
    if isinstance(reduced, Reduced) and ends_with_tool_result(request.form, request.members):
        return Unsafe("tool_result")
    return reduced


def _reduced(request: Request, wanted: Wanted) -> Reduced | Unsafe | None:
    if request.form == "openai_chat":
        return _of_openai(request, wanted, ("reasoning_effort",))
    if request.form == "openai_responses":
        return _of_openai(request, wanted, ("reasoning", "effort"))
    if request.form == "anthropic_messages":
        return _of_claude(request, wanted)
    if request.form in ("gemini_content", "gemini_content_stream"):
        return _of_gemini(request, wanted)
    return _of_interaction(request, wanted) if request.form == "gemini_interactions" else None


def _lower(rungs: Rungs, current: int, wanted: Wanted) -> tuple[Effort, int] | None:
    """The rung to go down to: the one wanted, else the next below it, else the lowest."""
    if isinstance(wanted, EffortAtMost):
        most = EFFORTS.index(wanted.level)
        index = sum(EFFORTS.index(effort) <= most for effort, _ in rungs) - 1
    elif wanted.steps < 1:
        return None
    else:
        index = sum(value < current for _, value in rungs) - wanted.steps
    found = rungs[max(0, index)] if rungs else None
    return found if found is not None and found[1] < current else None


def _lower_word(efforts: Efforts, asked: object, wanted: Wanted) -> Effort | Unsafe | None:
    """The word to write in place of the one that is asked for; None where that is low already."""
    current = efforts.usual if asked is None else asked
    if current is None:
        return None
    if not isinstance(current, str) or current not in EFFORTS:
        return UNREADABLE
    rungs = [(word, EFFORTS.index(word)) for word in efforts.words]
    found = _lower(rungs, EFFORTS.index(current), wanted)
    return None if found is None else found[0]


def _of_openai(request: Request, wanted: Wanted, place: Place) -> Reduced | Unsafe | None:
    to, members = request.recipient, request.members
    efforts = openai_efforts(to.model or "")
    if efforts is None:
        return None
    outer = inner_object(members, place[:-1])
    if outer is None:
        return UNREADABLE
    asked = outer.get(place[-1])
    own = to.provider in _TAKE_EFFORTS and to.endpoint.name in _WITH_REASONING
    if asked is None and not own:
        return None
    tools = any(members.get(name) for name in _TOOLS)
    word = _lower_word(_beside_tools(efforts) if tools else efforts, asked, wanted)
    if word is None or isinstance(word, Unsafe):
        return word
    if request.form == "openai_responses":
        usual = outer.get("mode") in (None, "standard")
        return Reduced(placed(request, place, word), word) if usual else Unsafe("mode")
    refused = tools and word != "none" and not efforts.beside_functions
    return Unsafe("tools") if refused else Reduced(placed(request, place, word), word)


def _beside_tools(efforts: Efforts) -> Efforts:
    """Without `minimal`, which neither the provider's tools nor parallel calls go with."""
    words = tuple(word for word in efforts.words if word != "minimal")
    return Efforts(words, efforts.usual, efforts.beside_functions)


def _of_claude(request: Request, wanted: Wanted) -> Reduced | Unsafe | None:
    """Both the effort and the budget, where a request has both."""
    members = request.members
    config = inner_object(members, ("output_config",))
    thinking = inner_object(members, ("thinking",))
    if config is None or thinking is None:
        return UNREADABLE
    efforts = claude_efforts(request.recipient.model or "")
    word = None if efforts is None else _lower_word(efforts, config.get("effort"), wanted)
    tokens = _lower_budget(thinking, wanted)
    if isinstance(word, Unsafe) or isinstance(tokens, Unsafe):
        return UNREADABLE
    if word is None and tokens is None:
        return None
    if members.get("max_tokens") == 0:
        return Unsafe("cache_warming")
    changed = request
    if word is not None:
        changed = placed(changed, ("output_config", "effort"), word)
    if tokens is not None:
        changed = placed(changed, ("thinking", "budget_tokens"), tokens)
    return Reduced(changed, str(tokens) if word is None else word)


def _lower_budget(thinking: Mapping[str, Any], wanted: Wanted) -> int | Unsafe | None:
    budget = thinking.get("budget_tokens")
    if thinking.get("type") != "enabled" or budget is None:
        return None
    if type(budget) is not int:
        return UNREADABLE
    found = _lower(_CLAUDE_RUNGS, budget, wanted)
    return None if found is None else found[1]


def _of_gemini(request: Request, wanted: Wanted) -> Reduced | Unsafe | None:
    model = request.recipient.model or ""
    budgets, levels = gemini_budgets(model), gemini_levels(model)
    if budgets is None and levels is None:
        return None
    config = find_config(request.form, request.members)
    if isinstance(config, NotSafe):
        return Unsafe(config.reason)
    outer = (config.name, config.spelling("thinkingConfig", "thinking_config"))
    found = inner_object(request.members, outer)
    if found is None:
        return UNREADABLE
    thinking = Config(config.name, found)
    budget = thinking.spelling("thinkingBudget", "thinking_budget")
    level = thinking.spelling("thinkingLevel", "thinking_level")
    if budgets is not None and found.get(level) is None:
        return _with_budget(request, wanted, budgets, (*outer, budget))
    if levels is not None and found.get(budget) is None:
        return _with_level(request, wanted, levels, (*outer, level))
    return UNREADABLE


def _with_budget(
    request: Request, wanted: Wanted, budgets: Budgets, place: Place
) -> Reduced | Unsafe | None:
    thinking = inner_object(request.members, place[:-1]) or {}
    shown = any(thinking.get(name) for name in ("includeThoughts", "include_thoughts"))
    tokens = _fewer_tokens(budgets, thinking.get(place[-1]), wanted, shown=shown)
    if tokens is None or isinstance(tokens, Unsafe):
        return tokens
    return Reduced(placed(request, place, tokens), str(tokens))


def _fewer_tokens(
    budgets: Budgets, budget: object, wanted: Wanted, *, shown: bool
) -> int | Unsafe | None:
    """A lower budget for thinking. `shown`: thoughts are asked for, so some must be left."""
    if budget is None and not budgets.unasked:
        return None
    current = _AUTO if budget is None else budget
    if type(current) is not int or current < _AUTO:
        return UNREADABLE
    stops = budgets.stops and not shown
    rungs: list[tuple[Effort, int]] = list(_GEMINI_RUNGS)
    if stops or budgets.least > 1:
        rungs.insert(0, ("none", 0 if stops else budgets.least))
    found = _lower(rungs, _GEMINI_UNASKED if current == _AUTO else current, wanted)
    return None if found is None else found[1]


def _with_level(
    request: Request, wanted: Wanted, levels: Efforts, place: Place
) -> Reduced | Unsafe | None:
    """A lower level, in capitals or not, as it stood there."""
    asked = (inner_object(request.members, place[:-1]) or {}).get(place[-1])
    if not isinstance(asked, str | None):
        return UNREADABLE
    lower = _lower_word(levels, None if asked is None else asked.lower(), wanted)
    if lower is None or isinstance(lower, Unsafe):
        return lower
    capitals = asked.isupper() if asked is not None else request.form != "gemini_interactions"
    return Reduced(placed(request, place, lower.upper() if capitals else lower), lower)


def _of_interaction(request: Request, wanted: Wanted) -> Reduced | Unsafe | None:
    levels = gemini_levels(request.recipient.model or "")
    if levels is None or request.members.get("agent") is not None:
        return None
    place = ("generation_config", "thinking_level")
    if inner_object(request.members, place[:-1]) is None:
        return UNREADABLE
    return _with_level(request, wanted, levels, place)
