"""Amounts in a policy carry their unit, and are exact both ways."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.brownout import units


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2000ms", timedelta(seconds=2)),
        ("2s", timedelta(seconds=2)),
        ("1.5h", timedelta(minutes=90)),
        ("30 m", timedelta(minutes=30)),
        ("0m", timedelta(0)),
        ("0.001ms", timedelta(microseconds=1)),
    ],
)
def test_reads_durations(written: str, meant: timedelta) -> None:
    assert units.duration(written) == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2000", "has no unit: write 2000ms or 2000s"),
        (2000, "has no unit: write 2000ms or 2000s"),
        ("1:30", "is no duration: write one as 500ms, 2s, 30m or 1h"),
        ("-2s", "is no duration: write one as 500ms, 2s, 30m or 1h"),
        ("2S", "is no duration: write one as 500ms, 2s, 30m or 1h"),
        ("0.0001ms", "is no duration: write one as 500ms, 2s, 30m or 1h"),
        ("٢s", "is no duration: write one as 500ms, 2s, 30m or 1h"),
        (True, "is no duration: write one as 500ms, 2s, 30m or 1h"),
        (None, "is no duration: write one as 500ms, 2s, 30m or 1h"),
    ],
)
def test_refuses_what_is_no_duration(written: object, said: str) -> None:
    with pytest.raises(ValueError, match="^" + said + "$"):
        units.duration(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("5%", 0.05), ("0.05", 0.05), (0.05, 0.05), ("100%", 1.0), ("1.0", 1.0), ("0", 0.0)],
)
def test_reads_shares(written: object, meant: float) -> None:
    assert units.share(written) == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("5", "is no share: write 5%, or a number from 0.0 to 1.0"),
        (1, "is no share: write 1%, or a number from 0.0 to 1.0"),
        ("101%", "is more than 100%"),
        ("1.01", "is more than 100%"),
        ("-5%", "is no share: write one as 5% or 0.05"),
        (float("nan"), "is no share: write one as 5% or 0.05"),
        (float("inf"), "is no share: write one as 5% or 0.05"),
        ([5], "is no share: write one as 5% or 0.05"),
    ],
)
def test_refuses_what_is_no_share(written: object, said: str) -> None:
    with pytest.raises(ValueError, match="^" + said + "$"):
        units.share(written)


@pytest.mark.parametrize(
    ("written", "nanos"),
    [
        ("$50", 50_000_000_000),
        ("50 USD", 50_000_000_000),
        ("$0.000000001", 1),
        ("$999999999.999999999", 999_999_999_999_999_999),
    ],
)
def test_reads_dollars(written: str, nanos: int) -> None:
    assert units.dollars(written) == nanos


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("50", r"has no currency: write \$50 or 50 USD"),
        (50, r"has no currency: write \$50 or 50 USD"),
        ("€50", r"is no amount of dollars: write one as \$50 or 50 USD"),
        ("$1,000", r"is no amount of dollars: write one as \$50 or 50 USD"),
        ("$0.0000000001", r"is no amount of dollars: write one as \$50 or 50 USD"),
        ("$50 USD", r"is no amount of dollars: write one as \$50 or 50 USD"),
    ],
)
def test_refuses_what_is_no_amount_of_dollars(written: object, said: str) -> None:
    with pytest.raises(ValueError, match="^" + said + "$"):
        units.dollars(written)


@pytest.mark.parametrize("written", ["1.5", "010", "-1", "1e3", True, 1.0, ""])
def test_refuses_what_is_no_count(written: object) -> None:
    with pytest.raises(ValueError, match=r"^is no whole number$"):
        units.count(written)


@pytest.mark.parametrize("written", ["1e3", "-1.5", "1_000", "0x1", False, float("inf")])
def test_refuses_what_is_no_number(written: object) -> None:
    with pytest.raises(ValueError, match=r"^is no number, as 1\.5$"):
        units.number(written)


@given(st.timedeltas(timedelta(0), timedelta(hours=168)))
def test_writes_a_duration_that_is_read_as_the_same(value: timedelta) -> None:
    assert units.duration(units.duration_text(value)) == value


@given(st.decimals(0, 1, places=17))
def test_writes_a_share_that_is_read_as_the_same(value: float) -> None:
    share = float(value)

    assert units.share(units.share_text(share)) == share


@given(st.integers(0, 999_999_999_999_999_999))
def test_writes_dollars_that_are_read_as_the_same(nanos: int) -> None:
    assert units.dollars(units.dollars_text(nanos)) == nanos


@pytest.mark.parametrize(
    ("value", "text"),
    [(timedelta(seconds=2), "2s"), (timedelta(minutes=30), "30m"), (timedelta(0), "0s")],
)
def test_writes_a_duration_in_its_largest_whole_unit(value: timedelta, text: str) -> None:
    assert units.duration_text(value) == text
