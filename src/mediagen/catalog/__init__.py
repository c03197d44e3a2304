"""What models exist, what each accepts and until when: dated data, and pure functions over it."""

from mediagen.catalog.catalog import Catalog, FoundModel
from mediagen.catalog.checks import check_image, check_video
from mediagen.catalog.spec import Dispute, ModelSpec, Surface, SurfaceSpec

__all__ = [
    "Catalog",
    "Dispute",
    "FoundModel",
    "ModelSpec",
    "Surface",
    "SurfaceSpec",
    "check_image",
    "check_video",
]
