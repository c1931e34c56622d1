"""What the roles count, and where they tell it."""

import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from infra.embedded.ports import free_port
from infra.roles import ROLES
from infra.serve import tell_metrics
from infra.settings import Settings, WrongSetting
from infra.up import metrics_ports

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
MODULES = {role: f"infra.role_{role}" for role in ROLES} | {"demo": "infra.demo.role"}
COUNTED = """
import importlib, sys
importlib.import_module(sys.argv[1])
from prometheus_client import REGISTRY
print(*sorted(f"{m.name}_total" if m.type == "counter" else m.name for m in REGISTRY.collect() if m.name.startswith("logistics")))
"""


@pytest.mark.parametrize("role", ROLES)
def test_the_page_names_every_metric_of_each_role(role: str):
    rows = re.findall(r"^\| ([\w, ]+) \| `(logistics_\w+)` \|", PAGE.read_text(), re.MULTILINE)
    told = sorted(name for roles, name in rows if role in roles.split(", "))
    asked = [sys.executable, "-c", COUNTED, MODULES[role]]
    assert told == subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()


def test_a_role_tells_its_metrics_where_it_is_set():
    port = free_port()
    tell_metrics(Settings(metrics_port=port))
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert b"process_cpu_seconds_total" in answer.read()


def test_a_port_that_is_taken_is_told_by_its_setting():
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(WrongSetting, match="LOGISTICS_METRICS_PORT"):
        tell_metrics(Settings(metrics_port=other.getsockname()[1]))


def test_under_up_each_role_has_a_port_of_its_own():
    roles = ("gateway", "projector", "processes", "streams")
    assert metrics_ports(Settings(metrics_port=9_464), roles) == [0, 9_464, 9_465, 9_466]
    assert metrics_ports(Settings(), roles) == [0, 0, 0, 0]
