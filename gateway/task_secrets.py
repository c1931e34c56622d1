"""What was drawn for a task, drawn again: what whoever waits at its stops is given, and whoever has ordered it.

The answer to the creation tells it too. Of what our own processes create, such as a clone, nobody gets that answer.
"""

import msgspec

from commands.context import Context
from commands.task_creation import pin_of, tracking_token
from gateway import log
from gateway.allowed import READERS
from gateway.call import Call
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.parameters import MIN_VERSION, id_of, parameters_of
from gateway.problems import not_found
from gateway.queries import vector_header
from gateway.reading import Reading, Row
from gateway.reply import Reply, json_reply
from gateway.tracking_links import PAGE, stop_link
from projections.task_detail import TASK_DETAIL
from schemas.message import StopId, TenantSlug

SECRETS = "/v1/{tenant}/tasks/{id}/secrets"
ABOUT = "What was drawn for a task: its tracking token, and the PINs and tracking links of its stops."


MET = ("pickup", "collection")
"""Where somebody who is known may wait; other stops come on the way."""


class TaskSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """`pins` and `tracking_links` are for who waits at a stop, by stop; the token is for who ordered."""

    tracking_code: str
    tracking_token: str
    tracking_links: dict[str, str]
    pins: dict[str, str]


class SecretsRead:
    def __init__(self, door: Door, entry: Entry, reading: Reading) -> None:
        self._door = door
        self._entry = entry
        self._reading = reading

    async def of_task(self, call: Call) -> Reply:
        self._entry.admitted(call, READERS["task-secrets"], "read what was drawn for a task")
        task, tenant = id_of(call), tenant_of(call)
        min_version = parameters_of(call, {"min_version": MIN_VERSION}).get("min_version", 0)
        row, at = await self._reading.one(call, TASK_DETAIL, tenant, task, min_version)
        if row is None:
            raise not_found(f"there is no task {task}")
        log.personal_read(call, task, sorted(subjects_of(row)))
        return json_reply(self._drawn(row, tenant, task), headers=[vector_header(at)])

    def _drawn(self, row: Row, tenant: str, task: str) -> TaskSecrets:
        secrets = self._door.secrets
        context = Context(
            now=row["created_at"],
            tenant=TenantSlug(tenant),
            aggregate_id=task,
            command_id=row["created_by"],
            actor="",
            role="system",
            secrets=secrets,
            policy_or_none=None,
        )
        token = tracking_token(context)
        return TaskSecrets(
            tracking_code=row["tracking_code"],
            tracking_token=token,
            tracking_links={
                stop["stop_id"]: PAGE.format(token=stop_link(token, stop["stop_id"], secrets))
                for stop in row["stops"]
                if stop["kind"] == "dropoff" or (stop["kind"] in MET and stop["contact"] is not None)
            },
            pins={
                stop["stop_id"]: pin_of(context, StopId(stop["stop_id"]))
                for stop in row["stops"]
                if stop["pin_hash"] is not None
            },
        )


def subjects_of(row: Row) -> set[str]:
    """Who waits at its stops."""
    return {stop["contact"]["name"]["subject"] for stop in row["stops"] if stop["contact"] is not None}
