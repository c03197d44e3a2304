"""Runs an emulator in a thread, for tests and demonstrations in one process."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mediagen.emulator.answers import ApiError
from mediagen.emulator.app import create_app
from mediagen.emulator.buckets import DEFAULT_LOCATION, Permission
from mediagen.emulator.buckets_json import object_json
from mediagen.emulator.identities import new_service_account, new_user
from mediagen.emulator.server import EmulatorServer, listen
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.world import World
from mediagen.errors import ConfigurationError

START_SECONDS = 20.0
STOP_SECONDS = 20.0


class EmulatorHandle:
    """A running emulator.

    Attributes:
        url: Its base URL, without a slash at the end.
    """

    def __init__(self, url: str, world: World) -> None:
        self.url = url
        self._world = world

    @property
    def token_uri(self) -> str:
        """The address of the OAuth token endpoint."""
        return f"{self.url}/token"

    def bill(self) -> dict[str, Any]:
        """Give what the calls so far would have cost, as GET /emulator/bill does."""
        return self._world.bill.as_json()

    def requests(self) -> list[dict[str, Any]]:
        """Give the requests so far, as GET /emulator/requests does."""
        return self._world.traffic.as_json()

    def files(self) -> list[dict[str, Any]]:
        """Give the produced files and pictures, as GET /emulator/files does."""
        return self._world.files.served()

    def make_bucket(self, name: str, *, location: str = DEFAULT_LOCATION) -> None:
        """Make a bucket."""
        self._world.buckets.make(name, location)

    def deny_bucket(self, name: str, *permissions: Permission) -> None:
        """Take permissions on a bucket away from everybody; without any named, all of them."""
        self._world.buckets.deny(name, *permissions)

    def put_object(self, bucket: str, name: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        """Put an object into a bucket, which is made when there is none."""
        self._world.buckets.make(bucket)
        self._world.buckets.put(bucket, name, data, content_type)

    def objects(self, bucket: str) -> list[dict[str, Any]]:
        """Give the objects of a bucket in the order of their names, as the JSON API shows them; none without bucket."""
        if not self._world.buckets.has_bucket(bucket):
            return []
        return [object_json(stored, f"{self.url}/") for stored in self._world.buckets.list(bucket).objects]

    def object_bytes(self, bucket: str, name: str) -> bytes:
        """Give the bytes of an object.

        Raises:
            ConfigurationError: There is none.
        """
        stored = self._world.buckets.get(bucket, name)
        if stored is None:
            raise ConfigurationError(f"The emulator has no object {name!r} in the bucket {bucket!r}.")
        return stored.path.read_bytes()

    def service_account_file(self, path: Path, project_id: str = "test-project") -> Path:
        """Write the file of a fresh service account, whose tokens come from this emulator."""
        info, public_key = new_service_account(project_id, self.token_uri)
        self._world.call(lambda: self._world.identities.add_account(info, public_key))
        return _write_private(path, info)

    def user_credentials_file(self, path: Path, quota_project: str | None = None) -> Path:
        """Write the file that gcloud writes for a user.

        google-auth asks Google itself for a user's tokens, whatever ``token_uri`` says: ``with_token_uri`` helps.
        """
        info = new_user(self.token_uri, quota_project)
        self._world.call(lambda: self._world.identities.add_user(info))
        return _write_private(path, info)

    def reset(self) -> None:
        """Forget everything: files, interactions, faults, the bill; not who may call."""
        self._world.call(self._world.reset)

    def age_files(self, seconds: float) -> None:
        """Make the files of the Files API older, uploaded and produced ones; they expire after 48 hours."""
        self._world.call(lambda: self._world.files.age(seconds))

    def age(self, seconds: float) -> None:
        """Let time pass for files and interactions, as POST /emulator/age does."""
        self._world.call(lambda: self._world.age(seconds))

    def add_fault(self, **script: Any) -> None:
        """Script a fault, as POST /emulator/faults does: ``fault=…, times=…, match=…`` and its parameters.

        Raises:
            ConfigurationError: The script is not understood.
        """
        try:
            self._world.faults.add(script)
        except ApiError as error:
            raise ConfigurationError(error.body["error"]["message"]) from error


def _write_private(path: Path, info: dict[str, Any]) -> Path:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(json.dumps(info), encoding="utf-8")
    return path


@contextmanager
def running_emulator(settings: EmulatorSettings | None = None) -> Iterator[EmulatorHandle]:
    """Run an emulator in a thread for as long as the context is open.

    Raises:
        ConfigurationError: It does not start.
    """
    settings = settings or EmulatorSettings()
    started = threading.Event()
    listener, url = listen(settings)
    with listener:
        app = create_app(settings)
        server = EmulatorServer(app, settings, started.set)
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]), name="mediagen-emulator", daemon=True)
        thread.start()
        try:
            if not started.wait(START_SECONDS):
                raise ConfigurationError("The emulator did not start.")
            yield EmulatorHandle(url, app.state.world)
        finally:
            server.should_exit = True
            thread.join(STOP_SECONDS)
