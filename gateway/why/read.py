"""`GET /v1/{tenant}/tasks/{id}/why`: a task's dispatch in words, with the decisions and tenders that say so."""

from gateway.allowed import READERS
from gateway.call import Call
from gateway.commands import tenant_of
from gateway.entry import Entry
from gateway.parameters import id_of, parameters_of
from gateway.problems import not_found
from gateway.queries import nothing, vector_header
from gateway.reading import Connection, Reading
from gateway.reply import Reply, json_reply
from gateway.why.asked import NoSuchTask, Why, asked_on
from projections.dispatch_decisions import DISPATCH_DECISIONS
from projections.plans import PLANS
from projections.task_detail import TASK_DETAIL
from projections.tender_board import TENDER_BOARD

ABOUT = (
    "Why has this rider got the task, why not the others, why nobody? In words, with the decisions and tenders of all "
    "its rounds. `id` may also be its external reference or its tracking code."
)


class WhyRead:
    def __init__(self, entry: Entry, reading: Reading) -> None:
        self._entry, self._reading = entry, reading

    async def of_task(self, call: Call) -> Reply:
        self._entry.admitted(call, READERS["why"], "read why a task was dispatched as it was")
        parameters_of(call, {})
        task = id_of(call)

        async def query(connection: Connection) -> Why:
            return await asked_on(connection, task, tenant_of(call))

        for other in (TASK_DETAIL, TENDER_BOARD, PLANS):
            await self._reading.fresh(call, other, nothing)
        try:
            found, at = await self._reading.fresh(call, DISPATCH_DECISIONS, query)
        except NoSuchTask as unknown:
            raise not_found(str(unknown)) from unknown
        return json_reply(found, headers=[vector_header(at)])
