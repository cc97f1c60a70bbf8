"""The engines of the cloud for a local stack: on emulators, and complete before it serves.

In the cloud Terraform makes topics, subscriptions, tables and views. Here the stack makes them,
from the same definitions, where its settings name an emulator; it never asks Google itself, because
it lets everybody on this machine in and its events are made up.
"""

import asyncio
import importlib.util
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.adapters.local_bus import AnySubscription
from common.core.errors import InvalidSettings
from common.runtime.settings import BusSettings, StateSettings, WarehouseSettings, read_settings
from common.warehouse.bigquery import create_statements
from common.warehouse.tables import load_definitions

if TYPE_CHECKING:
    from scripts.local_stack.pulling import Deliveries

INSTALL = "scripts/environment --tests scripts.commands.dev"
"""Starts the stack in the environment of the tests, which has what emulators are asked with."""

ANSWER_S = 5.0


def check_settings() -> None:
    """Nothing, if the stack can have the engines that its settings name.

    Raises:
        InvalidSettings: an engine of the cloud has no emulator, or none that listens, or its client
            is not installed; all that is wrong at once.
    """
    state, bus = read_settings(StateSettings), read_settings(BusSettings)
    warehouse = read_settings(WarehouseSettings)
    asked = (
        ("STATE_URL", state.state_url, "firestore", state.firestore_emulator_host),
        ("BUS_URL", bus.bus_url, "pubsub", bus.pubsub_emulator_host),
        ("WAREHOUSE_URL", warehouse.warehouse_url, "bigquery", warehouse.bigquery_emulator_host),
    )
    problems = []
    for name, url, engine, emulator in asked:
        if not (url or "").startswith(f"{engine}://"):
            continue
        if emulator is None:
            problems.append(
                f"{name} names {engine}, which a local stack asks on an emulator only: "
                f"set {engine.upper()}_EMULATOR_HOST=HOST:PORT"
            )
        elif not _listens(emulator):
            problems.append(f"nothing listens at {engine.upper()}_EMULATOR_HOST={emulator}")
        if not _is_installed(engine):
            problems.append(f"google-cloud-{engine} is not installed: start with {INSTALL}")
    if problems:
        raise InvalidSettings("; ".join(problems))


def emulated_deliveries(subscriptions: Sequence[AnySubscription]) -> "Deliveries | None":
    """What delivers to `subscriptions` if the bus is Pub/Sub's emulator."""
    settings = read_settings(BusSettings)
    url, emulator = settings.bus_url or "", settings.pubsub_emulator_host
    if not url.startswith("pubsub://") or emulator is None:
        return None
    from scripts.local_stack.pulling import Deliveries  # noqa: PLC0415 -- its client may be missing

    project, _, prefix = url.removeprefix("pubsub://").partition("/")
    return Deliveries(project, prefix, emulator, subscriptions)


async def make_tables() -> None:
    """Make what is missing of the dataset, its tables and its views, if there is an emulator.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: the emulator refuses them.
    """
    settings = read_settings(WarehouseSettings)
    url, emulator = settings.warehouse_url or "", settings.bigquery_emulator_host
    if url.startswith("bigquery://") and emulator is not None:
        project, _, dataset = url.removeprefix("bigquery://").partition("/")
        await asyncio.to_thread(make_dataset, project, dataset, emulator)


def make_dataset(project: str, dataset: str, emulator: str) -> None:
    """Make a dataset with its tables and views at the emulator, unless they are there."""
    from google.api_core.client_options import ClientOptions  # noqa: PLC0415 -- may be missing
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 -- the same
    from google.cloud import bigquery  # noqa: PLC0415 -- the same

    client = bigquery.Client(
        project,
        AnonymousCredentials(),  # type: ignore[no-untyped-call]  # it has no types
        client_options=ClientOptions(api_endpoint=f"http://{emulator}"),
    )
    with client:
        client.create_dataset(dataset, exists_ok=True)
        for statement in create_statements(load_definitions(), project, dataset):
            client.query(statement, job_retry=None).result(job_retry=None)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), ANSWER_S):
            return True
    except OSError:
        return False


def _is_installed(engine: str) -> bool:
    try:
        return importlib.util.find_spec(f"google.cloud.{engine}") is not None
    except ModuleNotFoundError:
        return False
