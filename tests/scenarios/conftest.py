"""One system for all stories that do not break it; each has a tenant of its own there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from quarter import Quarter
from whole_system import WholeSystem, whole_system


@pytest.fixture(scope="session")
async def system(osrm: str, jars: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WholeSystem]:
    async with whole_system(tmp_path_factory.mktemp("whole") / "run", osrm, jars) as made:
        yield made


@pytest.fixture
async def quarter(system: WholeSystem) -> AsyncIterator[Quarter]:
    """A tenant of mode `test` with an outlet and a hub, and nobody at work yet."""
    async with Quarter(system) as made:
        await made.settle()
        yield made
