"""One broker or three on a data folder, which remembers how many by the folders of their first start."""

import re
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from infra.embedded.broker_settings import ALLOWED, Plan
from infra.embedded.kafka import EmbeddedKafka, cluster_id, formatted


class Brokers:
    """The nodes of one cluster under `data`, to be started together; each may then be kept running on its own.

    `advertised`: by node, the port of which clients are told instead of its own.
    """

    def __init__(self, data: Path, jars: Path, count: int, advertised: Mapping[int, int] | None = None) -> None:
        plan = Plan(count, former_cluster(data, count) or cluster_id(uuid4()), advertised)
        self.nodes: Mapping[str, EmbeddedKafka] = {
            folder.name: EmbeddedKafka(folder, jars, plan, node)
            for node, folder in enumerate(folders(data, count), start=1)
        }
        """By the names under which they are supervised."""

    @property
    def bootstrap(self) -> str:
        """All their addresses: a client finds its way while any of them runs."""
        return ",".join(node.bootstrap for node in self.nodes.values())


def folders(data: Path, count: int) -> list[Path]:
    return [data / "kafka"] if count == 1 else [data / f"kafka-{node}" for node in range(1, count + 1)]


def count_on(data: Path) -> int | None:
    """How many were started on this data first; None where none ever was."""
    return next((count for count in ALLOWED if any(map(formatted, folders(data, count)))), None)


def former_cluster(data: Path, count: int) -> str | None:
    """A first start that ended halfway left some of them formatted: the others must get the same id."""
    for folder in filter(formatted, folders(data, count)):
        written = re.search(r"^cluster\.id=(.+)$", (folder / "log" / "meta.properties").read_text(), re.MULTILINE)
        if written:
            return written[1].strip()
    return None
