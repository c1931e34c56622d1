"""What is to be recomputed: whose fixes, of which time, and where the comparison goes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from infra.endpoints import with_log
from infra.observability import quiet
from infra.settings import Settings, WrongSetting, load_settings
from schemas.topics import FIXES
from streams.telemetry.tracks import OLDEST_MS

LEAD = timedelta(milliseconds=OLDEST_MS)
"""Before the time that is asked for: where every device was is known from its fixes of that day."""
HELD_FOR = timedelta(milliseconds=int(FIXES.config["retention.ms"]))
FORMATS = (".csv", ".jsonl")


CLOCKS_DIFFER = timedelta(minutes=1)
"""A signal is written after its frame, but maybe on another broker."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Fixes that came in from `since` on, and before `until`. `partition` of None is all of them."""

    tenant: str
    since: datetime
    until: datetime
    partition: int | None = None
    out: Path | None = None


def begun(
    tenant: str, since: str, until: str, partition: int | None, out: Path | None, data: Path | None
) -> tuple[Settings, Asked]:
    """By what a command line says, and where its log is. Raises WrongSetting before anything is asked, NotRunning."""
    quiet()
    settings = load_settings(data=data)
    asked = asked_of(tenant, since, until, partition, out, settings.partitions)
    return with_log(settings), asked


def asked_of(tenant: str, since: str, until: str, partition: int | None, out: Path | None, partitions: int) -> Asked:
    """Raises WrongSetting."""
    begins, ends = times_of(since, until)
    asked = Asked(tenant=tenant, since=begins, until=ends, partition=partition, out=out)
    if partition is not None and not 0 <= partition < partitions:
        raise WrongSetting(f"--partition {partition}: there are {partitions}, from 0 to {partitions - 1}")
    if out is not None and out.suffix not in FORMATS:
        raise WrongSetting(f"--out {out}: its name must end with {' or '.join(FORMATS)}")
    if out is not None and not out.absolute().parent.is_dir():
        raise WrongSetting(f"--out {out}: there is no folder {out.absolute().parent}")
    return asked


def times_of(since: str, until: str) -> tuple[datetime, datetime]:
    """Of `--from` and `--to`. Raises WrongSetting."""
    begins, ends = time_of("--from", since), time_of("--to", until)
    if begins >= ends:
        raise WrongSetting(f"--from {since} must be before --to {until}")
    return begins, ends


def time_of(option: str, value: str) -> datetime:
    """RFC 3339, with its offset. Raises WrongSetting."""
    try:
        at = msgspec.convert(value, datetime)
    except msgspec.ValidationError as bad:
        raise WrongSetting(f"{option} {value}: a time as in RFC 3339 is needed, such as 2026-03-01T12:00:00Z") from bad
    if at.tzinfo is None:
        raise WrongSetting(f"{option} {value}: its offset from UTC is missing, such as the Z of 2026-03-01T12:00:00Z")
    return at.astimezone(UTC)


def refused_as_gone(asked: Asked, first: int, first_at: datetime | None, now: datetime) -> None:
    """`first` is the first frame that a partition still holds, of `first_at`. What retention has taken was older than
    it holds. Raises WrongSetting where that was of the time that is asked for."""
    held_since = now - HELD_FOR if first_at is None else min(first_at, now - HELD_FOR)
    if first > 0 and asked.since < held_since:
        raise WrongSetting(
            f"--from {asked.since.isoformat()}: fixes are held for {HELD_FOR.days} days; the first ones that are there "
            f"came in at {held_since.isoformat()}"
        )
