"""Who is answerable for what went wrong or took too long."""

from typing import Literal

AtFault = Literal["sender", "rider", "carrier", "recipient", "system"]
