#!/usr/bin/env bash
# Makes the virtual environment. Sourced by the other scripts, or called: scripts/_setup.sh runtime|dev
# Works with the bash 3.2 of macOS. Everything it says goes to stderr.

set -u
unset PYTHONPATH PYTHONHOME

ROOT=$(CDPATH='' cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${MEDIAGEN_VENV:-.venv}
case $VENV in /*) ;; *) VENV=$ROOT/$VENV ;; esac

# What a Python must be able to do; answers "<version> <path>", or says what is missing and exits with 3 or 4.
PROBE='
import sys
version = ".".join(map(str, sys.version_info[:3]))
path = getattr(sys, "_base_executable", None) or sys.executable
if sys.version_info < (3, 11) or sys.version_info[3] != "final":
    print(version + " " + path); sys.exit(3)
try:
    import ensurepip, venv
except ImportError:
    print(version + " " + path); sys.exit(4)
print(version + " " + path)
'

probe() {
    # A file of that name may exist and still not run, as the shims of version managers do.
    "$1" -I -c "$PROBE" 2>/dev/null </dev/null
}

find_python() {
    local candidate found status old='' crippled='' asked=${PYTHON:-}
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        found=$(probe "$candidate")
        status=$?
        case $status in
            0) echo "${found#* }"; return 0 ;;
            3) old=${old:-$found} ;;
            4) crippled=${crippled:-$found} ;;
        esac
        if [ "$candidate" = "$asked" ]; then
            asked=''
            echo "PYTHON=$PYTHON cannot be used (it must run, be 3.11 or newer and have ensurepip); looking for another." >&2
        fi
    done
    if [ -n "$crippled" ]; then
        local version=${crippled%% *}
        echo "Python ${version} (${crippled#* }) cannot make virtual environments: its modules venv and ensurepip are missing." >&2
        echo "On Debian and Ubuntu: sudo apt install python${version%.*}-venv. Or set PYTHON to another Python 3.11 or newer." >&2
    else
        echo "No Python 3.11 or newer was found${old:+ (only ${old%% *} at ${old#* })}." >&2
        echo "Install one from https://www.python.org/downloads/, or set PYTHON to the path of one." >&2
    fi
    return 1
}

setup() {
    local kind=$1 asked='' python
    # An explicit PYTHON of another version than the folder's means: make it anew.
    if [ -n "${PYTHON:-}" ] && asked=$(probe "$PYTHON"); then asked=${asked%% *}; else asked=''; fi
    if [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -I -S "$ROOT/scripts/_setup.py" check "$kind" "$VENV" ${asked:+"$asked"}; then
        return 0
    fi
    python=$(find_python) || exit 3
    "$python" -I "$ROOT/scripts/_setup.py" install "$kind" "$VENV" ${asked:+"$asked"} || exit $?
}

# Runs a command without the credentials, proxies and settings of this shell; its HOME is an empty folder.
run_clean() (
    kept=("PATH=$VENV/bin:$PATH" NO_GCE_CHECK=true)
    for name in TMPDIR LANG LC_ALL LC_CTYPE TZ TERM COLUMNS CI NO_COLOR FORCE_COLOR PY_COLORS PYTEST_ADDOPTS \
        LD_LIBRARY_PATH DYLD_LIBRARY_PATH MEDIAGEN_TEST_POSTGRES_BIN; do
        if [ -n "${!name:-}" ]; then kept+=("$name=${!name}"); fi
    done
    home=$(mktemp -d) || exit 1
    trap 'rm -rf "$home"' EXIT
    env -i "HOME=$home" "${kept[@]}" "$@"
)

# Prints how many tests are run side by side: many wait for other processes, so more than there are cores.
side_by_side() {
    "$VENV/bin/python" -c 'import os; print(2 * (os.cpu_count() or 1))'
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    case ${1:-} in
        runtime | dev) setup "$1" ;;
        *) echo "usage: $0 runtime|dev" >&2; exit 2 ;;
    esac
fi
