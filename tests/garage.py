"""A garage for tests: vehicles decided by a desk in memory, and what the read models make of its log."""

import asyncio
from datetime import datetime
from typing import Any

from memory_desk import MemoryDesk
from reception import KEK
from story import ACME, KAMPPI, NOON, SECRETS

from commands.order import Answer, Order
from commands.policy import Policy
from projections.folding import Parked, folded
from projections.model import Fact, Key, ReadModel, fact_of
from schemas import ids
from schemas.directory import CreateOutlet, CreateTenant
from schemas.keyring import Keyring
from schemas.message import Command, Role

VAN, BIKE = (ids.aggregate_id("vehicle", ACME, "shop", name) for name in ("van", "bike"))


class Garage:
    """`now` is the time of the next command."""

    def __init__(self) -> None:
        self.now: datetime = NOON
        policy, self.keyring = Policy(), Keyring(KEK)
        self.desk = MemoryDesk(policy, SECRETS, self.keyring, lambda: self.now)
        self._sent = 0
        self.send("tenant", ids.tenant_id(ACME), CreateTenant(tenant=ACME, name="Acme", mode="test"))
        kamppi = CreateOutlet(outlet="kamppi", name="Kamppi", location=KAMPPI, zone="Europe/Helsinki")
        self.send("outlet", ids.outlet_id(ACME, "kamppi"), kamppi)

    def send(
        self, kind: str, aggregate_id: str, command: Command, role: Role = "dispatcher", actor: str = "dora"
    ) -> Answer:
        """A new one each time, not a repeat. Raises Refused."""
        self._sent += 1
        identity = ids.derived("sent", str(self._sent))
        order = Order(
            tenant=ACME,
            kind=kind,
            aggregate_id=aggregate_id,
            command=command,
            command_id=identity,
            request_hash=identity,
            actor=actor,
            role=role,
            correlation_id=identity,
        )
        return asyncio.run(self.desk.submit(order))

    def sends(self, *commands: Command, vehicle: str = VAN) -> "Garage":
        for command in commands:
            self.send("vehicle", vehicle, command)
        return self

    def state(self, vehicle: str = VAN) -> Any:
        return self.desk.kept[vehicle].state

    def facts(self) -> list[Fact]:
        return [fact_of(stored) for stored in self.desk.log]

    def rows(self, model: ReadModel) -> dict[Key, Any]:
        parked = Parked()
        rows, _ = folded(model, self.facts(), {}, parked)
        assert not parked.fresh, parked.fresh
        return {key: row for key, row in rows.items() if row is not None}
