"""Keeps parts running: starts them in order, starts again what ends, stops all in order."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from infra.embedded.child import Child

BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Before the first start after an end, the second, … within a minute."""

MOST_ENDS = 5
WITHIN_S = 60.0
WRONG_SETTING = 2
"""An exit code that no new start will mend."""


class GaveUp(RuntimeError):
    """A part ends again and again."""

    def __init__(self, name: str, code: int | None, said: str) -> None:
        super().__init__(f"{name} does not stay up (it ended with {code} at last). What it said:\n{said}")


class Part(Protocol):
    """What can be kept running. It keeps its addresses when it is started again."""

    @property
    def child(self) -> Child: ...

    def start(self) -> Coroutine[Any, Any, object]:
        """Returns once it is ready."""
        ...

    def stop(self) -> Coroutine[Any, Any, None]: ...


class Keeper:
    """Keeps one part running. `say` hears of each new start."""

    def __init__(self, name: str, part: Part, say: Callable[[str], None]) -> None:
        self.name, self.part, self._say = name, part, say
        self._ends: deque[float] = deque(maxlen=MOST_ENDS)

    async def keep(self) -> None:
        """Never returns. Raises GaveUp."""
        while True:
            code = await self.part.child.wait()
            self._ended(code)
            await self._again(code)

    async def _again(self, code: int) -> None:
        """Starts it anew, with growing pauses while that fails."""
        while True:
            pause = BACK_OFF_S[min(len(self._recent()), len(BACK_OFF_S)) - 1]
            self._say(f"{self.name} ended with {code}: starting it again in {pause} s")
            await asyncio.sleep(pause)
            try:
                await self.part.start()
            except Exception as failed:
                self._say(f"{self.name}: {failed}")
                self._ended(code)
            else:
                self._say(f"{self.name} is back, process {self.part.child.pid}")
                return

    def _ended(self, code: int) -> None:
        self._ends.append(time.monotonic())
        if code == WRONG_SETTING or len(self._recent()) == MOST_ENDS:
            raise GaveUp(self.name, code, self.part.child.tail())

    def _recent(self) -> list[float]:
        return [end for end in self._ends if end > time.monotonic() - WITHIN_S]


class Supervisor:
    """Parts are stopped in groups, the last started group first, the parts of one group together."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._groups: list[list[Keeper]] = []
        self._keeping: list[asyncio.Task[None]] = []

    async def start(self, **parts: Part) -> None:
        """One group of parts, started together, then kept running. Raises what their starts raise."""
        group = [Keeper(name, part, self._say) for name, part in parts.items()]
        self._groups.append(group)
        await together(keeper.part.start() for keeper in group)
        self._keeping += [asyncio.create_task(keeper.keep(), name=keeper.name) for keeper in group]

    def processes(self) -> dict[str, int]:
        """Process ids by part."""
        return {keeper.name: keeper.part.child.pid for group in self._groups for keeper in group}

    async def watch(self, stopped: asyncio.Event) -> None:
        """Returns when `stopped` is set. Raises GaveUp when a part cannot be kept running."""
        stopping = asyncio.create_task(stopped.wait())
        try:
            done, _ = await asyncio.wait([stopping, *self._keeping], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()
        finally:
            stopping.cancel()

    async def stop(self) -> None:
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        for group in reversed(self._groups):
            await together(keeper.part.stop() for keeper in group)


async def together(steps: Iterable[Coroutine[Any, Any, object]]) -> None:
    """All of them, to their ends; then raises the first failure."""
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
