"""Makes `.venv` from the locks. Runs before anything is installed, so it needs nothing but Python 3.13 itself.

    python3.13 infra/environment.py runtime     what the system needs
    python3.13 infra/environment.py tests       and what checks it
    python3.13 infra/environment.py plots       and what draws figures for docs

Each lock that stands installed has a stamp with its SHA-256 beside it, so an interrupted run goes on where it was
and the next one has nothing to do and needs no network.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = {
    "runtime": (
        ("requirements.lock", "packages it runs on", ()),
        ("requirements-city.lock", "demo city", ("--no-deps",)),
    ),
    "tests": (("requirements-dev.lock", "packages that check it", ()),),
    "plots": (("requirements-plots.lock", "packages that draw", ()),),
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
"""Any of them plays the dispatcher in the tests."""

STAGE_FAILED = 1
WRONG_USE = 2


class StageFailed(Exception):
    """Says which stage, what was said and what to do."""


def main(wanted: list[str]) -> int:
    if len(wanted) != 1 or wanted[0] not in LOCKS:
        print(f"usage: environment.py {'|'.join(LOCKS)}", file=sys.stderr)
        return WRONG_USE
    try:
        environment()
        for lock, title, flags in LOCKS[wanted[0]]:
            installed(ROOT / lock, title, flags)
        project()
        if wanted[0] == "tests":
            browser()
        (VENV / f".{wanted[0]}").touch()
    except StageFailed as failed:
        print(failed, file=sys.stderr)
        return STAGE_FAILED
    return 0


def environment() -> None:
    """A `.venv` of this Python with a pip that works; anything less is made anew."""
    if PYTHON.exists() and answers("import sys, pip; raise SystemExit(sys.version_info[:2] != (3, 13))"):
        return
    started = time.monotonic()
    try:
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=True).create(VENV)
    except (OSError, subprocess.CalledProcessError) as failed:
        raise StageFailed(
            f"Python environment: {failed}\n  On Debian and Ubuntu it needs: apt-get install python3.13-venv"
        ) from failed
    told("Python environment", started)


def installed(lock: Path, title: str, flags: tuple[str, ...]) -> None:
    stamp = VENV / f"{lock.name}.sha256"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    before, started = size_bytes(), time.monotonic()
    pip(title, "--require-hashes", "--only-binary=:all:", "-r", str(lock), *flags)
    stamp.write_text(digest)
    told(title, started, size_bytes() - before)


def project() -> None:
    """The project itself, in place: its folders are imported where they stand."""
    stamp = VENV / "pyproject.sha256"
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    started = time.monotonic()
    pip("Logistics itself", "--no-deps", "--no-index", "--no-build-isolation", "-e", str(ROOT))
    stamp.write_text(digest)
    told("Logistics itself", started)


def browser() -> None:
    """Chromium by the system's packages, where there is none and we may. Without it its tests say why they skip."""
    if any(map(shutil.which, BROWSERS)):
        return
    if os.geteuid() or not shutil.which("apt-get"):
        print("  No Chromium here: the console's tests in a browser are skipped (apt-get install chromium)", flush=True)
        return
    started = time.monotonic()
    apt("update")
    said = apt("install", "-y", "--no-install-recommends", "chromium")
    if not any(map(shutil.which, BROWSERS)):
        print(f"  Chromium did not come, its tests are skipped: {said}", flush=True)
        return
    told("Chromium", started)


def apt(*arguments: str) -> str:
    """The last of what it said against it."""
    quietly = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-qq", *arguments]
    done = subprocess.run(
        command, env=quietly, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    return done.stderr.strip()[-300:]


def pip(title: str, *arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise StageFailed(
            f"{title}: pip ended with {done.returncode}\n{done.stderr.strip()}\n"
            "  Check that the package index can be reached (PIP_INDEX_URL, HTTPS_PROXY, PIP_CERT) and start again: "
            "what has come is kept."
        )


def answers(code: str) -> bool:
    return subprocess.run([str(PYTHON), "-c", code], capture_output=True, check=False).returncode == 0


def size_bytes() -> int:
    return sum(file.lstat().st_size for file in (VENV / "lib").rglob("*") if file.is_file())


def told(title: str, started: float, size: int = 0) -> None:
    megabytes = f"{size / 1e6:6.0f} MB" if size else " " * 9
    print(f"  {title:<28}{megabytes} {time.monotonic() - started:6.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
