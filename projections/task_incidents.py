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

ONE = """
SELECT EXISTS (
    SELECT FROM incident_register
    WHERE tenant = %(tenant)s AND status NOT IN ('resolved', 'sealed')
      AND links @> jsonb_build_array(jsonb_build_object('kind', 'task', 'id', %(task_id)s::text))
)
"""


async def incident_open(connection: AsyncConnection, tenant: str, task_id: str) -> bool:
    cursor = await connection.execute(ONE, {"tenant": tenant, "task_id": task_id})
    found = await cursor.fetchone()
    return found is not None and bool(found[0])
