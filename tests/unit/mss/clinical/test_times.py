from datetime import UTC, datetime, timedelta, timezone

import pytest

from mss.clinical.times import HL7Time


@pytest.mark.parametrize(
    ("text", "xds"),
    [
        ("20191203133000+0100", "20191203123000"),
        ("202401040735+0100", "202401040635"),
        ("20191231233000-0200", "20200101013000"),
        ("20191203133000.123+0100", "20191203123000"),
        ("20191203133000", "20191203133000"),
        ("20191203", "20191203"),
        ("20191203+0100", "20191203"),
        ("2019", "2019"),
        ("yesterday", "yesterday"),
        ("20190230120000+0100", "20190230120000"),
        ("00010101000000+1400", "00010101000000"),
    ],
)
def test_metadata_say_times_in_utc_at_the_same_precision(text: str, xds: str) -> None:
    """What has no offset, or is no time, stays as it is."""
    assert HL7Time(text).xds == xds


def test_a_time_keeps_the_offset_it_was_written_with() -> None:
    """The hour on the writer's clock is what people recognise."""
    at = datetime(2026, 3, 12, 14, 30, 5, 999, tzinfo=timezone(timedelta(hours=1)))

    time = HL7Time.of(at)

    assert time.text == "20260312143005+0100"
    assert time.instant == datetime(2026, 3, 12, 13, 30, 5, tzinfo=UTC)
    assert time.local is not None
    assert time.local.hour == 14


def test_an_instant_without_zone_is_a_mistake_of_the_program() -> None:
    """It would be read as another hour elsewhere."""
    with pytest.raises(ValueError, match="time zone"):
        HL7Time.of(datetime(2026, 3, 12, 14, 30))  # noqa: DTZ001


@pytest.mark.parametrize("text", ["", "1", "2019120", "20191301", "٢٠١٩", "20191203133000+9999"])
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    """Never an exception: documents hold anything."""
    assert not HL7Time(text).is_valid
    assert HL7Time(text).instant is None
