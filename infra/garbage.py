"""How often a process looks for garbage."""

import gc

SELDOM = (50_000, 20, 20)
"""Hardly anything of ours is in cycles, and what is imported stays: looking for garbage more often costs 5 %."""


def look_seldom() -> None:
    """From now on, and never at what there is already."""
    gc.freeze()
    gc.set_threshold(*SELDOM)
