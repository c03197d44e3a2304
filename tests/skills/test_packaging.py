"""What registries and hosts read of this repository, besides the plugin."""

import importlib.util
import json
import re
import tomllib
from types import ModuleType
from typing import Any

import jsonschema
import pytest
from tests.conftest import DATA
from tests.skills.claims import ROOT

from mediagen import __version__
from mediagen.server.toolsets import TOOLS
from mediagen.settings import Settings, read_settings, variables_of

SCHEMA = DATA / "mcp_registry" / "server-2025-12-11.schema.json"
VARIABLES = {name for field in Settings.model_fields for name in variables_of(field)}
USER_CONFIG = re.compile(r"\$\{user_config\.(\w+)\}")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def server() -> dict[str, Any]:
    found = json.loads(read("server.json"))
    assert isinstance(found, dict)
    return found


def schema_troubles(document: dict[str, Any]) -> list[str]:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(document)]


@pytest.fixture(scope="module")
def packaging() -> ModuleType:
    spec = importlib.util.spec_from_file_location("_package", ROOT / "scripts" / "_package.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_server_json_is_of_its_schema():
    document = server()
    assert document["$schema"] == json.loads(SCHEMA.read_text(encoding="utf-8"))["$id"]
    assert schema_troubles(document) == []


@pytest.mark.parametrize("change", [{"name": "mediagen"}, {"description": "x" * 101}, {"packages": [{}]}])
def test_server_json_of_another_shape_is_found(change: dict[str, Any]):
    assert schema_troubles({**server(), **change}) != []


def test_registry_finds_the_same_name_in_server_json_readme_and_image():
    name = server()["name"]
    assert f"<!-- mcp-name: {name} -->" in read("README.md")
    assert f'io.modelcontextprotocol.server.name="{name}"' in read("Dockerfile")


def test_server_json_names_the_package_its_version_and_real_variables():
    document = server()
    (package,) = document["packages"]
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert package["identifier"] == project["name"]
    assert document["version"] == package["version"] == project["version"] == __version__
    # uvx runs the command of the package's own name.
    assert package["identifier"] in project["scripts"]
    assert {variable["name"] for variable in package["environmentVariables"]} <= VARIABLES
    secret = {variable["name"] for variable in package["environmentVariables"] if variable.get("isSecret")}
    assert secret == {"GEMINI_API_KEY"}
    usual = {
        variable["name"]: variable["default"] for variable in package["environmentVariables"] if "default" in variable
    }
    given, none = read_settings(usual), read_settings({})
    assert (given.backend, given.toolsets) == (none.backend, none.toolsets)


def test_bundle_asks_for_what_the_server_reads_and_lists_its_tools(packaging: ModuleType):
    manifest = packaging.manifest()
    environment = manifest["server"]["mcp_config"]["env"]
    assert set(environment) <= VARIABLES
    asked = {match[1] for value in environment.values() if (match := USER_CONFIG.fullmatch(value))}
    assert asked == set(manifest["user_config"])
    assert manifest["user_config"]["gemini_api_key"]["sensitive"] is True
    assert [tool["name"] for tool in manifest["tools"]] == [tool.name for tool in TOOLS]
    assert (ROOT / manifest["server"]["entry_point"]).is_file()
    # What a user leaves out arrives as it stands.
    unset = {name: value for name, value in environment.items() if USER_CONFIG.fullmatch(value)}
    assert read_settings(unset) == read_settings({})


def test_bundle_has_every_file_of_the_package(packaging: ModuleType):
    files = [path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files} <= packaging.SUFFIXES


def test_image_runs_without_root_and_keeps_ledger_and_files_outside():
    lines = read("Dockerfile").splitlines()
    last_stage = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "USER 10001" in last_stage
    assert 'VOLUME ["/data", "/state"]' in last_stage
    variables = dict(re.findall(r"\b(MEDIAGEN_\w+)=(\S+)", "\n".join(last_stage)))
    assert set(variables) <= VARIABLES
    assert variables == {"MEDIAGEN_OUTPUT_DIR": "/data", "MEDIAGEN_STATE_DIR": "/state"}


def test_image_is_run_as_the_owner_of_the_folder_and_lets_any_user_write():
    for place in ("Dockerfile", "docs/guides/packaging.md"):
        commands = [line for line in read(place).splitlines() if "docker run" in line and "$PWD:/data" in line]
        assert commands, place
        assert all('--user "$(id -u):$(id -g)"' in command for command in commands), place
    assert re.search(r"install --directory .*--mode 1777 /data /state$", read("Dockerfile"), re.MULTILINE)


def test_image_is_given_each_file_that_it_copies():
    let_through = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copied = {
        source
        for line in read("Dockerfile").splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert copied == let_through
    assert all((ROOT / source).exists() for source in copied)
