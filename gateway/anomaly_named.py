"""Is an anomaly that a command names one of the rider's?"""

import asyncio

from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from gateway.door import Door
from projections import anomalies


async def anomaly_is_known(door: Door, tenant: str, rider_id: str, anomaly_id: str) -> bool:
    """Who follows the signals may be ahead of the read model: it is asked again, for a moment. True too where nobody
    can say."""
    for again_after_s in (*door.limits.ask_again_after_s, None):
        try:
            async with door.pool.connection(timeout=door.limits.wait_s) as connection:
                if await anomalies.is_known(connection, tenant, rider_id, anomaly_id):
                    return True
        except (OperationalError, PoolTimeout):
            return True
        if again_after_s is not None:
            await asyncio.sleep(again_after_s)
    return False
