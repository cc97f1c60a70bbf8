"""Which variables of the proxy hold the keys of a LiteLLM config, and how they share the calls.

A key that stands in the config is never copied and never told: a variable's name is put in its
place. So it is with a variable that an upstream may not name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from math import gcd, lcm

from common.core.errors import InvalidInput
from common.core.yaml_lines import Found
from common.gateway.destinations import VENDOR_VARIABLES
from common.gateway.upstream_records import (
    MAX_WEIGHT,
    CredentialRecord,
    UpstreamRecord,
    check_record,
)
from scripts.commands.litellm_providers import variable_in

_ENDING = "_API_KEY"
_NUMBER = re.compile(r"(0|[1-9]\d{0,8})(\.\d{0,9})?|\.\d{1,9}")
"""Plain ones only: LiteLLM reads `010` as 8."""


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that is said of a config: the line, what stands there, and what to do about it."""

    line: int
    what: str
    instead: str


class Names:
    """Names, each given once: a second one gets a number."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def new(self, stem: str, separator: str = "-", ending: str = "") -> str:
        name = f"{stem}{ending}"
        if name in self._taken:
            numbered = (f"{stem}{separator}{number}{ending}" for number in count(2))
            name = next(each for each in numbered if each not in self._taken)
        self._taken.add(name)
        return name


class Variables:
    """The variable for each key, and notices by upstream of what the proxy must be given.

    `named` are the variables that the config names: none of them stands for another key.
    """

    def __init__(self, named: Iterable[str]) -> None:
        self.notices: dict[str, list[Told]] = {}
        self._names = Names(named)
        self._stand_ins: dict[tuple[str, str, str], str] = {}

    def of(self, upstream: str, usual: str | None, key: Found | None, line: int) -> str:
        """The variable of an upstream's key.

        `usual` is the one that LiteLLM reads where a deployment, at `line`, has no key.
        """
        if key is None or not key.value:
            if usual is not None:
                return usual
            told = Told(line, f"{upstream} has no key", "any text will do if it takes none")
            return self._stand_in((upstream, "", ""), _wished(upstream), told)
        named = variable_in(key.text or "")
        if named is None:
            told = Told(key.line, "a key stands in the config itself", "it is not copied")
            return self._stand_in((upstream, "key", repr(key.value)), _wished(upstream), told)
        if is_usable(named, upstream):
            return named
        stem = named.upper()
        if named in VENDOR_VARIABLES.values():
            stem = f"{_wished(upstream)}_{stem.removesuffix(_ENDING)}"
        stem = stem if is_usable(f"{stem}{_ENDING}", upstream) else _wished(upstream)
        told = Told(
            key.line,
            f"{named} cannot be named here",
            f"a variable of {upstream} ends in {_ENDING} and is not another vendor's",
        )
        return self._stand_in((upstream, "variable", named), stem, told)

    def _stand_in(self, meant: tuple[str, str, str], stem: str, told: Told) -> str:
        """One variable for all places that mean the same key."""
        if meant not in self._stand_ins:
            self._stand_ins[meant] = self._names.new(stem, "_", _ENDING)
        instead = f"{told.instead}: give it to the proxy as {self._stand_ins[meant]}"
        self.notices.setdefault(meant[0], []).append(Told(told.line, told.what, instead))
        return self._stand_ins[meant]


def is_usable(variable: str, upstream: str) -> bool:
    """Whether a credential of the upstream may name the variable."""
    base_url = None if upstream in VENDOR_VARIABLES else "https://llm.example.com/v1"
    record = UpstreamRecord(upstream, base_url, credentials=(CredentialRecord("main", variable),))
    try:
        check_record(record)
    except InvalidInput:
        return False
    return True


def weight_of(found: Found | None) -> Fraction | None:
    """A deployment's weight, 1 without; None where it is no plain number."""
    if found is None or found.value is None:
        return Fraction(1)
    text = found.text or ""
    return Fraction(text) if _NUMBER.fullmatch(text) else None


def whole_weights(weights: Sequence[Fraction]) -> list[int] | None:
    """Weights above 0 as whole numbers in the same proportion, None where they are too far apart.

    Those that are whole already stay as they are.
    """
    scale = lcm(*(each.denominator for each in weights))
    whole = [int(each * scale) for each in weights]
    if scale > 1 or max(whole) > MAX_WEIGHT:
        divisor = gcd(*whole)
        whole = [each // divisor for each in whole]
    return whole if max(whole) <= MAX_WEIGHT else None


def credential_names(variables: Sequence[str]) -> Mapping[str, str]:
    """A name for each variable, after it."""
    names = Names(())
    return {
        each: names.new(each.removesuffix(_ENDING).lower().replace("_", "-")[:50].strip("-"))
        for each in variables
    }


def _wished(upstream: str) -> str:
    """The stem of a variable for an upstream's key."""
    stem = upstream.upper().replace("-", "_")
    return stem if stem[0].isalpha() else f"UPSTREAM_{stem}"
