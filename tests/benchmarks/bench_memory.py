"""What the whole embedded system holds resident, with the demo running."""

import asyncio
from pathlib import Path

from benchmarks.running import started, table

from infra.roles import STARTED_BY_UP, STARTED_WITH_DEMO

SECONDS = 180


async def test_memory_with_the_demo_running(tmp_path: Path):
    tmp_path.chmod(0o755)
    async with started(tmp_path / "run", *STARTED_BY_UP, *STARTED_WITH_DEMO) as system:
        await asyncio.sleep(SECONDS)
        held = system.resident_mib()
        rows = [(name, f"{mib:,.0f} MiB") for name, mib in sorted(held.items(), key=lambda each: -each[1])]
        table(f"Resident after {SECONDS} s of the demo", [*rows, ("in all", f"{sum(held.values()):,.0f} MiB")])
