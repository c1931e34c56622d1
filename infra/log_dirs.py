"""How much disk topics take, as the brokers tell it (KIP-113). aiokafka has no such request, so it stands here."""

import asyncio
from collections import defaultdict
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String


class DescribeLogDirsResponse_v1(Response):  # type: ignore[misc]  # noqa: N801 - as aiokafka names them
    API_KEY = 35  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]  # so does aiokafka
    API_VERSION = 1  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "log_dirs",
            Array(
                ("error_code", Int16),
                ("log_dir", String("utf-8")),
                (
                    "topics",
                    Array(
                        ("topic", String("utf-8")),
                        (
                            "partitions",
                            Array(("partition", Int32), ("size", Int64), ("lag", Int64), ("is_future", Boolean)),
                        ),
                    ),
                ),
            ),
        ),
    )


class DescribeLogDirsRequest_v1(RequestStruct):  # type: ignore[misc]  # noqa: N801
    API_KEY = 35
    API_VERSION = 1
    RESPONSE_TYPE = DescribeLogDirsResponse_v1
    SCHEMA = Schema(("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))))


class DescribeLogDirsRequest(Request[DescribeLogDirsRequest_v1]):  # type: ignore[misc]
    API_KEY = 35

    def __init__(self, partitions: dict[str, list[int]]) -> None:
        self._partitions = partitions

    def build(self, request_struct_class: type[DescribeLogDirsRequest_v1]) -> DescribeLogDirsRequest_v1:
        return request_struct_class(list(self._partitions.items()))


async def disk_bytes(admin: AIOKafkaAdminClient, partitions: dict[str, list[int]]) -> dict[str, int]:
    """By topic, over all its replicas."""
    brokers = [broker["node_id"] for broker in (await admin.describe_cluster())["brokers"]]
    request = DescribeLogDirsRequest(partitions)
    answers: list[Any] = await asyncio.gather(*(admin._send_request(request, broker) for broker in brokers))
    found: dict[str, int] = defaultdict(int)
    for answer in answers:
        for _, _, topics in answer.log_dirs:
            for topic, told in topics:
                found[topic] += sum(size for _, size, _, _ in told)
    return found
