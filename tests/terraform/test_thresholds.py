"""Thresholds are the same numbers to Terraform and to the gateway, however they are written."""

import random
from fractions import Fraction
from pathlib import Path

from common.brownout.policy_file import read_policy
from common.core.money import NANOS_PER_USD
from scripts.terraform_checks.checkouts import Checkout
from tests.terraform.companions import states

LEVELS = ("soft", "hard", "emergency")
FILES = 17
"""Of twelve thresholds each: more than two hundred."""


def a_latency(dice: random.Random) -> tuple[Fraction, str]:
    micros = dice.choice(
        [dice.randint(1, 3_600_000) * 1_000, dice.randint(1, 3600) * 1_000_000, 60_000_000]
    )
    unit, scale = dice.choice(
        [("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000)]
    )
    if 1000 * micros % scale:
        unit, scale = "ms", 1_000
    return Fraction(micros, 1_000_000), written(dice, Fraction(micros, scale), unit)


def a_share(dice: random.Random) -> tuple[Fraction, str]:
    share = Fraction(dice.randint(1, 9_999), 10_000)
    if dice.random() < 0.5:
        return share, f"{float(share):.{dice.randint(4, 8)}f}"
    return share, written(dice, share * 100, "%")


def a_cost(dice: random.Random) -> tuple[Fraction, str]:
    cost = Fraction(dice.randint(1, 999_999_999), dice.choice([1, 100, 10_000, NANOS_PER_USD]))
    text = decimal(cost)
    return cost, dice.choice([f"${text}", f"$ {text}", f"{text} USD", f"{text}USD"])


def a_count(dice: random.Random) -> tuple[Fraction, str]:
    count = dice.randint(1, 9_999)
    return Fraction(count), dice.choice([str(count), f'"{count}"'])


def decimal(value: Fraction) -> str:
    text = f"{value.numerator * 10**9 // value.denominator:010d}"
    return f"{text[:-9]}.{text[-9:]}".rstrip("0").rstrip(".")


def written(dice: random.Random, amount: Fraction, unit: str) -> str:
    return decimal(amount) + dice.choice(["", " "]) + unit


MEASURES = {
    "latency_p95": a_latency,
    "error_rate": a_share,
    "token_cost_per_hour": a_cost,
    "pending_requests": a_count,
}


def a_policy(dice: random.Random) -> str:
    """A policy whose thresholds rise, each spelt in some way."""
    cells: dict[str, list[str]] = {level: [] for level in LEVELS}
    for measure, make in MEASURES.items():
        rising: dict[Fraction, str] = {}
        while len(rising) < len(LEVELS):
            rising.update([make(dice)])
        for level, amount in zip(LEVELS, sorted(rising), strict=True):
            text = rising[amount]
            form = dice.choice(["{measure}: {text}", "{measure}: {{above: {text}}}"])
            cells[level].append(form.format(measure=measure, text=text))
    rows = [f"  {level}: {{{', '.join(cells[level])}}}" for level in LEVELS]
    return "\n".join(["version: 1", "strategies: {default: {}}", "thresholds:", *rows, ""])


def test_reads_thresholds_as_the_gateway_does(checkout: Checkout, tmp_path: Path) -> None:
    dice = random.Random(3)
    texts = [a_policy(dice) for _ in range(FILES)]
    runs = {}
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        runs[f"policy_{number}"] = {"policy_file": str(path)}

    found = [
        {
            key: Fraction(each["above"])
            for key, each in state["outputs"]["thresholds"]["value"].items()
        }
        for state in states(checkout, "modules/policy", runs)
    ]

    assert found == [as_the_gateway_reads(text) for text in texts]


def as_the_gateway_reads(text: str) -> dict[str, Fraction]:
    thresholds = read_policy(text).thresholds
    read = {}
    for level in LEVELS:
        of = getattr(thresholds, level)
        micros = round(of.latency_p95.above.total_seconds() * 1_000_000)
        read[f"{level} latency_p95"] = Fraction(micros, 1_000_000)
        read[f"{level} error_rate"] = Fraction(repr(of.error_rate))
        read[f"{level} token_cost_per_hour"] = Fraction(of.token_cost_per_hour.above, NANOS_PER_USD)
        read[f"{level} pending_requests"] = Fraction(of.pending_requests)
    return read
