"""The API as the play's people use it, each with a token of their own."""

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import httpx

from gateway.tokens import EVERY_TENANT, Tokens
from infra.check.journals import Acknowledged
from infra.demo.journal import Journal
from schemas.message import Role

type Json = dict[str, Any]

TOKEN_LASTS_S = 7 * 86_400
AGAIN_AFTER_S = 0.5
GIVEN_UP_AFTER = 240
"""Tries of a command that nobody answers: two minutes, for a gateway that comes back."""

OVERLOADED = frozenset({429, 502, 503, 504})


class Refusal(RuntimeError):
    """The API said no, and will say so again."""

    def __init__(self, path: str, status: int, problem: Json) -> None:
        errors = "; ".join(f"{each.get('pointer')}: {each.get('detail')}" for each in problem.get("errors", ()))
        super().__init__(f"{path}: {status} {problem.get('code')}: {problem.get('detail')} {errors}".strip())
        self.status = status
        self.code = str(problem.get("code"))


class Unanswered(RuntimeError):
    """Nobody answered for two minutes."""


class Api:
    """Of one tenant. What was acknowledged is in the journal, if it wrote anything."""

    def __init__(self, client: httpx.AsyncClient, tokens: Tokens, tenant: str, journal: Journal) -> None:
        self._client, self._tokens, self._journal = client, tokens, journal
        self.tenant = tenant
        self._known: dict[tuple[str, Role, str], str] = {}

    async def create_tenant(self, body: Json) -> Json:
        return await self._command(EVERY_TENANT, "operator", "demo", "/v1/tenants", body, "")

    async def command(self, role: Role, subject: str, path: str, body: Json, key: str = "") -> Json:
        """The answer. `path` begins after the tenant. Raises Refusal, Unanswered."""
        return await self._command(self.tenant, role, subject, f"/v1/{self.tenant}{path}", body, key)

    async def fixes(self, rider: str, device: str, fixes: list[Json]) -> Json:
        """Raises Refusal, Unanswered."""
        path = f"/v1/{self.tenant}/fixes"
        body = {"device_id": device, "fixes": fixes}
        return await self._sent("POST", path, self._headers(self.tenant, "rider", rider), body)

    async def photo(self, rider: str, content: bytes) -> str:
        """Its SHA-256. Raises Refusal, Unanswered."""
        digest = sha256(content).hexdigest()
        path = f"/v1/{self.tenant}/artefacts/{digest}"
        headers = self._headers(self.tenant, "rider", rider) | {"content-type": "image/png"}
        await self._sent("PUT", path, headers, content=content)
        return digest

    async def get(self, path: str, role: Role = "dispatcher", subject: str = "dora") -> Json:
        """Raises Refusal, Unanswered."""
        return await self._sent("GET", f"/v1/{self.tenant}{path}", self._headers(self.tenant, role, subject))

    async def items(self, path: str) -> list[Json]:
        """Of all pages. Raises Refusal, Unanswered."""
        items: list[Json] = []
        sign = "&" if "?" in path else "?"
        page = await self.get(f"{path}{sign}limit=500")
        items += page["items"]
        while "next" in page:
            page = await self.get(f"{path}{sign}limit=500&after={page['next']}")
            items += page["items"]
        return items

    async def _command(self, tenant: str, role: Role, subject: str, path: str, body: Json, key: str) -> Json:
        headers = self._headers(tenant, role, subject)
        if key:
            headers["idempotency-key"] = key
        answer = await self._sent("POST", path, headers, body)
        if answer["events"] and not answer["repeated"]:
            self._journal.note(Acknowledged(answer["command_id"], answer["id"], answer["version"]))
        return answer

    def _headers(self, tenant: str, role: Role, subject: str) -> dict[str, str]:
        known = (tenant, role, subject)
        if known not in self._known:
            self._known[known] = self._tokens.issue(tenant, role, subject, TOKEN_LASTS_S)
        return {"authorization": f"Bearer {self._known[known]}"}

    async def _sent(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Json | None = None,
        content: bytes | None = None,
    ) -> Json:
        said = ""
        for _ in range(GIVEN_UP_AFTER):
            try:
                answer = await self._client.request(method, path, headers=headers, json=body, content=content)
            except httpx.TransportError as lost:
                said = repr(lost)
            else:
                if answer.is_success:
                    told: Json = answer.json()
                    return told
                if answer.status_code not in OVERLOADED:
                    raise Refusal(path, answer.status_code, answer.json())
                said = answer.text
            await asyncio.sleep(AGAIN_AFTER_S)
        raise Unanswered(f"{method} {path}: {said}")
