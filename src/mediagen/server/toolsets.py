"""The tools as data: name, toolset, request, handler, result, annotations."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from anyio import run
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import BaseModel

from mediagen import requests
from mediagen.report.checks import CheckReport, EstimateReport
from mediagen.report.job import JobListReport, JobReport
from mediagen.report.media import MediaReport
from mediagen.report.spending import SpendReport
from mediagen.server.approval import Handler
from mediagen.server.errors import RequestTool
from mediagen.server.schemas import input_schema, output_schema
from mediagen.server.tools import checks, editing, generation, jobs
from mediagen.server.viewer.viewer import VIEWER_URI

PAID = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
FREE = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True)
# A marker object is written to the bucket and removed again.
TRIES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True)
LOCAL = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
MAKES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
# Sets money free or counts it as spent, which nothing but a person's word stands behind.
SETTLES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True)
STOPS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolDefinition:
    """One tool."""

    name: str
    title: str
    toolset: Literal["core", "jobs", "edit"]
    description: str
    request: type[BaseModel]
    handler: Handler
    result: type[BaseModel]
    annotations: ToolAnnotations
    always_load: bool = False
    search_hint: str = ""
    viewer: bool = False

    def build(self) -> RequestTool:
        """Make the tool as the SDK knows it."""
        base = Tool.from_function(
            _result_stub(self.result),
            name=self.name,
            title=self.title,
            description=self.description,
            annotations=self.annotations.model_copy(update={"title": self.title}),
            meta=self._meta(),
        )
        fields = {name: getattr(base, name) for name in Tool.model_fields}
        fields["parameters"] = input_schema(self.request)
        fields["fn_metadata"] = base.fn_metadata.model_copy(update={"output_schema": output_schema(self.result)})
        return RequestTool(**fields, request_type=self.request, handler=self.handler)

    def _meta(self) -> dict[str, Any] | None:
        meta: dict[str, Any] = {}
        if self.always_load:
            meta["anthropic/alwaysLoad"] = True
        if self.search_hint:
            meta["anthropic/searchHint"] = self.search_hint
        if self.viewer:
            meta["ui"] = {"resourceUri": VIEWER_URI}
        return meta or None


TOOLS: tuple[ToolDefinition, ...] = (
    ToolDefinition(
        name="generate_image",
        title="Make or edit pictures",
        toolset="core",
        description="Make a picture from text, or edit and combine pictures. COSTS MONEY: about $0.03 (1K) to $0.25 "
        "(4K) each. Takes 15-60 s. Files are saved; the answer has their paths (links, if the server runs elsewhere), "
        "real pixel size, price and a small preview.",
        request=requests.GenerateImageRequest,
        handler=generation.generate_image,
        result=JobReport,
        annotations=PAID,
        always_load=True,
        viewer=True,
    ),
    ToolDefinition(
        name="generate_video",
        title="Make a clip",
        toolset="core",
        description="Make a short clip with sound from text, a first frame (image), first and last frame, reference "
        "images, or frames of a video (remix_from); or change a video as the prompt says (video, Omni). Veo on Vertex "
        "AI also makes silent ones, and up to 4 at once. COSTS MONEY: about $0.02-$0.60 per second. Takes 1-5 minutes; "
        "if it is still running when this returns, follow it with get_job and do not call this again.",
        request=requests.GenerateVideoRequest,
        handler=generation.generate_video,
        result=JobReport,
        annotations=PAID,
        always_load=True,
        viewer=True,
    ),
    ToolDefinition(
        name="extend_video",
        title="Continue a clip",
        toolset="core",
        description="Continue an existing clip: source is a job_id, an artifact URI, a local path, a gs:// or https "
        "address, or a Gemini file; it is made what Google takes. COSTS MONEY: about $0.02-$0.60 per second, times=N "
        "about N times as much. Takes 1-5 minutes each; if it is still running when this returns, follow it with "
        "get_job and do not call this again.",
        request=requests.ExtendVideoRequest,
        handler=generation.extend_video,
        result=JobReport,
        annotations=PAID,
        always_load=True,
        viewer=True,
    ),
    ToolDefinition(
        name="check_api",
        title="Test the set-up",
        toolset="core",
        description="Test every configured API: address, credentials, models, bucket (a marker object is written and "
        "removed); and this machine. Says what to do about problems. Free, always; takes seconds.",
        request=requests.CheckApiRequest,
        handler=checks.check_api,
        result=CheckReport,
        annotations=TRIES,
        search_hint="is the media API key working, which image and video models exist",
    ),
    ToolDefinition(
        name="estimate_cost",
        title="Price of a job",
        toolset="core",
        description="Price of a picture, clip or extension before it is made, and up to two other ways, cheaper "
        "ones first: another model, or less with the same one. Free.",
        request=requests.EstimateCostRequest,
        handler=checks.estimate_cost,
        result=EstimateReport,
        annotations=LOCAL,
        search_hint="how much does an image or video cost",
    ),
    ToolDefinition(
        name="get_job",
        title="Follow a job",
        toolset="jobs",
        description="State, files and cost of a job; waits up to wait_seconds for it to end. Free.",
        request=requests.GetJobRequest,
        handler=jobs.get_job,
        result=JobReport,
        annotations=FREE,
        search_hint="is the image or video ready, wait for a running generation",
        viewer=True,
    ),
    ToolDefinition(
        name="list_jobs",
        title="List jobs",
        toolset="jobs",
        description="Jobs of the ledger, newest first, with files and cost. Free.",
        request=requests.ListJobsRequest,
        handler=jobs.list_jobs,
        result=JobListReport,
        annotations=LOCAL,
        search_hint="earlier generated images and videos, running media jobs",
    ),
    ToolDefinition(
        name="get_spend",
        title="Money spent",
        toolset="jobs",
        description="Money spent by day, month, model, profile or status (UTC). Charged, reserved for running jobs "
        "and possibly billed (nobody knows) are told apart: do not add them up unasked. Free.",
        request=requests.GetSpendRequest,
        handler=jobs.get_spend,
        result=SpendReport,
        annotations=LOCAL,
        search_hint="how much money was spent on images and videos, costs so far, bill",
    ),
    ToolDefinition(
        name="cancel_job",
        title="Stop a job",
        toolset="jobs",
        description="Ask Google to stop a running job. Free, takes seconds; what is already made is still billed.",
        request=requests.CancelJobRequest,
        handler=jobs.cancel_job,
        result=JobReport,
        annotations=STOPS,
        search_hint="stop a running video generation",
    ),
    ToolDefinition(
        name="resolve_job",
        title="Settle an unconfirmed job",
        toolset="jobs",
        description="Settle a job whose paid request was sent and never answered (unconfirmed, or possibly billed): "
        "outcome billed or not_billed, as the user found it in Google's bill, or operation, a name found at Google, by "
        "which the job goes on. ASK THE USER, never guess: not_billed sets the money free in the spending caps. Sends "
        "nothing that costs.",
        request=requests.ResolveJobRequest,
        handler=jobs.resolve_job,
        result=JobReport,
        annotations=SETTLES,
        search_hint="unconfirmed job, lost answer, possibly billed",
    ),
    ToolDefinition(
        name="probe_media",
        title="Look at a file",
        toolset="edit",
        description="Size, length, frame rate, codecs, sound and SHA-256 of a picture, video or sound file, and "
        "whether it carries a C2PA manifest. Free, takes a second, writes nothing.",
        request=requests.ProbeMediaRequest,
        handler=editing.probe_media,
        result=MediaReport,
        annotations=LOCAL,
        search_hint="how long is a video, its resolution, fps, codec",
    ),
    ToolDefinition(
        name="extract_frame",
        title="Take a frame",
        toolset="edit",
        description="One frame of a video as PNG or JPEG, for example the last one to go on with. Free, takes seconds, "
        "on this machine.",
        request=requests.ExtractFrameRequest,
        handler=editing.extract_frame,
        result=JobReport,
        annotations=MAKES,
        search_hint="still, screenshot or thumbnail of a video, last frame",
    ),
    ToolDefinition(
        name="trim_video",
        title="Cut out a part",
        toolset="edit",
        description="A part of a video from start to end, cut at exact frames, as MP4. Free, takes seconds, on this "
        "machine; the source stays.",
        request=requests.TrimVideoRequest,
        handler=editing.trim_video,
        result=JobReport,
        annotations=MAKES,
        search_hint="cut, shorten or clip a video",
    ),
    ToolDefinition(
        name="concat_videos",
        title="Join videos",
        toolset="edit",
        description="Several videos one after the other with hard cuts or cross-fades, sound kept, as MP4. Free, takes "
        "seconds, on this machine.",
        request=requests.ConcatVideosRequest,
        handler=editing.concat_videos,
        result=JobReport,
        annotations=MAKES,
        search_hint="merge, append or stitch clips to one film",
    ),
    ToolDefinition(
        name="add_audio",
        title="Add sound",
        toolset="edit",
        description="Put music or speech to a video: mixed with its own sound or in its place, with volume and fades, "
        "as MP4. Free, takes seconds, on this machine.",
        request=requests.AddAudioRequest,
        handler=editing.add_audio,
        result=JobReport,
        annotations=MAKES,
        search_hint="music, voice over, soundtrack, replace or mute sound",
    ),
    ToolDefinition(
        name="convert_video",
        title="Convert a video",
        toolset="edit",
        description="A video as MP4, WebM, GIF or WebP, in another size or at an exact frame rate (24 is what "
        "extend_video needs). Free, takes seconds, on this machine.",
        request=requests.ConvertVideoRequest,
        handler=editing.convert_video,
        result=JobReport,
        annotations=MAKES,
        search_hint="change format, frame rate or size of a video, make a gif",
    ),
    ToolDefinition(
        name="resize_image",
        title="Resize a picture",
        toolset="edit",
        description="A picture in another size or format (PNG, JPEG, WebP), upright and without private metadata. "
        "Free, takes a second, on this machine.",
        request=requests.ResizeImageRequest,
        handler=editing.resize_image,
        result=JobReport,
        annotations=MAKES,
        search_hint="scale, crop or convert an image, thumbnail",
    ),
)


@cache
def tool_named(name: str) -> RequestTool:
    """What serves a tool."""
    return next(definition for definition in TOOLS if definition.name == name).build()


def seen_tools() -> list[dict[str, Any]]:
    """Every tool as clients see it, with its toolset."""
    server = MCPServer("tools", tools=[definition.build() for definition in TOOLS])
    seen = {
        tool.name: tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in run(server.list_tools)
    }
    return [{"toolset": definition.toolset, "tool": seen[definition.name]} for definition in TOOLS]


def _result_stub(result: type[BaseModel]) -> Any:
    """A function from whose annotation the SDK makes the output schema; it is never called."""

    async def stub(context: Context[Any]) -> CallToolResult:
        raise NotImplementedError

    stub.__annotations__["return"] = Annotated[CallToolResult, result]
    return stub
