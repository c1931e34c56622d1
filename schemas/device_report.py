"""What a device tells of what has happened, and by which it is put in order: its time, and its own count."""

from schemas.message import Command, Count, Id, Moment


class DeviceReport(Command, frozen=True, kw_only=True):
    """`observed_at` is the device's claim. `device_sequence` counts what `device_id` has told, in the order in which it
    did: clocks are set back, and what waited for the network comes in any order."""

    observed_at: Moment
    device_id: Id | None = None
    device_sequence: Count | None = None
