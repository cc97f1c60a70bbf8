"""What each family of Claude takes of thinking, effort and length, and how it refuses the rest.

By platform.claude.com/docs: "Troubleshooting thinking" (the kinds of thinking by model, the words
of most refusals), "Effort", "Models overview" (the longest answers), "Prompt caching" (requests of
no tokens) and the migration guides. Where the pages tell no words, published refusals do. The
project's own tables have no part in it, so that the two cannot share a mistake.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.simulated.models import Model
from scripts.simulated.refusals import Refusal

KINDS = ("enabled", "disabled", "adaptive", "between_tools")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
MIN_BUDGET = 1024
_OFF = ("disabled", "between_tools")
_GUIDE = "https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
_USE_ADAPTIVE = (
    'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one family takes. `off_to_high`: to turn thinking off needs an effort up to `high`."""

    most_tokens: int
    kinds: tuple[str, ...] = ("enabled", "disabled")
    efforts: tuple[str, ...] = ()
    usual_kind: str = "disabled"
    usual_effort: str = "high"
    off_to_high: bool = False
    forced_tools: bool = True
    samples: bool = True
    formats: bool = True


_ADAPTIVE = ("adaptive", "disabled")
_FAMILIES: tuple[tuple[re.Pattern[str], Abilities], ...] = tuple(
    (re.compile(f"claude-{pattern}"), abilities)
    for pattern, abilities in (
        (r"(v?[12]\b|instant)", Abilities(4_096, ("disabled",), formats=False)),
        ("3-7", Abilities(64_000, formats=False)),
        ("3-5", Abilities(8_192, ("disabled",), formats=False)),
        ("3", Abilities(4_096, ("disabled",), formats=False)),
        (r"opus-4-(0|2025)", Abilities(32_000, formats=False)),
        ("opus-4-1", Abilities(32_000)),
        (r"sonnet-4-(0|2025)", Abilities(64_000, formats=False)),
        ("opus-4-5", Abilities(64_000, efforts=EFFORTS[:3])),
        ("(sonnet|haiku)-4-5", Abilities(64_000)),
        (
            "(opus|sonnet)-4-6",
            Abilities(128_000, ("enabled", *_ADAPTIVE), ("low", "medium", "high", "max")),
        ),
        ("opus-4-[78]", Abilities(128_000, _ADAPTIVE, EFFORTS, samples=False)),
        (
            "opus-5-5",
            Abilities(
                128_000,
                ("adaptive",),
                EFFORTS,
                "adaptive",
                "medium",
                forced_tools=False,
                samples=False,
            ),
        ),
        (
            "opus-5",
            Abilities(128_000, _ADAPTIVE, EFFORTS, "adaptive", off_to_high=True, samples=False),
        ),
        (
            "sonnet-5-5",
            Abilities(
                128_000,
                ("adaptive", "between_tools"),
                EFFORTS,
                "adaptive",
                off_to_high=True,
                forced_tools=False,
                samples=False,
            ),
        ),
        ("sonnet-5", Abilities(128_000, _ADAPTIVE, EFFORTS, "adaptive", samples=False)),
        (
            "haiku-5-5",
            Abilities(
                128_000, _ADAPTIVE, EFFORTS, "adaptive", "medium", off_to_high=True, samples=False
            ),
        ),
        (
            "(fable|mythos)-5",
            Abilities(
                128_000, ("adaptive",), EFFORTS, "adaptive", forced_tools=False, samples=False
            ),
        ),
    )
)
_UNKNOWN = Abilities(128_000, KINDS, EFFORTS)


@dataclass(frozen=True, slots=True)
class Thinking:
    """How a request is thought about; `effort` is None where the model takes none."""

    kind: str
    budget: int | None
    effort: str | None
    shown: bool

    @property
    def is_on(self) -> bool:
        return self.kind not in _OFF


def abilities_of(model: Model) -> Abilities:
    """What the model takes; one that no family has takes everything."""
    for pattern, abilities in _FAMILIES:
        if pattern.match(model.name):
            return abilities
    return _UNKNOWN


def thinking_of(body: Mapping[str, Any], model: Model) -> Thinking:
    """How the model thinks about a request.

    Raises:
        Refusal: it does not think in the way that is asked for, or not about such a request.
    """
    can = abilities_of(model)
    given = body.get("thinking")
    given = {"type": can.usual_kind} if given is None else given
    kind = given.get("type")
    if kind not in KINDS:
        listed = ", ".join(f"'{entry}'" for entry in KINDS)
        raise _invalid(f"thinking: Input tag should be one of {listed}")
    budget = _budget(given, body) if kind == "enabled" else None
    _check_kind(kind, model, can)
    thinking = Thinking(kind, budget, _effort(body, can, kind), given.get("display") != "omitted")
    _check_forced(body, can, kind)
    _check_sampling(body, can, thinking)
    _check_last_turn(body["messages"], kind)
    return thinking


def check_length(body: Mapping[str, Any], model: Model) -> None:
    """Refuse an answer that is longer than the model's, or of no tokens where some are needed.

    Raises:
        Refusal: it is.
    """
    most = abilities_of(model).most_tokens
    if body["max_tokens"] > most:
        raise _invalid(
            f"max_tokens: {body['max_tokens']} > {most}, which is the maximum allowed number of "
            f"output tokens for {model.name}"
        )
    if body["max_tokens"]:
        return
    needs = {
        "stream": body.get("stream") is True,
        "output_config.format": (body.get("output_config") or {}).get("format") is not None,
        "tool_choice": is_forced(body),
    }
    for name in (name for name, needed in needs.items() if needed):
        raise _invalid(f"max_tokens: 0 may not be combined with `{name}`.")


def check_format(body: Mapping[str, Any], model: Model) -> None:
    """Refuse a format that the model cannot keep to.

    Raises:
        Refusal: it is asked for.
    """
    newer = (body.get("output_config") or {}).get("format")
    if (newer or body.get("output_format")) and not abilities_of(model).formats:
        raise _invalid(f"'{model.name}' does not support output format.")


def _budget(given: Mapping[str, Any], body: Mapping[str, Any]) -> int:
    budget = given.get("budget_tokens")
    if isinstance(budget, bool) or not isinstance(budget, int):
        raise _invalid("thinking.enabled.budget_tokens: Field required")
    if budget < MIN_BUDGET:
        raise _invalid(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        )
    if budget >= body["max_tokens"]:
        raise _invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    return budget


def _check_kind(kind: str, model: Model, can: Abilities) -> None:
    if kind in can.kinds:
        return
    if "enabled" not in can.kinds and "adaptive" not in can.kinds:
        raise _invalid(f"'{model.name}' does not support thinking.")
    if kind == "adaptive":
        raise _invalid("adaptive thinking is not supported on this model")
    if kind == "disabled" and "between_tools" in can.kinds:
        raise _invalid(
            'To turn thinking off on this model, send "thinking": {"type": "between_tools"} '
            'instead of {"type": "disabled"}. The model does not think before responding. The '
            "short updates it writes between tool calls come back as thinking blocks."
        )
    advice = "" if kind == "between_tools" else f" {_USE_ADAPTIVE}"
    raise _invalid(f'"thinking.type.{kind}" is not supported for this model.{advice}')


def _effort(body: Mapping[str, Any], can: Abilities, kind: str) -> str | None:
    effort = (body.get("output_config") or {}).get("effort")
    if effort is None:
        return can.usual_effort if can.efforts else None
    if effort not in EFFORTS:
        listed = ", ".join(f"'{entry}'" for entry in EFFORTS)
        raise _invalid(f"output_config.effort: Input should be {listed}")
    if not can.efforts:
        raise _invalid("This model does not support the effort parameter.")
    if effort not in can.efforts:
        raise _invalid(
            f"This model does not support effort level '{effort}'. "
            f"Supported levels: {', '.join(sorted(can.efforts))}."
        )
    if can.off_to_high and kind in _OFF and effort in ("xhigh", "max"):
        raise _invalid(
            f"output_config.effort '{effort}' is not supported when thinking is disabled on this "
            "model. Use effort 'high' or below, or enable thinking."
        )
    return str(effort)


def is_forced(body: Mapping[str, Any]) -> bool:
    """Whether a tool must be called; then nothing is thought before."""
    return (body.get("tool_choice") or {}).get("type") in ("any", "tool")


def _check_forced(body: Mapping[str, Any], can: Abilities, kind: str) -> None:
    if not is_forced(body):
        return
    if kind == "enabled":
        raise _invalid("Thinking may not be enabled when tool_choice forces tool use.")
    if not can.forced_tools:
        raise _invalid("tool_choice forces tool use is not compatible with this model.")


def _check_sampling(body: Mapping[str, Any], can: Abilities, thinking: Thinking) -> None:
    given = {name: body.get(name) for name in ("temperature", "top_p", "top_k")}
    if not can.samples:
        for name in (name for name, value in given.items() if value not in (None, 1)):
            raise _invalid(f"`{name}` is deprecated for this model.")
    if not thinking.is_on:
        return
    if given["temperature"] not in (None, 1):
        raise _invalid("`temperature` may only be set to 1 when thinking is enabled.")
    if given["top_k"] is not None:
        raise _invalid("`top_k` must be unset when thinking is enabled.")
    if given["top_p"] is not None and given["top_p"] < 0.95:
        raise _invalid(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."
        )


def _check_last_turn(messages: Sequence[Mapping[str, Any]], kind: str) -> None:
    """One turn is thought about in one way: that of a tool call goes on with its result."""
    turn = _open_turn(messages)
    for number, blocks in turn:
        for index, block in enumerate(blocks if kind == "disabled" else ()):
            if block["type"] in ("thinking", "redacted_thinking"):
                raise _invalid(
                    f"messages.{number}.content.{index}: When thinking is disabled, an `assistant` "
                    "message in the final position cannot contain `thinking`. To use thinking "
                    "blocks, enable `thinking` in your request."
                )
    number, first = turn[0] if turn else (0, [])
    if kind == "enabled" and first and first[0]["type"] == "tool_use":
        raise _invalid(
            f"messages.{number}.content.0.type: Expected `thinking` or `redacted_thinking`, but "
            "found `tool_use`. When `thinking` is enabled, a final `assistant` message must start "
            "with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` "
            "blocks). We recommend you include thinking blocks from previous turns. To avoid this "
            f"requirement, disable `thinking`. Please consult our documentation at {_GUIDE}"
        )


def _open_turn(messages: Sequence[Mapping[str, Any]]) -> list[tuple[int, Sequence[Any]]]:
    """The assistant's messages, with their places, since a user last said something new."""
    turn: list[tuple[int, Sequence[Any]]] = []
    for number, message in reversed(list(enumerate(messages))):
        blocks = message["content"]
        if message["role"] == "assistant":
            turn.insert(0, (number, [] if isinstance(blocks, str) else blocks))
        elif message["role"] == "user" and (
            isinstance(blocks, str) or not any(each["type"] == "tool_result" for each in blocks)
        ):
            break
    return turn


def _invalid(message: str) -> Refusal:
    return Refusal(400, message)
