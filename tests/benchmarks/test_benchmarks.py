"""That the benchmarks run and the page is made; what is found says something on an idle machine only."""

import json
import sqlite3
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.measuring import Curve, Figure
from benchmarks.page import slug, write_page
from benchmarks.past import write_past
from benchmarks.plots import nice_step, number, svg

from benchmarks import __main__ as bench
from benchmarks import polling
from mediagen.app.app import now
from mediagen.ledger.ledger import Ledger

# The others start a server again and again, which takes too long for each run of the tests.
QUICK = ("polls", "ledger", "quota")


def a_figure(**changes: object) -> Figure:
    values = {"name": "a start", "unit": "s", "value": 1.2, "floor": 1.0, "bar": 1.1, "kind": "ratio"}
    return Figure(**{**values, **changes})  # type: ignore[arg-type] # values of a test


def a_curve() -> Curve:
    return Curve(name="CPU of each <clip>", x_label="clips", y_label="ms", points=[(0, 1.0), (10, 30.0), (1000, 20.0)])


@pytest.fixture
def results() -> dict[str, object]:
    figures = [a_figure(), a_figure(name="late", kind="value", bar=5.0, floor=None)]
    return bench.as_json([*figures, a_figure(name="a call", kind="difference")], [a_curve()], short=False)


def test_page_tells_each_figure_its_bar_and_whether_it_is_held(results: dict[str, object], tmp_path: Path):
    page = write_page(results, tmp_path).read_text()
    assert "| a start | 1 s | 1.2 s | 1.20 × | ≤ 1.10 × | **no** |" in page
    assert "| late | – | 1.2 s | – | ≤ 5 s | yes |" in page
    assert "| a call | 1 s | 1.2 s | +0.20 s | ≤ +1.1 s | yes |" in page
    assert "(performance/cpu-of-each-clip.svg)" in page
    assert f"SQLite {sqlite3.sqlite_version} (journal mode " in page


def test_page_is_made_from_earlier_results_without_measuring(
    results: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bench, "GROUPS", {})
    file = tmp_path / "results.json"
    file.write_text(json.dumps(results))
    stale = tmp_path / "docs" / "performance" / "gone.svg"
    stale.parent.mkdir(parents=True)
    stale.touch()
    code = bench.main(["--from", str(file), "--page", str(tmp_path / "docs")])
    assert code == 1, "a bar is not kept"
    assert [path.name for path in stale.parent.iterdir()] == ["cpu-of-each-clip.svg"]


def test_plot_is_well_formed_and_shows_every_point():
    root = ET.fromstring(svg(a_curve()))
    circles = [element for element in root.iter() if element.tag.endswith("circle")]
    assert len(circles) == 3
    across = [float(circle.attrib["cx"]) for circle in circles]
    assert across == sorted(across)
    assert "prefers-color-scheme: dark" in svg(a_curve())


@pytest.mark.parametrize(("least", "step"), [(0.0, 1.0), (0.3, 0.5), (1.0, 1.0), (7.0, 10.0), (230.0, 500.0)])
def test_grid_has_round_steps(least: float, step: float):
    assert nice_step(least) == pytest.approx(step)


def test_figures_are_written_as_people_write_them():
    assert [number(value) for value in (0, 0.234, 1.0, 12.34, 100_000)] == ["0", "0.23", "1", "12.3", "100,000"]
    assert slug(a_curve()) == "cpu-of-each-clip"


async def test_past_jobs_are_read_by_the_ledger(tmp_path: Path):
    ledger = Ledger(write_past(tmp_path, 30, seconds=80.0), now)
    page = await ledger.list_jobs(limit=40)
    assert len(page.jobs) == 30
    assert len({job.artifacts[0].artifact_id for job in page.jobs}) == 30
    alike = replace(page.jobs[0], job_id="job_alike", request_id=None, fingerprint=None, calls=())
    assert (await ledger.create(alike)).estimated_seconds == pytest.approx(80.0)
    await ledger.aclose()


def test_clip_is_asked_about_until_it_is_done():
    moments = list(polling.polled_at(80.0, 80.0, 10.0))
    assert moments[-1] >= 80.0 > moments[-2]


@pytest.mark.parametrize("name", QUICK)
def test_group_measures_something_in_a_short_run(name: str):
    group = bench.GROUPS[name]
    figures = group.measure(**group.short)
    assert figures
    assert all(figure.value >= 0 and bench.in_words(figure) for figure in figures)


@pytest.mark.usefixtures("ffmpeg")
def test_many_clips_are_made_and_compared_with_what_the_emulator_says():
    group = bench.GROUPS["many"]
    figures = group.measure(**group.short)
    assert [figure.unit for figure in figures] == ["s", "MB", "s", "polls"]
    assert all(figure.value > 0 for figure in figures)
