from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import MSGPACK, convert, decode_json, encode_json
from protocol.times import DURATION_MS_MAX, MOMENT_S_MAX, Duration, Moment, moment

durations = st.integers(0, DURATION_MS_MAX).map(Duration)
moments = st.integers(0, MOMENT_S_MAX * 1000 + 999).map(Moment)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("250ms", 250),
        ("45s", 45_000),
        ("3m", 180_000),
        ("1h30m", 5_400_000),
        ("1d", 86_400_000),
        ("1m5ms", 60_005),
        ("1d2h3m4s5ms", 93_784_005),
        ("0s", 0),
        ("400d", DURATION_MS_MAX),
    ],
)
def test_duration_reads_each_unit(text: str, length: int) -> None:
    assert Duration.parse(text) == length


@pytest.mark.parametrize(
    "text", ["", "5", "m", "-3m", "3 m", "3M", "1m1h", "3m3m", "1.5h", "3min", "3m\n", "٣m", "²s", None, 3, True, b"3m"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match='a duration such as "250ms"'):
        Duration.parse(text)


@pytest.mark.parametrize("text", ["401d", "400d1ms", "9" * 15 + "d", "9" * 5000 + "ms"])
def test_a_duration_has_a_bound(text: str) -> None:
    with pytest.raises(ValueError, match="at most 400 days"):
        Duration.parse(text)


@pytest.mark.parametrize(("text", "largest"), [("90s", "1m30s"), ("24h", "1d"), ("1000ms", "1s"), ("0h0m", "0s")])
def test_a_duration_is_written_in_its_largest_units(text: str, largest: str) -> None:
    assert Duration.parse(text).text() == largest


@given(durations)
def test_a_duration_comes_back_from_its_text(length: Duration) -> None:
    assert Duration.parse(length.text()) == length


@given(durations)
def test_a_duration_crosses_both_formats_as_text(length: Duration) -> None:
    assert encode_json(length) == b'"' + length.text().encode() + b'"'
    assert decode_json(encode_json({"for": length}), dict[str, Duration]) == {"for": length}
    assert MSGPACK.encode(length)[-len(length.text()) :] == length.text().encode()


def test_a_duration_may_be_a_key() -> None:
    assert encode_json({Duration(180_000): 1}) == b'{"3m":1}'


def test_a_converted_duration_knows_its_class() -> None:
    assert type(convert("3m", Duration)) is Duration


@pytest.mark.parametrize(
    ("text", "tick"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("2026-01-05T09:00:00.000Z", 1_767_603_600_000),
        ("2026-01-05t09:00:00z", 1_767_603_600_000),
        ("2026-01-05T10:00:00+01:00", 1_767_603_600_000),
        ("2026-01-05T03:30:00-05:30", 1_767_603_600_000),
        ("2026-01-05T09:00:00.1Z", 1_767_603_600_100),
        ("2026-01-05T09:00:00.123999999Z", 1_767_603_600_123),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_moment_reads_rfc_3339(text: str, tick: int) -> None:
    assert Moment.parse(text) == tick


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-05",
        "2026-01-05T09:00:00",  # no offset: whose nine o'clock?
        "2026-01-05T09:00Z",
        "2026-01-05 09:00:00Z",
        "2026-02-30T09:00:00Z",
        "2026-01-05T25:00:00Z",
        "2026-01-05T09:00:60Z",
        "2026-01-05T09:00:00+25:00",
        "2026-01-05T09:00:00.Z",
        "2026-01-05T09:00:00.1234567890Z",
        "2026-01-05T0٩:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",  # the year 10000: could be read but never written
        "0001-01-01T00:00:00+23:59",
        5,
        None,
        datetime(2026, 1, 5, 9),
    ],
)
def test_what_is_no_moment_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="a time in RFC 3339"):
        Moment.parse(text)


@given(moments)
def test_a_moment_comes_back_from_its_text(tick: Moment) -> None:
    assert Moment.parse(tick.text()) == tick


def test_a_moment_is_written_in_utc_with_milliseconds() -> None:
    assert Moment(1_767_603_600_005).text() == "2026-01-05T09:00:00.005Z"
    assert encode_json([Moment(0)]) == b'["1970-01-01T00:00:00.000Z"]'


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)), st.integers(-1439, 1439))
def test_a_date_of_toml_means_what_its_text_means(naive: datetime, offset: int) -> None:
    given_date = naive.replace(tzinfo=timezone(timedelta(minutes=offset)))
    exact = (given_date - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert Moment.parse(given_date) == Moment.parse(given_date.isoformat()) == exact


def test_no_moment_stays_none() -> None:
    assert moment(None) is None
    assert moment(0) == Moment(0)
