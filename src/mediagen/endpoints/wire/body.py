"""Request bodies of each surface. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from mediagen.endpoints.wire.generate_content import encode_image
from mediagen.endpoints.wire.interactions import encode_video
from mediagen.endpoints.wire.media import VideoMedia, WireMedia
from mediagen.endpoints.wire.veo import encode_veo
from mediagen.errors import InvalidRequestError
from mediagen.jobs import Api
from mediagen.requests import ImageParameters, VideoParameters

_VEO_ONLY = ("person_generation", "resize_mode", "compression_quality")
# Veo and pictures spell the same choice differently.
# Source: ImageConfig.person_generation of google-genai 3.4.0 (checked 2026-11-21)
_PEOPLE_IN_PICTURES: Mapping[str, str] = {
    "allow_all": "ALLOW_ALL",
    "allow_adult": "ALLOW_ADULT",
    "allow_none": "ALLOW_NONE",
    "dont_allow": "ALLOW_NONE",
    "disallow": "ALLOW_NONE",
}


class GeminiBodies:
    """Makes bodies as the Gemini API takes them; the negative prompt is put into words by the caller."""

    def build_image(
        self,
        parameters: ImageParameters,
        prompt: str,
        images: Sequence[WireMedia] = (),
        documents: Sequence[str] = (),
        *,
        history: Sequence[dict[str, Any]] = (),
    ) -> dict[str, Any]:
        """Make the body of one picture request.

        Raises:
            InvalidRequestError: A parameter that the Gemini API does not have.
        """
        _refuse("person_generation", parameters.person_generation)
        return encode_image(parameters, prompt, images, documents, history=history)

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

        Raises:
            InvalidRequestError: A parameter that the Gemini API does not have.
        """
        if api == "predict_long_running":
            raise InvalidRequestError(
                f"{parameters.model} cannot be used with the Gemini API: Google serves Veo on Vertex AI only.",
                field="model",
                hint="Choose an Omni model, or set up Vertex AI (backend).",
            )
        _refuse("storage_uri", storage_uri)
        _refuse_for_omni(parameters)
        return encode_video(parameters, prompt, media)


class VertexBodies:
    """Makes bodies as Vertex AI takes them, with a project or with an express key; labels are not sent."""

    def build_image(
        self,
        parameters: ImageParameters,
        prompt: str,
        images: Sequence[WireMedia] = (),
        documents: Sequence[str] = (),
        *,
        history: Sequence[dict[str, Any]] = (),
    ) -> dict[str, Any]:
        """Make the body of one picture request.

        Raises:
            InvalidRequestError: A value that Vertex AI does not have.
        """
        body = encode_image(parameters, prompt, images, documents, history=history)
        if parameters.person_generation:
            people = _PEOPLE_IN_PICTURES.get(parameters.person_generation.lower())
            if people is None:
                raise InvalidRequestError(
                    f"person_generation={parameters.person_generation!r} cannot be sent.",
                    field="person_generation",
                    hint="Use allow_all, allow_adult or dont_allow.",
                )
            body["generationConfig"]["imageConfig"]["personGeneration"] = people
        return body

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

        Raises:
            InvalidRequestError: A parameter or an input that the model does not have.
        """
        if storage_uri is not None and not storage_uri.startswith("gs://"):
            raise InvalidRequestError(
                f"storage_uri={storage_uri!r} is not a place in Cloud Storage.",
                field="storage_uri",
                hint="Give gs://bucket/folder/, or leave it out.",
            )
        if api == "predict_long_running":
            return encode_veo(parameters, prompt, media, storage_uri=storage_uri)
        _refuse_for_omni(parameters)
        # Without a bucket the clip comes inside the answer: Vertex AI has no file store of its own.
        return encode_video(parameters, prompt, media, stays_at_google=False, gcs_uri=storage_uri)


def prompt_in(body: Mapping[str, Any]) -> str:
    """The prompt as it stands in the body of a clip request, of either API."""
    if "instances" in body:
        return str(body["instances"][0].get("prompt", ""))
    given = body.get("input", "")
    if isinstance(given, str):
        return given
    return "".join(part["text"] for step in given for part in step["content"] if part["type"] == "text")


def _refuse_for_omni(parameters: VideoParameters) -> None:
    for name in _VEO_ONLY:
        if value := getattr(parameters, name):
            raise InvalidRequestError(
                f"{name}={value!r} cannot be sent: Omni models do not have it (Veo on Vertex AI does).",
                field=name,
                hint="Leave it out.",
            )
    if not parameters.generate_audio:
        raise InvalidRequestError(
            "generate_audio=False cannot be honoured: Omni models always make sound.",
            field="generate_audio",
            hint="Leave it out.",
        )


def _refuse(name: str, value: str | None) -> None:
    if value:
        raise InvalidRequestError(
            f"{name}={value!r} cannot be sent: the Gemini API does not have it (Vertex AI does).",
            field=name,
            hint="Leave it out.",
        )
