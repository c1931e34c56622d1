#!/bin/sh
# Prints a Python 3.13 that really runs (a version manager's shim may stand on PATH and refuse), or says how to get one.
fits() {
    [ -n "$1" ] && "$1" -c 'import sys; raise SystemExit(sys.version_info[:2] != (3, 13))' >/dev/null 2>&1
}

for candidate in "$PYTHON" python3.13 python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python \
    "$(command -v uv >/dev/null && uv python find 3.13 2>/dev/null)"; do
    if fits "$candidate"; then
        echo "$candidate"
        exit 0
    fi
done

cat >&2 <<'EOT'
Python 3.13 is needed and was not found. Any one of these brings it:
    apt-get install python3.13 python3.13-venv     (Debian 13, Ubuntu 25.04 and later)
    uv python install 3.13
    pyenv install 3.13
or say where it is: make PYTHON=/path/to/python3.13 run
EOT
exit 2
