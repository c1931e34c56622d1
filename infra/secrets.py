"""Secrets as the roles take them out of the settings."""

from commands.context import Secrets
from infra.settings import Settings


def secret(settings: Settings, name: str) -> bytes:
    return bytes.fromhex(getattr(settings, name).get_secret_value())


def server_secrets(settings: Settings) -> Secrets:
    return Secrets(secret(settings, "server_secret"))


def internal_key(secrets: Secrets) -> bytes:
    """What our own processes sign with."""
    return secrets.derived("internal")
