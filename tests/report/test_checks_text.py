"""What people read of check_api: the verdict first, every problem once."""

from decimal import Decimal
from typing import Any

from mediagen.report.checks import BucketReport, CheckReport, ModelReport, SurfaceReport
from mediagen.report.checks_text import ON_THE_SERVER, check_summary


def surface(**changes: Any) -> SurfaceReport:
    values: dict[str, Any] = {
        "backend": "gemini",
        "surface": "gemini",
        "chosen": True,
        "works": True,
        "base_url": "https://generativelanguage.googleapis.com",
        "reason": "first configured surface",
        "reachable": True,
        "key_ok": True,
        "key_kind": "api_key",
        "key_source": "GEMINI_API_KEY",
        "identity": None,
        "project": None,
        "location": None,
        "latency_ms": 120.4,
        "clock_skew_seconds": 0.0,
        "models": [],
        "new_models": [],
        "probe": None,
        "error": None,
        "retryable": False,
        "note": None,
    }
    return SurfaceReport(**(values | changes))


def model(name: str, **changes: Any) -> ModelReport:
    values: dict[str, Any] = {
        "id": name,
        "kind": "image",
        "state": "live",
        "listed": True,
        "default": False,
        "asked": False,
        "usd": Decimal("0.0336"),
        "price": "$0.0336 (1 image × $0.0336 (1K))",
        "note": "A note.",
    }
    return ModelReport(**(values | changes))


def report(*surfaces: SurfaceReport, **changes: Any) -> CheckReport:
    values: dict[str, Any] = {
        "ok": True,
        "profile": None,
        "surfaces": list(surfaces),
        "bucket": None,
        "model_asked": None,
        "model_available": None,
        "spent_today_usd": Decimal("1.5"),
        "spent_this_month_usd": Decimal(20),
        "max_usd_per_day": None,
        "max_usd_per_month": None,
        "no_spend": None,
        "output_dir": "/films",
        "ledger": "/state",
        "ffmpeg": "/usr/bin/ffmpeg",
        "blocking": [],
        "problems": [],
    }
    return CheckReport(**(values | changes))


def bucket(**changes: Any) -> BucketReport:
    values: dict[str, Any] = {
        "name": "films",
        "origin": "environment",
        "exists": True,
        "location": "EU",
        "can_write": True,
        "can_read": True,
        "can_delete": True,
        "problem": None,
        "hint": "",
    }
    return BucketReport(**(values | changes))


def test_all_that_is_well_fits_on_a_few_lines():
    found = report(surface(models=[model("a", default=True), model("b", usd=None)]))
    assert check_summary(found).splitlines() == [
        "Ready: calls go to gemini (first configured surface).",
        "gemini works: API key from GEMINI_API_KEY; https://generativelanguage.googleapis.com, 120 ms",
        "  images: a (default) $0.0336, b (price unknown)",
        "Spent: $1.50 today, $20.00 this month (UTC).",
        "Files: /films. Ledger: /state. ffmpeg: /usr/bin/ffmpeg.",
    ]


def test_failure_names_the_surface_that_works_instead():
    broken = surface(works=False, key_ok=False, error="The key was refused. Change it.", models=[model("a")])
    works = surface(backend="cliproxy", surface="cliproxy", chosen=False)
    words = check_summary(report(broken, works, ok=False, problems=["The key was refused. Change it."]))
    assert words.splitlines()[0] == (
        "Not ready: gemini does not work (first configured surface). What works: backend=cliproxy."
    )
    assert words.count("Change it.") == 1
    assert "images:" not in words


def test_problem_of_nothing_in_particular_has_its_own_line():
    words = check_summary(report(surface(), problems=["ffmpeg was not found."]))
    assert "Ready, but there are problems:" in words
    assert "\nProblem: ffmpeg was not found.\n" in words


def test_blocking_problem_is_the_verdict():
    words = check_summary(report(surface(), ok=False, blocking=["The disk is full."], problems=["The disk is full."]))
    assert words.startswith("Not ready: The disk is full.")
    assert words.count("The disk is full.") == 1


def test_model_asked_about_stands_alone_with_its_note():
    asked = report(
        surface(models=[model("a", asked=True), model("b")]),
        surface(backend="vertex", surface="vertex", chosen=False, models=[model("b")]),
        model_asked="a is listed.",
    )
    lines = check_summary(asked).splitlines()
    assert lines[0].endswith("a is listed.")
    assert "  image a: live, $0.0336 (1 image × $0.0336 (1K)) - A note." in lines
    assert not any(" b" in line for line in lines)


def test_retired_model_that_is_listed_after_all_is_flagged():
    gone = surface(models=[model("old", state="retired", usd=None, price="unknown"), model("gone", state="retired")])
    assert "listed, though the catalogue has them as shut down: old" in check_summary(report(gone))
    noted = check_summary(report(gone), with_notes=True)
    assert "image old: retired - is listed after all - A note." in noted


def test_bucket_says_what_may_be_done_there():
    assert "Bucket films in EU: write, read and delete work." in check_summary(report(surface(), bucket=bucket()))
    locked = bucket(can_write=False, can_read=None, can_delete=None, problem="No.", hint="Grant it.")
    words = check_summary(report(surface(), bucket=locked, problems=["Bucket films: No. Grant it."]))
    assert "Bucket films in EU: write no, read not known, delete not known. No. Grant it." in words
    assert words.count("Grant it.") == 1
    missing = bucket(exists=False, location=None, can_write=None, can_read=None, can_delete=None, hint="Not needed.")
    assert "Bucket films: does not exist. Not needed." in check_summary(report(surface(), bucket=missing))


def test_money_that_is_not_for_the_caller_is_not_said_to_be_unreadable():
    withheld = report(surface(), spent_today_usd=None, spent_this_month_usd=None, ledger=ON_THE_SERVER)
    assert "Spent" not in check_summary(withheld)
    banned = withheld.model_copy(update={"no_spend": "MEDIAGEN_NO_SPEND"})
    assert "\nNothing more may be spent: MEDIAGEN_NO_SPEND.\n" in check_summary(banned)
    unreadable = withheld.model_copy(update={"ledger": "/state"})
    assert "Spent: not known, because the ledger cannot be read." in check_summary(unreadable)
