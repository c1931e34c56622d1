"""Data keys by subject: each person's data are sealed under a key of their own, which can be thrown away.

A subject has one key in each partition that holds data of theirs, so that no shard waits for another. Keys stand in
`logistics.keys`, wrapped by the key-encryption key (AES-256-GCM throughout, NIST SP 800-38D, random 96-bit nonces).
"""

import os
from collections import OrderedDict

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.codec import Seal, Unseal
from schemas.message import SubjectId

KEY_BYTES = 32
KEY_ID_BYTES = 8
NONCE_BYTES = 12
MAX_UNWRAPPED = 4_096
"""Ciphers kept ready; any other is unwrapped again when it is needed."""


class Tampered(ValueError):
    """A sealed value does not open under its own key: it, or its place, was changed."""


class DataKey(msgspec.Struct, frozen=True, gc=False):
    key_id: bytes
    cipher: AESGCM


class Keyring:
    """All data keys that this process has read, by partition and subject."""

    def __init__(self, key_encryption_key: bytes) -> None:
        if len(key_encryption_key) != KEY_BYTES:
            raise ValueError(f"the key-encryption key must have {KEY_BYTES} bytes, not {len(key_encryption_key)}")
        self._wrapping = AESGCM(key_encryption_key)
        self._wrapped: dict[int, dict[SubjectId, bytes]] = {}
        self._drafted: dict[tuple[int, SubjectId], bytes] = {}
        """Not acknowledged yet."""
        self._ready: OrderedDict[tuple[int, SubjectId], DataKey] = OrderedDict()
        self._next: dict[int, int] = {}
        self.forgotten = 0
        """Counts keys that were thrown away: who keeps what was opened throws it away, too."""

    def take(self, partition: int, offset: int, subject: SubjectId, wrapped: bytes | None) -> None:
        """One record of `logistics.keys`; what comes again is passed over, lest a forgotten key come back."""
        if offset >= self._next.get(partition, 0):
            self._next[partition] = offset + 1
            self.apply(partition, subject, wrapped)

    def apply(self, partition: int, subject: SubjectId, wrapped: bytes | None) -> None:
        """Know this key from now on; None forgets the subject."""
        if self._drafted.pop((partition, subject), None) != wrapped or wrapped is None:
            self._ready.pop((partition, subject), None)
        if wrapped is None:
            self.forgotten += 1
            self._wrapped.get(partition, {}).pop(subject, None)
        else:
            self._wrapped.setdefault(partition, {})[subject] = wrapped

    def draft(self, partition: int, subject: SubjectId) -> bytes:
        """A fresh key, wrapped as it is to stand on the log. It seals until the log tells of one, this or another, or
        it is withdrawn."""
        plain = new_key()
        wrapped = self._drafted[partition, subject] = self._wrap(subject, plain)
        self._hold((partition, subject), plain)
        return wrapped

    def withdraw(self, partition: int, subject: SubjectId) -> None:
        """What the log has told meanwhile stays."""
        if self._drafted.pop((partition, subject), None) is not None:
            self._ready.pop((partition, subject), None)

    def knows(self, partition: int, subject: SubjectId) -> bool:
        return subject in self._wrapped.get(partition, ()) or (partition, subject) in self._drafted

    def partitions_of(self, subject: SubjectId) -> list[int]:
        return sorted(partition for partition, known in self._wrapped.items() if subject in known)

    def new_wrapped_key(self, subject: SubjectId) -> bytes:
        """A fresh key as it will stand on the log. It is used once `apply` has been told of it."""
        return self._wrap(subject, new_key())

    def _wrap(self, subject: SubjectId, plain: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, plain, subject.encode())

    def sealer(self, partition: int, tenant: str, stream: str) -> Seal:
        def seal(subject: SubjectId, field: str, plain: bytes) -> bytes:
            key, nonce = self._key(partition, subject), os.urandom(NONCE_BYTES)
            return key.key_id + nonce + key.cipher.encrypt(nonce, plain, bound_to(tenant, stream, field))

        return seal

    def unsealer(self, partition: int, tenant: str, stream: str) -> Unseal:
        def unseal(subject: SubjectId, field: str, sealed: bytes) -> bytes | None:
            if not self.knows(partition, subject):
                return None
            key = self._key(partition, subject)
            if sealed[:KEY_ID_BYTES] != key.key_id:
                return None  # sealed under a key that was forgotten before this one was made
            nonce, secret = (
                sealed[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES],
                sealed[KEY_ID_BYTES + NONCE_BYTES :],
            )
            try:
                return key.cipher.decrypt(nonce, secret, bound_to(tenant, stream, field))
            except InvalidTag as failed:
                raise Tampered(f"{field} of {stream} does not open") from failed

        return unseal

    def _key(self, partition: int, subject: SubjectId) -> DataKey:
        """Raises KeyError for a subject without a key."""
        at = partition, subject
        ready = self._ready.get(at)
        if ready is not None:
            return ready
        wrapped = self._drafted[at] if at in self._drafted else self._wrapped[partition][subject]
        return self._hold(at, self._wrapping.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], subject.encode()))

    def _hold(self, at: tuple[int, SubjectId], plain: bytes) -> DataKey:
        key = self._ready[at] = DataKey(plain[:KEY_ID_BYTES], AESGCM(plain[KEY_ID_BYTES:]))
        if len(self._ready) > MAX_UNWRAPPED:
            self._ready.popitem(last=False)
        return key


def new_key() -> bytes:
    """Its id, which stands before what it seals, and the key."""
    return os.urandom(KEY_ID_BYTES) + AESGCM.generate_key(bit_length=256)


def bound_to(tenant: str, stream: str, field: str) -> bytes:
    """Additional data: a sealed value opens only in its own place."""
    return msgspec.json.encode([tenant, stream, field])
