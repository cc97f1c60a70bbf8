"""Compare model limits with LiteLLM's table, and write down what the price list lacks.

`scripts/model_limits [--wheel FILE]` reads the table from a wheel of LiteLLM (by default the
newest, downloaded with pip into a temporary folder, nothing of it installed or run) and prints
where it differs from the price list and from `common/llm/limits.yaml`; exit 1 if that file would
change. `--write` writes it; run scripts/price_book afterwards. Context windows and longest outputs
are taken, prices never.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from genai_prices import data, types

LIMITS = Path(__file__).parents[2] / "common" / "llm" / "limits.yaml"
TABLE = "litellm/model_prices_and_context_window_backup.json"
PROVIDERS = {
    "openai": "openai",
    "text-completion-openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "deepseek": "deepseek",
    "mistral": "mistral",
    "groq": "groq",
    "xai": "x-ai",
}
"""LiteLLM's name of a provider, and the price list's."""

HEADER = """\
# Written by scripts/model_limits: limits of models that the public price list lacks, in tokens.
# Figures of the table named as source, of which the largest of all names of a model counts.
# LiteLLM is licensed under the MIT License, Copyright (c) 2023 Berri AI.
"""

Limits: TypeAlias = dict[tuple[str, str], dict[str, int]]


def read_table(wheel: Path) -> tuple[Mapping[str, Any], str]:
    """The table in a wheel, and its source as it is written down."""
    with zipfile.ZipFile(wheel) as archive:
        table = json.loads(archive.read(TABLE))
    version = wheel.name.split("-")[1]
    return table, f"LiteLLM {version} (MIT), {TABLE}: https://github.com/BerriAI/litellm"


def download(folder: Path) -> Path:
    """The newest wheel of LiteLLM, without what it depends on."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--quiet", "--dest", str(folder), "litellm"], check=True)
    return next(folder.glob("litellm-*.whl"))


def limits_in(table: Mapping[str, Any], providers: Mapping[str, types.Provider]) -> Limits:
    """The largest limits of every listed model, over all names that the list prices as it."""
    found: Limits = {}
    for name, entry in table.items():
        provider = providers.get(PROVIDERS.get(entry.get("litellm_provider"), ""))
        if provider is None:
            continue
        model = provider.find_model(name.rpartition("/")[2])
        if model is None:
            continue
        limits = found.setdefault((provider.id, model.id), {})
        for ours, theirs in (
            ("context_window", "max_input_tokens"),
            ("max_output", "max_output_tokens"),
        ):
            count = entry.get(theirs)
            if type(count) is int and count > 0:
                limits[ours] = max(count, limits.get(ours, 0))
    return found


def needed(found: Limits, providers: Mapping[str, types.Provider]) -> Limits:
    """What says more than the price list does."""
    kept: Limits = {}
    for (provider, model), limits in sorted(found.items()):
        listed = next(each for each in providers[provider].models if each.id == model)
        more = {
            name: count
            for name, count in limits.items()
            if name != "context_window" or count > (listed.context_window or 0)
        }
        if more:
            kept[provider, model] = more
    return kept


def differences(found: Limits, providers: Mapping[str, types.Provider]) -> Iterator[str]:
    """Windows of which both tables have another figure."""
    for (provider, model), limits in sorted(found.items()):
        listed = next(each for each in providers[provider].models if each.id == model)
        theirs, ours = limits.get("context_window"), listed.context_window
        if theirs and ours and theirs != ours:
            yield f"{provider}/{model}: window {ours} on the price list, {theirs} in the table"


def as_text(kept: Limits, source: str) -> str:
    """The file's content."""
    lines = [HEADER, f"source: &table {json.dumps(source)}\n", "limits:"]
    for (provider, model), limits in kept.items():
        figures = ", ".join(f"{name}: {count}" for name, count in sorted(limits.items()))
        named = f"provider: {provider}, models: [{json.dumps(model)}]"
        lines.append(f"  - {{{named}, {figures}, source: *table}}")
    return "\n".join(lines) + "\n"


def changes(old: Mapping[str, Any], kept: Limits) -> Iterator[str]:
    """How the file would change."""
    before = {
        (entry["provider"], entry["models"][0]): {
            name: entry[name] for name in ("context_window", "max_output") if name in entry
        }
        for entry in old.get("limits", ())
    }
    for key in sorted(before.keys() | kept.keys()):
        if before.get(key) != kept.get(key):
            yield f"{'/'.join(key)}: {before.get(key)} in limits.yaml, now {kept.get(key)}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/model_limits", description=__doc__)
    parser.add_argument("--wheel", type=Path, help="a wheel of LiteLLM (default: downloaded)")
    parser.add_argument("--write", action="store_true", help="write what was found")
    parser.add_argument("--limits", type=Path, default=LIMITS, help="the file (%(default)s)")
    options = parser.parse_args(arguments)
    providers = {provider.id: provider for provider in data.providers}
    with tempfile.TemporaryDirectory() as folder:
        table, source = read_table(options.wheel or download(Path(folder)))
    found = limits_in(table, providers)
    kept = needed(found, providers)
    old = yaml.safe_load(options.limits.read_text()) if options.limits.exists() else {}
    for line in (*differences(found, providers), *changes(old, kept)):
        print(line)
    if options.write:
        options.limits.write_text(as_text(kept, source))
        return 0
    return 1 if any(changes(old, kept)) else 0


if __name__ == "__main__":
    sys.exit(main())
