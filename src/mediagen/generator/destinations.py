"""Where results go: the folder, the bucket that Google writes to, and the one that we copy to."""

from dataclasses import dataclass
from pathlib import Path

from mediagen.errors import InvalidRequestError
from mediagen.generator.placement import Place
from mediagen.jobs import Origin, own_folder
from mediagen.ledger.ids import ID_CHARACTERS
from mediagen.requests import EstimateCostRequest, GenerationRequest, ImageParameters, VideoParameters, VideoRequest
from mediagen.storage.gs_uri import parse_gs_uri

# Above it Google does not send a clip of Omni inside an answer.
# Source: https://ai.google.dev/gemini-api/docs/video and public reports (checked 2026-11-21)
INLINE_RESOLUTIONS = frozenset({"360p", "720p"})
INPUTS_FOLDER = "mediagen-inputs"


@dataclass(frozen=True, kw_only=True, slots=True)
class Destinations:
    """Buckets of a job.

    Attributes:
        storage_uri: gs:// prefix under which Google writes the result.
        upload_to: gs:// prefix under which we copy the stored files.
        inputs_uri: gs:// prefix for local videos that Google has to read.
    """

    storage_uri: str | None = None
    upload_to: str | None = None
    inputs_uri: str | None = None
    origins: dict[str, Origin]
    warnings: tuple[str, ...] = ()


def destinations_of(
    request: GenerationRequest | EstimateCostRequest, place: Place, parameters: ImageParameters | VideoParameters
) -> Destinations:
    """Decide where results go.

    Raises:
        InvalidRequestError: An address that is no gs:// prefix, or one that this surface or these credentials cannot
            use.
    """
    upload_to = getattr(request, "upload_to", None) or place.layers.preset.get("upload_to")
    if upload_to:
        parse_gs_uri(upload_to, "upload_to")
        _need_credentials("upload_to", place)
    origins: dict[str, Origin] = {"upload_to": "explicit"} if upload_to else {}
    if not isinstance(parameters, VideoParameters):
        return Destinations(upload_to=upload_to, origins=origins)
    storage_uri, origin = _storage_uri(request, place, parameters)
    if storage_uri:
        # The folder of the job below it has to fit as well.
        parse_gs_uri(own_folder(storage_uri, f"job_{'0' * ID_CHARACTERS}"), "storage_uri")
        origins["storage_uri"] = origin
    # What only the source names may be a stranger's: a caller's own video is not put there.
    prefix = storage_uri if storage_uri and origin != "source" else place.project.bucket.prefix
    inputs_uri = f"{prefix.rstrip('/')}/{INPUTS_FOLDER}/" if prefix and place.route.surface == "vertex" else None
    return Destinations(
        storage_uri=storage_uri,
        upload_to=upload_to,
        inputs_uri=inputs_uri,
        origins=origins,
        warnings=(*_left_behind(place, origin), *_unnamed(place, storage_uri, origin)),
    )


def _storage_uri(
    request: GenerationRequest | EstimateCostRequest, place: Place, parameters: VideoParameters
) -> tuple[str | None, Origin]:
    explicit = request.storage_uri if isinstance(request, VideoRequest) else None
    if explicit:
        return _checked(explicit, place), "explicit"
    # Elsewhere Google writes to no bucket, and without OAuth credentials we could not fetch from it.
    if place.route.surface != "vertex" or not _has_credentials(place):
        return None, "default"
    for origin, value in place.layers.candidates("storage_uri", None):
        if value:
            return _checked(value, place), origin
    if place.route.backend == "emulator":
        return None, "default"
    bucket = place.project.bucket
    if bucket.prefix:
        return bucket.prefix, bucket.origin
    if place.spec.api == "interactions" and parameters.resolution not in INLINE_RESOLUTIONS:
        return bucket.usual_prefix, "default"
    return None, "default"


def _left_behind(place: Place, origin: Origin) -> tuple[str, ...]:
    """A bucket of the source that this place cannot write to."""
    uri = place.layers.source.get("storage_uri")
    if uri is None or origin in {"explicit", "source"}:
        return ()
    why = "only Vertex AI writes to Cloud Storage" if place.route.surface != "vertex" else "it takes no API keys"
    return (f"The source went to {uri}; this clip does not: {why}.",)


def _unnamed(place: Place, storage_uri: str | None, origin: Origin) -> tuple[str, ...]:
    """The usual bucket, which nobody named."""
    if storage_uri is None or origin != "default":
        return ()
    return (
        f"Google sends no clip of {place.spec.id} above 720p inside its answer, so it is written to {storage_uri}, the "
        "usual bucket of the project. Make sure that it is yours, or name another with storage_uri or GCS_BUCKET.",
    )


def _checked(uri: str, place: Place) -> str:
    parse_gs_uri(uri, "storage_uri")
    if place.route.surface != "vertex":
        raise InvalidRequestError(
            f"storage_uri={uri!r} cannot be used: only Vertex AI writes to Cloud Storage.",
            field="storage_uri",
            hint="Use backend='vertex', or upload_to, which copies the finished file.",
        )
    _need_credentials("storage_uri", place)
    return uri


def _need_credentials(field: str, place: Place) -> None:
    if not _has_credentials(place):
        raise InvalidRequestError(
            f"{field} needs credentials for Cloud Storage, which takes no API keys.",
            field=field,
            hint="Set GOOGLE_APPLICATION_CREDENTIALS or run `gcloud auth application-default login`.",
        )


def _has_credentials(place: Place) -> bool:
    return place.route.backend == "emulator" or place.project.bucket.has_credentials


def folder_of(request: GenerationRequest, usual: Path) -> Path:
    """Absolute folder for the files of a request.

    Raises:
        InvalidRequestError: It is no path.
    """
    if not request.output_dir:
        return usual
    try:
        return Path(request.output_dir).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidRequestError(
            f"output_dir={request.output_dir[:300]!r} is no usable path.",
            field="output_dir",
            hint="Nothing was sent. Choose a folder that can be written to.",
        ) from error
