"""What a caller may ask for, as validated values; the tool schemas and the command line are made from these.

A request holds what the caller said and nothing else: an absent argument is None, so that an explicit value always
wins. Parameters hold what is sent, after defaults and adjustments.
"""

from mediagen.requests.explaining import explain_invalid
from mediagen.requests.fields import Backend, ImageMode, VideoMode
from mediagen.requests.free import (
    CancelJobRequest,
    CheckApiRequest,
    EstimateCostRequest,
    GetJobRequest,
    ListJobsRequest,
)
from mediagen.requests.generation import (
    ExtendVideoRequest,
    GenerateImageRequest,
    GenerateVideoRequest,
    GenerationRequest,
    VideoRequest,
)
from mediagen.requests.parameters import ImageParameters, VideoParameters

__all__ = [
    "Backend",
    "CancelJobRequest",
    "CheckApiRequest",
    "EstimateCostRequest",
    "ExtendVideoRequest",
    "GenerateImageRequest",
    "GenerateVideoRequest",
    "GenerationRequest",
    "GetJobRequest",
    "ImageMode",
    "ImageParameters",
    "ListJobsRequest",
    "VideoMode",
    "VideoParameters",
    "VideoRequest",
    "explain_invalid",
]
