"""The engines that pass the contracts stand in files that other suites find too."""

from tests.bus_engines import connect, pubsub_emulator
from tests.document_engines import documents, firestore_emulator
from tests.warehouse_engines import bigquery_datasets, bigquery_server, open_warehouse

__all__ = [
    "bigquery_datasets",
    "bigquery_server",
    "connect",
    "documents",
    "firestore_emulator",
    "open_warehouse",
    "pubsub_emulator",
]
