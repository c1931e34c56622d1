"""Records of decisions are kept, and a store that fails holds no decision up."""

import asyncio
from pathlib import Path

from story import ACME

from gateway.problems import Problem
from infra.artefacts import ObjectArtefacts, in_memory
from infra.decision_records import LOST, RESTS_S, DecisionRecords


class Failing(ObjectArtefacts):
    """It fails, or never ends."""

    def __init__(self, how: Exception | None) -> None:
        super().__init__(in_memory()._store, Path())
        self.how, self.asked = how, 0

    async def keep_decision(self, tenant: str, digest: str, record: bytes) -> None:
        self.asked += 1
        if self.how is None:
            await asyncio.sleep(60)
        else:
            raise self.how


async def test_a_record_is_kept_under_its_hash():
    store = in_memory()
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    await DecisionRecords(store).keep(ACME, digest, b"hello")
    assert await store.decision(ACME, digest) == b"hello"


async def test_a_store_that_fails_or_hangs_is_left_alone_for_a_while_and_what_it_did_not_take_is_counted():
    for how in (Problem("artefacts-unavailable", "it does not answer"), OSError("disk full"), None):
        now = 0.0
        store = Failing(how)
        records = DecisionRecords(store, within_s=0.01, clock=lambda: now)  # noqa: B023
        before = LOST._value.get()
        for _ in range(3):
            await records.keep(ACME, "d", b"r")
        assert (store.asked, LOST._value.get() - before) == (1, 3)
        now = RESTS_S
        await records.keep(ACME, "d", b"r")
        assert store.asked == 2
