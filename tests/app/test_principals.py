"""The app as one of several principals works with it: as if nobody else used the server."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.conftest import paid
from tests.generator.planning import OMNI_12, extend
from tests.runner.asking import clip, image

from mediagen.app.app import App, now, open_app
from mediagen.errors import AuthenticationError, InvalidRequestError, JobNotFoundError
from mediagen.generator import resolving
from mediagen.ledger.ids import new_upload_id
from mediagen.report.job import JobReport
from mediagen.requests import (
    CancelJobRequest,
    ExtendVideoRequest,
    GenerateImageRequest,
    GenerateVideoRequest,
    GetJobRequest,
    GetSpendRequest,
    ListJobsRequest,
    ProbeMediaRequest,
    ResolveJobRequest,
    TrimVideoRequest,
)
from mediagen.storage.uploads import folder_name


@pytest.fixture
async def app(make_settings) -> AsyncIterator[App]:
    opened, done = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def hold() -> None:
        async with open_app(make_settings()) as app:
            opened.set_result(app)
            await done.wait()

    # Its task groups are left in the task that entered them, which is not that of a fixture.
    task = asyncio.create_task(hold())
    yield await opened
    done.set()
    await task


async def uploaded(app: App, file: Path) -> str:
    folder = await app.uploads.make_folder()
    part, upload_id = folder / "x.part", new_upload_id(now)
    part.write_bytes(file.read_bytes())
    await app.uploads.take_in(part, upload_id, file.suffix)
    return f"mediagen://uploads/{upload_id}"


async def test_each_principal_has_a_folder_of_its_own_and_the_owner_sees_all(app, work):
    ada, bob = await image(app.of("ada")), await image(app.of("bob"))
    own = await image(app)
    assert ada.artifacts[0].file.parent == work / folder_name("ada")
    assert bob.artifacts[0].file.parent == work / folder_name("bob")
    assert own.artifacts[0].file.parent == work
    listed = {
        name: [job.job_id for job in (await app.of(name).generator.list_jobs(ListJobsRequest())).jobs]
        for name in ("ada", "bob", None)
    }
    assert listed == {"ada": [ada.job_id], "bob": [bob.job_id], None: [own.job_id, bob.job_id, ada.job_id]}


async def test_names_that_look_alike_have_different_folders_and_stay_one_part_of_a_path():
    names = ["ada", "Ada", "ada!", "../ada", "ada/..", "", "a" * 200, "\N{SNOWMAN}"]
    folders = {folder_name(name) for name in names}
    assert len(folders) == len(names)
    assert all("/" not in folder and len(folder) < 60 and not folder.startswith(".") for folder in folders)


@pytest.fixture
async def adas_picture(app) -> JobReport:
    return await image(app.of("ada"))


@pytest.fixture
async def adas_clip(app) -> JobReport:
    return await clip(app.of("ada"))


FOREIGN_JOB: dict[str, Callable[[App, str], Awaitable[object]]] = {
    "get_job": lambda bob, job_id: bob.generator.get_job(GetJobRequest(job_id=job_id, wait_seconds=0)),
    "cancel_job": lambda bob, job_id: bob.generator.cancel_job(CancelJobRequest(job_id=job_id)),
    "resolve_job": lambda bob, job_id: resolving.resolve_job(
        bob.generator, ResolveJobRequest(job_id=job_id, outcome="not_billed"), "the tool resolve_job"
    ),
    "continue_from": lambda bob, job_id: bob.generator.generate_image(
        GenerateImageRequest(prompt="more", continue_from=job_id)
    ),
    "source": lambda bob, job_id: bob.generator.extend_video(ExtendVideoRequest(source=job_id, prompt="on")),
    "remix_from": lambda bob, job_id: bob.generator.generate_video(
        GenerateVideoRequest(prompt="again", remix_from=job_id)
    ),
    "probe_media": lambda bob, job_id: bob.editor.probe_media(ProbeMediaRequest(source=job_id)),
    "record": lambda bob, job_id: bob.records.find(job_id),
}
FOREIGN_FILE: dict[str, Callable[[App, str], Awaitable[object]]] = {
    "input_images": lambda bob, uri: bob.generator.generate_image(
        GenerateImageRequest(prompt="more", input_images=[uri])
    ),
    "continue_from": lambda bob, uri: bob.generator.generate_image(
        GenerateImageRequest(prompt="more", continue_from=uri)
    ),
    "image": lambda bob, uri: bob.generator.generate_video(GenerateVideoRequest(prompt="more", image=uri)),
    "source": lambda bob, uri: bob.generator.extend_video(ExtendVideoRequest(source=uri, prompt="on")),
    "trim_video": lambda bob, uri: bob.editor.trim_video(TrimVideoRequest(source=uri, end="1")),
    "artifact": lambda bob, uri: bob.generator.artifact_file(uri.rpartition("/")[2]),
}


@pytest.mark.parametrize("tool", FOREIGN_JOB)
async def test_the_job_of_another_does_not_exist(app, adas_picture, emulator, tool):
    before = paid(emulator)
    with pytest.raises(JobNotFoundError, match=r"There is no job 'job_\w+' in the ledger"):
        await FOREIGN_JOB[tool](app.of("bob"), adas_picture.job_id or "")
    assert paid(emulator) == before


@pytest.mark.parametrize("tool", FOREIGN_FILE)
async def test_the_file_of_another_does_not_exist(app, adas_picture, emulator, tool):
    before = paid(emulator)
    with pytest.raises(JobNotFoundError, match=r"There is no artifact 'art_\w+' in the ledger"):
        await FOREIGN_FILE[tool](app.of("bob"), adas_picture.artifacts[0].uri)
    assert paid(emulator) == before


async def test_same_request_and_request_id_of_two_principals_are_two_jobs(app, emulator):
    ada, bob = app.of("ada"), app.of("bob")
    first = await image(ada, request_id="mine")
    second = await image(bob, request_id="mine")
    again = await image(ada, request_id="mine")
    assert first.job_id == again.job_id != second.job_id
    assert paid(emulator) == 2


async def test_spending_is_that_of_the_principal_while_caps_count_everybody(app):
    await image(app.of("ada"))
    mine = await app.of("ada").spending.get_spend(GetSpendRequest(with_free=True))
    others = await app.of("bob").spending.get_spend(GetSpendRequest(with_free=True))
    assert mine.total.free_jobs == 1
    assert others.total.free_jobs == 0


PATHS: dict[str, Callable[[App, str], Awaitable[object]]] = {
    **{name: call for name, call in FOREIGN_FILE.items() if name not in {"artifact", "continue_from"}},
    "video": lambda ada, path: ada.generator.generate_video(GenerateVideoRequest(prompt="more", video=path)),
    "documents": lambda ada, path: ada.generator.generate_image(GenerateImageRequest(prompt="x", documents=[path])),
    "probe_media": lambda ada, path: ada.editor.probe_media(ProbeMediaRequest(source=path)),
}


@pytest.mark.parametrize("form", ["{path}", "file://{path}", "~/{name}", "{name}"])
@pytest.mark.parametrize("tool", PATHS)
async def test_a_principal_names_no_path_and_is_told_how_to_send_a_file(app, work, emulator, tool, form):
    path = form.format(path=work / "cat.png", name="cat.png").replace(" ", "%20" if "file:" in form else " ")
    with pytest.raises(InvalidRequestError, match="POST /files") as error:
        await PATHS[tool](app.of("ada"), path)
    assert error.value.code == "path_not_accepted"
    assert paid(emulator) == 0


async def test_an_uploaded_file_is_an_input_for_whoever_sent_it_alone(app, work):
    ada, bob = app.of("ada"), app.of("bob")
    uri = await uploaded(ada, work / "cat.png")
    assert (await image(ada, input_images=[uri])).status == "succeeded"
    assert (await ada.editor.probe_media(ProbeMediaRequest(source=uri))).mime_type == "image/png"
    for other in (bob, app):
        with pytest.raises(InvalidRequestError, match="There is no uploaded file") as error:
            await image(other, input_images=[uri])
        assert error.value.code == "upload_gone"


async def test_an_uploaded_clip_is_extended(app, adas_clip):
    uri = await uploaded(app.of("bob"), adas_clip.artifacts[0].file)
    report = await extend(app.of("bob"), uri, model=OMNI_12, duration_seconds=3)
    assert report.status == "succeeded", report.error


async def test_links_that_are_made_in_the_background_are_the_principals(app, adas_clip):
    ada = app.of("ada")
    report = await extend(ada, adas_clip.job_id, model=OMNI_12, duration_seconds=3, times=2)
    assert report.status == "succeeded", report.error
    assert report.effective["link"] == 2
    jobs = (await ada.generator.list_jobs(ListJobsRequest())).jobs
    assert len(jobs) == 3
    assert {job.artifacts[0].file.parent.name for job in jobs} == {folder_name("ada")}
    assert not (await app.of("bob").generator.list_jobs(ListJobsRequest())).jobs


async def test_edits_are_the_principals(app, adas_clip):
    ada = app.of("ada")
    report = await ada.editor.trim_video(TrimVideoRequest(source=adas_clip.job_id or "", end="1"))
    assert report.artifacts[0].file.parent.name == folder_name("ada")
    assert (await ada.generator.get_job(GetJobRequest(job_id=report.job_id or ""))).status == "succeeded"
    with pytest.raises(JobNotFoundError):
        await app.of("bob").generator.get_job(GetJobRequest(job_id=report.job_id or ""))


async def test_the_record_beside_a_file_has_its_path_and_no_link(app, adas_picture):
    file = adas_picture.artifacts[0].file
    record = json.loads(file.with_suffix(".json").read_text())
    assert str(file) in json.dumps(record, ensure_ascii=False)
    assert "url_expires_at" not in json.dumps(record)


async def test_a_shared_app_is_nobodys_as_a_whole(app):
    shared = dataclasses.replace(app, is_shared=True)
    with pytest.raises(AuthenticationError):
        shared.of(None)
    assert shared.of("ada").principal == "ada"
