"""What a window made of a task: in words."""

from collections.abc import Mapping

from gateway.why.candidates import EXCLUSIONS
from gateway.why.named import Row, clock, name

LEFT_BECAUSE = EXCLUSIONS | {
    "dearer_than_waiting": "somebody could take it, but for more than it counts to let it wait",
    "no_riders": "there is no rider",
    "on_hold": "it had been put on hold meanwhile",
    "window_too_large": "others had waited longer, and there was no room for more in one window",
    "not_decided": "deciding on the window failed",
}


def waiting_told(window: Row | None, task_id: str) -> list[str]:
    """Of a window that has not been decided on, if the task is in one."""
    if window is None:
        return []
    others = sum(each["task_id"] != task_id for each in window["tasks"])
    among = f"with {others} other task{'s' * (others != 1)}" if others else "alone"
    if window["status"] == "open":
        ends = clock(window["closes_at"])
        return [f"It waits {among} in window {window['window_id']}, which is decided on at {ends}."]
    return [f"It waits {among} in window {window['window_id']}, which is being decided on."]


def among_told(decision: Row) -> str:
    window = decision.get("in_window")
    if window is None:
        return ""
    tasks, riders = window["tasks"], window["riders"]
    return f", in a window of {tasks} task{'s' * (tasks != 1)} and {riders} rider{'s' * (riders != 1)}"


def window_told(decision: Row, called: Mapping[str, str]) -> list[str]:
    window = decision.get("in_window")
    if window is None:
        return []
    if (code := window["left_because"]) is not None:
        return [f"The window left it, because of {code}: {LEFT_BECAUSE[code]}."]
    ranked = sorted(decision["candidates"], key=lambda each: each["rank"])
    first, winner = ranked[0]["rider_id"], window["given_to"]
    if first == winner:
        return [f"The window gave it to {name(winner, called)}."]
    by_itself = f"although by itself it would go to {name(first, called)}"
    return [f"The window gave it to {name(winner, called)}, {by_itself}: so all that it gave adds up to less."]
