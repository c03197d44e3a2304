"""What fuzzing found, each as its smallest example."""

import gzip
import json
import struct
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.ledger.ledger_values import a_job

from mediagen.endpoints.wire.generate_content import DecodedImage, decode_image
from mediagen.endpoints.wire.google_errors import parse_error
from mediagen.endpoints.wire.interactions import decode_interaction
from mediagen.endpoints.wire.source_refusals import REGION_REFUSED, find_source_refusal
from mediagen.endpoints.wire.veo import decode_operation
from mediagen.errors import ConfigurationError, InvalidRequestError, LedgerError, MediaError, StorageError
from mediagen.ledger.rows import call_row, job_from, job_row
from mediagen.media.mp4 import read_mp4
from mediagen.media.private_data import remove_private_data, tells_place
from mediagen.media.sources import parse_source
from mediagen.report.sidecar import sidecar
from mediagen.requests import GenerateVideoRequest, explain_invalid
from mediagen.settings.config_file import load_config
from mediagen.settings.json_file import read_json
from mediagen.settings.toml_file import read_toml
from mediagen.storage.conversations import Conversations


@pytest.mark.parametrize("sign", [b"<", b"http://", b"https://a?b ", b"AIza"])
def test_an_error_page_of_one_sign_repeated_is_read_at_once(sign):
    started = time.process_time()
    parse_error(500, {}, sign * (64 * 1024 // len(sign)))
    assert time.process_time() - started < 1


@pytest.mark.parametrize("words", ["upload ", "previous interaction ", "upload edit "])
def test_a_refusal_of_a_megabyte_is_told_apart_at_once(words):
    started = time.process_time()
    assert find_source_refusal(words * (1024**2 // len(words))) is None
    assert time.process_time() - started < 1


def test_a_refusal_is_still_known_by_words_in_any_order():
    found = find_source_refusal("In your region\none cannot edit videos that were uploaded.")
    assert found is not None
    assert found.code == REGION_REFUSED


@pytest.mark.parametrize("year_and_zone", ["9" * 30 + " 00:00:00 GMT", "2020 00:00:00 +" + "9" * 30])
def test_an_impossible_date_to_retry_after_counts_as_absent(year_and_zone):
    assert parse_error(429, {"Retry-After": f"Mon, 01 Jan {year_and_zone}"}, b"").retry_after is None


def test_a_paid_picture_with_an_impossible_count_of_tokens_is_kept():
    part = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    usage = {"promptTokenCount": 10**4000, "candidatesTokenCount": 10**4000, "thoughtsTokenCount": "9" * 19}
    answer = {"candidates": [{"content": {"parts": [part]}}], "usageMetadata": usage}
    found = decode_image(json.dumps(answer).encode())
    assert isinstance(found, DecodedImage)
    assert found.usage is None


def test_an_impossible_count_of_filtered_clips_does_not_hide_the_clip():
    response = {"raiMediaFilteredCount": 10**4300 - 1, "videos": [{"gcsUri": "gs://bucket/a.mp4"}]}
    found = decode_operation(json.dumps({"name": "x", "done": True, "response": response}).encode())
    assert [output.uri for output in found.outputs] == ["gs://bucket/a.mp4"]


def test_an_error_inside_an_answer_is_told_however_deep_the_answer_goes():
    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit() + 10):
        found = decode_image(b'{"error": {"message": "no"}, "more": ' + b"[" * depth + b"]" * depth + b"}")
        assert not isinstance(found, DecodedImage)


@pytest.mark.parametrize("decode", [decode_operation, decode_interaction])
def test_the_name_and_the_error_of_a_job_can_be_written_whatever_google_sends(decode):
    half = "a\ud800z"
    found = decode(json.dumps({"id": half, "name": half, "status": "failed", "error": {"message": half}}).encode())
    assert found.name == "a?z"
    assert found.error.message.encode()


def test_the_reasons_of_a_filter_can_be_written_whatever_google_sends():
    response = {"raiMediaFilteredReasons": ["no\udfff"]}
    found = decode_operation(json.dumps({"name": "x", "done": True, "response": response}).encode())
    assert found.error is not None
    assert found.error.message.encode()


def test_a_jpeg_of_nothing_but_0xff_bytes_is_given_up_at_once():
    started = time.process_time()
    assert remove_private_data(b"\xff\xd8\xff\xda\x00\x02" + b"\xff" * 1024**2, "image/jpeg") is None
    assert time.process_time() - started < 2


def test_the_start_of_a_place_repeated_is_searched_at_once():
    started = time.process_time()
    assert not tells_place(b"Iptc4xmp" * (1024**2 // 8))
    assert tells_place(b"Iptc4xmpExt:LocationShown")
    assert time.process_time() - started < 2


async def test_a_kept_conversation_with_a_damaged_block_is_called_damaged(tmp_path):
    kept = Conversations(folder=tmp_path)
    packed = gzip.compress(json.dumps([{"role": "user"}]).encode())
    (tmp_path / "job_a-0.json.gz").write_bytes(packed[:12] + b"\xff\xff\xff" + packed[15:])
    with pytest.raises(StorageError) as caught:
        await kept.read("job_a", 0)
    assert caught.value.code == "conversation_damaged"


TOO_DEEP = 200_000  # from Python 3.12 on, json goes deeper than sys.getrecursionlimit()


async def test_a_turn_nested_too_deeply_is_not_kept_and_holds_nothing_up(tmp_path):
    turn: dict[str, object] = {}
    for _ in range(TOO_DEEP):
        turn = {"parts": turn}
    assert not Conversations(folder=tmp_path).keep("job_a", 0, [turn])


@pytest.mark.parametrize("source", ["data:,\ud800", "https://example.com/\ud800.mp4", "file:///tmp/\ud800"])
def test_an_address_with_half_a_character_is_refused(source):
    with pytest.raises(InvalidRequestError) as caught:
        parse_source(source, "image", max_bytes=100)
    assert caught.value.field == "image"


def test_a_number_of_thousands_of_digits_is_refused_in_words():
    with pytest.raises(ValidationError) as caught:
        GenerateVideoRequest.model_validate({"prompt": "a fox", "duration_seconds": 10**5000})
    assert "duration_seconds" in explain_invalid(caught.value, GenerateVideoRequest)


@pytest.mark.parametrize("variable", ["MEDIAGEN_CONFIG", "CLAUDE_PROJECT_DIR"])
def test_a_variable_with_the_home_folder_of_nobody_is_named(variable):
    with pytest.raises(ConfigurationError, match=variable):
        load_config({variable: "~nobody-of-this-name/x.toml"})


def test_a_toml_file_with_tables_nested_without_end_is_refused():
    with pytest.raises(ConfigurationError, match=r"mediagen\.toml"):
        read_toml("a." * 3000 + "a = 1", Path("/x/mediagen.toml"), {})


def test_a_json_file_with_tables_nested_almost_too_deeply_is_refused():
    for depth in (11, 12, *range(sys.getrecursionlimit() // 2 - 60, sys.getrecursionlimit(), 25)):
        text = '{"main_projects": {"abcdef": {"location": ' + '{"a":' * depth + "1" + "}" * depth + "}}}"
        with pytest.raises(ConfigurationError, match=r"config\.json"):
            read_json(text, Path("/x/config.json"))


@pytest.mark.parametrize("cap", ["1e999999", "0x" + "f" * 5000, "inf", "nan"])
def test_a_cap_beyond_all_money_is_refused(cap):
    with pytest.raises(ConfigurationError, match="max_usd_per_day"):
        read_toml(f"[profiles.a]\nmax_usd_per_day = {cap}", Path("/x/mediagen.toml"), {})


def test_a_json_file_with_half_characters_is_refused_in_words_that_can_be_shown():
    with pytest.raises(ConfigurationError) as caught:
        read_json('{"main_projects": {"\\ud800": {}}}', Path("/x/config.json"))
    assert str(caught.value).encode()


QUOTE = (
    '{"usd": "%s", "min_usd": null, "max_usd": null, "basis": "", "as_of": "", "source": "", "certainty": "unknown"}'
)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("requested", "[]"),
        ("effective", "7"),
        ("origins", '{"model": "a dream"}'),
        ("input_files", "[" * 2000 + "]" * 2000),
        ("input_files", '{"a":' * 60 + "1" + "}" * 60),
        ("warnings", "[1]"),
        ("created_at", "2026-11-21T12:00:00"),
        ("estimated_seconds", "soon"),
        ("kind", "sound"),
        ("output_dir", None),
        ("quote", QUOTE % "NaN"),
        ("quote", QUOTE % "1e999999"),
    ],
)
def test_a_damaged_column_of_a_job_is_a_damaged_ledger(column, value):
    row: Any = {**job_row(a_job(), owner=None), "chain_stopped": None, column: value}
    with pytest.raises(LedgerError):
        job_from(row, [], {})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("usage", '{"input_tokens": "x"}'),
        ("remote_uris", "[7]"),
        ("samples", "x"),
        ("error", '{"code": 1}'),
        ("status", ""),
    ],
)
def test_a_damaged_column_of_a_call_is_a_damaged_ledger(column, value):
    job = a_job()
    row: Any = {**job_row(job, owner=None), "chain_stopped": None}
    call: Any = {**call_row(job, job.calls[0]), column: value}
    with pytest.raises(LedgerError):
        job_from(row, [call], {})


def test_the_sidecar_of_a_job_with_strange_values_is_still_written():
    job = a_job(effective={"duration_seconds": "8"}, input_files={"source": ["film.mp4"]})
    record = sidecar(job, job.calls[0], position=0, artifact=None)
    assert record["cost_estimate"]["price_per_second"] is None
    assert "source" not in record["lineage"]


@pytest.mark.parametrize("start", ["", "["])
def test_a_toml_file_with_a_key_of_thousands_of_parts_is_refused_at_once(start):
    started = time.process_time()
    with pytest.raises(ConfigurationError, match=r"mediagen\.toml"):
        read_toml(start + "a." * 100_000 + "a = 1", Path("/x/mediagen.toml"), {})
    assert time.process_time() - started < 1


def test_a_toml_file_of_many_long_keys_is_read_soon():
    started = time.process_time()
    with pytest.raises(ConfigurationError, match=r"mediagen\.toml"):
        read_toml("\n".join(f"k{n}." + "a." * 199 + "a = 1" for n in range(100)), Path("/x/mediagen.toml"), {})
    assert time.process_time() - started < 5


def _box(kind: bytes, *contents: bytes) -> bytes:
    body = b"".join(contents)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def test_a_film_with_a_million_different_frame_lengths_is_refused_with_little_memory(tmp_path):
    lengths = _box(b"stts", struct.pack(">II", 0, 500_000), b"".join(struct.pack(">II", 1, n) for n in range(500_000)))
    media = _box(b"mdia", _box(b"hdlr", bytes(8) + b"vide"), _box(b"minf", _box(b"stbl", lengths)))
    path = tmp_path / "film.mp4"
    path.write_bytes(_box(b"ftyp", b"isom") + _box(b"moov", _box(b"trak", media)))
    tracemalloc.start()
    try:
        with pytest.raises(MediaError, match="lengths"):
            read_mp4(path)
        assert tracemalloc.get_traced_memory()[1] < 40 * 1024**2
    finally:
        tracemalloc.stop()
