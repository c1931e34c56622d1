"""Every stored message type: its topic, its Avro name, its schema's id, how it is written and read."""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import fastavro
import msgspec

from schemas import (
    carrier_booking,
    control,
    directory,
    dispatch_window,
    eta_model,
    fixes,
    fleet,
    incident,
    pick_wave,
    plan,
    provider_config,
    recurrence,
    rider,
    signals,
    task,
    tender,
    vehicle,
)
from schemas.codec import Compiler, Read, Seal, Sealing, Unseal, Write, plain
from schemas.message import Event, SubjectId
from schemas.topics import DIRECTORY, DISPATCH, ETA_MODELS, FIXES, FLEET, INCIDENT, SIGNALS, TASK

AVRO = Path(__file__).parent / "avro"
MAGIC = b"\x00"

Visibility = Literal["public", "internal"]
"""public: FULL_TRANSITIVE, for every consumer. internal: BACKWARD_TRANSITIVE, for our own processes."""


class MessageType(msgspec.Struct, frozen=True):
    cls: type[Event]
    name: str
    """Avro full name and `ce_type`."""
    topic: str | None
    """None: control records, which stand in every topic."""
    visibility: Visibility
    schema: Any
    write: Write
    read: Read
    sealing: Sealing | None
    """None where nothing in it is personal."""


class UnknownType(LookupError):
    """A record of a type, or under a schema id, that this release does not know."""


def members_of(union: Any) -> list[Any]:
    """The classes of a union of messages, nested aliases opened."""
    opened = plain(union)
    members = get_args(opened)
    if not members:
        return [opened]
    return [cls for member in members for cls in members_of(member)]


def message_type(cls: type[Event], topic: str | None, visibility: Visibility) -> MessageType:
    namespace = topic or "logistics.control"
    codec = Compiler(namespace).record(cls)
    assert codec.write is not None
    assert codec.read is not None
    schema = {"type": "record", "name": cls.__name__, "namespace": namespace, **codec.schema}
    name = f"{namespace}.{cls.__name__}"
    return MessageType(cls, name, topic, visibility, schema, codec.write, codec.read, codec.sealing)


TYPES: dict[str, MessageType] = {
    known.name: known
    for union, topic, visibility in (
        (task.TaskEvent, TASK.name, "public"),
        (rider.RiderEvent, FLEET.name, "public"),
        (vehicle.VehicleEvent, FLEET.name, "public"),
        (fleet.FleetEvent, FLEET.name, "public"),
        (tender.TenderEvent, DISPATCH.name, "public"),
        (dispatch_window.WindowEvent, DISPATCH.name, "public"),
        (pick_wave.PickWaveEvent, DISPATCH.name, "public"),
        (plan.PlanEvent, DISPATCH.name, "public"),
        (carrier_booking.CarrierBookingEvent, DISPATCH.name, "public"),
        (recurrence.RecurrenceEvent, DISPATCH.name, "public"),
        (incident.IncidentEvent, INCIDENT.name, "public"),
        (directory.DirectoryEvent, DIRECTORY.name, "public"),
        (provider_config.ProviderConfigEvent, DIRECTORY.name, "internal"),
        (fixes.FixFrame, FIXES.name, "public"),
        (signals.Signal, SIGNALS.name, "public"),
        (eta_model.EtaModelEvent, ETA_MODELS.name, "internal"),
        (control.ControlEvent, None, "internal"),
    )
    for cls in members_of(union)
    for known in [message_type(cls, topic, visibility)]  # type: ignore[arg-type]  # the literals above
}
BY_CLASS: dict[type[Event], MessageType] = {known.cls: known for known in TYPES.values()}


@cache
def ids() -> dict[str, int]:
    """The latest schema id of each type."""
    assigned = json.loads((AVRO / "ids.json").read_text())
    return {name: versions[-1]["id"] for name, versions in assigned["schemas"].items()}


@cache
def written_schemas() -> dict[int, tuple[str, Any]]:
    """Of each schema id ever assigned: the type's name and the schema as it was written."""
    assigned = json.loads((AVRO / "ids.json").read_text())
    return {
        version["id"]: (name, fastavro.parse_schema(json.loads(avsc(name, version["version"]).read_text())))
        for name, versions in assigned["schemas"].items()
        for version in versions
    }


@cache
def parsed(name: str) -> Any:
    return fastavro.parse_schema(TYPES[name].schema)


def avsc(name: str, version: int) -> Path:
    return AVRO / f"{name}.v{version}.avsc"


def sealed[E: Event](event: E, seal: Seal) -> E:
    """The event as it is read from the log without keys: all that is personal in it sealed."""
    sealing = BY_CLASS[type(event)].sealing
    if sealing is None:
        return event
    fresh: E = sealing(event, seal)
    return fresh


def write(event: Event, seal: Seal) -> bytes:
    """The event in Confluent framing: magic byte, schema id (4 bytes, big-endian), Avro."""
    framing, schema, write_fields = writing(type(event))
    out = io.BytesIO()
    out.write(framing)
    fastavro.schemaless_writer(out, schema, write_fields(event, seal))
    return out.getvalue()


@cache
def writing(cls: type[Event]) -> tuple[bytes, Any, Write]:
    """What stands before a value, its schema, and how its fields are written."""
    known = BY_CLASS[cls]
    return MAGIC + ids()[known.name].to_bytes(4), parsed(known.name), known.write


def nothing_personal(subject: SubjectId, field: str, plain: bytes) -> bytes:
    """Seals for those who write what is not personal, or sealed already."""
    raise AssertionError(f"{field} is not sealed")


def read(value: bytes, unseal: Unseal | None) -> Event:
    """Raises UnknownType for a schema id without a type here, ValueError for what is not framed Avro."""
    if len(value) < 5 or value[:1] != MAGIC:
        raise ValueError("the value is not in Confluent framing")
    schema_id = int.from_bytes(value[1:5])
    if schema_id not in written_schemas():
        raise UnknownType(f"schema id {schema_id}")
    name, schema = written_schemas()[schema_id]
    reader_schema = None if ids()[name] == schema_id else parsed(name)
    raw = fastavro.schemaless_reader(
        io.BytesIO(value[5:]),
        schema,
        reader_schema,
        return_record_name=True,
        return_record_name_override=True,
    )
    event: Event = TYPES[name].read(raw, unseal)
    return event
