"""Addresses in Cloud Storage, and what Google says about them, in our words. Pure: imports nothing heavy."""

import re
from dataclasses import dataclass
from typing import Final

from mediagen.errors import InvalidRequestError

__all__ = [
    "READ_ROLE",
    "SERVICE_AGENT",
    "WRITE_ROLE",
    "FolderObject",
    "default_bucket",
    "missing_bucket_hint",
    "object_uri",
    "parse_gs_object",
    "parse_gs_uri",
    "region_hint",
    "role_hint",
]

SCHEME: Final = "gs://"
MAX_OBJECT_BYTES: Final = 1024
MAX_DOTTED_BUCKET: Final = 222

# Source: https://cloud.google.com/storage/docs/access-control/iam-roles (checked 2026-11-21)
WRITE_ROLE: Final = "roles/storage.objectUser"
READ_ROLE: Final = "roles/storage.objectViewer"
# Source: https://cloud.google.com/iam/docs/service-agents (checked 2026-11-21)
SERVICE_AGENT: Final = (
    "the Vertex AI service agent service-PROJECT_NUMBER@gcp-sa-aiplatform.iam.gserviceaccount.com (Vertex AI itself "
    "reads and writes as that account)"
)

# Source: https://cloud.google.com/storage/docs/buckets#naming (checked 2026-11-21)
_BUCKET_PART = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_READS = frozenset({"storage.objects.get", "storage.objects.list", "storage.buckets.get"})

_ACCOUNT = re.compile(r"\b[\w.+-]{1,100}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderObject:
    """An object in a folder of a bucket."""

    uri: str
    size_bytes: int
    content_type: str | None


def parse_gs_uri(uri: str, field: str) -> tuple[str, str]:
    """Split ``gs://bucket/object``.

    Args:
        uri: The address; taken as it is, so that spaces, ``%``, ``#`` and emoji belong to the object's name.
        field: Argument that it came from, for the message.

    Returns:
        Bucket and object; the object is empty when only a bucket is named, and ends in ``/`` for a folder.

    Raises:
        InvalidRequestError: It is no such address; names the field.
    """
    bucket, _, name = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME):
        raise _bad_uri(uri, field, "it does not start with gs://")
    if trouble := _bucket_trouble(bucket) or _object_trouble(name):
        raise _bad_uri(uri, field, trouble)
    return bucket, name


def parse_gs_object(uri: str, field: str) -> tuple[str, str]:
    """Split the address of one object, as `parse_gs_uri` does.

    Raises:
        InvalidRequestError: It is no such address, or names a bucket or a folder.
    """
    bucket, name = parse_gs_uri(uri, field)
    if not name or name.endswith("/"):
        raise _bad_uri(uri, field, "it names a bucket or a folder, not an object in it")
    return bucket, name


def object_uri(prefix: str, name: str) -> str:
    """Join a bucket or folder, with or without a slash at its end, and a file name."""
    return f"{prefix.removesuffix('/')}/{name}"


def default_bucket(project: str) -> str:
    """Name of the bucket that is used when none is configured."""
    return f"{project}-media-output"


def missing_bucket_hint(bucket: str, *, project: str | None = None, location: str | None = None) -> str:
    """Say how the bucket is created, and which name is used when none is configured."""
    place = location if location and location != "global" else "us-central1"
    owner = f" --project={project}" if project else ""
    hint = f"Create it: gcloud storage buckets create gs://{bucket} --location={place}{owner}"
    if project and bucket != default_bucket(project):
        return f"{hint}; or check the name: the usual one for this project is {default_bucket(project)}."
    return f"{hint}; or check the name."


def role_hint(bucket: str, *, permission: str, identity: str) -> str:
    """Say which role to grant to whom.

    Args:
        bucket: Its name.
        permission: The one that is missing, such as ``storage.objects.get``; may be empty.
        identity: Who was refused.
    """
    role = READ_ROLE if permission in _READS else WRITE_ROLE
    member = f"{_member(identity)}:{identity}" if _ACCOUNT.fullmatch(identity) else "ACCOUNT"
    return (
        f"Grant {role} on the bucket to {identity}: gcloud storage buckets add-iam-policy-binding gs://{bucket} "
        f"--member={member} --role={role}"
    )


def region_hint(bucket: str, bucket_location: str | None, location: str | None) -> str:
    """Warn when a bucket is far from where jobs run; empty when all is well or cannot be told."""
    if not bucket_location or not location:
        return ""
    place, wanted = bucket_location.lower(), location.lower()
    # Dual-region codes such as NAM4 have no dash, and do not tell their regions.
    if "-" not in place or "-" not in wanted or place == wanted:
        return ""
    return (
        f"The bucket gs://{bucket} is in {place} while jobs run in {wanted}; when Google refuses it, use a bucket in "
        f"{wanted}."
    )


def _member(identity: str) -> str:
    return "serviceAccount" if identity.endswith(".gserviceaccount.com") else "user"


def _bucket_trouble(bucket: str) -> str:
    if not bucket:
        return "it names no bucket"
    parts = bucket.split(".")
    longest = MAX_DOTTED_BUCKET if len(parts) > 1 else 63
    if not 3 <= len(bucket) <= longest or not all(_BUCKET_PART.fullmatch(part) for part in parts):
        return "the name of a bucket is 3 to 63 lowercase letters, digits, '-', '_' and '.', no sign at its ends"
    return ""


def _object_trouble(name: str) -> str:
    if _CONTROL.search(name):
        return "the name of the object has control characters"
    # An object named '..' would be taken for a step up in the address, and so for the bucket itself.
    if {".", ".."} & set(name.split("/")):
        return "'.' and '..' cannot be part of the name of an object"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "the name of the object is no valid text"
    return f"the name of an object has at most {MAX_OBJECT_BYTES} bytes" if size > MAX_OBJECT_BYTES else ""


def _bad_uri(uri: str, field: str, trouble: str) -> InvalidRequestError:
    # What stands before an @ may be a password that somebody took along from another address.
    shown = re.sub(r"//[^/]*@", "//", uri if len(uri) <= 200 else f"{uri[:199]}…")
    return InvalidRequestError(
        f"{field}={shown!r} cannot be used: {trouble}.",
        field=field,
        hint="It looks like gs://my-bucket/folder/film.mp4.",
    )
