"""aiokafka under uvloop: a request on a connection that has just broken fails as aiokafka expects it to.

asyncio's own transports pass over what is written after the break. uvloop's raise RuntimeError, which aiokafka 0.14
(conn.py, `send`) lets through: it ended whoever polled, and with it the process, where a retriable error is meant.
"""

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send = AIOKafkaConnection.send


def send(self: Any, request: Any, expect_response: bool = True) -> Any:
    """Raises KafkaConnectionError."""
    writer = self._writer
    if writer is not None and writer.transport.is_closing():
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {self.host}:{self.port} is broken")
    return _send(self, request, expect_response)


def told_as_such() -> None:
    """From here on, for all of aiokafka's clients of this process."""
    AIOKafkaConnection.send = send
