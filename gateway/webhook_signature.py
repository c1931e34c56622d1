"""Signatures of messages between us and another system, both ways, by Standard Webhooks 1.0 (symmetric, v1)."""

import base64
import hmac
import re
from collections.abc import Mapping
from hashlib import sha256

PREFIX = "whsec_"
ID, TIMESTAMP, SIGNATURE = b"webhook-id", b"webhook-timestamp", b"webhook-signature"
TOLERANCE_S = 300
LEAST_KEY_BYTES = 24
SECONDS = re.compile(r"[0-9]{1,12}")


class NotSigned(ValueError):
    """Says what is wrong with it."""


def key_of(secret: str) -> bytes:
    """Raises ValueError for what is no secret of this kind."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if len(key) < LEAST_KEY_BYTES:
        raise ValueError(f"is {PREFIX} and the Base64 of at least {LEAST_KEY_BYTES} bytes")
    return key


def signature(key: bytes, message_id: str, at_s: int, body: bytes) -> str:
    signed = f"{message_id}.{at_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode()


def signed(key: bytes, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The headers that go with the body."""
    values = (message_id, str(at_s), signature(key, message_id, at_s, body))
    return {name.decode(): value for name, value in zip((ID, TIMESTAMP, SIGNATURE), values, strict=True)}


def verified(key: bytes, headers: Mapping[bytes, str | None], body: bytes, now_s: float) -> str:
    """The message's id. Several signatures may stand there, for keys that change. Raises NotSigned."""
    message_id, sent_at, given = (headers.get(name) or "" for name in (ID, TIMESTAMP, SIGNATURE))
    if not (message_id and sent_at and given):
        raise NotSigned("webhook-id, webhook-timestamp and webhook-signature are needed")
    if not SECONDS.fullmatch(sent_at) or abs(now_s - int(sent_at)) > TOLERANCE_S:
        raise NotSigned(f"webhook-timestamp is not within {TOLERANCE_S} s of now")
    wanted = signature(key, message_id, int(sent_at), body)
    if not any(hmac.compare_digest(wanted.encode(), each.encode()) for each in given.split()):
        raise NotSigned("webhook-signature is not ours")
    return message_id
