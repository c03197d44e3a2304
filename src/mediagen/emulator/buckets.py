"""Buckets and their objects, kept on disk under names of the emulator's own.

Source: https://docs.cloud.google.com/storage/docs/json_api/v1/objects (checked 2026-11-21)
"""

import base64
import hashlib
import importlib
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mediagen.emulator.answers import ApiError

Permission = Literal["read", "write", "delete", "list", "get_bucket"]
DEFAULT_LOCATION = "US-CENTRAL1"
PERMISSIONS: Mapping[Permission, str] = {
    "read": "storage.objects.get",
    "write": "storage.objects.create",
    "delete": "storage.objects.delete",
    "list": "storage.objects.list",
    "get_bucket": "storage.buckets.get",
}
CALLER = "somebody@emulated.iam.gserviceaccount.com"
MAX_NAME_BYTES = 1024
_READ_BYTES = 1_048_576
_PART = "part-"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredObject:
    """One object; checksums in base64, as Google shows them."""

    bucket: str
    name: str
    path: Path
    size_bytes: int
    content_type: str
    crc32c: str
    md5: str
    generation: int
    created_at: datetime
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """The ``gs://`` address."""
        return f"gs://{self.bucket}/{self.name}"


# looks at the object that is there, if any, and raises to refuse its replacement
Guard = Callable[[StoredObject | None], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What a bucket holds under a prefix, in the order of the names' UTF-8 bytes."""

    objects: tuple[StoredObject, ...]
    prefixes: tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class Bucket:
    """One bucket."""

    name: str
    location: str
    created_at: datetime
    objects: dict[str, StoredObject] = field(default_factory=dict)


def storage_error(status_code: int, message: str, reason: str, **more: str) -> ApiError:
    """Build a refusal in the shape of the Cloud Storage JSON API, which is older than google.rpc.Status.

    Source: https://docs.cloud.google.com/storage/docs/json_api/v1/status-codes (checked 2026-11-21)
    """
    entry = {"message": message, "domain": "global", "reason": reason, **more}
    return ApiError(status_code, {"error": {"code": status_code, "message": message, "errors": [entry]}})


def no_such_bucket() -> ApiError:
    """Build the refusal for a bucket that does not exist."""
    return storage_error(404, "The specified bucket does not exist.", "notFound")


def no_such_object(bucket: str, name: str) -> ApiError:
    """Build the refusal for an object that does not exist."""
    return storage_error(404, f"No such object: {bucket}/{name}", "notFound")


def forbidden(permission: Permission, caller: str = CALLER) -> ApiError:
    """Build the refusal of a caller who may not do that."""
    word = PERMISSIONS[permission]
    kind = "bucket" if permission == "get_bucket" else "object"
    return storage_error(
        403,
        f"{caller} does not have {word} access to the Google Cloud Storage {kind}. "
        f"Permission '{word}' denied on resource (or it may not exist).",
        "forbidden",
    )


class BucketShelf:
    """All buckets of one emulator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "buckets"
        self._buckets: dict[str, Bucket] = {}
        self._denied: dict[str, set[Permission]] = {}
        self._lock = threading.Lock()
        self._generation = 0

    def make(self, bucket: str, location: str = DEFAULT_LOCATION) -> Bucket:
        """Make a bucket, or give the one of that name."""
        with self._lock:
            made = Bucket(name=bucket, location=location.upper(), created_at=datetime.now(UTC))
            return self._buckets.setdefault(bucket, made)

    def has_bucket(self, bucket: str) -> bool:
        """Whether there is such a bucket."""
        return bucket in self._buckets

    def bucket(self, bucket: str) -> Bucket:
        """Find a bucket.

        Raises:
            ApiError: There is none of that name.
        """
        found = self._buckets.get(bucket)
        if found is None:
            raise no_such_bucket()
        return found

    def names(self) -> list[str]:
        """List the buckets by name."""
        return sorted(self._buckets)

    def new_path(self) -> Path:
        """Give an unused path on the shelf's own disk, where bytes can be collected before ``put`` adopts them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{_PART}{self._next_generation()}"

    def put(
        self,
        bucket: str,
        name: str,
        data: bytes | Path,
        content_type: str = "application/octet-stream",
        *,
        fields: Mapping[str, Any] | None = None,
        guard: Guard | None = None,
    ) -> StoredObject:
        """Store an object in place of any of that name; a file from ``new_path`` is adopted, any other copied.

        Args:
            bucket: Where to.
            name: Any text.
            data: The content.
            content_type: What to serve it as.
            fields: What else the resource shows.
            guard: Checks what is there; nobody comes between it and the change.

        Raises:
            ApiError: There is no such bucket, or the guard refuses.
        """
        place = self.bucket(bucket)
        generation = self._next_generation()
        crc32c, md5 = checksums(path := self._write(place.name, name, data, generation))
        stored = StoredObject(
            bucket=bucket,
            name=name,
            path=path,
            size_bytes=path.stat().st_size,
            content_type=content_type,
            crc32c=crc32c,
            md5=md5,
            generation=generation,
            created_at=datetime.now(UTC),
            fields=dict(fields or {}),
        )
        self._place(place, stored, guard)
        return stored

    def get(self, bucket: str, name: str) -> StoredObject | None:
        """Find an object; None when there is none, or no such bucket."""
        place = self._buckets.get(bucket)
        return place.objects.get(name) if place else None

    def delete(self, bucket: str, name: str) -> bool:
        """Remove an object; False when there was none."""
        place = self._buckets.get(bucket)
        stored = place.objects.pop(name, None) if place else None
        if stored is None:
            return False
        stored.path.unlink(missing_ok=True)
        return True

    def remove(self, bucket: str) -> None:
        """Remove a bucket with all its objects, if there is one."""
        place = self._buckets.pop(bucket, None)
        for stored in place.objects.values() if place else ():
            stored.path.unlink(missing_ok=True)

    def list(self, bucket: str, prefix: str = "", delimiter: str = "") -> Listing:
        """List what lies under a prefix; with a delimiter, deeper names are gathered into prefixes.

        Raises:
            ApiError: There is no such bucket.
        """
        objects: list_[StoredObject] = []
        prefixes: set[str] = set()
        for name, stored in sorted(self.bucket(bucket).objects.items(), key=lambda pair: pair[0].encode()):
            if not name.startswith(prefix):
                continue
            head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            if found:
                prefixes.add(prefix + head + delimiter)
            else:
                objects.append(stored)
        return Listing(objects=tuple(objects), prefixes=tuple(sorted(prefixes, key=str.encode)))

    def deny(self, bucket: str, *permissions: Permission) -> None:
        """Take permissions on a bucket away; without any named, all of them."""
        self._denied.setdefault(bucket, set()).update(permissions or PERMISSIONS)

    def denied(self, bucket: str) -> frozenset[Permission]:
        """Give the permissions that were taken away."""
        return frozenset(self._denied.get(bucket, ()))

    def check(self, bucket: str, permission: Permission, caller: str = CALLER) -> None:
        """Refuse what the caller may not do.

        Raises:
            ApiError: The permission was taken away.
        """
        if permission in self._denied.get(bucket, ()):
            raise forbidden(permission, caller)

    def clear(self) -> None:
        """Remove all buckets, objects and denials."""
        self._buckets = {}
        self._denied = {}
        shutil.rmtree(self.folder, ignore_errors=True)

    def _place(self, bucket: Bucket, stored: StoredObject, guard: Guard | None) -> None:
        try:
            with self._lock:
                replaced = bucket.objects.get(stored.name)
                if guard is not None:
                    guard(replaced)
                bucket.objects[stored.name] = stored
        except ApiError:
            stored.path.unlink(missing_ok=True)
            raise
        if replaced is not None:
            replaced.path.unlink(missing_ok=True)

    def _next_generation(self) -> int:
        with self._lock:
            # Google's generations are microseconds, and never the same twice
            self._generation = max(self._generation + 1, time.time_ns() // 1000)
            return self._generation

    def _write(self, bucket: str, name: str, data: bytes | Path, generation: int) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(f"{bucket}/{name}".encode()).hexdigest()[:32]
        path = self.folder / f"{digest}-{generation}"
        if isinstance(data, bytes):
            path.write_bytes(data)
        elif data.parent == self.folder and data.name.startswith(_PART):
            data.rename(path)
        else:
            shutil.copyfile(data, path)
        return path


list_ = list  # the class has a method of that name


def checksums(path: Path) -> tuple[str, str]:
    """Give the CRC32C and the MD5 of a file in base64, without reading it whole."""
    # loaded when first used; without annotations of its own
    crc32c = importlib.import_module("google_crc32c").Checksum()
    md5 = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_READ_BYTES):
            crc32c.update(chunk)
            md5.update(chunk)
    return base64.b64encode(crc32c.digest()).decode(), base64.b64encode(md5.digest()).decode()
