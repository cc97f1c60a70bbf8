"""What no mocked apply shows: descriptions, orders, lifecycles, versions. Read from the files.

What waits for what is found by following references from block to block, through locals and
modules, so that `depends_on` is asked for only where nothing else makes the order.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from scripts.terraform_checks.hcl_text import Piece, mask, pieces

Files = Mapping[str, str]

REFERENCE = re.compile(
    r"\b(?<![.\w])((?:data\.)?(?:datadog|google|random|time|terraform)_\w+\.\w+|module\.\w+|local\.\w+|var\.\w+)"
)
APIS = "google_project_service.api"

WAITS = (
    ("module.function", "time_sleep.builder_is_known", "the first build fails without its rights"),
    ("module.function", "terraform_data.checked", "a table that is wrong must stop before it"),
    ("module.image", "time_sleep.builder_is_known", "the first build fails without its rights"),
    ("module.image", "terraform_data.checked", "a table that is wrong must stop before it"),
    ("data.google_cloud_run_v2_service.image", "module.image", "it would be read before the build"),
    (
        "time_sleep.builder_is_known",
        "google_project_iam_member.builder_logs",
        "rights of the builder",
    ),
    (
        "time_sleep.builder_is_known",
        "google_project_iam_member.builder_reads_copy",
        "rights of the builder",
    ),
    (
        "time_sleep.builder_is_known",
        "google_storage_bucket_iam_member.builder_reads",
        "rights of the builder",
    ),
    (
        "time_sleep.builder_is_known",
        "google_artifact_registry_repository_iam_member.builder_writes",
        "rights of the builder",
    ),
    (
        "google_pubsub_subscription.warehouse",
        "google_bigquery_table_iam_member.warehouse_writer",
        "a subscription is refused without rights on its table",
    ),
    (
        "google_bigquery_table.view",
        "google_bigquery_table.table",
        "a view of a table that is not there",
    ),
    (
        "google_cloud_scheduler_job.command",
        "terraform_data.checked",
        "a cron that is wrong must stop before it",
    ),
    (
        "google_monitoring_dashboard.installation",
        "google_logging_metric.runs",
        "it shows that metric",
    ),
)
"""What has to be there before what, and why."""

IN_THE_MODULE = (
    (
        "google_cloudfunctions2_function.function",
        "google_secret_manager_secret_iam_member.accessor",
        "an instance that cannot read its secrets does not start",
    ),
)
"""The same inside modules/function."""

REPLACED_WITHOUT_A_GAP = (
    "resource google_pubsub_subscription push",
    "resource google_pubsub_subscription warehouse",
    "resource google_secret_manager_secret_version given",
)
"""What is made anew before the old one goes."""

CONSTRAINTS = {
    "datadog": ("DataDog/datadog", ">= 3.82.0, < 5.0.0"),
    "google": ("hashicorp/google", ">= 7.21.0, < 8.0.0"),
    "google-beta": ("hashicorp/google-beta", ">= 7.21.0, < 8.0.0"),
    "random": ("hashicorp/random", ">= 3.7.0, < 4.0.0"),
    "time": ("hashicorp/time", ">= 0.12.0, < 1.0.0"),
}
"""Providers and the versions whose arguments the files use; the next major may change them."""

_OF_AN_INSTALLATION = {"google", "google-beta", "random", "time"}
REQUIRED = {
    "": _OF_AN_INSTALLATION,
    "examples/complete/": _OF_AN_INSTALLATION,
    "examples/minimal/": _OF_AN_INSTALLATION,
    "modules/datadog/": {"datadog"},
    "modules/function/": {"google"},
    "modules/monitoring/": {"google"},
    "modules/policy/": set[str](),
}
"""The providers of each configuration."""

UNSEEN = (
    (
        "data google_cloud_run_v2_service image",
        ("depends_on", "[module.image]"),
        "a plan would read it before the apply that changes it",
    ),
    (
        "resource google_secret_manager_secret_version given",
        ("secret_data_wo", "lookup(var.secret_values, each.key, null)"),
        "the value that people give must arrive, and in the secret of its name",
    ),
)
"""Arguments that leave no trace in what an apply comes to, and why they are as they are."""

SEALED = {
    "secret_values": {"ephemeral": "true", "sensitive": "true"},
    "token": {"sensitive": "true"},
}
"""What variables have whose values must be in no plan; an ephemeral one is in no state either."""


def undescribed(files: Files) -> list[str]:
    """Variables and outputs without a sentence that says what they are."""
    return [
        f"{file}: {' '.join(block.path)} has no description that is a sentence"
        for file, text in files.items()
        for block, arguments in _blocks(text)
        if block.name.startswith(("variable ", "output "))
        and not re.fullmatch(r'"[A-Z].*\."', arguments.get("description", ""))
    ]


def untyped(files: Files) -> list[str]:
    return [
        f"{file}: {block.name} has no type"
        for file, text in files.items()
        for block, arguments in _blocks(text)
        if block.name.startswith("variable ") and "type" not in arguments
    ]


def out_of_order(files: Files) -> list[str]:
    """What may be made before something it needs, or before the APIs are on."""
    root = _dependencies(_in_folder(files, ""))
    module = _dependencies(_in_folder(files, "modules/function/"))
    found = [
        f"{first} does not wait for {second}: {why}"
        for graph, rules in ((root, WAITS), (module, IN_THE_MODULE))
        for first, second, why in rules
        if first in graph and second in graph and second not in _reached(graph, first)
    ]
    found += [f"{name} is gone" for name in sorted(_named_in(WAITS) - {*root})]
    found += [f"{name} is gone" for name in sorted(_named_in(IN_THE_MODULE) - {*module})]
    for name in root:
        if (
            name.startswith(("google_", "module."))
            and name != APIS
            and APIS not in _reached(root, name)
        ):
            found.append(f"{name} does not wait for the APIs of the project")
    return found


def replaced_with_a_gap(files: Files) -> list[str]:
    lasting = {
        block.path[0]
        for text in files.values()
        for block, arguments in _blocks(text)
        if block.name == "lifecycle" and arguments.get("create_before_destroy") == "true"
    }
    return [
        f"{name} is gone before its successor is there"
        for name in REPLACED_WITHOUT_A_GAP
        if name not in lasting
    ]


def wrong_where_nobody_sees_it(files: Files) -> list[str]:
    found = {block.name: arguments for text in files.values() for block, arguments in _blocks(text)}
    return [
        f"{block}: {name} is not {wanted}: {why}"
        for block, (name, wanted), why in UNSEEN
        if found.get(block, {}).get(name) != wanted
    ]


def unbounded_versions(files: Files) -> list[str]:
    """Every configuration asks for the same versions, up to the next major one."""
    found = []
    for file, text in files.items():
        for block, arguments in _blocks(text):
            if block.name == "terraform" and arguments.get("required_version") != '">= 1.11.0"':
                found.append(f"{file}: required_version is not >= 1.11.0")
            if block.name != "required_providers":
                continue
            for provider, written in arguments.items():
                source, version = CONSTRAINTS.get(provider, ("", ""))
                if (
                    f'source  = "{source}"' not in written
                    or f'version = "{version}"' not in written
                ):
                    found.append(f"{file}: {provider} is not {source} {version}")
    for folder, names in REQUIRED.items():
        asked = {
            provider
            for text in _in_folder(files, folder).values()
            for block, arguments in _blocks(text)
            if block.name == "required_providers"
            for provider in arguments
        }
        if asked != names:
            found.append(f"{folder or 'the root'} requires {', '.join(sorted(asked))}")
        if not any("\nterraform {" in f"\n{text}" for text in _in_folder(files, folder).values()):
            found.append(f"{folder or 'the root'} does not say which Terraform it needs")
    return found


def unsealed(files: Files) -> list[str]:
    """Variables that carry secrets stay out of what is printed, and if they can out of states."""
    found = []
    for name, wanted in SEALED.items():
        sealed = [
            {key: arguments.get(key) for key in wanted} == wanted
            for text in files.values()
            for block, arguments in _blocks(text)
            if block.path == (f"variable {name}",)
        ]
        if not sealed or not all(sealed):
            found.append(f"{name} is not {' and '.join(wanted)}")
    return found


def without_a_default(files: Files) -> list[str]:
    """Only the project has to be said: everything else works as it is."""
    return [
        f"{file}: {block.name} has no default"
        for file, text in files.items()
        if not file.startswith("modules/")
        for block, arguments in _blocks(text)
        if block.name.startswith("variable ")
        and block.name != "variable project_id"
        and "default" not in arguments
    ]


def examples_that_lead_elsewhere(files: Files) -> list[str]:
    """An example hands on each of its variables, and its providers are where its module is."""
    found = []
    for file, text in files.items():
        if not file.startswith("examples/"):
            continue
        blocks = {each.name: own for each, own in _blocks(text) if len(each.path) == 1}
        module = blocks.get("module open_cloud_ops", {})
        wanted = {"project": "var.project_id"}
        if "region" in module:
            wanted["region"] = module["region"]
        variables = [each.removeprefix("variable ") for each in blocks if "variable " in each]
        found += [
            f"{file}: provider {name} is not {wanted}"
            for name in ("google", "google-beta")
            if blocks.get(f"provider {name}") != wanted
        ]
        found += [
            f"{file}: {name} is not handed on"
            for name in variables
            if module.get(name) != f"var.{name}"
        ]
    return found


Rule = Callable[[Files], list[str]]

RULES: tuple[Rule, ...] = (
    undescribed,
    untyped,
    out_of_order,
    replaced_with_a_gap,
    wrong_where_nobody_sees_it,
    unbounded_versions,
    unsealed,
    without_a_default,
    examples_that_lead_elsewhere,
)


def _blocks(text: str) -> Iterator[tuple[Piece, dict[str, str]]]:
    """Each block with the arguments that stand directly in it."""
    found = pieces(text)
    for block in found:
        if block.kind == "block":
            inside = (p for p in found if p.kind == "argument" and p.path[:-1] == block.path)
            yield (
                block,
                {p.name: p.value(text) for p in inside if block.start < p.start < block.end},
            )


def _in_folder(files: Files, folder: str) -> Files:
    return {
        path: text
        for path, text in files.items()
        if path.startswith(folder) and "/" not in path.removeprefix(folder)
    }


def _dependencies(files: Files) -> dict[str, set[str]]:
    """What each resource, module, data source and local refers to."""
    graph: dict[str, set[str]] = {}
    for text in files.values():
        found = pieces(text)
        for piece in found:
            name = _address(piece)
            if name:
                graph.setdefault(name, set()).update(references(text[piece.start : piece.end]))
    return graph


def _address(piece: Piece) -> str | None:
    words = piece.path[-1].split(" ")
    if len(piece.path) == 1 and words[0] == "resource":
        return ".".join(words[1:])
    if len(piece.path) == 1 and words[0] in ("module", "data"):
        return ".".join(words)
    return f"local.{piece.name}" if piece.path[:-1] == ("locals",) else None


def references(text: str) -> set[str]:
    """What a text of HCL refers to, in expressions and inside strings, but not in comments."""
    bare = "\n".join(
        line[: masked.index("#")] if "#" in masked else line
        for line, masked in zip(text.splitlines(), mask(text).splitlines(), strict=True)
    )
    return {*REFERENCE.findall(bare)}


def _reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [*graph.get(start, ())]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph.get(name, ())
    return seen


def _named_in(rules: tuple[tuple[str, str, str], ...]) -> set[str]:
    return {name for first, second, _ in rules for name in (first, second)}
