"""Which kinds of tasks there are, and how pressing one is."""

from typing import Literal

TaskKind = Literal["delivery", "pickup", "transfer", "return", "collection"]
Priority = Literal["low", "normal", "high", "urgent"]
