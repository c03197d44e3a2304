"""Nothing that reads what strangers wrote is left out of the fuzzing."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediagen.endpoints import wire

# These write rather than read, or only see what another one read.
OTHERWISE = {
    *("encode_image", "encode_veo", "encode_video", "prompt_in", "chat_body", "credential_in_words"),
    *("encode_batch", "renamed", "bad_base64", "is_small"),
    *("inline_number", "writable", "sniff_mime_type", "has_support_codes", "in_words"),
}
READERS = (
    *("record_inside", "records_beside", "load_config", "job_from", "explain_invalid", "parse_source"),
    *("parse_gs_uri", "parse_gs_object", "parse_time", "split_role", "Conversations", "read_mp4", "read_exif"),
    *("remove_private_data", "sniff", "read_record", "read_answer", "InlineMediaScanner"),
)


def _public() -> Iterator[str]:
    for entry in pkgutil.iter_modules(wire.__path__, f"{wire.__name__}."):
        module = importlib.import_module(entry.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if not name.startswith("_") and function.__module__ == entry.name:
                yield name


WORDS = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*_fuzzed.py"))


@pytest.mark.parametrize("name", [*sorted(set(_public()) - OTHERWISE), *READERS])
def test_reader_of_what_strangers_write_is_fuzzed(name: str) -> None:
    assert f"{name}(" in WORDS or f"{name}," in WORDS, f"tests/fuzz never calls {name}"


def test_what_need_not_be_fuzzed_is_still_there() -> None:
    assert set(_public()) >= OTHERWISE
