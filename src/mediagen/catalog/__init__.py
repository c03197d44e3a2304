"""What models exist, what each accepts and until when: dated data, and pure functions over it."""

from mediagen.catalog.catalog import Catalog, FoundModel
from mediagen.catalog.checks import check_express_key, check_image, check_video
from mediagen.catalog.spec import DEFAULT_LOCATION, Dispute, ModelSpec, SurfaceSpec
from mediagen.jobs import Api, Surface

__all__ = [
    "DEFAULT_LOCATION",
    "Api",
    "Catalog",
    "Dispute",
    "FoundModel",
    "ModelSpec",
    "Surface",
    "SurfaceSpec",
    "check_express_key",
    "check_image",
    "check_video",
]
