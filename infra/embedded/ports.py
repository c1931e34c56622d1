"""Free ports of 127.0.0.1, outside the range that outgoing connections draw theirs from.

A port of that range may be taken by any client between a stop and the next start, and a client that keeps trying a
dead port of its own range can connect to itself.
"""

import random
import socket

HOST = "127.0.0.1"
LOWEST, HIGHEST = 15_000, 31_999
"""Linux draws outgoing ports from 32768 up (net.ipv4.ip_local_port_range)."""

TRIES = 200


class NoFreePort(RuntimeError):
    """None of the ports that were tried could be bound."""


def free_port() -> int:
    """Raises NoFreePort."""
    for port in random.sample(range(LOWEST, HIGHEST + 1), TRIES):
        if is_free(port):
            return port
    raise NoFreePort(f"none of {TRIES} ports tried between {LOWEST} and {HIGHEST} of {HOST} is free")


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
