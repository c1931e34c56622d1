"""The real gateway, its shards and its log: what was acknowledged a moment ago counts for the fix that comes now."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from fresh import fresh_name
from pydantic import SecretStr
from reception import key
from world import KEK, PARTITIONS, World, now

from gateway.app import app
from infra.embedded.ports import free_port
from infra.role_gateway import Gateway
from infra.settings import load_settings
from schemas.message import Role

RIDERS = 20
"""So many that a gateway which did not wait would lose one's first fix: it is some milliseconds behind."""


@pytest.fixture
async def gateway(world: World, postgres: str) -> AsyncIterator[Gateway]:
    settings = load_settings(
        kafka=world.kafka,
        postgres=SecretStr(postgres),
        osrm="http://127.0.0.1:1",
        cluster=world.cluster,
        partitions=PARTITIONS,
        internal_port=free_port(),
        key_encryption_key=SecretStr(KEK.hex()),
        server_secret=SecretStr("ab" * 32),
        token_key=SecretStr("cd" * 32),
    )
    made = Gateway(settings, now, alone=True)
    await made.start()
    yield made
    await made.stop()


async def test_a_fix_sent_right_after_the_acknowledged_bind_is_accepted(gateway: Gateway, world: World):
    await world.settle(gateway.shards)

    def caller(role: Role, subject: str) -> dict[str, str]:
        return {"authorization": f"Bearer {gateway.door.tokens.issue(world.tenant, role, subject, 3600)}"}  # type: ignore[attr-defined]

    desk = caller("dispatcher", "dora")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(gateway.door)), base_url="http://door") as client:
        for number in range(RIDERS):
            body = {"name": "Ann", "external_reference": fresh_name("ann")}
            made = await client.post(f"/v1/{world.tenant}/riders", json=body, headers=caller("integrator", "shop"))
            rider = made.json()["id"]
            path, device = f"/v1/{world.tenant}/riders/{rider}", f"phone-{number}"
            shift = {"ends_at": (now() + timedelta(hours=4)).isoformat()}
            await client.post(f"{path}/approve-rider", json={}, headers=desk | key("approve"))
            await client.post(f"{path}/bind-device", json={"device_id": device}, headers=desk | key("bind"))
            started = await client.post(f"{path}/start-shift", json=shift, headers=desk | key("shift"))
            assert started.status_code == 200, started.text
            fixes = [{"observed_at": now().isoformat(), "lat": 60.17, "lon": 24.94}]
            sent = {"device_id": device, "fixes": fixes}
            answer = await client.post(f"/v1/{world.tenant}/fixes", json=sent, headers=caller("rider", rider))
            told = answer.json()
            assert (told["accepted"], told["off_duty"], told["unbound"]) == (1, 0, 0), f"rider {number}: {told}"
