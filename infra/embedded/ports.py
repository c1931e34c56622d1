"""Free ports of 127.0.0.1, outside the range that outgoing connections draw theirs from.

A port of that range may be taken by any client between a stop and the next start, and a client that keeps trying a
dead port of its own range can connect to itself.
"""

import random
import socket
from itertools import islice

HOST = "127.0.0.1"
LOWEST, HIGHEST = 15_000, 31_999
"""Linux draws outgoing ports from 32768 up (net.ipv4.ip_local_port_range)."""

TRIES = 200


class NoFreePort(RuntimeError):
    """Too few of the ports that were tried could be bound."""


def free_port() -> int:
    """Raises NoFreePort."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """All of them different. Raises NoFreePort."""
    tried = random.sample(range(LOWEST, HIGHEST + 1), TRIES)
    found = list(islice((port for port in tried if is_free(port)), count))
    if len(found) < count:
        raise NoFreePort(
            f"{len(found)} of {TRIES} ports tried between {LOWEST} and {HIGHEST} of {HOST} are free, {count} are needed"
        )
    return found


def is_free(port: int, host: str = HOST) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def is_open(port: int, host: str = HOST) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0
