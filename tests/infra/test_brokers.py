"""One broker or three: what each is told, and that the data remember how many they are."""

import asyncio
import os
import signal
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from infra import kafka as topics
from infra.embedded.broker_settings import Plan, properties
from infra.embedded.brokers import Brokers, count_on
from infra.embedded.ports import free_ports
from infra.endpoints import Endpoints, with_endpoints
from infra.engines import started_engines, with_brokers
from infra.role_process import environment
from infra.settings import Settings, WrongSetting, load_settings
from infra.stages import Stages
from infra.status import processes
from infra.supervisor import Supervisor
from schemas.topics import SHARDS, TASK


def told(plan: Plan, node: int) -> dict[str, str]:
    return dict(line.split("=", 1) for line in properties(plan, node, Path("/data/log")).splitlines())


def formatted(folder: Path, cluster: str = "the-cluster") -> None:
    (folder / "log").mkdir(parents=True)
    (folder / "log" / "meta.properties").write_text(f"#\nversion=1\ncluster.id={cluster}\nnode.id=1\n")


def test_three_nodes_are_each_told_of_all_and_of_their_own_place():
    plan = Plan(3, "the-cluster")
    each = [told(plan, node) for node in (1, 2, 3)]
    assert [one["node.id"] for one in each] == ["1", "2", "3"]
    [voters] = {one["controller.quorum.voters"] for one in each}
    for one, voter in zip(each, voters.split(","), strict=True):
        node, address = voter.split("@")
        assert node == one["node.id"]
        assert f"CONTROLLER://{address}" in one["listeners"]
        assert one["advertised.listeners"] in one["listeners"]
    assert len({address for one in each for address in one["listeners"].split(",")}) == 6


def test_clients_are_told_of_the_ports_that_are_given_and_the_nodes_reach_each_other_past_them():
    plan = Plan(3, "the-cluster", {1: 1111, 2: 2222, 3: 3333})
    each = [told(plan, node) for node in (1, 2, 3)]
    for one, port in zip(each, (1111, 2222, 3333), strict=True):
        clients, nodes = one["advertised.listeners"].split(",")
        assert clients == f"PLAINTEXT://127.0.0.1:{port}"
        assert clients not in one["listeners"].split(",")
        assert nodes in one["listeners"].split(",")
        assert nodes.startswith(f"{one['inter.broker.listener.name']}://")


def test_three_nodes_keep_everything_three_times_and_acknowledge_by_two():
    three = told(Plan(3, "the-cluster"), 1)
    for name in ("default.replication.factor", "offsets.topic.replication.factor"):
        assert three[name] == "3"
    assert three["transaction.state.log.replication.factor"] == "3"
    assert (three["min.insync.replicas"], three["transaction.state.log.min.isr"]) == ("2", "2")
    assert int(three["broker.session.timeout.ms"]) <= 2_000


def test_one_node_needs_nobody_else():
    one = told(Plan(1, "the-cluster"), 1)
    assert {value for name, value in one.items() if "replica" in name or name.endswith(".min.isr")} == {"1"}
    assert "controller.quorum.election.timeout.ms" not in one


def test_a_plan_keeps_its_ports():
    plan = Plan(3, "the-cluster")
    assert told(plan, 2) == told(plan, 2)


def test_many_free_ports_are_all_different():
    assert len(set(free_ports(50))) == 50


@pytest.mark.parametrize(
    ("count", "names"), [(1, ["kafka"]), (3, ["kafka-1", "kafka-2", "kafka-3"])], ids=["one", "three"]
)
def test_the_data_remember_how_many_brokers_they_were_started_with(tmp_path: Path, count: int, names: list[str]):
    assert count_on(tmp_path) is None
    assert list(Brokers(tmp_path, tmp_path, count).nodes) == names
    formatted(tmp_path / names[-1])
    assert count_on(tmp_path) == count
    assert with_brokers(Settings(data=tmp_path)).brokers == count


def test_nodes_that_a_first_start_left_unformatted_join_the_same_cluster(tmp_path: Path):
    formatted(tmp_path / "kafka-2", "as-it-was-drawn")
    nodes = Brokers(tmp_path, tmp_path, 3).nodes.values()
    assert {node._plan.cluster_id for node in nodes} == {"as-it-was-drawn"}


@pytest.mark.parametrize(("there", "asked"), [("kafka", 3), ("kafka-1", 1)])
def test_another_number_than_the_data_have_is_refused(tmp_path: Path, there: str, asked: int):
    formatted(tmp_path / there)
    with pytest.raises(WrongSetting, match=rf"LOGISTICS_BROKERS={asked} .* was first started with \d"):
        with_brokers(Settings(data=tmp_path, brokers=asked))


@pytest.mark.parametrize("count", [2, 4, -1])
def test_only_one_or_three_can_be_started(count: int):
    with pytest.raises(WrongSetting, match=rf"LOGISTICS_BROKERS={count}: .*1 or 3"):
        load_settings(brokers=count)


def test_brokers_beside_a_kafka_that_is_set_are_refused(tmp_path: Path):
    with pytest.raises(WrongSetting, match="LOGISTICS_KAFKA is set"):
        with_brokers(Settings(data=tmp_path, brokers=3, kafka="elsewhere:9092"))


def test_three_brokers_have_a_replica_of_every_topic_each(tmp_path: Path):
    settings = with_brokers(Settings(data=tmp_path, brokers=3))
    assert settings.replication == 3
    assert environment(settings)["LOGISTICS_REPLICATION"] == "3"
    assert with_brokers(Settings(data=tmp_path)).replication == 1


def test_other_commands_on_the_data_want_the_topics_as_they_were_asked_for():
    up = Endpoints(pid=1, http="", kafka="here:1", postgres="", osrm="", replication=3, fsync="on")
    ours, another = with_endpoints(Settings(), up), with_endpoints(Settings(kafka="there:1"), up)
    assert (ours.replication, ours.fsync) == (3, "on")
    assert (another.replication, another.fsync) == (1, "auto")


@pytest.mark.parametrize(
    ("replication", "fsync", "flush_messages", "in_sync"),
    [
        (1, "auto", "1", None),
        (1, "on", "1", None),
        (1, "off", "9223372036854775807", None),
        (3, "auto", None, "2"),
        (3, "on", "1", "2"),
        (3, "off", "9223372036854775807", "2"),
    ],
)
def test_writes_reach_the_disk_first_where_no_replica_has_them_or_where_it_is_asked_for(
    replication: int, fsync: str, flush_messages: str | None, in_sync: str | None
):
    settings = Settings(replication=replication, fsync=fsync)  # type: ignore[arg-type]
    for topic in (TASK, SHARDS):
        config = topics.wanted(settings, topic)
        assert (config.get("flush.messages"), config.get("min.insync.replicas")) == (flush_messages, in_sync)


async def test_three_are_shown_and_kept_running_each_on_its_own(tmp_path: Path, jars: Path):
    said: list[str] = []
    supervisor = Supervisor(said.append)
    asked = Settings(data=tmp_path, jars=jars, brokers=3, postgres="elsewhere", osrm="http://elsewhere")  # type: ignore[arg-type]
    try:
        started = await started_engines(asked, supervisor, Stages(Console(file=StringIO())))
        assert (len(started.kafka.split(",")), started.replication) == (3, 3)
        first = supervisor.processes()
        assert {"kafka-1", "kafka-2", "kafka-3"} <= {shown.part for shown in processes(tmp_path, os.getpid())}
        os.kill(first["kafka-2"], signal.SIGKILL)
        async with asyncio.timeout(60):
            while not any(line.startswith("kafka-2 is back") for line in said):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        assert {part for part, pid in supervisor.processes().items() if pid != first[part]} == {"kafka-2"}
        assert with_brokers(Settings(data=tmp_path)).brokers == 3
    finally:
        await supervisor.stop()
