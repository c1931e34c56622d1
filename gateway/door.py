"""What the door is given: whom it hands commands to, what it reads, and its bounds."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from commands.context import Secrets, TenantPolicy
from commands.order import Desk
from gateway.tokens import Caller
from schemas.keyring import Keyring

type Pool = AsyncConnectionPool[AsyncConnection[Any]]


class Verifier(Protocol):
    def verify(self, token: str) -> Caller:
        """Raises gateway.tokens.BadToken."""
        ...


class Directory(Protocol):
    def tenant(self, slug: str) -> TenantPolicy | None: ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The door's bounds; each has a test that meets it."""

    body_bytes: int = 256 << 10
    rate_per_s: float = 5_000
    burst: int = 10_000
    answer_s: float = 30
    """How long a command's answer is waited for."""
    wait_s: float = 2
    """How long a read waits for its read model, where `Prefer: wait` says nothing."""
    max_wait_s: float = 10
    waiters: int = 1_000
    streams: int = 500
    heartbeat_s: float = 15
    ticket_s: int = 60


class Door(msgspec.Struct, frozen=True, kw_only=True):
    desk: Desk
    pool: Pool
    keyring: Keyring
    secrets: Secrets
    tokens: Verifier
    policy: Directory
    clock: Callable[[], datetime]
    partitions: int
    cluster: str
    readiness: Callable[[], Awaitable[Mapping[str, str]]]
    """Of each part `ok`, or what is wrong with it."""
    limits: Limits = Limits()
