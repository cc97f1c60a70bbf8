"""One target in a process of its own, fed by libFuzzer: `python -m scripts.fuzzing.session`.

Its arguments are a module that has `targets`, a target's name, and libFuzzer's own. The process
ends at the first finding, with libFuzzer's exit code for its kind.
"""

import importlib
import sys
from random import Random

import atheris  # type: ignore[import-untyped]  # it ships no types

from scripts.fuzzing.mutation import mutate


def main(module: str, name: str, options: list[str]) -> None:
    with atheris.instrument_imports(include=["common"]):
        target = importlib.import_module(module).targets()[name]

    def changed(data: bytes, most_bytes: int, seed: int) -> bytes:
        random = Random(seed)  # noqa: S311 - repeatable, not secret
        if random.random() < 0.3:
            return bytes(atheris.Mutate(data, most_bytes))
        return mutate(data, random, target.seeds)[:most_bytes]

    atheris.Setup(["fuzz", *options], target.check, custom_mutator=changed)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
