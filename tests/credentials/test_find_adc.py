import subprocess
import sys
from pathlib import Path

import pytest

from mediagen.credentials import find_adc
from mediagen.credentials.adc import gcloud_folder

NAME = "application_default_credentials.json"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a gcloud login."""
    folder = tmp_path / "home 🏠" / ".config" / "gcloud"
    folder.mkdir(parents=True)
    (folder / NAME).write_text("{}")
    return tmp_path / "home 🏠"


def test_named_file_comes_before_the_login(home: Path) -> None:
    found = find_adc({"GOOGLE_APPLICATION_CREDENTIALS": " /keys/🔑.json ", "HOME": str(home)})
    assert found is not None
    assert (found.kind, found.source, found.file) == (
        "adc",
        "GOOGLE_APPLICATION_CREDENTIALS",
        Path("/keys/🔑.json"),
    )


@pytest.mark.parametrize("value", ["", "  ", "${GOOGLE_APPLICATION_CREDENTIALS}"])
def test_unset_variable_leaves_the_login(value: str, home: Path) -> None:
    found = find_adc({"GOOGLE_APPLICATION_CREDENTIALS": value, "HOME": str(home)})
    assert found is not None
    assert found.file == home / ".config" / "gcloud" / NAME
    assert found.source == "gcloud auth application-default login"


def test_cloudsdk_config_moves_the_login(tmp_path: Path, home: Path) -> None:
    assert find_adc({"CLOUDSDK_CONFIG": str(tmp_path), "HOME": str(home)}) is None
    (tmp_path / NAME).write_text("{}")
    found = find_adc({"CLOUDSDK_CONFIG": str(tmp_path), "HOME": str(home)})
    assert found is not None
    assert found.file == tmp_path / NAME


def test_windows_keeps_the_login_in_appdata() -> None:
    assert gcloud_folder({"APPDATA": "X", "HOME": "Y"}, windows=True) == Path("X", "gcloud")
    assert gcloud_folder({}, windows=True) == Path("C:\\", "gcloud")


def test_metadata_server_is_used_only_when_asked(tmp_path: Path) -> None:
    empty = {"HOME": str(tmp_path)}
    assert find_adc(empty) is None
    for found in (
        find_adc(empty, use_metadata_server=True),
        find_adc({**empty, "GCE_METADATA_HOST": "127.0.0.1:1"}),
    ):
        assert found is not None
        assert (found.file, found.use_metadata_server) == (None, True)


def test_login_comes_before_the_metadata_server(home: Path) -> None:
    found = find_adc({"HOME": str(home)}, use_metadata_server=True)
    assert found is not None
    assert (found.file is not None, found.use_metadata_server) == (True, False)


def test_quota_project_of_the_environment_is_taken_along(home: Path) -> None:
    found = find_adc({"HOME": str(home), "GOOGLE_CLOUD_QUOTA_PROJECT": "mine"})
    assert found is not None
    assert found.quota_project == "mine"


def test_impossible_paths_are_no_login(tmp_path: Path) -> None:
    assert find_adc({"CLOUDSDK_CONFIG": "a\0b"}) is None
    assert find_adc({"CLOUDSDK_CONFIG": "x" * 5000}) is None


def test_looking_for_credentials_imports_neither_the_http_client_nor_google() -> None:
    code = (
        "import sys; from mediagen.credentials import Credential, Identity, find_adc, key_hint;"
        "find_adc({}, use_metadata_server=True); key_hint('ya29.x');"
        "heavy = {'httpx', 'google.auth', 'google.oauth2', 'cryptography', 'requests'} & sys.modules.keys();"
        "assert not heavy, heavy;"
        "from mediagen.credentials import ApiKeyAuth;"
        "assert 'httpx' in sys.modules and 'google.auth' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
