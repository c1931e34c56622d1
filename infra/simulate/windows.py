"""Orders wait for the next batch window, which divides all of them among all riders."""

from infra.simulate.day import WINDOW_OVER, World, stops_of
from infra.simulate.fate import Fate, answer_of
from infra.simulate.instant import NOBODY_WANTED_IT
from infra.simulate.riding import TENANT, ahead_of, moment, place_of
from schemas.dispatch_window import MOST_WINDOW_TASKS, Given
from schemas.message import RiderId, TaskId
from streams.dispatch.batch import assign
from streams.dispatch.batch_question import BatchQuestion, Waiting
from streams.dispatch.batch_ways import BatchedWays, straight_of
from streams.dispatch.choice import step_of


class Windows:
    def __init__(self, world: World) -> None:
        self._world = world
        self._ways = BatchedWays(world.roads.router)
        self._waiting: dict[TaskId, tuple[Fate, float]] = {}
        """And since when."""
        self._planned = False

    async def came(self, fate: Fate, now_s: float) -> None:
        self._waiting.setdefault(TaskId(fate.order.id), (fate, now_s))
        self._plan(now_s)

    def _plan(self, now_s: float) -> None:
        """Windows lie at whole multiples of their length."""
        if not self._planned:
            self._planned = True
            length_s = self._world.policy.batch.window_seconds
            self._world.clock.at((now_s // length_s + 1) * length_s, self._window)

    async def _window(self, now_s: float) -> None:
        self._planned = False
        self._give_up(now_s)
        tasks = sorted(self._waiting.items(), key=lambda item: (item[1][1], item[0]))[:MOST_WINDOW_TASKS]
        if not tasks:
            return
        decline_s = 60.0 * self._world.policy.rules.dispatch.filters.decline_minutes
        riders = [riding.seen(now_s, decline_s) for riding in self._world.ridings]
        stops = [stops_of(fate.order) for _, (fate, _) in tasks]
        to_first, to_ahead = straight_of(riders, [place_of(each[0]) for each in stops])
        question = BatchQuestion(
            decided_at=moment(now_s),
            tasks=[
                Waiting(
                    task_id=task_id,
                    round=fate.round,
                    since=moment(since_s),
                    stops=[ahead_of(stop) for stop in each],
                    zones=[[] for _ in each],
                    required_skills=fate.order.skills,
                    declined=[RiderId(rider_id) for rider_id in sorted(fate.declined)],
                )
                for (task_id, (fate, since_s)), each in zip(tasks, stops, strict=True)
            ],
            riders=[seen.rider for seen in riders],
            rules=self._world.policy.rules,
            batch=self._world.policy.batch,
            policy_version=1,
            to_first=to_first,
            to_ahead=to_ahead,
        )
        ways = await self._ways.between(TENANT, riders, [[place_of(stop) for stop in each] for each in stops])
        answer = assign(question, ways)
        for left in answer.left:
            fate, _ = self._waiting[left.task_id]
            fate.code = left.code
        for given in answer.given:
            await self._offer(given, now_s)
        if self._waiting:
            self._plan(now_s)

    def _give_up(self, now_s: float) -> None:
        """Of what can be given to nobody any more."""
        for task_id, (fate, _) in list(self._waiting.items()):
            closes_s = fate.order.closes_s
            if now_s >= self._world.last_shift_s or (closes_s is not None and now_s >= closes_s):
                fate.code = fate.code or WINDOW_OVER
                del self._waiting[task_id]

    async def _offer(self, given: Given, now_s: float) -> None:
        """All of it or none, as the first task's rider answers."""
        world, riding = self._world, self._world.by_id[given.rider_id]
        fates = [self._waiting.pop(task.task_id) for task in given.tasks]
        first, policy = given.tasks[0], world.policy
        answer = answer_of(policy, riding.spec, first.task_id, fates[0][0].round, world.seed)
        riding.offers += 1
        expires_s = step_of(policy.rules, 1).seconds
        answers_s = expires_s if answer == "ignore" else min(policy.answer_seconds, expires_s)

        async def answered(now_s: float) -> None:
            riding.offers -= 1
            if answer == "accept" and riding.on_shift(now_s):
                for task in given.tasks:
                    await world.assign(task.task_id, given.rider_id, task.placed, now_s)
                return
            riding.declined_s.append(now_s)
            for fate, since_s in fates:
                fate.code, fate.round = NOBODY_WANTED_IT, fate.round + 1
                fate.declined.add(given.rider_id)
                self._waiting[TaskId(fate.order.id)] = (fate, since_s)
            self._plan(now_s)

        world.clock.at(now_s + answers_s, answered)
