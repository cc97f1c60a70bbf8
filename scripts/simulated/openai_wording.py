"""OpenAI's words for a value that is missing, of a wrong type or out of bounds."""

from typing import Any

from scripts.simulated.refusals import Refusal

_NAMES = {
    list: "an array",
    dict: "an object",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
}


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Both bounds are allowed values.

    Raises:
        Refusal: not a number, or outside the bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(name, "a decimal", value)
    if value < low or value > high:
        beyond, sign, bound = ("below minimum", ">=", low)
        if value > high:
            beyond, sign, bound = ("above maximum", "<=", high)
        side = "below_min" if value < low else "above_max"
        raise Refusal(
            400,
            f"Invalid '{name}': decimal {beyond} value. Expected a value {sign} {bound}, "
            f"but got {value} instead.",
            param=name,
            code=f"decimal_{side}_value",
        )


def check_integer(name: str, value: Any, least: int) -> None:
    """The least value is allowed.

    Raises:
        Refusal: not an integer, or below the least one.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, "an integer", value)
    if value < least:
        raise Refusal(
            400,
            f"Invalid '{name}': integer below minimum value. Expected a value >= {least}, "
            f"but got {value} instead.",
            param=name,
            code="integer_below_min_value",
        )


def wrong_type(name: str, expected: str, value: Any) -> Refusal:
    got = _NAMES.get(type(value), "null" if value is None else "a decimal")
    return Refusal(
        400,
        f"Invalid type for '{name}': expected {expected}, but got {got} instead.",
        param=name,
        code="invalid_type",
    )


def missing(name: str) -> Refusal:
    return Refusal(
        400,
        f"Missing required parameter: '{name}'.",
        param=name,
        code="missing_required_parameter",
    )


def invalid_value(name: str, value: Any, allowed: tuple[str, ...]) -> Refusal:
    return Refusal(
        400,
        f"Invalid value: '{value}'. Supported values are: {_listed(allowed)}.",
        param=name,
        code="invalid_value",
    )


def unsupported_value(name: str, value: Any, allowed: tuple[str, ...]) -> Refusal:
    """A value that other models take."""
    return Refusal(
        400,
        f"Unsupported value: '{name}' does not support '{value}' with this model. "
        f"Supported values are: {_listed(allowed)}.",
        param=name,
        code="unsupported_value",
    )


def _listed(allowed: tuple[str, ...]) -> str:
    if len(allowed) == 1:
        return f"'{allowed[0]}'"
    return ", ".join(f"'{entry}'" for entry in allowed[:-1]) + f", and '{allowed[-1]}'"
