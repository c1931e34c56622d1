"""From a window's answer to its tenders: what goes together is offered to its rider, all or none; what is left to
nobody.

Of several that go together candidates, and who is shut out, are told of the first.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from schemas.dispatch_rules import ScoreWeights
from schemas.dispatch_window import DecideWindow, Given, GivenTask, Left, WindowDecided
from schemas.ids import offer_id, tender_id
from schemas.itinerary import Bundled
from schemas.message import TaskId, WindowId
from schemas.tender import Candidate, InWindow, OpenTender, PlannedOffer
from streams.dispatch.batch import SOLVER
from streams.dispatch.batch_question import BatchAnswer, BatchQuestion
from streams.dispatch.batch_reasons import Reasons

type Outcome = DecideWindow | WindowDecided
"""They say the same: what is to be written, and what is."""

NOT_LOOKED_AT = frozenset({"on_hold", "window_too_large", "not_decided"})
UNKNOWN = "unknown"
"""Which router told the ways, where what the decision knew is lost."""


def outcome_of(
    question: BatchQuestion, answer: BatchAnswer, digest: str, gone: Sequence[TaskId] = (), left: Sequence[Left] = ()
) -> DecideWindow:
    """With those that are `left` without being looked at."""
    return DecideWindow(
        given=answer.given,
        left=[*answer.left, *left],
        gone=[*gone],
        riders=len(question.riders) + question.passed_over,
        total=answer.total,
        by=answer.by,
        policy_version=question.policy_version,
        input_hash=digest,
        solver=SOLVER,
    )


class Tenders:
    """Without reasons it is only told who got it, or why it was left."""

    def __init__(
        self,
        window: WindowId,
        outcome: Outcome,
        now: datetime,
        reasons: Mapping[TaskId, Reasons],
        weights: ScoreWeights | None,
    ) -> None:
        self._outcome, self._now = outcome, now
        self._reasons, self._weights = reasons, weights
        looked_at = [left for left in outcome.left if left.code not in NOT_LOOKED_AT]
        tasks = sum(len(each.tasks) for each in outcome.given) + len(looked_at)
        self._in_window = InWindow(window_id=window, tasks=tasks, riders=outcome.riders)

    def all(self) -> list[OpenTender]:
        offered = [self.offered(each) for each in self._outcome.given]
        return [*offered, *(self.left(each) for each in self._outcome.left)]

    def offered(self, given: Given) -> OpenTender:
        task, *others = given.tasks
        offer = PlannedOffer(
            offer_id=offer_id(tender_id(task.task_id, task.round), given.rider_id),
            rider_id=given.rider_id,
            expires_at=self._now + timedelta(seconds=given.offer_seconds),
            placed=given.placed,
            ends_at=given.ends_at,
        )
        why = self._reasons.get(task.task_id) or Reasons(candidates=[unranked(given, task)])
        in_window = replace(self._in_window, given_to=given.rider_id)
        tender = self._tender(task.task_id, task.round, why, in_window, [offer])
        return replace(tender, bundle=[Bundled(task_id=other.task_id, round=other.round) for other in others])

    def left(self, left: Left) -> OpenTender:
        why = self._reasons.get(left.task_id) or Reasons()
        return self._tender(left.task_id, left.round, why, replace(self._in_window, left_because=left.code), [])

    def _tender(
        self, task_id: TaskId, task_round: int, why: Reasons, in_window: InWindow, offers: list[PlannedOffer]
    ) -> OpenTender:
        return OpenTender(
            task_id=task_id,
            round=task_round,
            mode="direct",
            candidates=why.candidates,
            others=why.others,
            excluded=why.excluded,
            more_excluded=why.more_excluded,
            offers=offers,
            policy_version=self._outcome.policy_version,
            weights=self._weights,
            input_hash=self._outcome.input_hash,
            solver=self._outcome.solver,
            in_window=in_window,
        )


def unranked(given: Given, task: GivenTask) -> Candidate:
    return Candidate(
        rider_id=given.rider_id,
        rank=1,
        travel_s=task.parts.travel_s,
        distance_m=0.0,
        source=UNKNOWN,
        score=task.score,
        parts=task.parts,
        placed=task.placed,
        ends_at=given.ends_at,
    )
