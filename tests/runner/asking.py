"""How the tests of the runner ask for pictures and clips."""

from mediagen.app.app import App
from mediagen.report.job import JobReport
from mediagen.requests import GenerateImageRequest, GenerateVideoRequest, GetJobRequest

CLIP = {"prompt": "waves", "duration_seconds": 3, "resolution": "360p"}


async def image(app: App, **changes: object) -> JobReport:
    return await app.generator.generate_image(GenerateImageRequest.model_validate({"prompt": "a boat", **changes}))


async def clip(app: App, **changes: object) -> JobReport:
    return await app.generator.generate_video(GenerateVideoRequest.model_validate({**CLIP, **changes}))


async def wait_for(app: App, job_id: str | None, seconds: float = 20) -> JobReport:
    assert job_id
    return await app.generator.get_job(GetJobRequest(job_id=job_id, wait_seconds=seconds))
