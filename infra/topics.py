"""`logistics topics`: what each topic of the log holds, how it is kept, and where that is not as it should be."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console
from rich.table import Table

from infra.endpoints import reached
from infra.kafka import administering, client_args, configs, deviations
from infra.log_dirs import disk_bytes
from infra.settings import Settings, load_settings
from schemas.topics import TOPICS, Topic

SHOWN = (
    "cleanup.policy",
    "retention.ms",
    "message.timestamp.type",
    "max.message.bytes",
    "min.insync.replicas",
    "flush.messages",
)
DEVIATES = 1


class TopicState(msgspec.Struct, frozen=True, kw_only=True):
    """`records` is end minus beginning: of a compacted topic some of them are gone."""

    name: str
    partitions: int = 0
    replicas: int = 0
    records: int = 0
    disk_bytes: int = 0
    """Over all replicas."""
    settings: dict[str, str] = {}
    deviations: list[str] = []


def topics(data: Path | None, as_json: bool) -> int:
    """The exit code. Raises WrongSetting, NotRunning."""
    settings = load_settings(data=data)
    found = asyncio.run(states(settings if settings.kafka else reached(settings)))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        shown(found, Console())
    return DEVIATES if any(state.deviations for state in found) else 0


async def states(settings: Settings) -> list[TopicState]:
    args = client_args(settings)
    async with administering(args) as admin:
        there = set(await admin.list_topics())
        known = [topic for topic in TOPICS if topic.name in there]
        placed = {told["topic"]: told["partitions"] for told in await admin.describe_topics([t.name for t in known])}
        partitions = {name: [each["partition"] for each in told] for name, told in placed.items()}
        kept = dict(zip((topic.name for topic in known), await configs(admin, known), strict=True)) if known else {}
        wrong = await deviations(admin, settings, known)
        sizes = await disk_bytes(admin, partitions)
    counts = await records(args, partitions)
    return [
        TopicState(
            name=topic.name,
            partitions=len(placed[topic.name]),
            replicas=min(len(each["replicas"]) for each in placed[topic.name]),
            records=counts[topic.name],
            disk_bytes=sizes.get(topic.name, 0),
            settings={name: kept[topic.name][name] for name in SHOWN},
            deviations=wrong[topic.name],
        )
        if topic.name in there
        else missing(topic)
        for topic in TOPICS
    ]


def missing(topic: Topic) -> TopicState:
    return TopicState(name=topic.name, deviations=[f"{topic.name} is not there: `logistics up` makes it"])


async def records(args: Mapping[str, Any], partitions: Mapping[str, list[int]]) -> dict[str, int]:
    consumer = AIOKafkaConsumer(**args, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, p) for topic, numbers in partitions.items() for p in numbers]
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    finally:
        await consumer.stop()
    counts = dict.fromkeys(partitions, 0)
    for place in places:
        counts[place.topic] += ends[place] - begins[place]
    return counts


def shown(found: list[TopicState], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("topic", no_wrap=True)
    for column in ("partitions", "replicas", "records", "MB"):
        table.add_column(column, justify="right")
    table.add_column("kept")
    for state in found:
        numbers = (f"{n:,}" for n in (state.partitions, state.replicas, state.records))
        table.add_row(state.name, *numbers, f"{state.disk_bytes / 1e6:,.1f}", kept(state.settings))
    console.print(table)
    for state in found:
        for deviation in state.deviations:
            console.print(deviation, markup=False, soft_wrap=True)


def kept(settings: Mapping[str, str]) -> str:
    """In words."""
    if not settings:
        return "-"
    if settings["cleanup.policy"] != "delete":
        return "the latest of each key" if settings["cleanup.policy"] == "compact" else settings["cleanup.policy"]
    days = int(settings["retention.ms"]) / 86_400_000
    return "for ever" if days < 0 else f"{days:g} days"
