"""The embedded engines keep their data through kill -9, side by side with others."""

import asyncio
from pathlib import Path
from uuid import UUID

import httpx
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.embedded.city import CityMissing, city_extract
from infra.embedded.kafka import EmbeddedKafka, KafkaDidNotStart, cluster_id
from infra.embedded.osrm import EmbeddedOsrm, OsrmDidNotStart, answers
from infra.embedded.postgres import EmbeddedPostgres

TOPIC = "kept"


async def written(bootstrap: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    for value in values:
        await producer.send_and_wait(TOPIC, value)
    await producer.stop()


async def read(bootstrap: str, count: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(TOPIC, 0)])
    try:
        return [(await asyncio.wait_for(consumer.getone(), 10)).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_kafka_keeps_its_records_and_its_address_through_kill_9(engines: Path, jars: Path, kafka: str):
    broker = EmbeddedKafka(engines / "second", jars)
    address = await broker.start()
    try:
        assert address != kafka
        admin = AIOKafkaAdminClient(bootstrap_servers=address)
        await admin.start()
        await admin.create_topics([NewTopic(TOPIC, 1, 1, topic_configs={"flush.messages": "1"})])
        await admin.close()
        await written(address, [b"one", b"two"])
        broker.child.kill()
        assert await broker.child.wait() == -9
        assert await broker.start() == address
        await written(address, [b"three"])
        assert await read(address, 3) == [b"one", b"two", b"three"]
    finally:
        await broker.stop()


async def test_two_kafkas_do_not_know_each_other(engines: Path, jars: Path, kafka: str):
    broker = EmbeddedKafka(engines / "third", jars)
    address = await broker.start()
    try:
        admin = AIOKafkaAdminClient(bootstrap_servers=address)
        await admin.start()
        assert await admin.list_topics() == []
        await admin.close()
    finally:
        await broker.stop()


async def test_a_member_of_a_group_may_be_missed_after_two_seconds(kafka: str):
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic("joined", 1, 1)])
    await admin.close()
    member = AIOKafkaConsumer(
        "joined", bootstrap_servers=kafka, group_id="short", session_timeout_ms=2_000, heartbeat_interval_ms=500
    )
    await member.start()
    assert member.assignment() == {TopicPartition("joined", 0)}
    await member.stop()


async def test_a_kafka_that_cannot_start_says_why(tmp_path: Path, jars: Path):
    (tmp_path / "kafka" / "log").mkdir(parents=True)
    (tmp_path / "kafka" / "log" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=x\n")
    with pytest.raises(KafkaDidNotStart, match="node id 7"):
        await EmbeddedKafka(tmp_path / "kafka", jars).start()


async def test_postgres_keeps_its_rows_and_its_address_through_kill_9(engines: Path):
    server = EmbeddedPostgres(engines / "second-postgres")
    dsn = await server.start()
    try:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            await connection.execute("CREATE TABLE kept (n int)")
            await connection.execute("INSERT INTO kept VALUES (7)")
        server.child.kill()
        assert await server.child.wait() == -9
        assert await server.start() == dsn
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            assert await (await connection.execute("SELECT n FROM kept")).fetchone() == (7,)
    finally:
        await server.stop()


async def test_postgres_lets_nobody_in_without_its_password(postgres_server: EmbeddedPostgres):
    with pytest.raises(psycopg.OperationalError, match="password"):
        await psycopg.AsyncConnection.connect(f"postgresql://postgres@127.0.0.1:{postgres_server.port}/postgres")


async def test_postgres_writes_through_to_the_disk(postgres: str):
    async with await psycopg.AsyncConnection.connect(postgres) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await (await connection.execute(f"SHOW {setting}")).fetchone() == ("on",)  # type: ignore[arg-type]


async def test_an_interrupted_first_start_of_postgres_is_made_good(engines: Path):
    folder = engines / "halfway"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(folder)
    try:
        assert await server.start()
    finally:
        await server.stop()


async def test_routes_lead_through_helsinki(osrm: str):
    async with httpx.AsyncClient() as client:
        answer = (await client.get(f"{osrm}/route/v1/driving/24.938,60.171;24.945,60.165?overview=false")).json()
    assert answer["code"] == "Ok"
    assert 600 < answer["routes"][0]["distance"] < 3_000
    assert 60 < answer["routes"][0]["duration"] < 900


async def test_every_place_of_the_demo_city_reaches_every_other(osrm: str):
    """Also those beside a street that is cut off where the extract ends."""
    places = ";".join(f"{24.935 + step % 6 * 0.003:.4f},{60.164 + step // 6 * 0.003:.4f}" for step in range(36))
    async with httpx.AsyncClient() as client:
        durations = (await client.get(f"{osrm}/table/v1/driving/{places}")).json()["durations"]
    assert all(seconds is not None for row in durations for seconds in row)


async def test_streets_that_cannot_be_prepared_say_why_and_leave_nothing(tmp_path: Path):
    (tmp_path / "nowhere.osm.pbf").write_bytes(b"these are no streets")
    router = EmbeddedOsrm(tmp_path / "data", tmp_path / "cities", tmp_path / "nowhere.osm.pbf")
    with pytest.raises(OsrmDidNotStart, match="osrm-extract failed"):
        await router.start()
    assert not router.streets.parent.exists()


@pytest.mark.parametrize("sample_data", [None, Path("/nowhere")])
def test_a_city_that_is_not_here_says_what_to_set(sample_data: Path | None):
    with pytest.raises(CityMissing, match="LOGISTICS_SAMPLE_DATA"):
        city_extract("porto", sample_data)


def test_a_cluster_id_is_never_taken_for_an_option():
    assert cluster_id(UUID(bytes=b"\xf8" + bytes(15))).startswith("_")
    assert cluster_id(UUID(bytes=bytes(16))) == "A" * 22


async def test_what_runs_on_this_machine_is_never_asked_through_a_proxy(osrm: str, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await answers(osrm)
