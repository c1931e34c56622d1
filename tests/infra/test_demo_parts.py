"""The parts of a play: the same chance for the same seed, streets driven at their pace, phones as phones are."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr
from rich.console import Console
from world import PARTITIONS, make_topics

from infra.check.journals import Acknowledged
from infra.demo.chance import SLOWER_MEDIAN, chance, slower
from infra.demo.cities import HELSINKI, PORTO
from infra.demo.command import MARK, cleared
from infra.demo.journal import Journal
from infra.demo.plan import Spell, orders, persona, personas
from infra.demo.rider import Drive, Phone
from infra.demo.taxis import Trip, busiest, longest_within, one_at_a_time
from infra.ledger import Bookkeeper, JournalTail, Ledger
from infra.ready import Pulse, welcome
from infra.settings import Settings, WrongSetting, with_secrets
from infra.stages import Stages
from infra.up import pulse_ended
from schemas.geo import Location, distance_m
from streams.telemetry.eta import Way

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
STREET = Location(lat=60.17, lon=24.94)


def way() -> Way:
    """Due north, 200 m in 20 s, then 100 m in 20 s."""
    return Way(
        lat=np.array([60.17, 60.1718, 60.1727]),
        lon=np.array([24.94, 24.94, 24.94]),
        seconds=np.array([0.0, 20.0, 40.0]),
        metres=np.array([0.0, 200.0, 300.0]),
        stops=[2],
        source="osrm",
    )


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_one_seed_plans_the_same_and_another_something_else():
    doors = [Location(lat=60.17, lon=24.94 + n / 1_000) for n in range(10)]
    first = orders("1", 50, 3_600, HELSINKI.shops, doors)
    assert first == orders("1", 50, 3_600, HELSINKI.shops, doors)
    assert first != orders("2", 50, 3_600, HELSINKI.shops, doors)
    assert first[0].at_s == 0
    assert [order.at_s for order in first] == sorted(order.at_s for order in first)


def test_an_hour_has_everything_that_can_go_wrong():
    characters = Counter(order.character for order in orders("1", 200, 3_600, HELSINKI.shops, [STREET]))
    assert characters.keys() == {"plain", "unwanted", "nobody_home", "cancelled"}
    assert characters["plain"] > 150
    people = personas("1", [STREET] * 40, 3_600)
    assert any(person.offline for person in people)
    assert any(person.papers_end_s for person in people)
    assert any(person.clock_ahead for person in people)


def test_drives_are_slower_than_the_router_thinks_by_what_was_measured():
    factors = sorted(slower(chance("1", number)) for number in range(4_000))
    assert factors[2_000] == pytest.approx(SLOWER_MEDIAN, rel=0.05)
    assert factors[400] == pytest.approx(0.94, rel=0.1)
    assert factors[3_600] == pytest.approx(3.07, rel=0.1)


def test_a_drive_is_where_its_pace_has_brought_it():
    drive = Drive(way(), NOON, factor=2.0)
    assert drive.place(NOON) == STREET
    assert drive.place(after(40)).lat == pytest.approx(60.1718)
    assert drive.place(after(900)).lat == pytest.approx(60.1727)
    assert drive.arrives_at == after(80)
    assert drive.speed_mps(after(10)) == pytest.approx(5.0)


def test_a_phone_without_network_tells_all_once_it_is_back():
    someone = persona("1", 1, STREET, 3_600)
    lost = type(someone)(**{f: getattr(someone, f) for f in someone.__struct_fields__} | {"offline": (Spell(60, 300),)})
    phone = Phone("1", lost, NOON, timedelta(seconds=10))
    phone.locate(None, STREET, after(50))
    before = phone.sent(after(55))
    phone.locate(None, STREET, after(290))
    assert phone.sent(after(290)) == []
    late = phone.sent(after(400))
    assert len(before) >= 3
    assert len(late) >= 20
    assert max(fix["observed_at"] for fix in late) > max(fix["observed_at"] for fix in before)


def test_phones_lose_delay_and_double_some_of_their_fixes():
    phone = Phone("1", persona("1", 1, STREET, 1e9), NOON, timedelta(seconds=10))
    in_time, times = 0, Counter()
    for tick in range(0, 20_000, 10):
        phone.locate(None, STREET, after(tick))
        for fix in phone.sent(after(tick)):
            times[fix["observed_at"]] += 1
            in_time += fix["observed_at"] == after(tick).isoformat()
    assert 1_850 < len(times) < 1_990, "some are lost"
    assert 20 < sum(count == 2 for count in times.values()) < 110, "some come twice"
    assert in_time < 0.98 * len(times), "some are late"
    assert all(distance_m(STREET, STREET) < 50 for _ in times)


def test_trips_are_cut_to_where_there_are_streets_and_no_step_is_faster_than_a_car():
    west, south, _, _ = PORTO.box
    inside = [Location(lat=south + 0.01 + n / 1_000, lon=west + 0.01) for n in range(10)]
    outside = Location(lat=40.0, lon=-8.6)
    assert longest_within((outside, *inside[:3], outside, *inside[3:]), PORTO) == (5, 11)
    jump = Location(lat=south + 0.03, lon=west + 0.03)
    assert longest_within((inside[0], jump, *(jump,) * 3), PORTO) == (1, 4)
    assert longest_within((outside,), PORTO) == (0, -1)


def test_a_taxi_drives_one_trip_at_a_time_and_the_busiest_span_is_played():
    def trip(name: str, taxi: str, begins_s: float) -> Trip:
        return Trip(name, taxi, after(begins_s), (STREET,) * 10, 0, 9)

    known = [trip("a", "1", 0), trip("b", "1", 60), trip("c", "2", 4_000), trip("d", "3", 4_100), trip("e", "4", 9_000)]
    alone = list(one_at_a_time(known))
    assert [each.trip_id for each in alone] == ["a", "c", "d", "e"]
    assert [each.trip_id for each in busiest(alone, timedelta(hours=1), 10)] == ["c", "d"]
    assert [each.trip_id for each in busiest(alone, timedelta(hours=1), 1)] == ["c"]


def test_a_demo_throws_away_only_what_a_demo_made(tmp_path: Path):
    cleared(tmp_path)
    (tmp_path / "kafka").mkdir()
    (tmp_path / "note.json").write_text("{}")
    cleared(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [MARK]
    (tmp_path / MARK).unlink()
    (tmp_path / "run").mkdir()
    with pytest.raises(WrongSetting, match="no demo made"):
        cleared(tmp_path)
    assert (tmp_path / "run").exists()


def test_a_journal_begins_anew_before_it_grows_without_end(tmp_path: Path):
    file = tmp_path / "journals" / "demo.jsonl"
    with Journal(file, most_bytes=1_000) as journal:
        for number in range(100):
            journal.note(Acknowledged(f"command-{number}", "task-1", number))
    assert journal.lines == 100
    assert file.stat().st_size <= 1_100
    assert len(list(file.parent.iterdir())) == 2


def test_a_ledger_matches_what_was_told_with_what_stands_whichever_comes_first():
    ledger = Ledger()
    ledger.on_log("a")
    ledger.told("a")
    ledger.told("b")
    assert (ledger.acknowledged, ledger.found) == (2, 1)
    ledger.on_log("b")
    ledger.on_log("b")
    assert (ledger.acknowledged, ledger.found) == (2, 2)


def test_a_ledger_remembers_no_more_than_its_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("infra.ledger.MOST_EARLY", 10)
    ledger = Ledger()
    for number in range(50):
        ledger.on_log(str(number))
    assert ledger.early == 10


def test_a_ledger_reads_only_whole_lines_and_each_once(tmp_path: Path):
    file = tmp_path / "demo.jsonl"
    tail = JournalTail(tmp_path)
    file.write_text('{"command_id":"a","aggregate_id":"t","version":1}\n{"command_id":"b","aggr')
    assert [line.command_id for line in tail.fresh()] == ["a"]
    with file.open("a") as more:
        more.write('egate_id":"t","version":2}\n')
    assert [line.command_id for line in tail.fresh()] == ["b"]
    assert list(tail.fresh()) == []
    file.write_text('{"command_id":"c","aggregate_id":"t","version":3}\n')
    assert [line.command_id for line in tail.fresh()] == ["c"], "a shorter file is a new one"


def test_a_line_that_was_torn_is_ended_before_the_next_is_written(tmp_path: Path):
    file = tmp_path / "demo.jsonl"
    file.write_text('{"command_id":"a","aggr')
    for number in (1, 2):
        with Journal(file) as journal:
            journal.note(Acknowledged(f"command-{number}", "task-1", number))
    torn, *whole = file.read_bytes().splitlines()
    assert (torn, len(whole)) == (b'{"command_id":"a","aggr', 2)


ENGINES_AWAY = Settings(postgres=SecretStr("host=127.0.0.1 port=1"))


async def test_a_malformed_line_is_counted_and_those_after_it_are_told(tmp_path: Path, kafka: str):
    await make_topics(kafka)
    file = tmp_path / "demo.jsonl"
    file.touch()
    books = Bookkeeper({"bootstrap_servers": kafka}, PARTITIONS, tmp_path)
    pulse = Pulse(ENGINES_AWAY, books, Console())
    await books.start()
    try:
        with file.open("a") as written:
            written.write('{"comm{"command_id":"a","aggregate_id":"t","version":1}\n{"command": 1}\n')
            written.write('{"command_id":"b","aggregate_id":"t","version":2}\n')
        async with asyncio.timeout(20):
            while not books.ledger.acknowledged:  # noqa: ASYNC110 - it is read in another task
                await asyncio.sleep(0.05)
        assert await pulse.line() == (
            "0 delivering  0 delivered  0 late  commands: 1 acknowledged, 0 of them in the log  lag: ? records  "
            "(2 lines of the journals unreadable)"
        )
    finally:
        await books.stop()


async def test_a_count_that_has_stopped_is_told(tmp_path: Path, kafka: str, monkeypatch: pytest.MonkeyPatch):
    def lost(tail: JournalTail) -> Iterator[Acknowledged]:
        raise PermissionError("the journals")

    monkeypatch.setattr(JournalTail, "fresh", lost)
    await make_topics(kafka)
    books = Bookkeeper({"bootstrap_servers": kafka}, PARTITIONS, tmp_path)
    await books.start()
    try:
        async with asyncio.timeout(20):
            while not books.wrong():  # noqa: ASYNC110 - it is read in another task
                await asyncio.sleep(0.05)
        line = await Pulse(ENGINES_AWAY, books, Console()).line()
        assert line.endswith("(the journals not counted any more: PermissionError('the journals'))")
    finally:
        await books.stop()


async def test_a_pulse_that_ends_says_so(capsys: pytest.CaptureFixture[str]):
    async def broken() -> None:
        raise KeyError("lag")

    pulse = asyncio.create_task(broken())
    await asyncio.wait([pulse])
    pulse_ended(pulse, Stages(Console()))
    assert "not told any more: KeyError('lag')" in capsys.readouterr().out


@pytest.mark.parametrize("demo", [True, False])
def test_the_welcome_is_short_and_has_all_that_one_needs(
    tmp_path: Path, demo: bool, capsys: pytest.CaptureFixture[str]
):
    settings = with_secrets(Settings(data=tmp_path))
    lines = welcome(settings, "http://127.0.0.1:4103", demo)
    stages = Stages(Console())
    for line in lines:
        stages.say(line)
    said = capsys.readouterr().out
    assert len(said.splitlines()) <= 15
    for word in ("http://127.0.0.1:4103", "curl", "Bearer", str(tmp_path)):
        assert word in said
