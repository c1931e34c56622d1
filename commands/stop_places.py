"""What a task knows of where its stops are, folded from its events."""

from msgspec.structs import replace

from commands.task_state import CreatedTask
from schemas.geocoding import StopLocationSought, StopNeedsLocation
from schemas.task import StopLocated


def with_place(task: CreatedTask, event: StopLocated | StopLocationSought | StopNeedsLocation) -> CreatedTask:
    stop = task.stops[event.stop_id]
    match event:
        case StopLocated():
            place = replace(stop.stop, location=event.location, from_directory=False)
            stop = replace(stop, stop=place, sought_answered=True, seek_again=False)
            seek_at = event.seek_at
        case StopLocationSought():
            stop = replace(stop, sought=event.number, sought_answered=False, seek_again=False)
            seek_at = None
        case StopNeedsLocation():
            stop = replace(stop, sought_answered=True, seek_again=event.again)
            seek_at = event.seek_at
    return replace(task, seek_at=seek_at, stops={**task.stops, event.stop_id: stop})
