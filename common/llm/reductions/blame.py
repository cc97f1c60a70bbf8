"""Which reduction a provider's refusal is laid to: the one that it names, else the riskiest.

An error that names a member is taken at its word. One that names none, or a member that no
reduction wrote, is laid to a single reduction, so that the others go on; if it was the wrong one,
the next refusal of a request without it is laid to the next.

Sources: OpenAI guide "Error codes" (`param`); Anthropic documentation, "Errors" (a message begins
with the member's path); Gemini API reference, "Status" (`fieldViolations`).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

RISKIEST_FIRST = (
    *("model", "effort", "verbosity", "output_cap", "media_detail", "server_tools", "tier"),
    *("candidates", "hint"),
)
"""Another model first, since it may lack what an account or a request needs; then what is written
in words that models differ in; then what is only left out; a sentence more of a text last."""

_EFFORT = (
    "reasoning_effort reasoning effort output_config thinking budget_tokens thinkingConfig "
    "thinking_config thinkingBudget thinking_budget thinkingLevel thinking_level"
)
_CAP = "max_tokens max_completion_tokens max_output_tokens maxOutputTokens"
_TOOLS = "tools tool_choice toolConfig tool_config web_search_options include max_tool_calls"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.lower().split())


_MEMBERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "model": _names("model"),
        "effort": _names(_EFFORT),
        "verbosity": _names("verbosity text"),
        "output_cap": _names(_CAP),
        "media_detail": _names("detail mediaResolution media_resolution resolution"),
        "server_tools": _names(_TOOLS),
        "tier": _names("service_tier serviceTier speed"),
        "candidates": _names("n candidateCount candidate_count"),
        "hint": _names("messages input contents content parts"),
    }
)
"""What each writes or leaves out, in lower case."""

_PROSE = _names(
    "model text detail resolution tools include speed n messages input contents content parts"
)
"""Names that are words of any sentence, too: they count where a path or a parameter names them."""

_PATH = re.compile(r"[A-Za-z_]\w*(?:(?:\.|\[)\w+\]?)*")
_PART = re.compile(r"[A-Za-z_]\w*")


def blamed(applied: Sequence[str], said: bytes) -> tuple[str, ...]:
    """Those of the reductions that were made which a refusal is laid to; none of none.

    Args:
        applied: their names, as outcomes have them.
        said: the provider's error, or its beginning.
    """
    named = _named(applied, said)
    return named or tuple(each for each in RISKIEST_FIRST if each in applied)[:1]


def _named(applied: Sequence[str], said: bytes) -> tuple[str, ...]:
    param = _param(said)
    paths = [param] if param else _paths(said.decode(errors="replace"))
    found = {each for path in paths for each in _at(path, applied)}
    return tuple(each for each in RISKIEST_FIRST if each in found)


def _at(path: str, applied: Sequence[str]) -> Iterator[str]:
    """The reductions that write the innermost member of a path that any of them writes."""
    for part in reversed(_PART.findall(path)):
        found = [each for each in applied if part.lower() in _MEMBERS.get(each, ())]
        if found:
            yield from found
            return


def _paths(text: str) -> Iterator[str]:
    for path in _PATH.findall(text):
        if path.lower() not in _PROSE:
            yield path


def _param(said: bytes) -> str | None:
    """The parameter that an error in OpenAI's form names."""
    try:
        parsed = json.loads(said)
    except (ValueError, RecursionError):
        return None
    error = parsed.get("error") if isinstance(parsed, dict) else None
    param = error.get("param") if isinstance(error, dict) else None
    return param if isinstance(param, str) else None
