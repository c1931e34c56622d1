"""What a start says of itself: one line a stage, with its megabytes and seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape


class StageFailed(Exception):
    """A stage did not come through. Its cause says what is wrong and how to mend it."""

    def __init__(self, title: str, cause: BaseException) -> None:
        super().__init__(f"{title}: {cause}")


class Stage:
    """One step under way. `size_bytes` is what it brought or made, 0 if that means nothing for it."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.note = ""


class Stages:
    """A spinner while a stage runs where there is a terminal; its line when it is done, everywhere."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def stage(self, title: str) -> Iterator[Stage]:
        """Raises StageFailed where the stage raised."""
        stage, started = Stage(), time.monotonic()
        try:
            if self.console.is_terminal:
                with self.console.status(title):
                    yield stage
            else:
                yield stage
        except Exception as failed:
            raise StageFailed(title, failed) from failed
        self.say(line(title, stage, time.monotonic() - started))

    def say(self, text: str) -> None:
        self.console.print(escape(text), highlight=False, soft_wrap=True)


def line(title: str, stage: Stage, seconds: float) -> str:
    megabytes = f"{stage.size_bytes / 1e6:6.0f} MB" if stage.size_bytes else " " * 9
    return f"  {title:<28}{megabytes} {seconds:6.1f} s  {stage.note}".rstrip()
