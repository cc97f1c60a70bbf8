"""Gauges as Prometheus reads them, and who asks for that.

The format is https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4. Names are
those of telemetry with underscores for dots. Money is exact: whole nanos divided in decimals.
"""

from collections.abc import Iterable
from decimal import Decimal

from common.core.metrics import Instrument, Measurement

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TEXT = "text/plain"
_JSON = "application/json"


def wants_text(accept: str) -> bool:
    """Whether an `Accept` header names plain text, and likes it better than JSON."""
    liked = dict(_liked(each) for each in accept.split(","))
    return liked.get(_TEXT, Decimal(0)) > liked.get(_JSON, Decimal(0))


def prometheus_text(measured: Iterable[Measurement]) -> str:
    """The gauges among these measurements, by name, each with its help and type."""
    by_instrument: dict[str, tuple[Instrument, list[Measurement]]] = {}
    for each in measured:
        if each.instrument.kind == "gauge":
            known = by_instrument.setdefault(each.instrument.name, (each.instrument, []))
            known[1].append(each)
    lines: list[str] = []
    for name, (instrument, values) in sorted(by_instrument.items()):
        shown = underscored(name)
        lines += [f"# HELP {shown} {_help(instrument)}", f"# TYPE {shown} gauge"]
        lines += [f"{shown}{_labels(each)} {_number(each)}" for each in values]
    return "".join(f"{line}\n" for line in lines)


def underscored(name: str) -> str:
    """The name of a metric as Prometheus takes it."""
    return name.replace(".", "_")


def _liked(media_range: str) -> tuple[str, Decimal]:
    """The type of one range of an `Accept` header, and how much it is liked: 0 to 1."""
    kind, *parameters = (part.strip() for part in media_range.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            text = value.strip()
            is_number = text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit()
            return kind.lower(), Decimal(text) if is_number else Decimal(0)
    return kind.lower(), Decimal(1)


def _help(instrument: Instrument) -> str:
    unit = "" if instrument.unit == "1" else f" In {instrument.unit}."
    return (instrument.about + unit).replace("\\", r"\\").replace("\n", r"\n")


def _labels(measured: Measurement) -> str:
    told = ",".join(
        f'{underscored(name)}="{_escaped(value)}"'
        for name, value in sorted(measured.attributes.items())
    )
    return f"{{{told}}}" if told else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(measured: Measurement) -> str:
    value, parts = measured.value, measured.instrument.parts
    if isinstance(value, int):
        return f"{(Decimal(value) / parts).normalize():f}"
    return repr(value / parts)
