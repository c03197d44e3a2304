"""Finds Application Default Credentials; looks at variables and files only.

Source: https://cloud.google.com/docs/authentication/application-default-credentials (checked 2026-11-21)
Source: https://pypi.org/project/google-auth/2.62.2/, google/auth/_cloud_sdk.py (checked 2026-11-21)
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from mediagen.credentials.credential import Credential

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
METADATA_VARIABLE = "GCE_METADATA_HOST"
QUOTA_VARIABLE = "GOOGLE_CLOUD_QUOTA_PROJECT"
GCLOUD_SOURCE = "gcloud auth application-default login"
_WELL_KNOWN_NAME = "application_default_credentials.json"
_UNEXPANDED = re.compile(r"\$\{[^}]*\}")


def find_adc(environment: Mapping[str, str], *, use_metadata_server: bool = False) -> Credential | None:
    """Find Application Default Credentials in Google's order.

    A file that a variable names is returned even when it does not exist, so that its use fails with the name of the
    variable instead of another account taking its place.

    Args:
        environment: Variables of the process.
        use_metadata_server: Whether the metadata server may be asked; also true when GCE_METADATA_HOST is set.

    Returns:
        The credential, or None when there is none.
    """
    quota_project = _value(environment, QUOTA_VARIABLE)
    if (named := _value(environment, VARIABLE)) is not None:
        return Credential(kind="adc", source=VARIABLE, file=_expanded(named), quota_project=quota_project)
    well_known = gcloud_folder(environment, windows=os.name == "nt") / _WELL_KNOWN_NAME
    if _is_file(well_known):
        return Credential(kind="adc", source=GCLOUD_SOURCE, file=well_known, quota_project=quota_project)
    if _value(environment, METADATA_VARIABLE) is not None:
        source = METADATA_VARIABLE
    elif use_metadata_server:
        source = "the metadata server"
    else:
        return None
    return Credential(kind="adc", source=source, use_metadata_server=True, quota_project=quota_project)


def gcloud_folder(environment: Mapping[str, str], *, windows: bool) -> Path:
    """Folder of gcloud's own settings."""
    if (folder := _value(environment, "CLOUDSDK_CONFIG")) is not None:
        return _expanded(folder)
    if windows:
        return Path(_value(environment, "APPDATA") or environment.get("SystemDrive", "C:") + "\\") / "gcloud"
    home = _value(environment, "HOME")
    return (Path(home) if home is not None else _expanded("~")) / ".config" / "gcloud"


def _value(environment: Mapping[str, str], name: str) -> str | None:
    value = environment.get(name, "").strip()
    return None if not value or _UNEXPANDED.fullmatch(value) else value


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no home folder
        return Path(path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
