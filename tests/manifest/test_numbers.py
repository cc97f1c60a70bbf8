"""A manifest's numbers mean one thing, whichever version of YAML somebody has in mind."""

from pathlib import Path

import pytest

from scripts.commands.manifest_file import UnreadableManifest, read_manifest_file


@pytest.mark.parametrize(
    "number",
    [
        *("010", "-010", "08", "00.5", "01e3", "0_1", "0o10", "0x10", "0b11", "1:30", "1:30:00.5"),
        *("1_000", "1_000.50", "1.0_0", "!!int '010'", "!!float '1_0.5'"),
    ],
)
def test_refuses_a_number_of_two_meanings(tmp_path: Path, number: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(f"name: a\nbudgets:\n  - limit_usd: {number}\n")

    with pytest.raises(UnreadableManifest) as raised:
        read_manifest_file(path)

    assert str(raised.value) == (
        f"{path}:3: this is read as different numbers: write one with digits alone and no 0 before "
        "them, as 10 or 0.5, or a text in quotes"
    )


def test_refuses_such_a_member_name(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("name: a\ntags:\n  010: b\n")

    with pytest.raises(UnreadableManifest, match=r"m\.yaml:3: this is read"):
        read_manifest_file(path)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        *(("0", 0), ("10", 10), ("-5", -5), ("100", 100)),
        *(("0.5", "0.5"), ("0.10", "0.10"), ("20.00", "20.00")),
        *(("'010'", "010"), ('"1:30"', "1:30"), ("'1_000'", "1_000"), ("0abc", "0abc")),
        *(("2025-01-01", "2025-01-01"), ("gpt_4", "gpt_4"), ("10.0.0.1", "10.0.0.1")),
    ],
)
def test_takes_plain_numbers_and_texts(tmp_path: Path, written: str, read: object) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(f"name: a\nx: {written}\n")

    assert read_manifest_file(path).content["x"] == read
