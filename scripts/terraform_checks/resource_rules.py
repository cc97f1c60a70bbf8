"""What an apply comes to, held against the design: addresses, arguments, outputs, environments."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pydantic import ValidationError

from common.runtime.function_settings import SETTINGS
from scripts.terraform_checks.dashboard_rules import has_a_broken_dashboard
from scripts.terraform_checks.designed import resources
from scripts.terraform_checks.designed_events import Sources
from scripts.terraform_checks.mocked_apply import Applied, key_of, type_of
from scripts.terraform_checks.rights import IS_A_GRANT

WATCHING = (
    "google_monitoring_alert_policy",
    "google_monitoring_dashboard",
    "google_logging_metric",
)
"""What watches an installation: Terraform's own tests hold what it looks at."""
COMPLETE = (".labels", ".user_labels", ".environment_variables", ".attributes")
"""Arguments whose keys are chosen, so that one more is a difference too."""
OF_THE_PLATFORM = {"GOOGLE_CLOUD_PROJECT", "LOG_EXECUTION_ID"}
"""Variables that clients of the cloud and the functions framework read, not our Settings."""


def has_other_addresses(applied: Applied, sources: Sources) -> list[str]:
    """A resource under another address is made anew, and the old one is destroyed."""
    wanted = {*resources(applied.of, sources)}
    found = {
        address
        for address in applied.resources
        if not IS_A_GRANT.search(type_of(address)) and type_of(address) not in WATCHING
    }
    return [
        *(f"not designed: {address}" for address in sorted(found - wanted)),
        *(f"missing: {address}" for address in sorted(wanted - found)),
    ]


def has_other_arguments(applied: Applied, sources: Sources) -> list[str]:
    return [
        f"{address}{path}: {found!r} instead of {wanted!r}"
        for address, arguments in resources(applied.of, sources).items()
        for path, found, wanted in differences(applied.resources.get(address, {}), arguments, "")
    ]


def differences(found: Any, wanted: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Where `found` is not what is wanted. Arguments that nobody asks for may be anything."""
    if path.endswith(COMPLETE):
        if found != wanted:
            yield path, found, wanted
    elif isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key, value in wanted.items():
            yield from differences(found.get(key), value, f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(found) == len(wanted):
        for number, value in enumerate(wanted):
            yield from differences(found[number], value, f"{path}[{number}]")
    elif found != wanted and not (found == [] and wanted is None):
        yield path, found, wanted


def has_other_places(applied: Applied, _sources: Sources) -> list[str]:
    """Everything is in one project and one region, but for where others' models are called."""
    of = applied.of
    elsewhere = {of.variables.get("warehouse_location")}
    found = []
    for address, values in applied.resources.items():
        is_of_others = address.startswith("google_project_iam_member.vertex")
        if not is_of_others and values.get("project", of.project) != of.project:
            found.append(f"{address}: in project {values['project']}")
        if type_of(address) == "google_bigquery_table":
            continue  # its location is computed: that of the dataset
        found += [
            f"{address}: in {place} {values[place]}"
            for place in ("region", "location")
            if values.get(place, of.region) not in {of.region, *elsewhere}
        ]
    return found


def tells_nobody(applied: Applied, _sources: Sources) -> list[str]:
    """Every alert goes to everybody who is to be told, and to nobody else."""
    channels = sorted(f"channels/{email}" for email in applied.of.emails)
    policies = applied.of_type("google_monitoring_alert_policy")
    wrong = [
        f"{address}: tells {', '.join(values['notification_channels'] or []) or 'nobody'}"
        for address, values in policies.items()
        if sorted(values["notification_channels"] or []) != channels
    ]
    return wrong if policies else ["there is no alert at all"]


def has_other_bundles(applied: Applied, sources: Sources) -> list[str]:
    """What is uploaded is the file that the manifest names."""
    manifest = sources.manifest(applied.of)
    found = []
    for address, values in applied.of_type("google_storage_bucket_object").items():
        file = Path(values["source"] or "").name
        if file != manifest.get(key_of(address), {}).get("file"):
            found.append(f"{address}: uploads {file}")
    return found


def has_other_tables(applied: Applied, sources: Sources) -> list[str]:
    """A table has the columns that the code writes and reads, those Pub/Sub adds among them."""
    found = []
    for address, values in applied.of_type("google_bigquery_table").items():
        table = sources.warehouse.tables.get(key_of(address))
        if table is None or values["view"]:
            continue
        columns = json.loads(values["schema"])
        if columns != [asdict(column) for column in table.columns]:
            found.append(f"{address}: not the columns of common/warehouse/{table.name}.json")
    return found


def has_other_outputs(applied: Applied, sources: Sources) -> list[str]:
    of, functions = applied.of, list(sources.table.functions)
    urls = {key: f"https://{key.replace('_', '-')}.run.app" for key in [*functions, *of.behind_iap]}
    wanted = {
        "api_url": urls.get("api"),
        "proxy_url": urls.get("proxy"),
        "function_urls": urls,
        "database": f"{of.prefix}-state",
        "dataset": of.dataset,
        "topics": {topic: f"{of.prefix}-{topic}" for topic in ("usage", "events", "commands")},
    }
    if of.example:  # which hands on what its readers ask for first
        wanted = {name: wanted[name] for name in applied.outputs if name in wanted}
    wrong = [
        f"output {name}: {applied.outputs.get(name)!r} instead of {value!r}"
        for name, value in wanted.items()
        if applied.outputs.get(name) != value
    ]
    accounts = applied.outputs.get("service_accounts") or {}
    ids = {}
    for key in urls:
        module = "image" if key in of.behind_iap else "function"
        account = applied.resources.get(f'module.{module}["{key}"].google_service_account.function')
        ids[key] = account and {name: account[name] for name in ("email", "unique_id")}
    if accounts != ids and not of.example:
        wrong.append(f"output service_accounts: {accounts!r} instead of {ids!r}")
    return wrong + _steps_are_wrong(applied, urls)


def _steps_are_wrong(applied: Applied, urls: Mapping[str, str]) -> list[str]:
    """The next steps lead to this installation: to its API, and for each SDK to its proxy."""
    steps = str(applied.outputs.get("next_steps"))
    wanted = [
        f"export CLOUDOPS_URL={urls.get('api')}\n",
        f"doctor --proxy {urls.get('proxy')} --bus pubsub://{applied.of.project}/{applied.of.prefix}\n",
        *(f"{urls.get('proxy')}/{end}\n" for end in ("openai/v1", "anthropic", "gemini")),
    ]
    return [f"output next_steps: {text!r} is missing" for text in wanted if text not in steps]


def does_not_start(applied: Applied, sources: Sources) -> list[str]:
    """Functions whose Settings refuse, or do not know, the environment that Terraform gives."""
    found = []
    for key in sources.table.functions:
        values = applied.resources.get(
            f'module.function["{key}"].google_cloudfunctions2_function.function'
        )
        if values is None:
            found.append(f"{key}: no such function")
            continue
        [service] = values["service_config"]
        given = dict(service["environment_variables"])
        given |= {row["key"]: "0" * 32 for row in service["secret_environment_variables"]}
        found += [f"{key}: {problem}" for problem in refusals(key, given)]
        known = {name.upper() for name in SETTINGS[key].model_fields} if key in SETTINGS else set()
        found += [
            f"{key}: nobody reads {name}"
            for name in sorted({*given} - known - OF_THE_PLATFORM)
            if not sources.table.functions[key].is_named_by_people(name)
        ]
    return found


def refusals(function: str, environment: Mapping[str, str]) -> list[str]:
    """What the function's own Settings say to this environment on Cloud Run."""
    if function not in SETTINGS:
        return ["it has no Settings"]
    with patch.dict(os.environ, {**environment, "K_SERVICE": function}, clear=True):
        try:
            SETTINGS[function]()
        except ValidationError as error:
            return [each["msg"] for each in error.errors()]
    return []


def leaks(applied: Applied, text: str, canaries: Mapping[str, str]) -> list[str]:
    """Places where a secret's value stands, beside what Terraform printed as a whole."""
    found = [
        f"{address}{path}: the value of {name}"
        for name, canary in canaries.items()
        for address, values in [*applied.resources.items(), ("outputs", applied.outputs)]
        for path, value in leaves(values, "")
        if canary in str(value)
    ]
    printed = [
        f"printed: the value of {name}" for name, canary in canaries.items() if canary in text
    ]
    return found or printed


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{number}]")
    else:
        yield path, value


Rule = Callable[[Applied, Sources], list[str]]

RULES: dict[str, Rule] = {
    "addresses differ from the design": has_other_addresses,
    "arguments differ from the design": has_other_arguments,
    "a broken dashboard": has_a_broken_dashboard,
    "alerts that do not arrive": tells_nobody,
    "places differ from the design": has_other_places,
    "bundles differ from the manifest": has_other_bundles,
    "tables differ from the code": has_other_tables,
    "outputs differ from the design": has_other_outputs,
    "functions do not start": does_not_start,
}
