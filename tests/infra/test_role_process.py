"""Several processes of one role, each with a name and a log of its own."""

from pathlib import Path

from infra.role_process import RoleProcess
from infra.settings import Settings


async def test_each_says_what_it_says_in_a_log_by_its_name_and_is_told_what_it_alone_is_to_know(tmp_path: Path):
    settings = Settings(data=tmp_path, kafka="127.0.0.1:1", osrm="http://127.0.0.1:1")
    named = [
        RoleProcess("shards", settings, tmp_path / "logs", name, {"LOGISTICS_PARTITIONS": wrong})
        for name, wrong in (("shards-1", "none"), ("shards-2", "many"))
    ]
    for process in named:
        await process.start()
        assert await process.child.wait() == 2, process.child.tail()
    said = [(tmp_path / "logs" / f"{name}.log").read_text() for name in ("shards-1", "shards-2")]
    assert ["LOGISTICS_PARTITIONS='none'" in said[0], "LOGISTICS_PARTITIONS='many'" in said[1]] == [True, True]
