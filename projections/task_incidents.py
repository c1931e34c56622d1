"""Which tasks does an incident link to that is neither resolved nor sealed?

It has no table of its own: what resolves an incident does not name its links, so that no fold over one task's row could
take the flag back. It reads `incident_register` by its index of those that are open, which are few.
"""

from psycopg import AsyncConnection

OPEN = """
    SELECT link ->> 'id' AS task_id
    FROM incident_register, jsonb_array_elements(links) AS link
    WHERE tenant = %(tenant)s AND status NOT IN ('resolved', 'sealed') AND link ->> 'kind' = 'task'
"""

ONE = f"SELECT %(task_id)s::text IN ({OPEN})"


async def incident_open(connection: AsyncConnection, tenant: str, task_id: str) -> bool:
    cursor = await connection.execute(ONE.encode(), {"tenant": tenant, "task_id": task_id})
    found = await cursor.fetchone()
    return found is not None and bool(found[0])
