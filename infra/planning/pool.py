"""Solvers side by side, each in a process of its own: they hold the GIL, may crash, and may not end when they should.

Processes are spawned, never forked, and stay for the next plan. One that does not answer by its deadline is killed and
made anew. What a solver told of on the way is not lost with it.
"""

import signal
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from threading import Lock
from types import TracebackType
from typing import Literal, Self

import msgspec

from streams.planning.check import Real
from streams.planning.faults import judged
from streams.planning.planned import Answer, Planned, kept, own_answers
from streams.planning.problem import Part, Solution
from streams.planning.solving import Asked, NoPlan, Solver

GRACE_S = 2.0
"""More than it was given that a solver may take, before it is killed."""
ITERATIONS_DEADLINE_S = 600.0
"""For whom iterations were given."""
START_S = 60.0
"""To import its libraries, on a machine that is busy."""
ENDS_WITHIN_S = 1.0
READY = b"ready"

SPAWN = get_context("spawn")


class Told(Part, frozen=True):
    """What a worker says of a plan that it was asked for, and of which one."""

    kind: Literal["better", "done", "no_plan", "crashed"]
    round: int
    solution: Solution | None = None
    told: str = ""


class Round(Part, frozen=True):
    round: int
    asked: Asked


ENCODER = msgspec.msgpack.Encoder()
ROUNDS = msgspec.msgpack.Decoder(Round)
TOLD = msgspec.msgpack.Decoder(Told)


def work(connection: Connection, solver: Solver) -> None:
    """A worker's life: one plan after the other until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection.send_bytes(READY)
        while True:
            given = ROUNDS.decode(connection.recv_bytes())
            connection.send_bytes(ENCODER.encode(solved(connection, solver, given)))


def solved(connection: Connection, solver: Solver, given: Round) -> Told:
    def found(solution: Solution) -> None:
        connection.send_bytes(ENCODER.encode(Told(kind="better", round=given.round, solution=solution)))

    try:
        return Told(kind="done", round=given.round, solution=solver.solve(given.asked, found))
    except NoPlan as none:
        return Told(kind="no_plan", round=given.round, told=str(none))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception:
        return Told(kind="crashed", round=given.round, told=traceback.format_exc(limit=-3))


class Worker:
    """One solver's process, as the pool sees it."""

    def __init__(self, solver: Solver) -> None:
        self.solver = solver
        self.start()

    def start(self) -> None:
        self.connection, far = SPAWN.Pipe()
        self.process = SPAWN.Process(
            target=work, args=(far, self.solver), name=f"solver-{self.solver.name}", daemon=True
        )
        self.process.start()
        far.close()
        self.ready = False

    def await_ready(self) -> None:
        """Raises EOFError where it has died, TimeoutError where it does not come."""
        if self.ready:
            return
        if not self.connection.poll(START_S):
            raise TimeoutError(f"solver {self.solver.name} has not started within {START_S:g} s")
        self.connection.recv_bytes()
        self.ready = True

    def end(self) -> None:
        self.connection.close()
        self.process.join(ENDS_WITHIN_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()

    def renew(self) -> None:
        self.process.kill()
        self.end()
        self.start()


class Running:
    """A worker's answer in the making."""

    def __init__(self, worker: Worker, asked: Asked, number: int) -> None:
        self.worker, self.asked, self.number = worker, asked, number
        self.set_out()
        self.latest: Solution | None = None
        self.answer: Answer | None = None

    def set_out(self) -> None:
        seconds = self.asked.effort.seconds
        self.began = time.monotonic()
        self.deadline = self.began + (ITERATIONS_DEADLINE_S if seconds is None else seconds + GRACE_S)

    def ask(self) -> None:
        try:
            self.worker.await_ready()
            self.set_out()
            self.worker.connection.send_bytes(ENCODER.encode(Round(round=self.number, asked=self.asked)))
        except TimeoutError as late:
            self.fail("overran", str(late))
        except (OSError, EOFError):
            self.died()

    def hear(self) -> None:
        try:
            told = TOLD.decode(self.worker.connection.recv_bytes())
        except (OSError, EOFError):
            self.died()
            return
        except msgspec.MsgspecError as unreadable:
            self.fail("crashed", f"what it says cannot be read: {unreadable}")
            return
        if told.round != self.number:  # of a plan that nobody waits for any more
            return
        match told.kind:
            case "better":
                self.latest = told.solution
            case "done":
                self.settle(told.solution, None, "")
            case "no_plan" | "crashed":
                self.settle(self.latest, told.kind, told.told)

    def died(self) -> None:
        self.worker.process.join(ENDS_WITHIN_S)
        self.fail("crashed", f"its process ended with {self.worker.process.exitcode}")

    def overrun(self) -> None:
        self.fail("overran", f"no answer within {self.deadline - self.began:g} s")

    def fail(self, failed: Literal["crashed", "overran"], told: str) -> None:
        self.settle(self.latest, failed, told)
        self.worker.renew()

    def settle(
        self, solution: Solution | None, failed: Literal["no_plan", "crashed", "overran"] | None, told: str
    ) -> None:
        solver = self.worker.solver
        self.answer = Answer(
            solver=solver.name,
            version=solver.version,
            seed=self.asked.seed,
            seconds=time.monotonic() - self.began,
            solution=solution,
            failed=failed,
            told=told,
        )


class SolverPool:
    """As a context: the processes end with it. One plan at a time, others wait."""

    def __init__(self, solvers: Sequence[Solver]) -> None:
        self.workers = [Worker(solver) for solver in solvers]
        self.lock = Lock()
        self.rounds = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for worker in self.workers:
            worker.process.kill()
            worker.end()

    @property
    def pids(self) -> dict[str, int | None]:
        """By solver, as they are now."""
        return {worker.solver.name: worker.process.pid for worker in self.workers}

    def plan(self, asked: Asked, real: Real | None = None) -> Planned:
        """The best that passed the checker, of all solvers, the incumbent and a quick insertion.

        Raises WrongProblem, NothingFits.
        """
        judged(asked.problem)
        with self.lock:
            self.rounds += 1
            running = [Running(worker, asked, self.rounds) for worker in self.workers]
            for each in running:
                each.ask()
            own = own_answers(asked)
            gather(running)
        answers = [each.answer for each in running if each.answer is not None]
        return kept(asked, [*own, *answers], real)


def gather(running: Sequence[Running]) -> None:
    """Until each has answered or is out of time."""
    while waiting := [each for each in running if each.answer is None]:
        left = min(each.deadline for each in waiting) - time.monotonic()
        heard = wait([each.worker.connection for each in waiting], max(0, left))
        for each in waiting:
            if each.worker.connection in heard:
                each.hear()
            elif time.monotonic() > each.deadline:
                each.overrun()
