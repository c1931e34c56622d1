"""What the door is given: whom it hands commands to, what it reads, and its bounds."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from commands.context import Secrets, TenantPolicy
from commands.order import Desk
from gateway.bindings import Bindings
from gateway.hydration import Hydration
from gateway.pictures import MAX_PIXELS
from gateway.registry import Registry
from gateway.tokens import Caller
from schemas.fixes import FixFrame
from schemas.keyring import Keyring
from schemas.message import TaskId, TenantSlug
from schemas.position import Vector
from schemas.record import Stored
from streams.dispatch.dry_run import ByBoth
from streams.routing.chain import Placed
from streams.routing.matching import Matched
from streams.routing.wire import SecretMissing, SecretOf
from streams.telemetry.recorded import Point

type Pool = AsyncConnectionPool[AsyncConnection[Any]]


class Verifier(Protocol):
    def verify(self, token: str) -> Caller:
        """Raises gateway.tokens.BadToken."""
        ...


class Directory(Protocol):
    def tenant(self, slug: str) -> TenantPolicy | None: ...


class FrameLog(Protocol):
    async def write(self, tenant: str, actor: str, frames: Sequence[tuple[int, FixFrame]]) -> Vector:
        """Partition and frame of each; the place after them, once they are on the log. Raises Unavailable."""
        ...

    async def first_since(self, partition: int, since: datetime) -> int:
        """The place of the first frame that was written then or later. Raises Unavailable."""
        ...

    def read(self, partition: int, first: int, last: int) -> AsyncIterator[Sequence[Stored]]:
        """The frames from place `first` to place `last` that are still there. Raises Unavailable."""
        ...


class Matching(Protocol):
    async def matched(self, tenant: str, points: Sequence[Point]) -> Matched:
        """A trip's line on streets, as far as the router is sure. Does not fail."""
        ...


class Addresses(Protocol):
    async def geocode(self, tenant: str, text: str) -> Placed:
        """Where an address may be. Does not fail."""
        ...


class DryRuns(Protocol):
    async def decided(
        self, tenant: TenantSlug, tasks: Sequence[TaskId], given: Mapping[str, Any]
    ) -> Mapping[TaskId, ByBoth]:
        """What dispatch would decide now about each task that has a stop ahead whose place is known, also by rules of
        which some are given. Raises psycopg's errors where the read models do not answer."""
        ...


class Streets(Protocol):
    async def tile(self, z: int, x: int, y: int) -> bytes:
        """A vector tile. Raises streams.routing.tiles.StreetsUnavailable."""
        ...


class ArtefactStore(Protocol):
    """Keeps bytes under a tenant and their SHA-256 in hex, found by that of what was sent, too."""

    async def put(self, tenant: str, sent: str, kept: str, content: bytes) -> None:
        """`content` has the hash `kept`. It is there for good once this returns."""
        ...

    async def kept(self, tenant: str, digest: str) -> str | None:
        """The hash of what is kept, by its own or by what was sent; None where there is nothing."""
        ...

    async def get(self, tenant: str, digest: str) -> bytes | None: ...

    async def is_fresh(self, tenant: str, digest: str) -> bool:
        """Whether it was put so lately that no sweep comes near it."""
        ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The door's bounds; each has a test that meets it."""

    body_bytes: int = 256 << 10
    artefact_bytes: int = 5 << 20
    artefact_pixels: int = MAX_PIXELS
    fixes_body_bytes: int = 512 << 10
    """500 fixes, however they are written."""
    tracker_body_bytes: int = 64 << 10
    """One place, with whatever else a tracker tells."""
    rate_per_s: float = 5_000
    burst: int = 10_000
    device_fixes_per_s: float = 20
    device_fixes_burst: int = 10_000
    """What a phone has kept in some hours without network comes at once."""
    tenant_fixes_per_s: float = 20_000
    tenant_fixes_burst: int = 200_000
    answer_s: float = 30
    """How long a command's answer is waited for."""
    wait_s: float = 2
    """How long a read waits for its read model, and fixes for their bindings, where `Prefer: wait` says nothing."""
    ask_again_after_s: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8)
    """So often, with these pauses, a task that a command names is asked for before it is unknown."""
    max_wait_s: float = 10
    waiters: int = 1_000
    streams: int = 500
    sockets: int = 2_000
    """Connections for fixes."""
    offer_sockets: int = 2_000
    """Connections on which riders are told their offers."""
    heartbeat_s: float = 15
    ticket_s: int = 60
    tracking_rate_per_s: float = 5
    tracking_burst: int = 100
    """From one address, behind which a whole house may follow its parcels."""


def no_secret(reference: str) -> str:
    raise SecretMissing(reference, "no secrets are read here")


class Door(msgspec.Struct, frozen=True, kw_only=True):
    desk: Desk
    pool: Pool
    keyring: Keyring
    secrets: Secrets
    tokens: Verifier
    bindings: Bindings
    frames: FrameLog
    matching: Matching
    addresses: Addresses
    dry_runs: DryRuns
    artefacts: ArtefactStore
    policy: Directory
    clock: Callable[[], datetime]
    partitions: int
    cluster: str
    readiness: Callable[[], Awaitable[Mapping[str, str]]]
    """Of each part `ok`, or what is wrong with it."""
    learn: Callable[[], Awaitable[None]]
    """Returns once the policy knows the directory as it stands on the log now. Raises Unavailable."""
    hydration: Hydration = msgspec.field(default_factory=Hydration)
    platform_key: bytes | None = None
    """What the platform signs its calls back with; None: there is none."""
    secret_of: SecretOf = no_secret
    """What stands at a reference."""
    registry: Registry = msgspec.field(default_factory=Registry)
    limits: Limits = Limits()
    streets: Streets | None = None
    """Without them the console's map is blank."""

    def live(self, tenant: str) -> bool:
        """Or is it one for tests?"""
        known = self.policy.tenant(tenant)
        return known is None or known.mode == "live"

    def now(self, tenant: str) -> datetime:
        """By the tenant's clock."""
        known = self.policy.tenant(tenant)
        return self.clock() if known is None else known.now(self.clock())
