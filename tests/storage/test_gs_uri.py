import pytest

from mediagen.errors import InvalidRequestError
from mediagen.storage.gs_uri import (
    default_bucket,
    missing_bucket_hint,
    object_uri,
    parse_gs_uri,
    region_hint,
    role_hint,
)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("gs://films", ("films", "")),
        ("gs://films/", ("films", "")),
        ("gs://films/a/b/", ("films", "a/b/")),
        ("gs://films/a b 🎬 100%25 #1?x=y.mp4", ("films", "a b 🎬 100%25 #1?x=y.mp4")),
        ("gs://film-42_x.example.com/..a/b..", ("film-42_x.example.com", "..a/b..")),
        ("gs://films//a", ("films", "/a")),
        (f"gs://{'a' * 63}/a", ("a" * 63, "a")),
        (f"gs://films/{'a' * 1024}", ("films", "a" * 1024)),
    ],
)
def test_parse_splits_bucket_and_object(uri: str, expected: tuple[str, str]) -> None:
    assert parse_gs_uri(uri, "storage_uri") == expected


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "gs://",
        "gs:///a",
        "films/a",
        "https://storage.googleapis.com/films/a",
        "GS://films/a",
        " gs://films/a",
        "gs://Films/a",
        "gs://ab/a",
        "gs://-films/a",
        "gs://films-/a",
        "gs://films./a",
        "gs://fil..ms/a",
        "gs://fi lms/a",
        "gs://films:80/a",
        "gs://user@films/a",
        "gs://films\n/a",
        f"gs://{'a' * 64}/a",
        f"gs://{'.'.join(['a' * 60] * 4)}/a",
        "gs://films/a\nb",
        "gs://films/a\x00",
        "gs://films/a\x7f",
        "gs://films/a\u2028b",
        "gs://films/..",
        "gs://films/.",
        "gs://films/a/../b",
        "gs://films/\ud83c",
        f"gs://films/{'🎬' * 257}",
    ],
)
def test_parse_refuses_what_is_no_address(uri: str) -> None:
    with pytest.raises(InvalidRequestError, match="storage_uri=") as caught:
        parse_gs_uri(uri, "storage_uri")
    assert caught.value.field == "storage_uri"
    assert len(caught.value.message) < 600
    caught.value.message.encode()


@pytest.mark.parametrize("prefix", ["gs://films/a b", "gs://films/a b/"])
def test_object_uri_joins_with_or_without_a_slash(prefix: str) -> None:
    assert object_uri(prefix, "c🎬.mp4") == "gs://films/a b/c🎬.mp4"


def test_object_uri_joins_to_a_bucket() -> None:
    assert object_uri("gs://films", "a.mp4") == object_uri("gs://films/", "a.mp4") == "gs://films/a.mp4"


def test_missing_bucket_hint_names_the_usual_bucket_only_for_others() -> None:
    assert default_bucket("film-42") == "film-42-media-output"
    assert "film-42-media-output" in missing_bucket_hint("films", project="film-42")
    assert "the usual one" not in missing_bucket_hint("film-42-media-output", project="film-42")
    assert "--location=europe-west4" in missing_bucket_hint("films", location="europe-west4")
    assert "--location=us-central1" in missing_bucket_hint("films", location="global")


def test_role_hint_asks_for_no_more_than_is_needed() -> None:
    assert "roles/storage.objectViewer" in role_hint("films", permission="storage.objects.get", identity="a@b.com")
    assert "roles/storage.objectUser" in role_hint("films", permission="storage.objects.create", identity="a@b.com")
    assert "--member=ACCOUNT" in role_hint("films", permission="", identity="the gcloud user")


@pytest.mark.parametrize(
    ("place", "wanted", "warns"),
    [
        ("US-CENTRAL1", "us-central1", False),
        ("EUROPE-WEST4", "us-central1", True),
        ("US", "us-central1", False),
        ("NAM4", "us-central1", False),
        ("EUROPE-WEST4", "global", False),
        (None, "us-central1", False),
        ("EUROPE-WEST4", None, False),
    ],
)
def test_region_hint_warns_of_two_different_regions_only(place: str | None, wanted: str | None, warns: bool) -> None:
    assert bool(region_hint("films", place, wanted)) is warns
