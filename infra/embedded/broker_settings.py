"""What a broker is told of itself and of its cluster: its server.properties."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import msgspec

from infra.embedded.ports import free_ports
from schemas.topics import MAX_BATCH_BYTES

ALLOWED = (1, 3)
"""Nodes of a cluster. Two stand still without either, and more than three show nothing that three do not."""


class Place(msgspec.Struct, frozen=True):
    """Where a node listens on 127.0.0.1: for everybody, as one of the quorum, and for the other nodes alone."""

    port: int
    controller_port: int
    between_port: int
    """Used where clients are told of another port than the node's own."""


class Plan:
    """A cluster of nodes numbered from 1, each of them broker and controller.

    Ports are drawn at first use and kept. The voters' ports stand in the properties alone, not in what is formatted,
    so they may be drawn anew while all nodes are down. `advertised` are the ports of which clients are told instead of
    the nodes' own, such as a proxy's; the nodes then reach each other past it.
    """

    def __init__(self, nodes: int, cluster_id: str, advertised: Mapping[int, int] | None = None) -> None:
        self.nodes, self.cluster_id, self.advertised = nodes, cluster_id, advertised

    @cached_property
    def places(self) -> Mapping[int, Place]:
        """Raises NoFreePort."""
        ports = free_ports(3 * self.nodes)
        return {node: Place(*ports[3 * node - 3 : 3 * node]) for node in range(1, self.nodes + 1)}


def properties(plan: Plan, node: int, log: Path) -> str:
    place = plan.places[node]
    voters = ",".join(f"{n}@127.0.0.1:{other.controller_port}" for n, other in plan.places.items())
    told = {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://127.0.0.1:{place.port},CONTROLLER://127.0.0.1:{place.controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{place.port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": log,
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 2_000,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.num.partitions": 8,
        "log.cleaner.dedupe.buffer.size": 4_194_304,
        "log.cleaner.threads": 1,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "num.recovery.threads.per.data.dir": 2,
        "message.max.bytes": MAX_BATCH_BYTES,
        "log.segment.bytes": 64 << 20,
        "log.index.size.max.bytes": 1 << 20,
    }
    if plan.advertised is not None:
        told |= advertised(place, plan.advertised[node])
    told |= replicated(plan.nodes) | (ALONE if plan.nodes == 1 else TOGETHER)
    return "\n".join(f"{name}={value}" for name, value in told.items())


def advertised(place: Place, port: int) -> dict[str, str]:
    """Clients come by `port`, the other nodes by a listener of their own."""
    own = f"PLAINTEXT://127.0.0.1:{place.port},CONTROLLER://127.0.0.1:{place.controller_port}"
    between = f"BETWEEN://127.0.0.1:{place.between_port}"
    return {
        "listeners": f"{own},{between}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},{between}",
        "inter.broker.listener.name": "BETWEEN",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,BETWEEN:PLAINTEXT",
    }


def replicated(nodes: int) -> dict[str, int]:
    """On every node, and acknowledged by a majority."""
    majority = nodes // 2 + 1
    return {
        "default.replication.factor": nodes,
        "min.insync.replicas": majority,
        "offsets.topic.replication.factor": nodes,
        "transaction.state.log.replication.factor": nodes,
        "transaction.state.log.min.isr": majority,
        "share.coordinator.state.topic.replication.factor": nodes,
        "share.coordinator.state.topic.min.isr": majority,
    }


ALONE = {"broker.session.timeout.ms": 1_000, "broker.heartbeat.interval.ms": 200}
"""The short session lets it come back in seconds after kill -9."""

TOGETHER = {
    "broker.session.timeout.ms": 2_000,
    "broker.heartbeat.interval.ms": 200,
    "replica.lag.time.max.ms": 3_000,
    "controller.quorum.election.timeout.ms": 500,
    "controller.quorum.fetch.timeout.ms": 1_000,
}
"""A leader's loss costs 2.5 s without acknowledgements instead of 11.6 s (measured)."""
