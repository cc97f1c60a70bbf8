"""An apply against mocked providers: every resource with its arguments, without a cloud.

Terraform writes the test (`*.tftest.json`) itself, runs it and prints the state it comes to. What a
cloud would compute is given here where another resource uses it, in the form that the cloud has, so
that a reference can be told from another one.

Three installations are applied: one that sets nothing but its project, one that sets variables to
something else than their default, and one with a function behind Identity-Aware Proxy. The examples
are two more.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.functions_table import Function, HttpTrigger, Instances
from scripts.terraform_checks.checkouts import Checkout, errors, messages

Values = Mapping[str, Any]

FOLDER = "applied"
"""Where the generated tests lie in the copy, beside the tests of the checkout itself."""
PUBSUB_AGENT = "serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com"
SECRETS = ("openai-api-key", "anthropic-api-key", "gemini-api-key", "channel-ops-slack")
CANARIES = {name: f"canary-of-{name}" for name in SECRETS}
"""What stands for the values of secrets that people give."""
GENERATED = "generated-fingerprint-key-0123456789abcdefghijkl"
"""What stands for the password that Terraform makes."""
IAP_AGENT = "serviceAccount:service-1@gcp-sa-iap.iam.gserviceaccount.com"
IMAGE = "docker.pkg.dev/images/{}@sha256:0123"
"""What stands for the image that the build of a function behind IAP has made."""


class ApplyFailed(Exception):
    """Terraform refused the configuration, or its apply."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What a person chooses: the variables, and what follows from them.

    An `example` chooses by itself: it is a folder whose module is the installation. `behind_iap`
    are rows that its table has beside those of functions/functions.yaml.
    """

    name: str
    project: str
    region: str
    prefix: str
    variables: Values = field(default_factory=dict)
    example: str = ""
    behind_iap: Mapping[str, Function] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        return self.example or "."

    @property
    def inside(self) -> str:
        """What addresses begin with."""
        return "module.open_cloud_ops." if self.example else ""

    @property
    def dataset(self) -> str:
        return f"{self.prefix.replace('-', '_')}_warehouse"

    @property
    def labels(self) -> dict[str, str]:
        return {**self.variables.get("labels", {}), "app": "open-cloud-ops"}

    @property
    def is_protected(self) -> bool:
        """Whether what holds data refuses to be deleted."""
        return bool(self.variables.get("deletion_protection", True))

    @property
    def emails(self) -> list[str]:
        """Who is told when the installation is in trouble."""
        return list(self.variables.get("monitoring", {}).get("emails", []))

    def account(self, name: str) -> str:
        return f"{self.prefix}-{name}@{self.project}.iam.gserviceaccount.com"


PLAIN = Installation(name="plain", project="my-project", region="europe-west1", prefix="oco")

FULL = Installation(
    name="full",
    project="other-project-7",
    region="us-east4",
    prefix="acme-ops",
    variables={
        "console_admins": ["ada@example.com", "bob@example.com"],
        "deletion_protection": False,
        "functions": {
            "proxy": {"instances": {"min": 1, "max": 7}, "env": {"IDLE_TIMEOUT_S": "60"}},
            "usage": {"memory": "1Gi", "concurrency": 40},
        },
        "labels": {"team": "platform"},
        "monitoring": {"emails": ["ops@example.com"]},
        "prefix": "acme-ops",
        "private_callers": ["user:ada@example.com", "group:ci@example.com"],
        "public_invokers": ["group:apps@example.com"],
        "region": "us-east4",
        "runtime": "python312",
        "secret_values": CANARIES,
        "secret_versions": {name: number for number, name in enumerate(SECRETS, 3)},
        "telemetry": {"endpoint": "https://otlp.example.com", "sampling": 0.25},
        "vertex_projects": ["my-models-123"],
        "warehouse_location": "EU",
    },
)

MINIMAL = Installation(
    name="minimal",
    project="my-project",
    region="europe-west1",
    prefix="oco",
    example="examples/minimal",
)

CONSOLE = Function(
    triggers=(HttpTrigger(http="private"),),  # iap, which the code's own table does not know
    memory="1Gi",
    cpu=2,
    concurrency=40,
    timeout=300,
    instances=Instances(min=2, max=3),
    extras=("web",),
    env={"THEME": "dark"},
    secrets={"FINGERPRINT_KEY": "fingerprint-key"},
    secret_prefixes=(),
    publishes=("events",),
    state="read",
    warehouse="write",
)

IAP = Installation(
    name="iap",
    project="console-project",
    region="asia-south1",
    prefix="iap-ops",
    variables={
        "bundle_dir": "tests/bundle",
        "console_members": ["user:ada@example.com", "group:operations@example.com"],
        "labels": {"team": "console"},
        "prefix": "iap-ops",
        "region": "asia-south1",
        "runtime": "python313",
    },
    behind_iap={"console": CONSOLE},
)

COMPLETE = Installation(
    name="complete",
    project="my-project",
    region="europe-west4",
    prefix="ai-costs",
    example="examples/complete",
    variables={
        "console_admins": ["ada@example.com", "ci@my-project-123.iam.gserviceaccount.com"],
        "functions": {
            "proxy": {"memory": "1Gi", "instances": {"min": 1, "max": 100}},
            "api": {"env": {"WAREHOUSE_QUERY_BYTES": "50000000000"}},
        },
        "labels": {"team": "platform", "stage": "production"},
        "monitoring": {"emails": ["operations@example.com"]},
        "secret_values": {name: CANARIES[name] for name in SECRETS[:2]},
        "secret_versions": dict.fromkeys(SECRETS[:2], 1),
        "telemetry": {"endpoint": "https://collector.example.com", "sampling": 0.1},
        "warehouse_location": "EU",
    },
)


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply comes to: each resource's arguments by its address, and the outputs."""

    of: Installation
    resources: Mapping[str, Values] = field(repr=False)
    outputs: Mapping[str, Any] = field(repr=False)

    def of_type(self, kind: str) -> dict[str, Values]:
        return {
            address: values
            for address, values in self.resources.items()
            if type_of(address) == kind
        }

    def __getitem__(self, address: str) -> Values:
        return self.resources[address]


def type_of(address: str) -> str:
    """`module.function["a"].google_x.y["b"]` is a google_x."""
    return without_keys(address).split(".")[-2]


def without_keys(address: str) -> str:
    """`module.function["a"].google_x.y["b"]` becomes `module.function.google_x.y`."""
    parts = address.split('["')
    return parts[0] + "".join(part.partition('"]')[2] for part in parts[1:])


def key_of(address: str) -> str:
    """The last key in an address: what its row in the table is called. Empty without one."""
    return address.rpartition('["')[2].partition('"]')[0] if '["' in address else ""


def mocked_test(of: Installation, functions: Iterable[str], runs: Values) -> dict[str, Any]:
    """The text of a test that applies `of`, as Terraform's JSON syntax has it."""
    return {
        "mock_provider": {"google": {}, "google-beta": {}, "random": {}, "time": {}},
        "override_resource": [
            {"target": of.inside + target, "values": values}
            for target, values in [*_computed(of, functions), *_computed_behind_iap(of)]
        ],
        "override_data": [
            {"target": f'data.google_cloud_run_v2_service.image["{key}"]', "values": _built(key)}
            for key in of.behind_iap
        ],
        "variables": _given(of),
        "run": runs,
    }


def _given(of: Installation) -> Values:
    """The variables that the test sets; what an example chooses stands in the example."""
    if not of.example:
        table = {"functions_table": _table_with(of.behind_iap)} if of.behind_iap else {}
        return {"project_id": of.project, "secret_values": {}, **of.variables, **table}
    secrets = {key: value for key, value in of.variables.items() if key == "secret_values"}
    return {"project_id": of.project, **secrets}


def _table_with(rows: Mapping[str, Function]) -> str:
    """An expression that puts `rows` behind IAP into the checkout's own table."""
    written = {
        key: row.model_dump(mode="json") | {"triggers": [{"http": "iap"}]}
        for key, row in rows.items()
    }
    top = "\nfunctions:\n"
    more = top + "".join(f"  {key}: {json.dumps(row)}\n" for key, row in written.items())
    table = 'file("../functions/functions.yaml")'
    return f"${{replace({table}, {json.dumps(top)}, {json.dumps(more)})}}"


def write_test(checkout: Checkout, folder: str, document: Values, name: str) -> None:
    path = checkout.terraform / folder / f"{name}.tftest.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1))


def apply_mocked(
    checkout: Checkout, functions: Iterable[str], installations: Iterable[Installation]
) -> tuple[dict[str, Applied], str]:
    """Apply each installation.

    Returns:
        What each comes to, by name, and everything that Terraform printed.

    Raises:
        ApplyFailed: with everything that Terraform found wrong.
    """
    names = list(functions)
    by_folder: dict[str, list[Installation]] = defaultdict(list)
    for each in installations:
        by_folder[each.folder].append(each)
    found: dict[str, Applied] = {}
    printed = ""
    for folder, inside in by_folder.items():
        shutil.rmtree(checkout.terraform / folder / FOLDER, ignore_errors=True)
        for each in inside:
            document = mocked_test(each, names, {"apply": {}})
            write_test(checkout, f"{folder}/{FOLDER}", document, each.name)
        text = checkout.test("-verbose", f"-test-directory={FOLDER}", module=folder)
        if problems := errors(text):
            raise ApplyFailed("\n".join(problems))
        states = {
            Path(message["@testfile"]).name.partition(".")[0]: message["test_state"]
            for message in messages(text, "test_state")
        }
        if missing := {each.name for each in inside} - {*states}:
            raise ApplyFailed(f"nothing was applied of {', '.join(sorted(missing))}")
        found |= {each.name: applied(each, states[each.name]) for each in inside}
        printed += text
    return found, printed


def applied(of: Installation, state: Values) -> Applied:
    resources: dict[str, Values] = {}
    _gather(state.get("root_module", {}), resources)
    resources = {address.removeprefix(of.inside): row for address, row in resources.items()}
    outputs = {name: row.get("value") for name, row in state.get("outputs", {}).items()}
    return Applied(of, resources, outputs)


def _gather(module: Values, resources: dict[str, Values]) -> None:
    for row in module.get("resources", []):
        resources[row["address"]] = row["values"]
    for child in module.get("child_modules", []):
        _gather(child, resources)


def _computed(of: Installation, functions: Iterable[str]) -> Iterable[tuple[str, Values]]:
    """What a cloud would compute and another resource refers to."""
    for key in functions:
        name = key.replace("_", "-")
        module = f'module.function["{key}"]'
        yield f"{module}.google_service_account.function", _account(of, name)
        yield (
            f"{module}.google_cloudfunctions2_function.function",
            {"service_config": {"uri": f"https://{name}.run.app"}, "id": f"functions/{name}"},
        )
    for name in ("builder", "invoker", "warehouse_writer"):
        yield f"google_service_account.{name}", _account(of, name.replace("_", "-"))
    yield "google_project_service_identity.pubsub", {"member": PUBSUB_AGENT}
    for name in ("usage", "events", "commands"):
        yield f'google_pubsub_topic.topic["{name}"]', {"id": f"topics/{name}"}
    yield "google_pubsub_topic.dead_letter", {"id": "topics/dead-letter"}
    for email in of.emails:
        channel = f'google_monitoring_notification_channel.email["{email}"]'
        yield channel, {"id": f"channels/{email}"}
    yield (
        "google_artifact_registry_repository.images",
        {"id": "repositories/functions", "name": f"{of.prefix}-functions"},
    )
    yield 'random_password.generated["fingerprint-key"]', {"result": GENERATED}
    for number, name in enumerate(("fingerprint-key", *SECRETS), 5):
        yield f'google_secret_manager_secret.secret["{name}"]', {"id": f"secrets/{name}"}
        slot = "generated" if name == "fingerprint-key" else "given"
        yield (
            f'google_secret_manager_secret_version.{slot}["{name}"]',
            {"version": str(number), "id": f"secrets/{name}/versions/{number}"},
        )


def _computed_behind_iap(of: Installation) -> Iterable[tuple[str, Values]]:
    """The same of functions that people reach through IAP, and of IAP's agent."""
    for key in of.behind_iap:
        module = f'module.image["{key}"]'
        yield f"{module}.google_service_account.function", _account(of, f"{key}-image")
        yield (
            f'google_cloud_run_v2_service.behind_iap["{key}"]',
            {"uri": f"https://{key}.run.app"},
        )
        yield (
            'google_project_service_identity.iap["iap.googleapis.com"]',
            {"member": IAP_AGENT},
        )


def _built(key: str) -> Values:
    return {"template": [{"containers": [{"image": IMAGE.format(key)}]}]}


def _account(of: Installation, name: str) -> Values:
    email = of.account(name)
    return {
        "email": email,
        "member": f"serviceAccount:{email}",
        "name": f"projects/{of.project}/serviceAccounts/{email}",
        "id": f"projects/{of.project}/serviceAccounts/{email}",
        "unique_id": str(int.from_bytes(name.encode()) % 10**20),
    }
