"""A connection that breaks under a client of uvloop's is told as aiokafka tells it, and asked for again."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from infra import broken_connections


def test_a_request_on_a_connection_that_has_just_broken_is_a_broken_connection(
    kafka: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(AIOKafkaConnection, "send", broken_connections.send)

    async def asked() -> None:
        client = AIOKafkaClient(bootstrap_servers=kafka)
        await client.bootstrap()
        node = client.cluster.brokers().pop().nodeId
        connection = await client._get_conn(node)
        connection._writer.transport.abort()
        await asyncio.sleep(0)  # it is lost now, and the client's reader has not heard of it yet
        with pytest.raises(KafkaConnectionError):
            await connection.send(MetadataRequest([]))
        assert not connection.connected()
        await client.send(node, MetadataRequest([]))
        await client.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(asked())

    with ThreadPoolExecutor(1) as aside:
        aside.submit(run).result()
