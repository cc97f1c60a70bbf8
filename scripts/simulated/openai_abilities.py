"""What each family of OpenAI's models takes, and how a request beyond it is refused.

By the model pages at developers.openai.com/api/docs/models, the reasoning guide and the texts of
refusals that users of the API have published. Chat completions know the effort `max` of no model,
and from GPT-5.6 on they take functions only where the model does not reason. The project's own
tables have no part in it, so that the two cannot share a mistake.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.simulated.models import Model
from scripts.simulated.openai_wording import invalid_value, unsupported_value
from scripts.simulated.refusals import Refusal

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
DETAILS = ("low", "high", "auto", "original")
VERBOSITIES = ("low", "medium", "high")
LENGTHS = {"low": 60, "medium": 100, "high": 150}
"""By the verbosity, how long an answer is in percent."""

_OLD = ("low", "medium", "high")
_TO_XHIGH = (*_OLD, "xhigh")
_TO_MAX = (*_TO_XHIGH, "max")


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one family takes. No efforts: it does not reason, or not as asked."""

    most_tokens: int
    efforts: tuple[str, ...] = ()
    usual_effort: str = "medium"
    verbosities: tuple[str, ...] = ("medium",)
    functions_need_none: bool = False
    sees: bool = True
    follows_schemas: bool = True


def _gpt_5(efforts: tuple[str, ...], **other: Any) -> Abilities:
    return Abilities(
        **{"most_tokens": 128_000, "verbosities": VERBOSITIES, **other}, efforts=efforts
    )


_FAMILIES: tuple[tuple[re.Pattern[str], Abilities], ...] = tuple(
    (re.compile(pattern), abilities)
    for pattern, abilities in (
        ("gpt-3", Abilities(4_096, sees=False, follows_schemas=False)),
        ("gpt-4-(turbo|1106|0125)", Abilities(4_096, follows_schemas=False)),
        ("gpt-4-vision", Abilities(4_096, follows_schemas=False)),
        (r"gpt-4(?![.o\d])", Abilities(8_192, sees=False, follows_schemas=False)),
        (r"gpt-4\.1", Abilities(32_768)),
        ("gpt-4o-2024-05-13", Abilities(4_096, follows_schemas=False)),
        ("(chatgpt-|gpt-)4o", Abilities(16_384)),
        ("o1-preview", Abilities(32_768, sees=False, follows_schemas=False)),
        ("o1-mini", Abilities(65_536, sees=False, follows_schemas=False)),
        ("o3-mini", Abilities(100_000, _OLD, sees=False)),
        (r"o\d.*-deep-research", Abilities(100_000, ("medium",))),
        (r"o\d", Abilities(100_000, _OLD)),
        (r"gpt-5(\.\d)?-chat", Abilities(16_384)),
        ("gpt-5-pro", _gpt_5(("high",), most_tokens=272_000, usual_effort="high")),
        (r"gpt-5\.\d-pro", _gpt_5(("medium", "high", "xhigh"))),
        (r"gpt-5(\.1)?-codex(?!-max)", _gpt_5(_OLD, verbosities=("medium",))),
        (r"gpt-5\.\d-codex", _gpt_5(_TO_XHIGH, verbosities=("medium",))),
        ("gpt-5(?!\\.)", _gpt_5(("minimal", *_OLD))),
        (r"gpt-5\.1", _gpt_5(("none", *_OLD), usual_effort="none")),
        (r"gpt-5\.[23]", _gpt_5(("none", *_TO_XHIGH), usual_effort="none")),
        (
            r"gpt-5\.4",
            _gpt_5(("none", *_TO_XHIGH), usual_effort="none", functions_need_none=True),
        ),
        (r"gpt-5\.5", _gpt_5(("none", *_TO_XHIGH))),
        ("gpt-6-(luna|sol)", _gpt_5(("none", *_TO_MAX), functions_need_none=True)),
        (r"gpt-5\.[6-9]", _gpt_5(("none", *_TO_MAX), functions_need_none=True)),
        ("gpt-6", _gpt_5(_TO_MAX, functions_need_none=True)),
    )
)
_UNKNOWN = Abilities(128_000, EFFORTS, verbosities=VERBOSITIES)


def abilities_of(model: Model) -> Abilities:
    """What the model takes; one that no family has takes everything."""
    for pattern, abilities in _FAMILIES:
        if pattern.match(model.name):
            return abilities
    return _UNKNOWN


def effort_of(model: Model, asked: Any) -> str:
    """How hard the model thinks about a request that asks for that effort, or for none."""
    if not model.reasons:
        return "none"
    return str(asked or abilities_of(model).usual_effort)


def length_of(verbosity: Any) -> int:
    """How long an answer is in percent."""
    return LENGTHS.get(str(verbosity), 100)


def check_chat(body: Mapping[str, Any], model: Model) -> None:
    """Refuse what the model of a chat completion does not take.

    Raises:
        Refusal: the first of it.
    """
    can = abilities_of(model)
    for name in ("max_tokens", "max_completion_tokens"):
        if name == "max_tokens" and model.reasons and body.get(name) is not None:
            raise Refusal(
                400,
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                param=name,
                code="unsupported_parameter",
            )
        if (body.get(name) or 0) > can.most_tokens:
            raise Refusal(
                400,
                f"max_tokens is too large: {body[name]}. This model supports at most "
                f"{can.most_tokens} completion tokens, whereas you provided {body[name]}.",
                param=name,
            )
    _check_chat_effort(body, model, can)
    if body.get("verbosity") not in (None, *can.verbosities):
        raise unsupported_value("verbosity", body["verbosity"], can.verbosities)
    _check_pictures(body, can)
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema" and not can.follows_schemas:
        raise Refusal(
            400,
            "Invalid parameter: 'response_format' of type 'json_schema' is not supported with "
            "this model.",
            param="response_format",
        )


def _check_chat_effort(body: Mapping[str, Any], model: Model, can: Abilities) -> None:
    asked = body.get("reasoning_effort")
    if not model.reasons:
        if asked is not None:
            raise Refusal(400, "Unrecognized request argument supplied: reasoning_effort")
        return
    efforts = tuple(effort for effort in can.efforts if effort != "max")
    if asked is not None and not efforts:
        raise _unsupported("reasoning_effort")
    if asked not in (None, *efforts):
        raise unsupported_value("reasoning_effort", asked, efforts)
    effort = effort_of(model, asked)
    functions = [tool for tool in body.get("tools") or () if tool["type"] == "function"]
    if can.functions_need_none and functions and effort != "none":
        raise Refusal(
            400,
            f"Function tools with reasoning_effort are not supported for {model.asked} in "
            "/v1/chat/completions. To use function tools, use /v1/responses or set "
            "reasoning_effort to 'none'.",
            param="reasoning_effort",
        )
    if body.get("temperature") not in (None, 1) and effort != "none":
        raise Refusal(
            400,
            f"Unsupported value: 'temperature' does not support {body['temperature']} with this "
            "model. Only the default (1) value is supported.",
            param="temperature",
            code="unsupported_value",
        )


def _check_pictures(body: Mapping[str, Any], can: Abilities) -> None:
    for number, message in enumerate(body["messages"]):
        for index, part in _parts(message):
            where = f"messages[{number}].content[{index}]"
            if part.get("type") != "image_url":
                continue
            if not can.sees:
                raise Refusal(
                    400,
                    "Invalid content type. image_url is only supported by certain models.",
                    param=f"{where}.type",
                )
            picture = part.get("image_url")
            check_detail(picture if isinstance(picture, dict) else {}, f"{where}.image_url")


def _parts(message: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    content = message.get("content")
    yield from enumerate(content if isinstance(content, list) else ())


def check_detail(picture: Mapping[str, Any], where: str) -> None:
    """The detail of a picture is a known word, or there is none.

    Raises:
        Refusal: it is another word.
    """
    if picture.get("detail") not in (None, *DETAILS):
        raise invalid_value(f"{where}.detail", picture["detail"], DETAILS)


def check_response(body: Mapping[str, Any], model: Model) -> None:
    """Refuse what the model of a response does not take.

    Raises:
        Refusal: the first of it.
    """
    can = abilities_of(model)
    cap = body.get("max_output_tokens") or 0
    if cap > can.most_tokens:
        raise Refusal(
            400,
            "Invalid 'max_output_tokens': integer above maximum value. Expected a value <= "
            f"{can.most_tokens}, but got {cap} instead.",
            param="max_output_tokens",
            code="integer_above_max_value",
        )
    _check_reasoning(body, model, can)
    verbosity = (body.get("text") or {}).get("verbosity")
    if verbosity is not None and verbosity not in VERBOSITIES:
        raise invalid_value("text.verbosity", verbosity, VERBOSITIES)
    if verbosity not in (None, *can.verbosities):
        raise _unsupported_here("text.verbosity", verbosity, model, can.verbosities)


def _check_reasoning(body: Mapping[str, Any], model: Model, can: Abilities) -> None:
    reasoning = body.get("reasoning") or {}
    if reasoning.get("effort") not in (None, *EFFORTS):
        raise invalid_value("reasoning.effort", reasoning["effort"], EFFORTS)
    if not model.reasons:
        for name in ("effort", "summary"):
            if reasoning.get(name) is not None:
                raise _unsupported(f"reasoning.{name}")
    elif reasoning.get("effort") is not None and not can.efforts:
        raise _unsupported("reasoning.effort")
    elif reasoning.get("effort") not in (None, *can.efforts):
        raise _unsupported_here("reasoning.effort", reasoning["effort"], model, can.efforts)
    if model.reasons and effort_of(model, reasoning.get("effort")) != "none":
        for name in ("temperature", "top_p"):
            if body.get(name) is not None:
                raise _unsupported(name)


def _unsupported(name: str) -> Refusal:
    return Refusal(
        400,
        f"Unsupported parameter: '{name}' is not supported with this model.",
        param=name,
        code="unsupported_parameter",
    )


def _unsupported_here(name: str, value: Any, model: Model, allowed: tuple[str, ...]) -> Refusal:
    """As Responses word it: they name the model, where chat completions name the parameter."""
    refusal = unsupported_value(name, value, allowed)
    listed = refusal.message.partition("Supported values are: ")[2]
    refusal.message = (
        f"Unsupported value: '{value}' is not supported with the '{model.asked}' model. "
        f"Supported values are: {listed}"
    )
    return refusal
