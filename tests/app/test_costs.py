"""What a job costs on any machine: statements of the ledger, connections and requests. More of them must be meant."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.conftest import paid

from mediagen.app.app import App, open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.requests import GenerateImageRequest, GenerateVideoRequest, ListJobsRequest
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]


class Counted:
    """What has been done in the ledger since it was last asked."""

    def __init__(self) -> None:
        self._found: Counter[str] = Counter()

    def note(self, statement: str) -> None:
        words = statement.split(maxsplit=2)
        self._found["BEGIN IMMEDIATE" if words[:2] == ["BEGIN", "IMMEDIATE"] else words[0]] += 1

    def since_last(self) -> Counter[str]:
        found, self._found = self._found, Counter()
        return found


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counter = Counted()

    class Watched(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.set_trace_callback(counter.note)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Watched))
    return counter


async def made_picture(app: App, number: int) -> None:
    await app.generator.generate_image(GenerateImageRequest(prompt=f"a fox, {number}"))


@pytest.fixture
def asked(emulator: EmulatorHandle) -> Callable[[], list[str]]:
    return lambda: [f"{entry['method']} {entry['path'].rpartition('/')[0]}" for entry in emulator.requests()]


async def test_picture_costs_one_request_and_few_statements_however_many_were_made(
    make_settings: MakeSettings, emulator: EmulatorHandle, counted: Counted, asked: Callable[[], list[str]]
):
    found: list[Counter[str]] = []
    async with open_app(make_settings()) as app:
        await made_picture(app, 0)  # opens the ledger
        for number in range(1, 13):
            counted.since_last()
            await made_picture(app, number)
            found.append(counted.since_last())
    assert len(asked()) == paid(emulator) == 13
    for one in found:  # a few reads more or less, as whoever waits is in time for news or not
        assert one["BEGIN IMMEDIATE"] <= 3
        assert one["BEGIN"] <= 6
        assert one.total() <= 60


async def test_poll_costs_one_request_and_reads_of_the_ledger(
    make_settings: MakeSettings, counted: Counted, asked: Callable[[], list[str]]
):
    polls: list[int] = []
    found: list[Counter[str]] = []
    for pause in ("0.2", "0.01"):
        before = len(asked())
        settings = make_settings(MEDIAGEN_POLL_SECONDS=pause)
        async with open_app(settings) as app:
            await made_picture(app, len(found))
            counted.since_last()
            request = GenerateVideoRequest(prompt="a fox", duration_seconds=3, force_new=True)
            assert (await app.generator.generate_video(request)).status == "succeeded"
            found.append(counted.since_last())
        new = asked()[before + 1 :]
        polls.append(new.count("GET /v1beta/interactions"))
        assert len(new) == polls[-1] + 3  # the submission, where the file is, and the file
    assert polls[1] > polls[0]
    for number, one in zip(polls, found, strict=True):
        assert one["BEGIN IMMEDIATE"] <= 5
        assert one["SELECT"] <= 45 + 6 * number  # the whole job by whoever waits, little of it by the poll
        assert one["BEGIN"] <= 6 + 2 * number  # whoever waits for the job looks, too
        assert one.total() <= 70 + 10 * number


async def test_list_of_jobs_costs_the_same_however_many_there_are(make_settings: MakeSettings, counted: Counted):
    found: list[Counter[str]] = []
    async with open_app(make_settings()) as app:
        await app.generator.list_jobs(ListJobsRequest())
        for number in range(20):
            await made_picture(app, number)
            counted.since_last()
            assert len((await app.generator.list_jobs(ListJobsRequest(limit=50))).jobs) == number + 1
            found.append(counted.since_last())
    assert found[0] == found[-1]
    assert found[-1].total() <= 12
