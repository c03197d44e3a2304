"""What every API surface offers; the values that go in and come out. No I/O, no HTTP client."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from mediagen.endpoints.inline_files import InlineFile
from mediagen.endpoints.wire.generate_content import DecodedImage
from mediagen.endpoints.wire.media import VideoMedia, WireMedia
from mediagen.endpoints.wire.operation import Operation, Output, State
from mediagen.jobs import Api, Kind
from mediagen.requests import ImageParameters, VideoParameters
from mediagen.submitter.base import Answer as StoredAnswer

__all__ = [
    "Accepted",
    "Api",
    "BodyEncoder",
    "DecodedImage",
    "Endpoint",
    "EndpointCheck",
    "Finished",
    "InlineFile",
    "OnProgress",
    "OpenSink",
    "Operation",
    "Output",
    "PaidRequest",
    "PartSink",
    "ProbeResult",
    "ResumablePart",
    "State",
    "StoredAnswer",
    "Submission",
    "VideoMedia",
    "WireMedia",
    "nowhere",
]

OnProgress = Callable[[int, int | None], Awaitable[None]]
"""Called with the bytes that are here and the bytes of the whole file, or None when that is unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PaidRequest:
    """One request that costs money.

    Attributes:
        model: Google's model id.
        api: Decides the method that is called.
        body: As made by `build_image` or `build_video`, or a batch of that.
        folder: Folder of the call in the spool, through which its answer outlives this process; None to do without.
        ticket: Number of the first ticket in that folder under which it may leave. Whoever takes the call over makes it
            void, so that a process that was stopped meanwhile cannot send any more.
        token: Of the right to send the call, for which the folder was opened.
    """

    kind: Kind
    model: str
    api: Api
    body: dict[str, Any]
    folder: Path | None = None
    ticket: int = 1
    token: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """The paid request was answered with its picture.

    Attributes:
        picture: Its file.
        turn: The model's turn as it is sent back when editing goes on, with an `InlineFile` where the base64 of a file
            was; empty when there is none.
        warnings: What the caller should know about it.
        is_stored: Whether the answer lies on the disk as it came until its call is forgotten.
    """

    image: DecodedImage
    picture: InlineFile
    turn: dict[str, Any]
    warnings: tuple[str, ...] = ()
    is_stored: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """Google works on it in the background.

    Attributes:
        operation: Name to poll by.
    """

    operation: str


Submission = Finished | Accepted


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointCheck:
    """What a free test of a surface found.

    Attributes:
        reachable: Whether anything answered.
        key_ok: Whether the credentials were accepted; None when that could not be found out.
        latency_ms: Time of the first answer in milliseconds.
        models: Ids of the models that the key can see, in Google's order.
        clock_skew_seconds: Google's clock minus ours; to the second.
        error: Why the test failed, if it did.
        retryable: Whether the same test may succeed later.
        lists_models: False when the surface lists no models for such credentials, so that they could not be tested.
    """

    reachable: bool
    key_ok: bool | None
    latency_ms: float | None = None
    models: tuple[str, ...] = ()
    clock_skew_seconds: float | None = None
    error: str | None = None
    retryable: bool = False
    lists_models: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeResult:
    """What a free test of a request body found; it proves how Google parses it, not that it would be carried out.

    Attributes:
        accepted: Whether Google knows every field and value; None when that could not be found out.
        refused_fields: What Google refused, as ``field: description``.
        message: The result in words.
        key_refused: Whether the credentials were refused.
    """

    accepted: bool | None
    refused_fields: tuple[str, ...] = ()
    message: str = ""
    key_refused: bool = False


class PartSink(Protocol):
    """An unfinished file that bytes are added to; survives the process, so that a download can go on."""

    def size(self) -> int:
        """Bytes that are already there."""
        ...

    async def append(self, data: bytes, /) -> None:
        """Add bytes at the end.

        Raises:
            StorageError: They cannot be written.
        """
        ...

    async def truncate(self) -> None:
        """Throw away what is there, to start over."""
        ...


class ResumablePart(PartSink, Protocol):
    """An unfinished file of which a later process knows what was said of the whole."""

    async def note(self) -> dict[str, str]:
        """What was noted by an earlier attempt; empty when nothing was."""
        ...

    async def keep_note(self, note: Mapping[str, str], /) -> None:
        """Replace the note.

        Raises:
            StorageError: It cannot be written.
        """
        ...

    async def checksum(self, kind: Literal["md5", "crc32c"], /) -> str:
        """Checksum of what is there, in base64.

        Raises:
            StorageError: It cannot be read.
        """
        ...


OpenSink = Callable[[int], Awaitable[PartSink]]
"""Gives an empty sink for the n-th file that comes inside an answer."""


async def nowhere(_number: int) -> PartSink:
    """Gives a sink that keeps nothing, for who only wants to know the state of an operation."""
    return _Nowhere()


class _Nowhere:
    def size(self) -> int:
        return 0

    async def append(self, data: bytes, /) -> None:
        pass

    async def truncate(self) -> None:
        pass


class BodyEncoder(Protocol):
    """Makes request bodies; pure, so that a dry run needs no connection."""

    def build_image(
        self,
        parameters: ImageParameters,
        prompt: str,
        images: Sequence[WireMedia] = (),
        documents: Sequence[str] = (),
        *,
        history: Sequence[dict[str, Any]] = (),
    ) -> dict[str, Any]:
        """Make the body of one picture request; `history` holds the earlier turns of its conversation.

        Raises:
            InvalidRequestError: A parameter that this surface does not have.
        """
        ...

    def build_video(
        self,
        parameters: VideoParameters,
        prompt: str,
        media: VideoMedia,
        *,
        api: Api = "interactions",
        storage_uri: str | None = None,
    ) -> dict[str, Any]:
        """Make the body of one clip request.

        Args:
            parameters: What the clip is to be.
            prompt: What to show.
            media: Files that go in.
            api: Format of the body; the catalogue knows it for each model.
            storage_uri: gs:// prefix that Google writes to; None to get the clip in the answer or by address.

        Raises:
            InvalidRequestError: A parameter that this surface does not have.
        """
        ...


class Endpoint(Protocol):
    """One API surface of Google's media models. Whoever opened it closes it with `aclose`."""

    async def submit(self, call: PaidRequest) -> Submission:
        """Send a paid request once. Costs money.

        Raises:
            SubmissionUnconfirmedError: It may have arrived, but its outcome is unknown; it is never sent again.
            ContentFilteredError: A safety filter refused it; `billed` says whether it costs.
            EndpointError: Google refused it or failed.
            AuthenticationError: The credentials were refused.
        """
        ...

    async def read_answer(self, call: PaidRequest, answer: StoredAnswer) -> Submission:
        """Read what Google answered to a paid request of a process that has died since. Sends nothing.

        Raises:
            MediaGenError: As `submit` would have.
            StorageError: The answer cannot be read now.
        """
        ...

    async def poll(self, operation: str, open_sink: OpenSink) -> Operation:
        """Ask for the state of an operation. Costs nothing.

        Files inside the answer go to the sinks of `open_sink` while it is read; they are whole when this returns.

        Raises:
            EndpointError: With code ``operation_unknown`` when Google does not know it (any more).
            UnavailableError: No answer could be had; try again later.
            StorageError: A sink could not be written.
        """
        ...

    async def download(self, uri: str, part: ResumablePart, on_progress: OnProgress | None = None) -> None:
        """Bring a file here over https, going on after what `part` already holds. Costs nothing.

        Raises:
            EndpointError: With code ``expired`` when the file is gone.
            UnavailableError: It could not be had completely; what came is kept in `part`.
            StorageError: `part` could not be written.
        """
        ...

    async def cancel(self, operation: str) -> bool:
        """Ask Google to stop; False when it is over already or not known."""
        ...

    async def list_batches(self) -> dict[str, str]:
        """Names of all batches of the project, by those that they were given. Costs nothing.

        Raises:
            MediaGenError: The list cannot be had.
        """
        ...

    async def upload(self, path: Path, mime_type: str) -> str:
        """Send a file to Google's own store and return its address once it can be used. Costs nothing."""
        ...

    async def check(self) -> EndpointCheck:
        """Test address, credentials and models. Costs nothing; failures are told, not raised."""
        ...

    async def probe(self, model: str, body: dict[str, Any]) -> ProbeResult:
        """Let Google check the fields of a body without carrying it out. Costs nothing, ever."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
