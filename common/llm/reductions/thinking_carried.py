"""How much is thought, carried over to another model in that one's words, and never to more.

Sources: those of `model_traits.py`; Anthropic documentation, "Extended thinking" and "Adaptive
thinking" (from Opus and Sonnet 4.6 on; budgets before Opus 4.7); Gemini API documentation, "Gemini
thinking" (budgets for 2.5, levels from 3 on).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from common.llm.edits import NotSafe
from common.llm.generation_config import find_config
from common.llm.model_traits import (
    Efforts,
    claude_efforts,
    gemini_budgets,
    gemini_levels,
    may_think_unasked,
    openai_efforts,
)
from common.llm.reductions.request import Request, Unsafe
from common.llm.reductions.wanted import EFFORTS, Effort

_REFUSED = Unsafe("thinking")
_MOST_BUDGET = 24_576
"""The most that every 2.5 model takes."""

_TAKES_BUDGETS = re.compile(r"claude-((opus|sonnet)-4(-[0156])?|haiku-4-5)(-\d{8})?")
_ADAPTS = "max"
"""A word that the Claude models take that think adaptively, and those before do not."""


def carry_thinking(request: Request, model: str) -> Request | Unsafe:
    """The request as this model is to be asked to think: no more than the old one does."""
    if request.form in ("openai_chat", "openai_responses"):
        return _of_openai(request, model)
    if request.form == "anthropic_messages":
        return _of_claude(request, model)
    return _of_gemini(request, model)


def _of_openai(request: Request, model: str) -> Request | Unsafe:
    members = request.members
    around = members if request.form == "openai_chat" else members.get("reasoning") or {}
    if not isinstance(around, dict) or (around is not members and around.keys() - {"effort"}):
        return _REFUSED
    name = "reasoning_effort" if around is members else "effort"
    asked = around.get(name)
    efforts = openai_efforts(model)
    if efforts is None:
        return _REFUSED if asked is not None or may_think_unasked(model) else request
    wanted = asked if asked is not None else _unasked(request.recipient.model or "")
    word = _nearest(efforts, wanted)
    if word is None:
        return _REFUSED
    if asked is None and word == efforts.usual:
        return request if _beside_functions(request, efforts, word) else _REFUSED
    if not _beside_functions(request, efforts, word):
        return _REFUSED
    changed = {**around, name: word}
    return replace(
        request,
        members=changed if around is members else {**members, "reasoning": changed},
    )


def _unasked(model: str) -> Effort | None:
    """How much a model of OpenAI's thinks unasked."""
    if not may_think_unasked(model):
        return "none"
    efforts = openai_efforts(model)
    return efforts.usual if efforts is not None else None


def _nearest(efforts: Efforts, wanted: object) -> Effort | None:
    """The most that the model takes and that is no more; `minimal` counts as nothing at all."""
    if wanted not in EFFORTS:
        return None
    rank = max(EFFORTS.index(wanted), EFFORTS.index("minimal"))
    taken = [word for word in efforts.words if EFFORTS.index(word) <= rank]
    if wanted in taken:
        return next(word for word in taken if word == wanted)
    return taken[-1] if taken else None


def _beside_functions(request: Request, efforts: Efforts, word: Effort) -> bool:
    if efforts.beside_functions or request.form != "openai_chat" or word == "none":
        return True
    return not request.members.get("tools")


def _of_claude(request: Request, model: str) -> Request | Unsafe:
    bare = model.rpartition("/")[2].lower()
    efforts = claude_efforts(model)
    thinking = request.members.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else thinking
    adapts = efforts is not None and _ADAPTS in efforts.words
    takes = {
        None: True,
        "disabled": True,
        "enabled": _TAKES_BUDGETS.fullmatch(bare) is not None,
        "adaptive": adapts,
    }
    if not takes.get(kind if isinstance(kind, str | None) else "", False):
        return _REFUSED
    config = request.members.get("output_config")
    asked = config.get("effort") if isinstance(config, dict) else None
    if asked is None or not isinstance(config, dict):
        return request
    word = None if efforts is None else _nearest(efforts, asked)
    if word is None:
        return Unsafe("effort")
    changed = {**config, "effort": word}
    return replace(request, members={**request.members, "output_config": changed})


def _of_gemini(request: Request, model: str) -> Request | Unsafe:
    config = find_config(request.form, request.members)
    if isinstance(config, NotSafe):
        return Unsafe(config.reason)
    if request.form == "gemini_interactions":
        asked = config.members.get("thinking_level")
        thinking: Any = {} if asked is None else {"thinkingLevel": asked}
    else:
        name = config.spelling("thinkingConfig", "thinking_config")
        thinking = config.members.get(name) or {}
    if not isinstance(thinking, dict):
        return _REFUSED
    return request if _gemini_takes(thinking, request.recipient.model or "", model) else _REFUSED


def _gemini_takes(thinking: Mapping[str, Any], old: str, new: str) -> bool:
    level = thinking.get("thinkingLevel", thinking.get("thinking_level"))
    budget = thinking.get("thinkingBudget", thinking.get("thinking_budget"))
    if level is not None:
        levels = gemini_levels(new)
        return levels is not None and budget is None and str(level).lower() in levels.words
    if budget is not None:
        return _takes_budget(budget, new)
    if not may_think_unasked(new):
        return not thinking
    return _thinks_as_much(old, new)


def _takes_budget(budget: object, model: str) -> bool:
    budgets = gemini_budgets(model)
    if budgets is None or type(budget) is not int:
        return False
    if budget == 0:
        return budgets.stops
    return budget == -1 or budgets.least <= budget <= _MOST_BUDGET


def _thinks_as_much(old: str, new: str) -> bool:
    """Whether unasked the old model thinks, and the new one no more."""
    budgets, levels = gemini_budgets(new), gemini_levels(new)
    before = gemini_levels(old)
    if budgets is not None:
        known = gemini_budgets(old)
        return not budgets.unasked or before is not None or (known is not None and known.unasked)
    if levels is None or before is None or levels.usual is None or before.usual is None:
        return False
    return EFFORTS.index(levels.usual) <= EFFORTS.index(before.usual)
