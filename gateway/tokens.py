"""Who is calling: bearer tokens (JWT, RFC 7519; HS256), signed by a key of this installation."""

import re
from collections import OrderedDict
from time import time
from typing import cast, get_args

import jwt
import msgspec

from schemas.message import Role

ISSUER = "logistics"
AUDIENCE = "logistics"
EVERY_TENANT = "*"
"""The tenant of the platform's own operators."""

MAX_REMEMBERED = 10_000
"""Verified tokens: verifying one anew takes 150 µs."""

KEY_BYTES = 32
ROLES = frozenset(get_args(Role)) - {"system"}
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SUBJECT = re.compile(r"[\x21-\x7e]{1,200}")
CLAIMS = ["tenant", "role", "sub", "iat", "exp", "iss", "aud"]


class BadToken(ValueError):
    """The token is expired, or not one of ours."""


class Caller(msgspec.Struct, frozen=True):
    """`subject` stands as the actor on what the caller does; a rider's is the rider's id."""

    tenant: str
    role: Role
    subject: str
    expires_at: int
    """Unix seconds."""

    @property
    def is_platform(self) -> bool:
        return self.tenant == EVERY_TENANT


class Tokens:
    """Issues and verifies. What was verified is remembered until it expires."""

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError(f"the token key must have at least {KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self._known: OrderedDict[str, Caller] = OrderedDict()

    def issue(self, tenant: str, role: Role, subject: str, lasts_s: int) -> str:
        """Raises ValueError for a tenant, role or subject that no token carries."""
        caller_of({"tenant": tenant, "role": role, "sub": subject, "exp": 0})
        now = int(time())
        claims = {
            "tenant": tenant,
            "role": role,
            "sub": subject,
            "iat": now,
            "exp": now + lasts_s,
            "iss": ISSUER,
            "aud": AUDIENCE,
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def verify(self, token: str) -> Caller:
        """Raises BadToken."""
        caller = self._known.get(token)
        if caller is None:
            caller = self._decoded(token)
            self._known[token] = caller
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        elif caller.expires_at <= time():
            del self._known[token]
            raise BadToken("the token has expired")
        else:
            self._known.move_to_end(token)
        return caller

    def _decoded(self, token: str) -> Caller:
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": CLAIMS},
            )
            return caller_of(claims)
        except jwt.ExpiredSignatureError as expired:
            raise BadToken("the token has expired") from expired
        except (jwt.PyJWTError, ValueError) as bad:
            raise BadToken("the token is not valid") from bad


def caller_of(claims: dict[str, object]) -> Caller:
    """Raises ValueError for claims that no token of ours carries."""
    tenant, role, subject = claims["tenant"], claims["role"], claims["sub"]
    if role not in ROLES:
        raise ValueError(f"no token carries the role {role}; one of {', '.join(sorted(ROLES))}")
    if not isinstance(subject, str) or not SUBJECT.fullmatch(subject):
        raise ValueError("the subject must have 1 to 200 visible ASCII characters")
    if tenant == EVERY_TENANT and role != "operator":
        raise ValueError(f"only an operator's token is for every tenant ({EVERY_TENANT})")
    if tenant != EVERY_TENANT and not (isinstance(tenant, str) and TENANT.fullmatch(tenant)):
        raise ValueError("the tenant must be a slug: lower-case letters, digits and dashes")
    return Caller(str(tenant), cast(Role, role), subject, int(str(claims["exp"])))
