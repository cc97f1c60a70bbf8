"""The emulators that a local stack can stand on."""

from tests.bigquery_server import bigquery_server
from tests.emulators import firestore_emulator, pubsub_emulator

__all__ = ["bigquery_server", "firestore_emulator", "pubsub_emulator"]
