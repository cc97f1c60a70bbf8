"""Windows over each engine."""

from tests.document_engines import documents, firestore_emulator

__all__ = ["documents", "firestore_emulator"]
