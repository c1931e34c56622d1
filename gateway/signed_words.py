"""Words for URLs that only we can have made: they carry what they stand for, and need no memory."""

import base64
import hmac

from commands.context import Secrets

MAC_BYTES = 32


def signed(purpose: str, words: bytes, secrets: Secrets) -> str:
    """A word of one purpose is none of another."""
    return base64.urlsafe_b64encode(mac_of(purpose, words, secrets) + words).rstrip(b"=").decode()


def verified(purpose: str, word: str, secrets: Secrets) -> bytes:
    """Raises ValueError for a word that we did not make."""
    packed = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
    mac, words = packed[:MAC_BYTES], packed[MAC_BYTES:]
    if not hmac.compare_digest(mac, mac_of(purpose, words, secrets)):
        raise ValueError("not made here")
    return words


def mac_of(purpose: str, words: bytes, secrets: Secrets) -> bytes:
    return secrets.derived(purpose, words.hex())
