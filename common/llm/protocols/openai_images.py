"""OpenAI images: usage of generations, edits and variations.

Source: OpenAI API reference, "Images". GPT image models tell tokens, older ones nothing: those were
sold by the piece. A reply holds its pictures in `data`, in base64 of megabytes each; what is told
beside them is read without decoding any.
"""

from collections.abc import Mapping
from typing import Any

from common.llm.facts import parse_object
from common.llm.metered import Metered, UsageLine, unreadable
from common.llm.protocols.openai_media import Part, StreamTap, metered, token_units

_DATA = b'"data"'
_PARTS: tuple[Part, ...] = (
    ("input_image_tokens", "input_tokens", ("input_tokens_details", "image_tokens")),
    ("cache_read_tokens", "input_tokens", ("input_tokens_details", "cached_tokens")),
    (
        "cache_image_read_tokens",
        "cache_read_tokens",
        ("input_tokens_details", "cached_tokens_details", "image_tokens"),
    ),
)
_OUTPUT: Part = ("output_image_tokens", "output_tokens", ("output_tokens_details", "image_tokens"))
_SVG_PARTS: tuple[Part, ...] = (
    ("output_reasoning_tokens", "output_tokens", ("reasoning_tokens",)),
)


def read_reply(body: bytes) -> Metered:
    """Usage of a whole reply."""
    beside = _beside_the_images(body)
    if "usage" in beside:
        return metered(beside, _lines)
    parsed = parse_object(body)
    return unreadable(body) if parsed is None else metered(parsed, _lines)


def read_ends(ends: bytes) -> Metered:
    """Usage of a reply of which only the beginning and the end are there, one behind the other."""
    beside = _beside_the_images(ends)
    if "usage" not in beside:
        return Metered(anomalies=("no usage beside the images",))
    return metered(beside, _lines)


def stream_tap() -> StreamTap:
    return StreamTap(_lines)


def _beside_the_images(reply: bytes) -> Mapping[str, Any]:
    """The members before the list of images and behind the last array, which it usually is."""
    before = reply[: max(0, reply.find(_DATA))].rstrip().removesuffix(b",")
    behind = reply[reply.rfind(b"]") + 1 :].lstrip()
    told = parse_object(before + b"}") or {}
    if behind.startswith(b","):
        told = {**told, **(parse_object(b"{" + behind[1:]) or {})}
    return told


def _lines(told: Mapping[str, Any], anomalies: list[str]) -> tuple[UsageLine, ...]:
    """Usage of the pictures, and that of the model which drew them as text (SVG)."""
    usage, drawing = told.get("usage"), told.get("svg_usage")
    units = _image_units(usage, anomalies) if isinstance(usage, dict) else None
    lines: tuple[UsageLine, ...] = () if units is None else (UsageLine(units),)
    if isinstance(drawing, dict):
        drawn = token_units(drawing, _SVG_PARTS, anomalies)
        model = drawing.get("model")
        if drawn is not None and isinstance(model, str):
            lines += (UsageLine(drawn, model),)
    return lines


def _image_units(usage: Mapping[str, Any], anomalies: list[str]) -> dict[str, int] | None:
    units = token_units(usage, (*_PARTS, _OUTPUT), anomalies)
    told = usage.get("output_tokens_details")
    if units is not None and "output_image_tokens" not in units and not isinstance(told, dict):
        # Events tell no details: all output is "image tokens in the output image".
        units["output_image_tokens"] = units["output_tokens"]
    return units
