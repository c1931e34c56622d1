"""What is sent and what is shown, as the API's description has it."""

from typing import Any, get_args

import msgspec

from commands.task_state import TaskState
from gateway import callbacks, carrier_callbacks
from gateway.allowed import CLOSED_FIELDS
from gateway.artefact_links import LinkAsked, LinkGiven
from gateway.artefacts import Artefact
from gateway.batch import BatchAnswer, CommandBatch
from gateway.callbacks import CallbackAnswer
from gateway.commands import OPEN, CommandAnswer, TaskAnswer
from gateway.device_links import DeviceLinkAsked
from gateway.dispatch_dry_runs import DryRunAsked, DryRunTold
from gateway.fence_now import FENCE_NOW
from gateway.fixes import FixesAnswer, FrameAnswer
from gateway.geocoding import AddressAsked, AddressTold
from gateway.in_force import IN_FORCE
from gateway.new_frame import NewFrame
from gateway.openapi_parts import REF
from gateway.osmand import PhoneMessage
from gateway.problems import ProblemBody
from gateway.queries import LISTINGS, SINGLES, UNSHOWN
from gateway.task_secrets import TaskSecrets
from gateway.tenant_read import Tenant
from gateway.timelines import Seal
from gateway.traccar import Forwarded
from gateway.tracking_told import Tracking
from gateway.trip_files import Exported
from gateway.upcoming import UPCOMING
from schemas.fixes import FixBatch

type Json = dict[str, Any]

CLOUD_EVENT: Json = {
    "type": "object",
    "description": "CloudEvents 1.0 in JSON. Personal data in it are left out: `{subject}` stands in their place.",
    "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string"},
        "source": {"type": "string"},
        "type": {"type": "string"},
        "subject": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "recordedat": {"type": "string", "format": "date-time"},
        "aggregateversion": {"type": "integer"},
        "deviceid": {"type": "string", "description": "Of a device's report, where it said so."},
        "devicesequence": {"type": "integer", "description": "Its place in the order in which the device told."},
        "live": {"const": False, "description": "Of a test tenant; of others it is not there."},
        "data": {"type": "object"},
    },
}
PERMITTED: Json = {
    "allowed_commands": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Read one by one: what this caller may send now, as it stands behind `/v1/{tenant}/`.",
    },
    "forbidden_commands": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "required": ["rule"],
            "properties": {
                "rule": {
                    "enum": [
                        "forbidden",
                        "not-in-this-state",
                        "not-for-this-kind",
                        "nothing-to-change",
                        "goods-in-custody",
                    ]
                },
                "allowed": {"type": "array", "items": {"type": "string"}, "description": "The roles that may."},
                "needed": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "States, or kinds.",
                },
                "actual": {"type": "string"},
            },
        },
        "description": "Read one by one: the others, with the rule that forbids each.",
    },
}
INCIDENT_OPEN: Json = {
    "incident_open": {
        "type": "boolean",
        "description": "An incident links to it that is neither resolved nor sealed. It moves no `updated_at`.",
    }
}
HELD_UNTIL: Json = {
    "id": {"type": "string"},
    "valid_until": {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "Up to then it holds: another began, or the fence ended. Null: it has no end yet.",
    },
}
PERSONAL: Json = {
    "description": "The value in the clear; or `hidden` from this reader, or `erased` for ever.",
}
COUNTED_PROMISES: Json = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("sla_policy_id", "promise", "outlet", "kind", "priority")},
        **{
            name: {"type": "integer"}
            for name in ("promised", "kept", "late", "stopped", "open", "at_risk", "breached", "paused_s")
        },
        **{name: {"type": ["integer", "null"]} for name in ("mean_late_s", "longest_late_s")},
    },
}
"""Of one policy, promise, outlet, kind and priority; times in seconds."""


COUNTED_FORECASTS: Json = {
    "type": "object",
    "properties": {
        "group": {"type": "string"},
        **{name: {"type": "integer"} for name in ("forecasts", "arrivals")},
        **{
            name: {"type": "number", "description": "Seconds."}
            for name in ("mean_absolute_s", "median_absolute_s", "p90_absolute_s", "width_s")
        },
        "bias_s": {"type": "number", "description": "Seconds; above nothing they were told too late."},
        **{
            name: {"type": "number", "description": "The share of forecasts.", "minimum": 0, "maximum": 1}
            for name in ("by_p50", "by_p90", "in_band")
        },
    },
}
"""Of one group, such as of forecasts of 5 to 15 minutes before the arrival. Well told, one in two riders is there by
`p50` and nine in ten by `p90`, and eight in ten are between `p10` and `p90`."""
MILEAGE_OF_A_DAY: Json = {
    "type": "object",
    "required": ["day", "trips", "metres"],
    "properties": {
        "day": {"type": "string", "format": "date"},
        "rider_id": {"type": "string"},
        "vehicle_id": {"type": ["string", "null"], "description": "None of ours, or nobody knows which."},
        **{name: {"type": "integer"} for name in ("trips", "metres", "moving_s", "idle_s", "stops")},
        **{name: {"type": "string", "format": "date-time"} for name in ("first_started_at", "last_ended_at")},
    },
}
"""Of one rider or vehicle; seconds."""


def components() -> Json:
    commands = [known.cls for known in OPEN]
    rows = list({read.model.row for read in (*LISTINGS, *SINGLES)})
    rows.sort(key=lambda row: str(row.__name__))
    others = [
        CommandAnswer,
        TaskAnswer,
        TaskSecrets,
        ProblemBody,
        Tenant,
        Exported,
        FixBatch,
        FixesAnswer,
        FrameAnswer,
        Artefact,
        LinkAsked,
        LinkGiven,
        NewFrame,
        AddressAsked,
        AddressTold,
        DryRunAsked,
        DryRunTold,
        DeviceLinkAsked,
        PhoneMessage,
        Forwarded,
        Seal,
        Tracking,
        CommandBatch,
        BatchAnswer,
        CallbackAnswer,
        *callbacks.MESSAGES.values(),
        *carrier_callbacks.MESSAGES.values(),
    ]
    _, schemas = msgspec.json.schema_components([*commands, *rows, *others], ref_template=REF)
    for cls, names in CLOSED_FIELDS.items():
        for name in names:
            del schemas[cls.__name__]["properties"][name]
    for row in rows:
        as_shown(schemas[row.__name__])
    for single in SINGLES:
        schemas[single.model.row.__name__]["properties"] |= PERMITTED
    schemas["ExceptionRow"]["properties"] |= {
        "id": {"type": "string"},
        "mends": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Commands that this caller may send, as they stand behind `/v1/{tenant}/`.",
        },
        "about": {
            "type": ["object", "null"],
            "description": "What a task, an incident or an SLA policy is called, and how it stands.",
        },
    }
    schemas["RecurrenceRow"]["properties"] |= UPCOMING
    schemas["GeofenceVersionRow"]["properties"] |= HELD_UNTIL
    schemas["GeofenceRow"]["properties"] |= FENCE_NOW
    schemas["SlaPolicyRow"]["properties"] |= IN_FORCE
    for name in ("TaskRow", "TaskDetailRow"):
        schemas[name]["properties"] |= INCIDENT_OPEN
    schemas["TaskDetailRow"]["properties"] |= {
        "rider_id": {"type": ["string", "null"]},
        "carrier": {"anyOf": [{"$ref": REF.format(name="Carrier")}, {"type": "null"}]},
        "tender_id": {"type": ["string", "null"]},
        "round": {"type": "integer"},
        "accepted": {"type": "boolean"},
        "outcome": {"type": ["string", "null"]},
        "reason_code": {"type": ["string", "null"]},
    }
    schemas["EtaRow"]["properties"] |= {
        "id": {"type": "string"},
        "risk": {"enum": ["on_time", "at_risk", "late", None]},
    }
    for unshown in ("forecast_id", "ahead_since", "latest", "earliest"):
        del schemas["EtaRow"]["properties"][unshown]
    return schemas | {
        "Sealed": PERSONAL,
        "CloudEvent": CLOUD_EVENT,
        "EventPage": event_page(),
        "Ticket": {
            "type": "object",
            "required": ["ticket", "expires_in_s"],
            "properties": {"ticket": {"type": "string"}, "expires_in_s": {"type": "integer"}},
        },
        "TaskCounts": {
            "type": "object",
            "required": ["items"],
            "properties": {
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["state", "outcome", "late", "tasks"],
                        "properties": {
                            "state": {"type": "string"},
                            "outcome": {"type": "string", "description": "Empty while there is none."},
                            "late": {"type": "boolean"},
                            "tasks": {"type": "integer"},
                        },
                    },
                }
            },
        },
        "SlaStatistics": {
            "type": "object",
            "required": ["items"],
            "properties": {"items": {"type": "array", "items": COUNTED_PROMISES}},
        },
        "EtaStatistics": {
            "type": "object",
            "required": ["items"],
            "properties": {"items": {"type": "array", "items": COUNTED_FORECASTS}},
        },
        "Why": {
            "type": "object",
            "required": ["tenant", "task_id", "state", "told", "decisions", "tenders"],
            "properties": {
                "tenant": {"type": "string"},
                "task_id": {"type": "string"},
                "state": {"type": "string"},
                "rider_id": {"type": ["string", "null"]},
                "told": {"type": "array", "items": {"type": "string"}},
                "decisions": {"type": "array", "items": {"type": "object"}},
                "tenders": {"type": "array", "items": {"type": "object"}},
            },
        },
        "MileagePage": {
            "type": "object",
            "required": ["items"],
            "properties": {"items": {"type": "array", "items": MILEAGE_OF_A_DAY}, "next": {"type": "string"}},
        },
        "TrackingMatches": {
            "type": "object",
            "required": ["items"],
            "properties": {
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["task_id", "state", "outlet", "created_at"],
                        "properties": {
                            "task_id": {"type": "string"},
                            "state": {"enum": list(get_args(TaskState.__value__))},
                            "leg": {"type": ["string", "null"]},
                            "outcome": {"type": ["string", "null"]},
                            "outlet": {"type": "string"},
                            "created_at": {"type": "string", "format": "date-time"},
                            "ended_at": {"type": ["string", "null"], "format": "date-time"},
                        },
                    },
                }
            },
        },
        "Readiness": {
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": {"enum": ["ok", "not ready"]},
                "parts": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
    }


def as_shown(schema: Json) -> None:
    """A row without what answers leave out."""
    for name in UNSHOWN & schema["properties"].keys():
        del schema["properties"][name]
    schema["required"] = [name for name in schema["required"] if name not in UNSHOWN]


def event_page() -> Json:
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "items": {"$ref": REF.format(name="CloudEvent")}},
            "next": {"type": ["string", "integer"]},
        },
    }
