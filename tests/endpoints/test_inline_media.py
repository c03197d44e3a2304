import base64
import json
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagen.endpoints.wire.inline_media import DAMAGED, KEYS, InlineMediaScanner, inline_number
from mediagen.endpoints.wire.json_values import parse_object

CLIP = bytes(range(256)) + b"\xfb\xff\xfe" * 5  # its base64 holds both signs that the two alphabets spell differently
BASE64 = base64.b64encode(CLIP).decode()


def scan(document: bytes, *cuts: int) -> tuple[Any, dict[int, bytes]]:
    """The skeleton and the files of a document that arrives in pieces."""
    scanner = InlineMediaScanner()
    files: dict[int, bytes] = {}
    for start, end in zip((0, *cuts), (*cuts, len(document)), strict=True):
        for number, data in scanner.feed(document[start:end]):
            assert data
            files[number] = files.get(number, b"") + data
    assert scanner.file_count == len(files)
    assert scanner.skeleton_size == len(scanner.skeleton)
    return json.loads(scanner.skeleton), files


def written(value: Any, **options: Any) -> bytes:
    return json.dumps(value, **options).encode()


RICH = {
    "data": [{"data": BASE64, "mimeType": "video/mp4"}, {"data": 7}, {"data": None}, {"data": {"data": BASE64[:-4]}}],
    'say "data":': 'a "data": "AAAA" \\ \\" {"data":"AAAA"} \\\\',
    "text": ["data", "bytesBase64Encoded", "data"],
    "data2": BASE64,
    "é": "\u2028🎬",
    "videos": [{"bytesBase64Encoded": BASE64}, {"bytes_base64_encoded": BASE64, "gcsUri": ""}],
    "empty": {"data": ""},
}
RICH_SKELETON = {
    **RICH,
    "data": [
        {"data": "inline:0", "mimeType": "video/mp4"},
        {"data": 7},
        {"data": None},
        {"data": {"data": "inline:1"}},
    ],
    "videos": [{"bytesBase64Encoded": "inline:2"}, {"bytes_base64_encoded": "inline:3", "gcsUri": ""}],
}
RICH_FILES = {0: CLIP, 1: base64.b64decode(BASE64[:-4]), 2: CLIP, 3: CLIP}

DOCUMENTS = {
    "compact": written(RICH, separators=(",", ":")),
    "indented": written(RICH, indent=2, separators=(" ,", " \r\n\t: ")),
    "raw characters": written(RICH, ensure_ascii=False),
    "escaped slashes": written(RICH).replace(b"/", b"\\/"),
    "escaped signs": written(RICH).replace(b"=", b"\\u003d").replace(b"+", b"\\u002B"),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_document_cut_at_every_byte_gives_the_same_files(document: bytes) -> None:
    for cut in range(len(document) + 1):
        assert scan(document, cut) == (RICH_SKELETON, RICH_FILES), cut


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
def test_document_in_small_pieces_gives_the_same_files(document: bytes, size: int) -> None:
    assert scan(document, *range(size, len(document), size)) == (RICH_SKELETON, RICH_FILES)


def test_document_in_pieces_of_any_size_gives_the_same_files() -> None:
    chance = random.Random(20261121)
    document = DOCUMENTS["escaped signs"]
    for _ in range(200):
        cuts = sorted(chance.sample(range(len(document)), chance.randrange(1, 12)))
        assert scan(document, *cuts) == (RICH_SKELETON, RICH_FILES), cuts


@pytest.mark.parametrize("length", range(9))
@pytest.mark.parametrize("is_url_safe", [False, True])
@pytest.mark.parametrize("is_padded", [False, True])
def test_both_alphabets_are_read_with_and_without_padding(length: int, is_url_safe: bool, is_padded: bool) -> None:
    data = b"\xfb\xef\xff\xbe\xfa\x00\xff\x3e\xfc"[:length]
    text = (base64.urlsafe_b64encode if is_url_safe else base64.b64encode)(data).decode()
    document = written({"data": text if is_padded else text.rstrip("=")})
    for cut in range(len(document) + 1):
        skeleton, files = scan(document, cut)
        assert files == ({0: data} if data else {})
        assert skeleton == {"data": "inline:0" if data else ""}


@pytest.mark.parametrize(
    "text", [BASE64.replace("A", "\\nA"), BASE64.replace("A", "A\\r\\n"), BASE64.replace("B", "\\u0042\\u000a")]
)
def test_base64_in_lines_is_read(text: str) -> None:
    document = f'{{"data":"{text}"}}'.encode()
    for cut in range(len(document) + 1):
        assert scan(document, cut) == ({"data": "inline:0"}, {0: CLIP})


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AAAAA",
        "AA=A",
        "AAA=AAAA",
        "AAAA=",
        "AAAA====",
        "AA===",
        "=",
        "not base64",
        "AA AA",
        "AAAé",
        "AA\\\\/A",
        "AA\\/\\\\",
        'AAA\\"',
        "\\u00e9AAA",
        "\\ud83cAAA",
        "\\bAAA",
    ],
)
def test_damaged_base64_is_marked_and_the_rest_is_read(text: str) -> None:
    document = f'{{"data":"{text}","x":[{{"data":"AAAA"}}]}}'.encode()
    for cut in range(len(document) + 1):
        scanner = InlineMediaScanner()
        found = [*scanner.feed(document[:cut]), *scanner.feed(document[cut:])]
        skeleton = json.loads(scanner.skeleton)
        assert skeleton["data"] == DAMAGED
        assert inline_number(skeleton["data"]) is None
        number = inline_number(skeleton["x"][0]["data"])
        assert [data for owner, data in found if owner == number] == [b"\0\0\0"]


def test_escaped_key_is_recognised() -> None:
    document = b'{"d\\u0061ta":"AAAA","datas":"AAAA","Data":"AAAA"}'
    for cut in range(len(document) + 1):
        skeleton, files = scan(document, cut)
        assert skeleton == {"data": "inline:0", "datas": "AAAA", "Data": "AAAA"}
        assert files == {0: b"\0\0\0"}


def test_reference_written_by_another_is_not_believed() -> None:
    skeleton, files = scan(b'{"data":"inline:0","uri":"inline:0"}')
    assert skeleton == {"data": DAMAGED, "uri": "inline:0"}
    assert not files


def test_first_bytes_come_before_the_rest_has_arrived() -> None:
    scanner = InlineMediaScanner()
    assert list(scanner.feed(b'{"data":"' + BASE64[:100].encode())) == [(0, CLIP[:75])]
    assert scanner.skeleton == b'{"data":"'


def test_broken_document_stays_broken() -> None:
    for document in (b'{"data":"AAAA', b'{"data":"AAAA"', b'<html>"data": "AAAA" it isn\'t', b""):
        scanner = InlineMediaScanner()
        list(scanner.feed(document))
        assert parse_object(scanner.skeleton) is None


@pytest.mark.parametrize("value", ["", "inline:", "inline:-1", "inline:0x", " inline:0", None, 0, "inline:9999999999"])
def test_other_values_stand_for_no_file(value: object) -> None:
    assert inline_number(value) is None


ADDRESS = f"data:image/png;base64,{BASE64}"


@pytest.mark.parametrize("document", [written({"url": ADDRESS}), written({"url": ADDRESS}).replace(b"/", b"\\/")])
def test_file_of_a_data_address_is_taken_out_where_that_is_asked_for(document: bytes) -> None:
    for cut in range(len(document) + 1):
        scanner = InlineMediaScanner(takes_data_urls=True)
        found = [*scanner.feed(document[:cut]), *scanner.feed(document[cut:])]
        assert json.loads(scanner.skeleton) == {"url": "data:image/png;base64,inline:0"}
        assert b"".join(data for _, data in found) == CLIP
    assert scan(document) == ({"url": ADDRESS}, {})


@pytest.mark.parametrize(
    "url",
    [
        "",
        "data:",
        "data:,AAAA",
        "data:text/plain,AAAA",
        "https://host/a,b",
        "x" * 300,
        "data:image/png;base64AAAA",
        f"data:{'x' * 300};base64,AAAA",
    ],
)
def test_other_addresses_stay(url: str) -> None:
    document = written({"url": url, "data": "AAAA"})
    for cut in range(len(document) + 1):
        scanner = InlineMediaScanner(takes_data_urls=True)
        files = [*scanner.feed(document[:cut]), *scanner.feed(document[cut:])]
        assert json.loads(scanner.skeleton) == {"url": url, "data": "inline:0"}
        assert files == [(0, b"\0\0\0")]


def meant(text: str) -> bytes | None:
    """What a text under a key of a file stands for; None when it is damaged."""
    text = re.sub(r"[\r\n\t]", "", text)
    signs = text.rstrip("=")
    if not re.fullmatch(r"[A-Za-z0-9+/_-]*", signs) or len(signs) % 4 == 1 or len(text) - len(signs) > -len(signs) % 4:
        return None
    return base64.urlsafe_b64decode(signs.translate(str.maketrans("+/", "-_")) + "=" * (-len(signs) % 4))


def taken_apart(value: Any) -> Any:
    """A document as `json.loads` gives it, with the bytes of each file in place of its base64."""
    if isinstance(value, dict):
        return {
            name: meant(item) if name in KEYS and isinstance(item, str) else taken_apart(item)
            for name, item in value.items()
        }
    return [taken_apart(item) for item in value] if isinstance(value, list) else value


def put_together(value: Any, files: dict[int, bytes]) -> Any:
    if isinstance(value, dict):
        return {name: put_together(_bytes(name, item, files), files) for name, item in value.items()}
    return [put_together(item, files) for item in value] if isinstance(value, list) else value


def _bytes(name: str, item: Any, files: dict[int, bytes]) -> Any:
    if name not in KEYS or not isinstance(item, str):
        return item
    number = inline_number(item)
    return {DAMAGED: None, "": b""}[item] if number is None else files[number]


ENCODED = st.binary(max_size=60).flatmap(
    lambda data: st.sampled_from(
        [text for each in (base64.b64encode, base64.urlsafe_b64encode) for text in _padded(each(data).decode())]
    )
)
TEXTS = ENCODED | st.text(max_size=12) | st.text('"\\/u0d= \n{}[]:,AAdata', max_size=12)
NAMES = st.sampled_from([*sorted(KEYS), "url", "text", 'data":"', "dat\\u0061"]) | st.text(max_size=6)
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


def _padded(text: str) -> list[str]:
    return [text, text.rstrip("="), "\r\n".join(text[start : start + 7] for start in range(0, len(text), 7))]


@given(
    st.dictionaries(NAMES, VALUES, max_size=5), st.booleans(), st.sampled_from([None, 0, 2]), st.booleans(), st.data()
)
def test_any_document_holds_what_json_finds_in_it(
    value: Any, is_ascii: bool, indent: int | None, has_escaped_slashes: bool, data: st.DataObject
) -> None:
    document = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode("utf-8", "surrogatepass")
    if has_escaped_slashes:
        document = document.replace(b"/", b"\\/")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(document)), max_size=12)))
    scanner = InlineMediaScanner()
    files: dict[int, bytes] = {}
    for start, end in zip([0, *cuts], [*cuts, len(document)], strict=True):
        for number, piece in scanner.feed(document[start:end]):
            files[number] = files.get(number, b"") + piece
    skeleton = json.loads(scanner.skeleton.decode("utf-8", "surrogatepass"))
    assert put_together(skeleton, files) == taken_apart(json.loads(document.decode("utf-8", "surrogatepass")))
