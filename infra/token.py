"""`logistics token`: a bearer token, signed by this installation's own key. Nothing needs to run."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import msgspec

from gateway.tokens import ROLES, Tokens
from infra.settings import WrongSetting, load_settings, with_secrets
from schemas.message import Role

UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
TTL = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
LONGEST_S = 365 * UNIT_S["d"]
NEEDS_SUBJECT = frozenset({"rider"})
"""What they do stands under their own id; the others act under their role's name where none is given."""


class Issued(msgspec.Struct, frozen=True):
    token: str
    tenant: str
    role: str
    subject: str
    expires_at: datetime


def token(tenant: str, role: str, subject: str | None, ttl: str, data: Path | None, as_json: bool) -> None:
    """Raises WrongSetting."""
    lasts_s = seconds_of(ttl)
    named = subject_of(role, subject)
    key = with_secrets(load_settings(data=data)).token_key.get_secret_value()
    try:
        signed = Tokens(bytes.fromhex(key)).issue(tenant, cast(Role, role), named, lasts_s)
    except ValueError as wrong:
        raise WrongSetting(f"--tenant {tenant} --role {role} --subject {named}: {wrong}") from wrong
    expires_at = (datetime.now(UTC) + timedelta(seconds=lasts_s)).replace(microsecond=0)
    issued = Issued(signed, tenant, role, named, expires_at)
    print(msgspec.json.format(msgspec.json.encode(issued)).decode() if as_json else issued.token)


def subject_of(role: str, subject: str | None) -> str:
    """Raises WrongSetting."""
    if role not in ROLES:
        raise WrongSetting(f"--role {role}: there is no such role; one of {', '.join(sorted(ROLES))}")
    if role in NEEDS_SUBJECT and not subject:
        raise WrongSetting(f"--role {role} needs --subject: the rider's id")
    return role if subject is None else subject


def seconds_of(ttl: str) -> int:
    """12h → 43,200. Raises WrongSetting."""
    found = TTL.fullmatch(ttl)
    seconds = int(found[1]) * UNIT_S[found[2]] if found else 0
    if not 0 < seconds <= LONGEST_S:
        raise WrongSetting(f"--ttl {ttl}: a number with s, m, h or d is needed, such as 90s or 12h; at most 365d")
    return seconds
