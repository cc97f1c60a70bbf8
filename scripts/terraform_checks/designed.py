"""Every resource that an installation has, with the arguments that matter, as it is designed.

Written a second time, from the table of functions and the warehouse's definitions, so that a slip
in one of the two is a difference. Grants stand in `rights.py`; what watches the installation is
told by Terraform's own tests.
"""

from collections.abc import Iterator
from typing import Any

from scripts.functions_table import Function, HttpTrigger
from scripts.terraform_checks.designed_events import A_WEEK, Row, Sources, events, warehouse
from scripts.terraform_checks.mocked_apply import IMAGE, SECRETS, Installation

APIS = (
    "artifactregistry", "bigquery", "cloudbuild", "cloudfunctions", "cloudresourcemanager",
    "cloudscheduler", "firestore", "iam", "logging", "monitoring", "pubsub", "run",
    "secretmanager", "storage",
)  # fmt: skip


def resources(of: Installation, sources: Sources) -> dict[str, dict[str, Any]]:
    """Address and arguments of each resource but grants."""
    everything = (_project, _functions, _behind_iap, events, _state, warehouse, _secrets, _told)
    rows = [row for part in everything for row in part(of, sources)]
    return dict(rows)


def _project(of: Installation, _sources: Sources) -> Iterator[Row]:
    for name in (*APIS, *(["iap"] if of.behind_iap else [])):
        service = f"{name}.googleapis.com"
        yield (
            f'google_project_service.api["{service}"]',
            {"project": of.project, "service": service, "disable_on_destroy": False},
        )
    yield "terraform_data.checked", {}
    yield "time_sleep.builder_is_known", {"create_duration": "60s"}
    for name in ("builder", "invoker", "warehouse_writer"):
        yield (
            f"google_service_account.{name}",
            {"project": of.project, "account_id": f"{of.prefix}-{name.replace('_', '-')}"},
        )


def _functions(of: Installation, sources: Sources) -> Iterator[Row]:
    bucket = f"{of.project}-{of.prefix}-source"
    yield (
        "google_storage_bucket.source",
        {
            "project": of.project,
            "name": bucket,
            "location": of.region,
            "labels": of.labels,
            "uniform_bucket_level_access": True,
            "public_access_prevention": "enforced",
            "force_destroy": True,
        },
    )
    yield (
        "google_artifact_registry_repository.images",
        {
            "project": of.project,
            "location": of.region,
            "repository_id": f"{of.prefix}-functions",
            "labels": of.labels,
            "format": "DOCKER",
            "cleanup_policies": [
                {"id": "drop-old", "action": "DELETE", "condition": [{"older_than": A_WEEK}]},
                {
                    "id": "keep-two",
                    "action": "KEEP",
                    "most_recent_versions": [{"keep_count": 2}],
                },
            ],
        },
    )
    manifest = sources.manifest(of)
    for key, function in [*sources.table.functions.items(), *of.behind_iap.items()]:
        bundle = {"bucket": bucket, "name": f"{key}/{manifest[key]['sha256']}.zip"}
        yield f'google_storage_bucket_object.bundle["{key}"]', bundle
        yield from _function(of, key, function, bundle)


def _function(
    of: Installation, key: str, function: Function, bundle: dict[str, str]
) -> Iterator[Row]:
    """A function with its account; one behind IAP is there for its image alone."""
    is_image = key in of.behind_iap
    module = f'module.{"image" if is_image else "function"}["{key}"]'
    name = f"{key.replace('_', '-')}{'-image' if is_image else ''}"
    service = _service(of, key, function) | {"service_account_email": of.account(name)}
    builder = f"projects/{of.project}/serviceAccounts/{of.account('builder')}"
    stored = {"bucket": bundle["bucket"], "object": bundle["name"]}
    if is_image:
        service |= {
            "min_instance_count": 0,
            "max_instance_count": 1,
            "ingress_settings": "ALLOW_INTERNAL_ONLY",
        }
    yield (
        f"{module}.google_service_account.function",
        {"project": of.project, "account_id": f"{of.prefix}-{name}"},
    )
    yield (
        f"{module}.google_cloudfunctions2_function.function",
        {
            "project": of.project,
            "location": of.region,
            "name": f"{of.prefix}-{name}",
            "labels": of.labels,
            "build_config": [
                {
                    "runtime": of.variables.get("runtime", "python311"),
                    "entry_point": key,
                    "docker_repository": "repositories/functions",
                    "service_account": builder,
                    "on_deploy_update_policy": [{}] if is_image else [],
                    "source": [{"storage_source": [stored]}],
                }
            ],
            "service_config": [service],
        },
    )


def _behind_iap(of: Installation, _sources: Sources) -> Iterator[Row]:
    """The services that run those images, and the agent that calls them."""
    if of.behind_iap:
        yield (
            'google_project_service_identity.iap["iap.googleapis.com"]',
            {"project": of.project, "service": "iap.googleapis.com"},
        )
    for key, function in of.behind_iap.items():
        common = {"project": of.project, "location": of.region}
        service = _service(of, key, function)
        yield (
            f'data.google_cloud_run_v2_service.image["{key}"]',
            common | {"name": f"{of.prefix}-{key}-image"},
        )
        yield (
            f'google_cloud_run_v2_service.behind_iap["{key}"]',
            common
            | {
                "name": f"{of.prefix}-{key}",
                "labels": of.labels,
                "ingress": "INGRESS_TRAFFIC_ALL",
                "iap_enabled": True,
                "deletion_protection": False,
                "template": [
                    {
                        "service_account": of.account(f"{key}-image"),
                        "timeout": f"{function.timeout}s",
                        "max_instance_request_concurrency": function.concurrency,
                        "scaling": [
                            {
                                "min_instance_count": function.instances.min,
                                "max_instance_count": function.instances.max,
                            }
                        ],
                        "containers": [_container(service, key)],
                    }
                ],
            },
        )


def _container(service: dict[str, Any], key: str) -> dict[str, Any]:
    """What the function's own service would run, and what its start reads from its builder."""
    target = {"FUNCTION_SIGNATURE_TYPE": "http", "FUNCTION_TARGET": key}
    given = {**service["environment_variables"], **target}
    env: list[dict[str, Any]] = [{"name": key, "value": given[key]} for key in given]
    for row in service["secret_environment_variables"]:
        secret = {"secret": row["secret"], "version": row["version"]}
        env.append({"name": row["key"], "value_source": [{"secret_key_ref": [secret]}]})
    limits = {"cpu": service["available_cpu"], "memory": service["available_memory"]}
    return {
        "image": IMAGE.format(key),
        "resources": [{"limits": limits}],
        "env": sorted(env, key=lambda each: each["name"]),
    }


def _service(of: Installation, key: str, function: Function) -> dict[str, Any]:
    own = of.variables.get("functions", {}).get(key, {})
    called = any(isinstance(trigger, HttpTrigger) for trigger in function.triggers)
    instances = own.get("instances") or function.instances.model_dump()
    return {
        "available_memory": own.get("memory", function.memory),
        "available_cpu": str(function.cpu),
        "max_instance_request_concurrency": own.get("concurrency", function.concurrency),
        "min_instance_count": instances["min"],
        "max_instance_count": instances["max"],
        "timeout_seconds": function.timeout,
        "environment_variables": _environment(of, key, function) | own.get("env", {}),
        "ingress_settings": "ALLOW_ALL" if called else "ALLOW_INTERNAL_ONLY",
        "all_traffic_on_latest_revision": True,
        "secret_environment_variables": [
            {
                "key": setting,
                "project_id": of.project,
                "secret": f"{of.prefix}-{name}",
                "version": _version(name),
            }
            for setting, name in sorted(_settings(of, function).items())
            if name in _mounted(of)
        ],
    }


def _environment(of: Installation, key: str, function: Function) -> dict[str, str]:
    given = {"GOOGLE_CLOUD_PROJECT": of.project, "LOG_EXECUTION_ID": "false"}
    if function.state != "none":
        given["STATE_URL"] = f"firestore://{of.project}/{of.prefix}-state"
    if function.publishes:
        given["BUS_URL"] = f"pubsub://{of.project}/{of.prefix}"
    if function.warehouse != "none":
        given["WAREHOUSE_URL"] = f"bigquery://{of.project}/{of.dataset}"
    if key == "api":
        given["CONSOLE_ADMINS"] = ",".join(of.variables.get("console_admins", []))
    if "OTEL_EXPORTER_OTLP_HEADERS" in function.secrets and "telemetry" in of.variables:
        given["OTEL_EXPORTER_OTLP_ENDPOINT"] = of.variables["telemetry"]["endpoint"]
        given["OTEL_TRACES_SAMPLER_ARG"] = str(of.variables["telemetry"]["sampling"])
    return given | function.env


def _state(of: Installation, sources: Sources) -> Iterator[Row]:
    database = {"project": of.project, "database": f"{of.prefix}-state"}
    protected = of.is_protected
    yield (
        "google_firestore_database.state",
        {
            "project": of.project,
            "name": f"{of.prefix}-state",
            "location_id": of.region,
            "type": "FIRESTORE_NATIVE",
            "concurrency_mode": "OPTIMISTIC",
            "point_in_time_recovery_enablement": "POINT_IN_TIME_RECOVERY_ENABLED",
            "delete_protection_state": f"DELETE_PROTECTION_{'EN' if protected else 'DIS'}ABLED",
            "deletion_policy": "ABANDON" if protected else "DELETE",
        },
    )
    yield (
        "google_firestore_backup_schedule.daily",
        database | {"retention": A_WEEK, "daily_recurrence": [{}], "weekly_recurrence": []},
    )
    no_index: dict[str, Any] = {"index_config": [{"indexes": []}]}
    for collection in sources.documents["ttl"]:
        yield (
            f'google_firestore_field.ttl["{collection}"]',
            database
            | no_index
            | {"collection": collection, "field": "delete_at", "ttl_config": [{}]},
        )
    for collection in sources.documents["unindexed"]:
        yield (
            f'google_firestore_field.unindexed["{collection}"]',
            database | no_index | {"collection": collection, "field": "*", "ttl_config": []},
        )


def _secrets(of: Installation, _sources: Sources) -> Iterator[Row]:
    for name in _mounted(of):
        yield (
            f'google_secret_manager_secret.secret["{name}"]',
            {
                "project": of.project,
                "secret_id": f"{of.prefix}-{name}",
                "labels": of.labels,
                "replication": [{"user_managed": [{"replicas": [{"location": of.region}]}]}],
            },
        )
    key = '["fingerprint-key"]'
    yield f"random_password.generated{key}", {"length": 48, "special": False}
    yield (
        f"google_secret_manager_secret_version.generated{key}",
        {"secret": "secrets/fingerprint-key"},
    )
    for name, number in of.variables.get("secret_versions", {}).items():
        yield (
            f'google_secret_manager_secret_version.given["{name}"]',
            {"secret": f"secrets/{name}", "secret_data": None, "secret_data_wo_version": number},
        )


def _told(of: Installation, _sources: Sources) -> Iterator[Row]:
    for email in of.emails:
        yield (
            f'google_monitoring_notification_channel.email["{email}"]',
            {
                "project": of.project,
                "type": "email",
                "labels": {"email_address": email},
                "user_labels": of.labels,
            },
        )


def _settings(of: Installation, function: Function) -> dict[str, str]:
    """Secrets by the variables that hold them: those of the table, and those that people name."""
    chosen = {name.upper().replace("-", "_"): name for name in _mounted(of)}
    return function.secrets | {
        setting: name for setting, name in chosen.items() if function.is_named_by_people(setting)
    }


def _mounted(of: Installation) -> list[str]:
    return ["fingerprint-key", *of.variables.get("secret_versions", {})]


def _version(name: str) -> str:
    """The number that `mocked_apply` gives to the version of each secret."""
    return str(5 + ("fingerprint-key", *SECRETS).index(name))
