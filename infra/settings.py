"""What can be set: environment variables `LOGISTICS_*`, secrets also by `LOGISTICS_*_FILE`."""

import os
import re
import secrets
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.webhook_signature import key_of
from infra.embedded.broker_settings import ALLOWED

PREFIX = "LOGISTICS_"
RATES = (
    "rate_per_s",
    "rate_burst",
    "device_fixes_per_s",
    "device_fixes_burst",
    "tenant_fixes_per_s",
    "tenant_fixes_burst",
)
"""Settings that say how fast somebody may come."""
SECRET_BYTES = 32
MOST_ROUTERS = 8


class WrongSetting(ValueError):
    """Names each variable that is wrong, its value and what is allowed."""


def hex_secret(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and text:
        try:
            long_enough = len(bytes.fromhex(text)) == SECRET_BYTES
        except ValueError:
            long_enough = False
        if not long_enough:
            raise ValueError(f"{2 * SECRET_BYTES} hexadecimal digits are needed")
    return value


HexSecret = Annotated[SecretStr, BeforeValidator(hex_secret)]


def webhook_secret(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and text:
        key_of(text)
    return value


WebhookSecret = Annotated[SecretStr, BeforeValidator(webhook_secret)]


def broker_count(value: int) -> int:
    if value not in (0, *ALLOWED):
        raise ValueError(f"{' or '.join(map(str, ALLOWED))} can be started")
    return value


def router_urls(value: str) -> str:
    """As they are asked, one after the other."""
    named = value.strip().removesuffix(",")
    urls = [url.strip().rstrip("/") for url in named.split(",")] if named else []
    for url in urls:
        if not is_base_url(url):
            raise ValueError(f"{url!r} is no address such as http://router:5000")
    if len(set(urls)) < len(urls):
        raise ValueError("one of them is named twice")
    if len(urls) > MOST_ROUTERS:
        raise ValueError(f"{len(urls)} addresses, and {MOST_ROUTERS} are asked at most")
    return ",".join(urls)


def secret_references(value: str) -> str:
    named = [each.strip() for each in value.split(",") if each.strip()]
    for each in named:
        if not re.fullmatch(r"env:[A-Z][A-Z0-9_]*|file:/[^,]+", each):
            raise ValueError(f"{each!r} is no reference such as env:MAPBOX_TOKEN or file:/run/secrets/")
    return ",".join(named)


def is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_fits = parts.port != 0
    except ValueError:
        return False
    return port_fits and parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"[\s?#]", url)


class Settings(BaseSettings):
    """Empty addresses mean: start it embedded."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    data: Path = Field(Path(".logistics/run"), description="Where the embedded engines and secrets keep their data")
    jars: Path = Field(Path(".logistics/jars"), description="Where Kafka's jars are kept")
    city_data: Path = Field(Path(".logistics/city"), description="Where prepared road networks are kept")
    sample_data: Path | None = Field(None, description="A folder with the sample data that `demo --city porto` plays")
    city: Literal["helsinki", "porto"] = Field("helsinki", description="The demo city")

    http_host: str = Field("127.0.0.1", description="Where the gateway listens")
    http_port: int = Field(4103, ge=1, le=65_535, description="The gateway's port")
    proxies: str = Field(
        "",
        pattern=r"^[0-9A-Fa-f.:/, ]*$",
        description="Addresses and networks of the proxies before the gateway, with commas: their X-Forwarded-For says "
        "who asks, which the limit on tracking links goes by",
    )
    internal_host: str = Field("127.0.0.1", description="Where an owner of shards listens for our other processes")
    internal_port: int = Field(0, ge=0, le=65_535, description="The port between our own processes; 0: a free one")
    internal_address: str = Field("", description="host:port by which they reach it; empty: host and port as above")
    owner: str = Field(
        "", pattern=r"^[A-Za-z0-9._-]{0,80}$", description="What an owner of shards is called; empty: host and process"
    )
    owner_session_ms: int = Field(
        6_000,
        ge=1_000,
        le=60_000,
        description="An owner of shards that is silent for so long loses them to the others; brokers allow 6000 and "
        "more unless group.min.session.timeout.ms says otherwise",
    )
    streams_session_ms: int = Field(
        10_000,
        ge=1_000,
        le=60_000,
        description="A worker of the telemetry stream that is silent for so long loses its partitions to the others; "
        "brokers allow it as of an owner",
    )
    owners: int = Field(
        1, ge=1, le=16, description="How many processes own shards under `logistics up`, the gateway among them"
    )
    with_shards: bool = Field(True, description="Whether a gateway owns shards, too")
    projector: str = Field(
        "projector-1",
        pattern=r"^[A-Za-z0-9._-]{1,80}$",
        description="What a projector is called in its group: a name of its own, which it keeps, so that it gets its "
        "partitions back at once when it is started again",
    )

    cluster: str = Field("local", pattern=r"^[a-z0-9-]{1,40}$", description="The log's name, in its records' source")
    partitions: int = Field(8, ge=1, le=1_024, description="The log's partition count, fixed for its generation")
    prepare_log: bool = Field(
        True, description="Whether the gateway proves Kafka and makes topics and schemas ready before it serves"
    )
    replication: int = Field(1, ge=1, le=7, description="Replicas of each topic; 3 with three embedded brokers")
    fsync: Literal["auto", "on", "off"] = Field(
        "auto", description="Whether topics are on the disk before a write is acknowledged; auto: where no replica is"
    )

    brokers: Annotated[int, AfterValidator(broker_count)] = Field(
        0, description="Embedded brokers, 1 or 3, fixed by the data's first start; 0: as many as the data have, else 1"
    )
    kafka: str = Field("", description="Bootstrap servers, host:port[,host:port]")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to Kafka"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="With SASL"
    )
    kafka_sasl_username: str = Field("", description="With SASL")
    kafka_sasl_password: SecretStr = Field(SecretStr(""), description="With SASL")
    kafka_ca_file: Path | None = Field(None, description="With TLS: the authorities to trust; empty: the system's")
    kafka_cert_file: Path | None = Field(None, description="With TLS: our certificate")
    kafka_key_file: Path | None = Field(None, description="With TLS: our certificate's key")

    postgres: SecretStr = Field(SecretStr(""), description="A DSN; TLS by its sslmode")
    artefacts: str = Field(
        "",
        pattern=r"^(|file:///.+|s3://[^/]+(/.*)?)$",
        description="Where photos are kept: file:///folder, or s3://bucket/prefix with credentials, region and "
        "endpoint by AWS_*; empty: a folder of the data",
    )
    sweep_artefacts: bool = Field(
        True, description="Whether the role processes deletes once a day what is older than its tenant's artefact_days"
    )
    osrm: Annotated[str, AfterValidator(router_urls)] = Field(
        "",
        description="The base URL of an OSRM server, or of several with commas: where the first does not answer the "
        "next is asked",
    )
    addresses: Path | None = Field(
        None,
        description="An index of addresses, made by `python -m infra.embedded.addresses EXTRACT FILE`; without it the "
        "one of the demo city, where OSRM is started here, else none",
    )

    provider_secrets: Annotated[str, AfterValidator(secret_references)] = Field(
        "",
        description="Which secrets a tenant's routing providers and carriers may name, with commas: `env:MAPBOX`, "
        "`file:/run/secrets/google` or all in a folder, `file:/run/secrets/`; none without it",
    )

    key_encryption_key: HexSecret = Field(SecretStr(""), description="Wraps the data keys; 64 hexadecimal digits")
    server_secret: HexSecret = Field(SecretStr(""), description="All chance derives from it; 64 hexadecimal digits")
    token_key: HexSecret = Field(SecretStr(""), description="Signs tokens; 64 hexadecimal digits")

    directory_url: str = Field(
        "",
        pattern=r"^(|https?://\S+)$",
        description="Where the platform is asked for tenants and outlets that are not known here; empty: nobody is",
    )
    directory_secret: WebhookSecret = Field(
        SecretStr(""), description="Signs those questions and the calls back: whsec_ and Base64 (Standard Webhooks)"
    )

    rate_per_s: int = Field(5_000, ge=1, description="Requests a second for one subject")
    rate_burst: int = Field(10_000, ge=1, description="Requests at once for one subject")
    device_fixes_per_s: int = Field(20, ge=1, description="Fixes a second of one device, in the long run")
    device_fixes_burst: int = Field(10_000, ge=500, description="Fixes at once of one device")
    tenant_fixes_per_s: int = Field(20_000, ge=1, description="Fixes a second of one tenant, in the long run")
    tenant_fixes_burst: int = Field(200_000, ge=500, description="Fixes at once of one tenant")
    rider_places_days: int = Field(
        30, ge=1, le=3_650, description="So many days after a rider's last fix the stream forgets where they were"
    )
    metrics_host: str = Field("127.0.0.1", description="Where each role but the gateway tells its metrics")
    metrics_port: int = Field(
        0,
        ge=0,
        le=65_500,
        description="The port for that; under `logistics up` the first of several, one a role; 0: they tell none",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="From where on to log")
    log_format: Literal["json", "console"] = Field("json", description="How log lines look")


def load_settings(**given: object) -> Settings:
    """From the environment; `given` wins. Raises WrongSetting."""
    try:
        return Settings(**from_files(), **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as wrong:
        raise WrongSetting("\n".join(explained(error) for error in wrong.errors())) from wrong


def from_files() -> dict[str, str]:
    """Secrets whose variable ends in _FILE are read from there; both at once is a mistake."""
    found = {}
    for name, field in Settings.model_fields.items():
        variable = f"{PREFIX}{name.upper()}"
        path = os.environ.get(f"{variable}_FILE")
        if path is None or not is_secret(field.annotation):
            continue
        if os.environ.get(variable):
            raise WrongSetting(f"{variable} and {variable}_FILE are both set: choose one")
        try:
            found[name] = Path(path).read_text().strip()
        except OSError as failed:
            raise WrongSetting(f"{variable}_FILE={path}: {failed.strerror}") from failed
    return found


def is_secret(annotation: object) -> bool:
    return annotation is SecretStr


def explained(error: object) -> str:
    assert isinstance(error, dict), "pydantic tells errors as dicts"
    name = str(error["loc"][0])
    variable = f"{PREFIX}{name.upper()}"
    field = Settings.model_fields.get(name)
    secret = field is not None and is_secret(field.annotation)
    value = "(secret)" if secret else repr(error["input"])
    said = str(error["msg"]).removeprefix("Value error, ")
    return f"{variable}={value}: {said}. {field.description if field else ''}".strip()


def with_secrets(settings: Settings) -> Settings:
    """Secrets that are not set are made once and kept under the data, readable by their owner only."""
    folder = settings.data / "secrets"
    made = {
        name: SecretStr(kept_secret(folder / name))
        for name in ("key_encryption_key", "server_secret", "token_key")
        if not getattr(settings, name).get_secret_value()
    }
    return settings.model_copy(update=made)


def kept_secret(file: Path) -> str:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.parent.chmod(0o700)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(secrets.token_hex(SECRET_BYTES))
    return file.read_text().strip()


def example_env() -> str:
    """`infra/example.env`, from the settings themselves."""
    lines = ["# Every setting of Logistics with its default. Secrets may also be given as NAME_FILE=path.", ""]
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        lines += [f"# {field.description}.", f"#{PREFIX}{name.upper()}={'' if default is None else default}", ""]
    return "\n".join(lines)
