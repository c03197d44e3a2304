"""Request bodies of the Gemini API. Pure."""

from collections.abc import Sequence
from typing import Any

from mediagen.endpoints.wire.generate_content import encode_image
from mediagen.endpoints.wire.interactions import VideoMedia, encode_video
from mediagen.endpoints.wire.media import WireMedia
from mediagen.errors import InvalidRequestError
from mediagen.requests import ImageParameters, VideoParameters

_VEO_ONLY = ("person_generation", "resize_mode", "compression_quality")


class GeminiBodies:
    """Makes bodies as the Gemini API takes them; the negative prompt is put into words by the caller."""

    def build_image(
        self,
        parameters: ImageParameters,
        prompt: str,
        images: Sequence[WireMedia] = (),
        documents: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Make the body of one picture request.

        Raises:
            InvalidRequestError: A parameter that the Gemini API does not have.
        """
        _refuse("person_generation", parameters.person_generation)
        return encode_image(parameters, prompt, images, documents)

    def build_video(self, parameters: VideoParameters, prompt: str, media: VideoMedia) -> dict[str, Any]:
        """Make the body of one clip request.

        Raises:
            InvalidRequestError: A parameter that the Gemini API does not have.
        """
        for name in _VEO_ONLY:
            _refuse(name, getattr(parameters, name))
        if not parameters.generate_audio:
            raise InvalidRequestError(
                "generate_audio=False cannot be honoured: Omni models always make sound.",
                field="generate_audio",
                hint="Leave it out.",
            )
        return encode_video(parameters, prompt, media)


def _refuse(name: str, value: str | None) -> None:
    if value:
        raise InvalidRequestError(
            f"{name}={value!r} cannot be sent: the Gemini API does not have it (Vertex AI does).",
            field=name,
            hint="Leave it out.",
        )
