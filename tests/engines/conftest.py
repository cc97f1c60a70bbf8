"""Engines that need a server beside them."""

from tests.bigquery_server import bigquery_datasets, bigquery_server
from tests.emulators import firestore_emulator

__all__ = ["bigquery_datasets", "bigquery_server", "firestore_emulator"]
