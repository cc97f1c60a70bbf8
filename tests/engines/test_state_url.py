"""STATE_URL names the engine of the state."""

from pathlib import Path

import pytest

from common.adapters.firestore_documents import FirestoreDocuments
from common.adapters.sqlite_documents import SqliteDocuments
from common.core.errors import InvalidSettings
from common.core.ports import Committed, Put, Ref
from common.runtime.app import App
from common.runtime.settings import StateSettings, read_settings
from tests.contracts.stored import A, data
from tests.emulators import a_project


@pytest.fixture(autouse=True)
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE_URL", "FIRESTORE_EMULATOR_HOST", "K_SERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))


async def test_keeps_documents_in_the_database_it_names(
    firestore_emulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = a_project()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
    monkeypatch.setenv("STATE_URL", f"firestore://{project}/state")
    app = App()
    assert await app.documents.commit([Put(A, {"n": 1})]) == Committed()
    await app.aclose()

    same = FirestoreDocuments(project, "state", emulator=firestore_emulator)
    other = FirestoreDocuments(project, "other", emulator=firestore_emulator)

    assert [await data(same, A), await data(other, A)] == [[{"n": 1}], [None]]
    await same.aclose()
    await other.aclose()


async def test_keeps_documents_in_the_file_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_URL", f"sqlite:///{tmp_path}/named.sqlite")
    app = App()
    assert isinstance(app.documents, SqliteDocuments)
    await app.documents.commit([Put(Ref("a", "b"), {})])
    await app.aclose()

    assert (tmp_path / "named.sqlite").is_file()


@pytest.mark.parametrize(
    "url", ["firestore://project", "firestore://project/", "firestore://a/b/c", "postgres://x/y"]
)
def test_refuses_what_names_no_engine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_URL", url)

    with pytest.raises(InvalidSettings, match="STATE_URL"):
        read_settings(StateSettings)


def test_refuses_an_emulator_on_cloud_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SERVICE", "proxy")
    monkeypatch.setenv("STATE_URL", "firestore://project/state")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:8080")

    with pytest.raises(InvalidSettings, match="FIRESTORE_EMULATOR_HOST"):
        read_settings(StateSettings)
