"""Vertex AI: pictures by generateContent, Omni clips by the Interactions API, Veo clips by predictLongRunning.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation and requests of
google-genai 3.4.0 in Vertex mode (checked 2026-11-21)
"""

import re
from pathlib import Path
from typing import Any, assert_never
from urllib.parse import quote

import httpx

from mediagen.endpoints.base import (
    EndpointCheck,
    OnProgress,
    OpenSink,
    Operation,
    PaidRequest,
    ProbeResult,
    ResumablePart,
    StoredAnswer,
    Submission,
)
from mediagen.endpoints.check import ModelList, check_surface, probe_fields
from mediagen.endpoints.download import download_file
from mediagen.endpoints.http import HttpChannel, HttpSettings
from mediagen.endpoints.operations import (
    KEPT_OPERATION,
    cancel_interaction,
    poll_interaction,
    poll_operation,
    read_submission,
    submit_image,
    submit_interaction,
    submit_operation,
    unknown_operation,
)
from mediagen.endpoints.surface import HttpSurface
from mediagen.errors import InvalidRequestError
from mediagen.submitter.base import Submitter

_PUBLISHER = "publishers/google/models"
_OPERATION = re.compile(r"(?P<model>(?:[\w.:@-]+/)*models/[\w.@-]+)/operations/[\w.-]+")


class VertexAi(HttpSurface):
    """One project and location of Vertex AI, or its express form. Close it with `aclose` or `async with`."""

    def __init__(
        self,
        *,
        auth: httpx.Auth,
        key_source: str,
        base_url: str,
        http: HttpSettings | None = None,
        submitter: Submitter | None = None,
    ) -> None:
        """Set the surface up; nothing is sent yet.

        Args:
            auth: Signs requests to the origin of `base_url` and to nothing else.
            key_source: The credential in words, such as "the service account in GOOGLE_APPLICATION_CREDENTIALS".
            base_url: The whole address under which the project's resources live,
                ``https://HOST/v1beta1/projects/P/locations/L``, or ``https://HOST/v1beta1`` for express keys.
            http: Time-outs, retries and clock.
            submitter: Sends paid requests, where it can.

        Raises:
            ConfigurationError: `base_url` is no http or https address.
        """
        channel = HttpChannel(
            base_url=base_url,
            auth=auth,
            key_source=key_source,
            settings=http or HttpSettings(),
            address_setting="GOOGLE_VERTEX_BASE_URL",
            submitter=submitter,
        )
        super().__init__(channel)

    async def submit(self, call: PaidRequest) -> Submission:
        """Send a paid request once. Costs money.

        Raises:
            SubmissionUnconfirmedError: It may have arrived, but its outcome is unknown; it is never sent again.
            ContentFilteredError: A safety filter refused it; `billed` says whether it costs.
            EndpointError: Google refused it, failed, or answered without a picture.
            AuthenticationError: The credential was refused.
        """
        match call.api:
            case "generate_content":
                return await submit_image(self._http, self._method(call.model, "generateContent"), call)
            case "interactions":
                return await submit_interaction(self._http, f"{self.base_url}/interactions", call)
            case "predict_long_running":
                return await submit_operation(self._http, self._method(call.model, "predictLongRunning"), call)
            case "batch_generate_content":
                raise InvalidRequestError(
                    "Vertex AI reads batches from Cloud Storage or BigQuery only, which is not built.",
                    field="economy",
                    hint="Use the Gemini API (backend gemini), or make it without economy.",
                )
            case _:
                assert_never(call.api)

    async def read_answer(self, call: PaidRequest, answer: StoredAnswer) -> Submission:
        """Read what Google answered to a paid request of a process that has died since. Sends nothing.

        Raises:
            MediaGenError: As `submit` would have.
            StorageError: The answer cannot be read now.
        """
        return await read_submission(self._http, call, answer)

    async def poll(self, operation: str, open_sink: OpenSink) -> Operation:
        """Ask for the state of an interaction or a Veo operation. Costs nothing.

        Raises:
            EndpointError: With code ``operation_unknown`` when Google does not know it (any more).
            UnavailableError: No answer could be had; try again later.
            StorageError: A sink could not be written.
        """
        if "/operations/" not in operation:
            return await poll_interaction(self._http, self._interaction(operation), open_sink)
        found = _OPERATION.fullmatch(operation)
        if found is None or ".." in operation:
            raise unknown_operation(None, KEPT_OPERATION)
        # The model's path comes from the name: the job may lie in another location than new ones.
        url = f"{self._root}/{found['model']}:fetchPredictOperation"
        return await poll_operation(self._http, url, open_sink, name=operation)

    async def cancel(self, operation: str) -> bool:
        """Ask Google to stop an interaction; False when it is over already or not known, and for Veo always."""
        if "/operations/" in operation:
            return False
        return await cancel_interaction(self._http, self._interaction(operation))

    async def download(self, uri: str, part: ResumablePart, on_progress: OnProgress | None = None) -> None:
        """Bring a file here over https, going on after what `part` already holds. Costs nothing.

        Raises:
            EndpointError: With code ``expired`` when the file is gone.
            UnavailableError: It could not be had completely; what came is kept in `part`.
            StorageError: `part` could not be written.
        """
        await download_file(self._http, uri, part, on_progress)

    async def upload(self, path: Path, mime_type: str) -> str:
        """Refuse: Vertex AI has no file store of its own.

        Raises:
            InvalidRequestError: Always.
        """
        raise InvalidRequestError(
            f"{path.name} ({mime_type}) cannot be handed to Vertex AI as a file: it has no file store of its own.",
            field="source",
            hint="Copy it to a bucket and give its gs:// address, or a file small enough to be sent along.",
        )

    async def check(self) -> EndpointCheck:
        """Test address, credential and models. Costs nothing; failures are told, not raised."""
        listing = ModelList(
            url=f"{self._root}/{_PUBLISHER}",
            field="publisherModels",
            api="Vertex AI",
            setting="GOOGLE_VERTEX_BASE_URL",
        )
        return await check_surface(self._http, listing)

    async def probe(self, model: str, body: dict[str, Any]) -> ProbeResult:
        """Let Google check the fields of a body without carrying it out. Costs nothing, ever."""
        return await probe_fields(self._http, self._method(model, "generateContent"), body)

    @property
    def _root(self) -> str:
        """Host and version, without project."""
        return self.base_url.partition("/projects/")[0]

    def _method(self, model: str, method: str) -> str:
        name = quote(model.rpartition("/")[2], safe="")
        return f"{self.base_url}/{_PUBLISHER}/{name}:{method}"

    def _interaction(self, operation: str) -> str:
        return f"{self.base_url}/interactions/{quote(operation.rpartition('/')[2], safe='')}"
