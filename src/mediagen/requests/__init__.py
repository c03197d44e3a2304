"""What a caller may ask for, as validated values; the tool schemas and the command line are made from these.

A request holds what the caller said and nothing else: an absent argument is None, so that an explicit value always
wins. Parameters hold what is sent, after defaults and adjustments.
"""

from mediagen.requests.editing import (
    AddAudioRequest,
    ConcatVideosRequest,
    ConvertVideoRequest,
    EditRequest,
    ExtractFrameRequest,
    ProbeMediaRequest,
    ResizeImageRequest,
    TrimVideoRequest,
)
from mediagen.requests.explaining import explain_invalid, problems_of
from mediagen.requests.fields import Backend, ImageMode, VideoMode
from mediagen.requests.free import (
    CancelJobRequest,
    CheckApiRequest,
    EstimateCostRequest,
    GetJobRequest,
    GetSpendRequest,
    ListJobsRequest,
    ResolveJobRequest,
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
    "AddAudioRequest",
    "Backend",
    "CancelJobRequest",
    "CheckApiRequest",
    "ConcatVideosRequest",
    "ConvertVideoRequest",
    "EditRequest",
    "EstimateCostRequest",
    "ExtendVideoRequest",
    "ExtractFrameRequest",
    "GenerateImageRequest",
    "GenerateVideoRequest",
    "GenerationRequest",
    "GetJobRequest",
    "GetSpendRequest",
    "ImageMode",
    "ImageParameters",
    "ListJobsRequest",
    "ProbeMediaRequest",
    "ResizeImageRequest",
    "ResolveJobRequest",
    "TrimVideoRequest",
    "VideoMode",
    "VideoParameters",
    "VideoRequest",
    "explain_invalid",
    "problems_of",
]
