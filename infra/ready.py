"""What a start says once it is ready: where everything is, a token, a line to try; then how the play goes."""

import asyncio
from contextlib import suppress

import psycopg
from psycopg import AsyncConnection
from rich.console import Console
from rich.live import Live
from rich.text import Text

from gateway.tokens import EVERY_TENANT, Tokens
from infra.demo.settled import TENANT
from infra.lag import lag_records
from infra.ledger import Bookkeeper
from infra.secrets import secret
from infra.settings import Settings

TOKEN_LASTS_S = 12 * 3_600
REFRESH_S = 1.0
PLAIN_EVERY_S = 30.0
"""Where there is no terminal a line comes this often."""

BOARD = """
SELECT count(*) FILTER (WHERE state IN ('assigned', 'accepted', 'in_progress', 'returning')),
       count(*) FILTER (WHERE state = 'completed'),
       count(*) FILTER (WHERE late)
FROM task_board WHERE tenant = %s
"""


def welcome(settings: Settings, url: str, demo: bool) -> list[str]:
    """At most 15 lines."""
    tokens = Tokens(secret(settings, "token_key"))
    if not demo:
        token = tokens.issue(EVERY_TENANT, "operator", "operator", TOKEN_LASTS_S)
        return [
            "",
            f"Logistics runs on {url} until Ctrl-C; its data stay in {settings.data}",
            f"  API    {url}/docs",
            f"  Token  .venv/bin/logistics token --data {settings.data} --tenant TENANT --role ROLE",
            f"  Try    curl -s {url}/v1/tenants -H 'Authorization: Bearer {token}' "
            '-H \'Content-Type: application/json\' -d \'{"tenant": "acme", "name": "Acme", "mode": "test"}\'',
            "",
        ]
    token = tokens.issue(TENANT, "dispatcher", "dispatcher", TOKEN_LASTS_S)
    return [
        "",
        f"Logistics runs on {url} until Ctrl-C; its data stay in {settings.data}",
        f"  Console  {url}/#tenant={TENANT}&token={token}",
        f"  Token    {token}",
        f"  Try      curl -s '{url}/v1/{TENANT}/task-board?limit=2' -H 'Authorization: Bearer {token}'",
        f"  API      {url}/docs",
        "",
    ]


class Pulse:
    """One line that tells how it goes, on the terminal in its place, elsewhere now and then."""

    def __init__(self, settings: Settings, books: Bookkeeper, console: Console) -> None:
        self._dsn = settings.postgres.get_secret_value()
        self._books, self._console = books, console

    async def beat(self) -> None:
        """Until it is cancelled."""
        if not self._console.is_terminal:
            while True:
                await asyncio.sleep(PLAIN_EVERY_S)
                self._console.print(await self.line(), highlight=False, soft_wrap=True)
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(Text(await self.line()), refresh=True)
                await asyncio.sleep(REFRESH_S)

    async def line(self) -> str:
        delivering, delivered, late, lag = 0, 0, 0, "?"
        with suppress(psycopg.Error):
            async with await AsyncConnection.connect(self._dsn, connect_timeout=5) as connection:
                row = await (await connection.execute(BOARD, (TENANT,))).fetchone()
                assert row is not None, "an aggregate always has a row"
                delivering, delivered, late = row
                lag = f"{await lag_records(connection, self._books.ends()):,}"
        told, found, wrong = self._books.ledger.acknowledged, self._books.ledger.found, self._books.wrong()
        return (
            f"{delivering} delivering  {delivered:,} delivered  {late:,} late  "
            f"commands: {told:,} acknowledged, {found:,} of them in the log  lag: {lag} records"
            f"{f'  ({wrong})' if wrong else ''}"
        )
