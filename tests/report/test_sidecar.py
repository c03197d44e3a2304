"""What a record tells, beside a file and inside it."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.ledger.ledger_values import a_job, an_artifact

from mediagen.jobs import JobError, JobStatus
from mediagen.report.sidecar import embedded_record, sidecar

# D-META-02 and D-META-03 of the design that is taken over.
FIELDS = {
    "version", "type", "status", "timestamp", "command_args", "generation", "input_files", "output", "api_response",
    "cost_estimate", "prompt", "download_status", "google_api_response", "error",
}  # fmt: skip


def test_record_of_a_success_and_of_a_failure_have_the_same_fields():
    job = a_job(effective={"mode": "text_to_video", "duration_seconds": 8, "project": "films"})
    made = replace(job.calls[0], status=JobStatus.SUCCEEDED, artifacts=(an_artifact(),))
    error = JobError(code="never_finished", message="no", retryable=True, billed="unknown", hint="look")
    failed = replace(job.calls[0], status=JobStatus.FAILED, error=error)
    good = sidecar(job, made, position=0, artifact=made.artifacts[0])
    bad = sidecar(job, failed, position=0, artifact=None)
    assert set(good) == set(bad) >= FIELDS
    assert (good["status"], bad["status"]) == ("SUCCESS", "ERROR")
    assert good["command_args"]["duration"] == 8
    assert good["command_args"]["project_id"] == "films"
    assert set(bad["output"].values()) == {None}
    assert bad["error"] == {
        "type": "never_finished",
        "message": "no",
        "details": {"retryable": True, "billed": "unknown", "hint": "look"},
    }


def test_lineage_names_what_a_file_comes_from():
    job = a_job(
        parent_job_id="job_0",
        effective={"mode": "video_extension", "source_frame": 1.5, "source_last_frame": "last", "chain_id": "chain_1",
                   "link": 2, "times": 3},
        input_files={"source": [{"path": "/films/a.mp4", "sha256": "ab", "source": "a.mp4"}]},
    )  # fmt: skip
    record = sidecar(job, job.calls[0], position=1, artifact=None)
    assert record["lineage"] == {
        "parent_job_id": "job_0",
        "source": {"path": "/films/a.mp4", "sha256": "ab"},
        "frame": 1.5,
        "last_frame": "last",
        "ordinal": 1,
        "chain_id": "chain_1",
        "link": 2,
        "times": 3,
    }
    # The path of somebody's machine does not go along with the file.
    assert embedded_record(job, 1)["lineage"] == {**record["lineage"], "source": {"sha256": "ab"}}


def test_lineage_leaves_out_what_does_not_apply():
    job = a_job()
    given: list[dict[str, Any]] = [
        {},
        {"source": []},
        {"source": None},
        {"source": "odd"},
        {"video": [{"source": "gs://b/o"}]},
    ]
    for files in given:
        lineage = sidecar(replace(job, input_files=files), job.calls[0], position=0, artifact=None)["lineage"]
        assert lineage == {"ordinal": 0}


def test_frame_at_the_very_start_is_told():
    job = a_job(effective={"source_frame": 0.0})
    assert sidecar(job, job.calls[0], position=0, artifact=None)["lineage"]["frame"] == 0.0


def test_embedded_record_does_not_change_with_what_is_learnt_later():
    job = a_job(effective={"mode": "text_to_video", "duration_seconds": 8})
    later = replace(job, updated_at=job.updated_at + timedelta(hours=3))
    charged = replace(job.calls[0], status=JobStatus.DOWNLOADING, warnings=("something",))
    first, second = embedded_record(job, 0), embedded_record(replace(later, calls=(charged,)), 0)
    assert first == second
    assert (first["status"], first["state"]) == ("SUCCESS", "succeeded")
    assert not {"output", "charge", "error"} & set(first)
    assert json.dumps(first)


def test_embedded_record_names_no_project_bucket_or_folder():
    job = a_job(
        profile="work",
        requested={
            "prompt": "/imagine a cat in C:\\temp",
            "profile": "work",
            "image": "/home/ann/secret/cat.png",
            "input_images": ["C:\\Users\\ann\\dog.png", "gs://films-bucket/in/bird.png", "file:///home/ann/fish.png"],
            "aspect_ratio": "1:1",
        },
        effective={"project": "films", "output_dir": "/home/ann/out", "storage_uri": "gs://films-bucket/out"},
        input_files={"image": [{"source": "~/secret/cat.png", "path": "/home/ann/secret/cat.png", "sha256": "ab"}]},
    )
    record = embedded_record(job, 0)
    assert record["prompt"] == record["command_args"]["prompt"] == "/imagine a cat in C:\\temp"
    assert record["command_args"]["image"] == "cat.png"
    assert record["command_args"]["input_images"] == ["dog.png", "bird.png", "fish.png"]
    assert record["command_args"]["aspect_ratio"] == "1:1"
    assert record["input_files"] == {"image": [{"source": "cat.png", "sha256": "ab"}]}
    assert not any(word in json.dumps(record) for word in ("ann", "films", "work", "secret", "bucket"))
