"""The rules that stand for a LiteLLM config's names: which model serves a call for one.

A name with several models behind it is a weighted choice between them, and one that means another
model here is a rule for that model. What the config falls back to stands behind either. A rule is
of an organisation, which no config names: without one, it is said what clients send instead.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from common.api.manifest_models import holds_credential
from common.core.errors import InvalidInput
from common.core.yaml_lines import Found
from common.gateway.destinations import VENDORS
from common.llm.openai_format import split_prefix
from common.routing.rules import MOST_MODELS, MOST_RULES, read_table
from scripts.commands.litellm_credentials import Names, Told, weight_of, whole_weights
from scripts.commands.litellm_file import LitellmConfig
from scripts.commands.litellm_upstreams import Call, shown

FALLBACKS = frozenset({"fallbacks", "default_fallbacks"})
"""Settings that become fallbacks of rules."""
_SECTIONS = ("router_settings", "litellm_settings")
_GLOB = re.compile(r"[*?\[]")
_UNNAMED = re.compile(r"[^a-z0-9._-]+")
_LONGEST_NAME = 50


@dataclass(slots=True)
class Rules:
    """The rules, in the order of the config's names, and what is lost on the way."""

    rules: list[dict[str, Any]] = field(default_factory=list)
    losses: list[Told] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Named:
    """What stands behind one name. `wanted` are the names it falls back to."""

    name: str
    calls: Sequence[Call]
    wanted: tuple[str, ...]

    @property
    def line(self) -> int:
        return self.calls[0].deployment.line

    @property
    def what(self) -> str:
        return f"model_name {shown(self.name)}"

    @property
    def sent(self) -> list[str]:
        """The models behind it, as they are called here."""
        return list(dict.fromkeys(call.name for call in self.calls))

    @property
    def means_itself(self) -> bool:
        """Whether a call for the name is served by the model behind it without a rule."""
        first = self.calls[0]
        return len(self.sent) == 1 and self.name in {first.name, f"{first.upstream}/{first.model}"}


def import_rules(config: LitellmConfig, calls: Sequence[Call], *, wanted: bool) -> Rules:
    """The rules of a config.

    Args:
        config: the file.
        calls: its deployments that have an upstream.
        wanted: somebody has said whose rules they are to be; else there are only losses.
    """
    made = Rules()
    named = _named(config, calls)
    if not wanted:
        made.losses.extend(_without_rules(named))
        return made
    by_name = {each.name: each for each in named}
    upstreams = {call.upstream for call in calls} | set(VENDORS)
    names = Names(())
    for each in named:
        if each.means_itself and not each.wanted:
            continue
        reason = _no_rule(each, upstreams, len(made.rules))
        if reason is not None:
            made.losses.append(Told(each.line, each.what, reason))
        elif (rule := _rule(each, by_name, names, made.losses)) is not None:
            made.rules.append(rule)
    return made


def _named(config: LitellmConfig, calls: Sequence[Call]) -> list[_Named]:
    by_name: dict[str, list[Call]] = {}
    for call in calls:
        by_name.setdefault(call.deployment.model_name, []).append(call)
    own, default = _fallbacks(config)
    return [
        _Named(name, behind, own.get(name, tuple(each for each in default if each != name)))
        for name, behind in by_name.items()
    ]


def _fallbacks(config: LitellmConfig) -> tuple[Mapping[str, tuple[str, ...]], tuple[str, ...]]:
    """What each name falls back to, and what those do that the config does not name there."""
    own: dict[str, tuple[str, ...]] = {}
    default: tuple[str, ...] = ()
    for section in _SECTIONS:
        members = config.sections.get(section, Found(None, 1)).members
        for item in members.get("fallbacks", Found(None, 1)).items:
            for name, after in item.members.items():
                own.setdefault(name, _texts(after))
        default = default or _texts(members.get("default_fallbacks", Found(None, 1)))
    return own, default


def _texts(found: Found) -> tuple[str, ...]:
    return tuple(each.text for each in found.items if each.text is not None)


def _without_rules(named: Sequence[_Named]) -> Iterator[Told]:
    """What clients send in place of names that mean another model here, or several."""
    for each in named:
        sent = [shown(name) for name in each.sent]
        if len(sent) > 1:
            instead = f"clients send one of {', '.join(sent)}; with --org it becomes a rule"
            yield Told(each.line, each.what, instead)
        elif not each.means_itself:
            instead = f"clients send {sent[0]}"
            if each.name == each.calls[0].model and each.calls[0].upstream in VENDORS:
                instead += f", or this name at /{each.calls[0].upstream}"
            yield Told(each.line, each.what, f"{instead}; with --org it becomes a rule")


def _no_rule(each: _Named, upstreams: Collection[str], made: int) -> str | None:
    """Why no rule can stand for a name, with what to do instead."""
    sent = ", ".join(shown(name) for name in each.sent)
    prefix, rest = split_prefix(each.name)
    if _GLOB.search(each.name) or any(_GLOB.search(name) for name in each.sent):
        return f"no rule is for all names of a kind: clients send {sent}"
    if rest and prefix not in upstreams:
        return f"{shown(prefix)} before the / would be an upstream: clients send {sent}"
    if len(each.sent) > MOST_MODELS:
        return f"a rule has at most {MOST_MODELS} models: clients send one of {sent}"
    if made >= MOST_RULES:
        return f"an organisation has at most {MOST_RULES} rules: clients send {sent}"
    if any(holds_credential(name) for name in (each.name, *each.sent)):
        return "it looks like a key, and no rule is made of it"
    return None


def _rule(
    each: _Named, by_name: Mapping[str, _Named], names: Names, losses: list[Told]
) -> dict[str, Any] | None:
    """The rule for a name; None where none can be, which is told."""
    use = _use(each, losses)
    if use is None:
        return None
    first = [use["fixed"]] if "fixed" in use else list(use["weighted"])
    stem = _UNNAMED.sub("-", each.name.lower())[:_LONGEST_NAME].strip("-._") or "rule"
    rule = {"name": names.new(stem), "match": {"model": each.name}, "use": use}
    after = [name for name in _after(each, by_name, losses) if name not in first]
    if len(after) > MOST_MODELS:
        losses.append(Told(each.line, each.what, f"it falls back to {MOST_MODELS} models at most"))
    if after:
        rule["fallbacks"] = after[:MOST_MODELS]
    try:
        read_table({"rules": [rule]})
    except InvalidInput:
        # Its text may repeat a name, and so a key.
        losses.append(Told(each.line, each.what, "its models' names are no names of a rule"))
        return None
    return rule


def _use(each: _Named, losses: list[Told]) -> dict[str, Any] | None:
    """The one model, or those that share the calls by weight; None, and told, where none may."""
    if len(each.sent) == 1:
        return {"fixed": each.sent[0]}
    weights = dict.fromkeys(each.sent, Fraction(0))
    for call in each.calls:
        weight = weight_of(call.deployment.params.get("weight"))
        # What is no number was told where keys got their shares.
        weights[call.name] += 1 if weight is None else weight
    used = {name: weight for name, weight in weights.items() if weight > 0}
    if not used:
        losses.append(Told(each.line, each.what, "all its weights are 0: no rule is made"))
        return None
    if len(used) == 1:
        return {"fixed": next(iter(used))}
    whole = whole_weights(list(used.values()))
    if whole is None:
        losses.append(Told(each.line, f"the weights of {each.what}", "too far apart: all are 1"))
    return {"weighted": dict(zip(used, whole or [1] * len(used), strict=True))}


def _after(each: _Named, by_name: Mapping[str, _Named], losses: list[Told]) -> list[str]:
    """The models that a name falls back to, each once; of several behind a name, all in order."""
    found: dict[str, None] = {}
    for name in each.wanted:
        if name in by_name:
            usable = [sent for sent in by_name[name].sent if not _GLOB.search(sent)]
            found.update(dict.fromkeys(usable))
        else:
            instead = f"it has no upstream here, so {shown(each.name)} does not fall back to it"
            losses.append(Told(each.line, f"model_name {shown(name)}", instead))
    return list(found)
