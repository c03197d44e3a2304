"""Make or check the virtual environment of this repository; standard library only.

Usage: _setup.py check|install runtime|dev VENV [PYTHON_VERSION]

`check` answers with its exit code alone and needs no network. `install` does what is missing. An environment whose
installation was cut short, or whose lock has changed, is made anew; a repository that was moved gets a new one too,
because the paths of the old place are written into it.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
STATE = ".mediagen-setup.json"
LOCK = ".mediagen-setup.lock"
# They would change where or what pip installs. Those that name an index, a proxy or a certificate stay.
UNWANTED_VARIABLES = (
    *(
        "PIP_CONSTRAINT",
        "PIP_DRY_RUN",
        "PIP_EDITABLE",
        "PIP_IGNORE_INSTALLED",
        "PIP_NO_DEPS",
        "PIP_PREFIX",
        "PIP_PYTHON",
    ),
    *("PIP_REPORT", "PIP_REQUIRE_HASHES", "PIP_REQUIREMENT", "PIP_ROOT", "PIP_TARGET", "PIP_UPGRADE"),
)
SIGNS_OF_NO_NETWORK = (
    "connection broken by",
    "Max retries exceeded",
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
)
PROBE = "import pip, sys; print('.'.join(map(str, sys.version_info[:3]))); print(sys.prefix)"


class SetupError(Exception):
    """Setting up is not possible; the message says what to do."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def lock_of(kind: str) -> Path:
    return ROOT / "requirements" / f"{kind}.txt"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_state(venv: Path) -> dict[str, str] | None:
    try:
        state = json.loads((venv / STATE).read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(venv: Path, state: dict[str, str]) -> None:
    draft = venv / f"{STATE}.{os.getpid()}"
    draft.write_text(json.dumps(state, indent=2) + "\n")
    draft.replace(venv / STATE)


def restore_state(venv: Path, state: dict[str, str] | None) -> None:
    if state is None:
        (venv / STATE).unlink()
    else:
        write_state(venv, state)


def finished_state(kind: str, venv: Path) -> dict[str, str]:
    project = sha256(ROOT / "pyproject.toml")
    return {"root": str(ROOT), "venv": str(venv), "kind": kind, "lock": sha256(lock_of(kind)), "project": project}


def has_packages(state: dict[str, str] | None, kind: str, venv: Path) -> bool:
    """Whether the packages of `kind` are all there; dev contains everything of runtime."""
    if not state or state.get("kind") not in ("dev", kind):
        return False
    return {**finished_state(state["kind"], venv), "project": ""} == {**state, "project": ""}


def is_finished(kind: str, venv: Path) -> bool:
    """Whether the packages of `kind` and the project itself are there."""
    state = read_state(venv)
    return state is not None and has_packages(state, kind, venv) and state == finished_state(state["kind"], venv)


def is_ready(kind: str, venv: Path, version: str | None) -> bool:
    """Whether nothing is left to do. Runs under the Python of the environment itself."""
    if version and version != ".".join(map(str, sys.version_info[:3])):
        return False
    return is_finished(kind, venv)


def works(venv: Path, version: str | None) -> bool:
    """Whether the folder holds an environment with a Python that runs, of the wanted version, and pip."""
    try:
        answer = subprocess.run([venv / "bin/python", "-I", "-c", PROBE], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    found, prefix = answer.stdout.splitlines()[:2]
    is_recent = tuple(map(int, found.split("."))) >= OLDEST_PYTHON
    return is_recent and version in (None, found) and Path(prefix).resolve() == venv.resolve()


def is_reusable(venv: Path, version: str | None) -> bool:
    """Whether packages may be installed into the folder as it is."""
    state = read_state(venv)
    # No state at all: someone made the environment by hand. An unfinished one has a state without a kind.
    if state is not None and ("kind" not in state or not has_packages(state, state["kind"], venv)):
        return False
    return works(venv, version)


def contents(venv: Path) -> list[Path]:
    return [entry for entry in venv.iterdir() if entry.name not in (LOCK, STATE)] if venv.exists() else []


def check_folder(venv: Path, *, adoptable: bool) -> None:
    """Refuse a folder that may hold something else than an environment of this repository.

    Raises:
        SetupError: It does.
    """
    is_ours = (venv / STATE).exists() or (venv.parent == ROOT and venv.name.startswith(".venv"))
    if contents(venv) and not is_ours and not (adoptable and (venv / "pyvenv.cfg").exists()):
        raise SetupError("It holds something else. Set MEDIAGEN_VENV to a folder that is empty or does not exist.")


def clear(venv: Path) -> None:
    check_folder(venv, adoptable=False)
    write_state(venv, {})
    for entry in contents(venv):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def pip_environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in UNWANTED_VARIABLES}
    environment |= {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if not environment.get("HOME"):
        environment["PIP_NO_CACHE_DIR"] = "1"  # the cache would land in the root folder
    return environment


def run(command: list[str | Path], lock: int) -> str:
    """Run one step; children keep the lock, so that one that outlives this process is waited for.

    Raises:
        SetupError: It failed; carries its output.
    """
    answer = subprocess.run(
        command,
        cwd=ROOT,
        env=pip_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),
        check=False,
    )
    if answer.returncode:
        raise SetupError(answer.stdout)
    return answer.stdout


def explain(output: str) -> str:
    if any(sign in output for sign in SIGNS_OF_NO_NETWORK):
        lines = [line for line in output.splitlines() if any(sign in line for sign in SIGNS_OF_NO_NETWORK)]
        return (
            f"The packages could not be downloaded: the package index does not answer.\n  {lines[-1].strip()[:300]}\n"
            "Setting up needs the network once; later runs download nothing. Check the connection, or what pip is\n"
            "told by PIP_INDEX_URL, HTTPS_PROXY and the like, and run the same command again."
        )
    return "\n".join(output.rstrip().splitlines()[-25:])


def install_packages(kind: str, venv: Path, lock: int) -> None:
    previous = read_state(venv)
    write_state(venv, {})
    pip: list[str | Path] = [venv / "bin/python", "-I", "-m", "pip", "install", "--progress-bar", "off"]
    try:
        if not has_packages(previous, kind, venv):
            say(f"  installing what requirements/{kind}.txt lists; this takes a minute or so")
            run([*pip, "--require-hashes", "-r", lock_of(kind)], lock)
        run([*pip, "--no-deps", "--no-build-isolation", "-e", ROOT], lock)
    except SetupError as error:
        # pip downloads and builds before it changes anything, so what worked before still does.
        if "Installing collected packages" not in str(error):
            restore_state(venv, previous)
        raise
    write_state(venv, finished_state("dev" if has_packages(previous, "dev", venv) else kind, venv))


def install(kind: str, venv: Path, version: str | None) -> None:
    started = time.monotonic()
    check_folder(venv, adoptable=True)
    venv.mkdir(parents=True, exist_ok=True)
    with (venv / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another process is setting up {venv}; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        reusable = is_reusable(venv, version)
        if reusable and is_finished(kind, venv):
            return  # the other process did it
        say(f"Setting up {venv}")
        if not reusable:
            clear(venv)
            run([sys.executable, "-I", "-m", "venv", venv], file.fileno())
        install_packages(kind, venv, file.fileno())
    say(f"  ready after {time.monotonic() - started:.0f} s")


def main(arguments: list[str]) -> int:
    action, kind, folder = arguments[:3]
    version = arguments[3] if len(arguments) > 3 else None
    venv = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow a linked environment
    if action == "check":
        return 0 if is_ready(kind, venv, version) else 1
    try:
        install(kind, venv, version)
    except SetupError as error:
        say(f"\nSetting up {venv} failed.\n{explain(str(error))}")
        return 3
    except OSError as error:
        say(f"\nSetting up {venv} failed: {error}.")
        return 3
    except KeyboardInterrupt:
        say("\nInterrupted; the next run starts over.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
