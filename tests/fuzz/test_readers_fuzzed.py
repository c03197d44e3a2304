"""Whatever stands beside a clip, in a configuration file, in the ledger or in a call: a value or an error of ours."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from tests.fuzz.hostile import damaged, holds, mutated, odd
from tests.ledger.ledger_values import a_job, an_artifact

from mediagen import requests
from mediagen.errors import LedgerError
from mediagen.generator.foreign_records import described, record_inside, records_beside
from mediagen.generator.inheritance import _beside, _edited, inherited_from_job
from mediagen.jobs import Charge, JobError, JobStatus, PaidCall, Usage
from mediagen.ledger.rows import artifact_rows, call_row, job_from, job_row
from mediagen.media.editing.times import parse_time
from mediagen.media.sources import parse_source, shown
from mediagen.modes import split_role
from mediagen.report.job import job_report, short_row
from mediagen.report.record import FoundRecord, record_summary
from mediagen.report.sidecar import embedded_record, sidecar
from mediagen.report.text import summary
from mediagen.requests import explain_invalid
from mediagen.settings.config_file import load_config
from mediagen.storage.conversations import Conversations
from mediagen.storage.gs_uri import parse_gs_object, parse_gs_uri

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def _job() -> Any:
    artifact = an_artifact()
    charge = Charge(usd=None, basis="b", certainty="unknown", billed="unknown")
    job = a_job(
        effective={"duration_seconds": 8, "project": "my-project-1"}, input_files={"source": [{"path": "a.mp4"}]}
    )
    call = PaidCall(
        job_id=job.job_id,
        ordinal=0,
        status=JobStatus.SUCCEEDED,
        operation="o",
        remote_uris=("https://example.com/a",),
        expires_at=NOW,
        usage=Usage(input_tokens=3),
        charge=charge,
        error=JobError(code="c", message="m", retryable=False, billed="no"),
        artifacts=(artifact,),
        warnings=("w",),
    )
    return job, call


JOB, CALL = _job()
RECORD = json.loads(json.dumps(sidecar(JOB, CALL, position=0, artifact=CALL.artifacts[0]), default=str))
OLDER = {
    "command_args": {"prompt": "a fox", "duration": 8, "model": "veo-3", "storage_uri": "gs://bucket/a"},
    "output": {},
}


@given(st.data())
def test_any_record_beside_or_inside_a_file(tmp_path_factory, data):
    folder = Path(tmp_path_factory.getbasetemp())
    clip, record = folder / "clip.mp4", folder / "clip.json"
    clip.write_bytes(b"x")
    said = data.draw(mutated([RECORD, OLDER]))
    record.write_bytes(data.draw(st.just(json.dumps(said).encode()) | damaged([json.dumps(said).encode()])))
    holds(_beside, clip)
    holds(_edited, clip)
    holds(record_inside, clip)
    beside = holds(records_beside, clip, sha256=CALL.artifacts[0].sha256, size_bytes=1, kind="video")
    for told in beside.told:
        fields = holds(described, told, "video")
        found = FoundRecord(
            found_in=told.found_in,
            record_path=str(told.record_path),
            is_in_ledger=False,
            file=None,
            is_changed=None,
            signed=False,
            **fields,
        )
        assert holds(record_summary, found).encode()
        assert found.model_dump_json()


SECTIONS = {
    "profile": "a",
    "image": {"aspect_ratio": "16:9", "count": 1},
    "video": {"duration_seconds": 8, "model": "veo"},
    "presets": {"p": {"kind": "video", "resolution": "720p"}},
    "profiles": {
        "a": {"project": "my-project-1", "api_key": "AIzaFake", "bucket": "b-b", "max_usd_per_day": 3, "path": "x"},
        "b": {"api_key_variable": "MY_KEY", "credentials_file": "~/x.json", "image": {"count": 2}, "presets": {}},
    },
}
SCHEMA_21 = {
    "main_projects": {"my-project-1": {"location": "us-central1", "api_key": "AIzaFake", "gcs": {"bucket": "b-b"}}},
    "defaults": {"video": {"duration": "8s", "resolution": "720p"}, "image": {"resolution": "1K"}},
    "output": {"auto_save_metadata": True, "image_dir": "x"},
}


def _toml(value: Any) -> str:
    """A value as TOML, in one line; what TOML cannot say becomes a text."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{json.dumps(str(name))} = {_toml(inner)}" for name, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case int() | float():
            return hex(value) if isinstance(value, int) and value > 0 else str(value)
    return json.dumps(str(value))


def _file(value: Any) -> bytes:
    try:
        tables = value.items() if isinstance(value, dict) else {"a": value}.items()
        return "\n".join(f"{json.dumps(str(name))} = {_toml(inner)}" for name, inner in tables).encode()
    except (RecursionError, UnicodeEncodeError):
        return b"a = " + b"[" * 2000


TOML = mutated([SECTIONS]).map(_file)
JSON = mutated([SCHEMA_21]).map(lambda value: json.dumps(value).encode())


def _load(tmp_path_factory: Any, name: str, data: bytes) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / name
    path.write_bytes(data)
    found = holds(load_config, {"MEDIAGEN_CONFIG": str(path), "MY_KEY": "x"})
    for warning in found.warnings if found else ():
        assert warning.encode()


@given(TOML | damaged([_file(SECTIONS)]) | st.binary(max_size=100))
def test_any_mediagen_toml(tmp_path_factory, data):
    _load(tmp_path_factory, "mediagen.toml", data)


@given(JSON | damaged([json.dumps(SCHEMA_21).encode()]) | st.binary(max_size=100))
def test_any_config_json(tmp_path_factory, data):
    _load(tmp_path_factory, "config.json", data)


COLUMNS = {**job_row(JOB, owner=None), "chain_stopped": None}
PARSED = {"requested", "effective", "origins", "quote", "adjustments", "warnings", "input_files"}
CALL_PARSED = {"remote_uris", "usage", "charge", "error", "warnings"}


@st.composite
def _row(draw: st.DrawFn, columns: dict[str, Any], parsed: set[str]) -> dict[str, Any]:
    row = dict(columns)
    for name in draw(st.lists(st.sampled_from(sorted(columns)), max_size=3)):
        if name in parsed:
            row[name] = json.dumps(draw(mutated([json.loads(columns[name])])))
        else:
            # What SQLite can hold, whatever the type of the column.
            row[name] = draw(st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary())
        row[name] = draw(st.just(row[name]) | st.just(str(row[name])[:-1]))
    return row


@given(
    _row(COLUMNS, PARSED),
    _row(call_row(JOB, CALL), CALL_PARSED),
    _row(artifact_rows(JOB.job_id, 0, CALL.artifacts)[0], set()),
)
def test_any_row_of_the_ledger_is_read_and_reported_or_refused(row: Any, call: Any, artifact: Any):
    try:
        job = job_from(row, [call], {0: [artifact]})
    except LedgerError:
        return
    report = holds(job_report, job, NOW)
    holds(short_row, report)
    holds(summary, report)
    holds(inherited_from_job, job)
    holds(embedded_record, job, 0)
    for made in job.calls:
        holds(sidecar, job, made, position=0, artifact=made.artifacts[0])


REQUESTS = [
    kind
    for kind in (getattr(requests, name) for name in requests.__all__ if name.endswith("Request"))
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.model_fields
]


@given(st.data(), st.sampled_from(REQUESTS))
def test_any_arguments_are_taken_or_refused_in_words(data, kind):
    names = st.sampled_from([*kind.model_fields, "unknown", "\ud800"])
    values = data.draw(st.dictionaries(names, odd(), max_size=5))

    def ask() -> str:
        try:
            return repr(kind.model_validate(values))
        except ValidationError as error:
            return explain_invalid(error, kind)

    assert holds(ask).encode()


STARTS = ["", "data:", "data:image/png;base64,", "file://", "https://", "gs://", "mediagen://artifacts/", "C:\\", "//"]
SOURCES = st.builds("".join, st.lists(st.sampled_from(STARTS) | st.text(max_size=20), max_size=4))


@given(SOURCES, st.integers(1, 60))
def test_any_source(source, max_bytes):
    holds(parse_source, source, "image", max_bytes=max_bytes)
    assert holds(shown, source) is not None
    path, role = holds(split_role, source)
    assert role in {"asset", "style"}
    assert source.startswith(path)
    for parse in (parse_gs_uri, parse_gs_object):
        holds(parse, source, "source")
        holds(parse, f"gs://bucket/{source}", "source")


@given(st.text(max_size=20) | st.text("0123456789:. ", max_size=14) | st.integers() | st.floats() | st.booleans())
def test_any_time(text):
    found = holds(parse_time, text, "start")
    assert found is None or 0 <= found < float("inf")


KEPT = b'[{"role":"user","parts":[{"text":"a fox"}]}]'


@pytest.mark.parametrize(("suffix", "packed"), [(".json", bytes), (".json.gz", gzip.compress)])
@given(data=st.data())
def test_any_kept_conversation(tmp_path_factory, suffix, packed, data):
    whole = packed(KEPT)
    folder = Path(tmp_path_factory.getbasetemp()) / suffix
    folder.mkdir(exist_ok=True)
    (folder / f"job_a-0{suffix}").write_bytes(whole)
    assert Conversations(folder=folder)._read("job_a-0") == json.loads(KEPT)
    (folder / f"job_a-0{suffix}").write_bytes(data.draw(damaged([whole]) | st.binary(max_size=60)))
    found = holds(Conversations(folder=folder)._read, "job_a-0")
    assert found is None or all(isinstance(turn, dict) for turn in found)
