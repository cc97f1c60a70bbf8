"""Incidents are stored in any engine alike."""

import pytest

from common.core.ports import Documents
from tests.document_engines import documents, firestore_emulator
from tests.incidents.scenes import Desk

__all__ = ["documents", "firestore_emulator"]


@pytest.fixture
def desk(documents: Documents) -> Desk:
    return Desk(documents)
