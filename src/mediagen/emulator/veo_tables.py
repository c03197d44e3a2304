"""The fields of a predictLongRunning request for Veo; everything else is refused.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation
(checked 2026-11-21)
"""

from mediagen.emulator.schema import Checker, Field, Message

_STRING = Field()
# numbers and switches: an untyped Value for the JSON reader, looked at by the model itself
_VALUE = Field(type="any")


def _inside(message: str, *, repeated: bool = False) -> Field:
    return Field(type="message", message=message, repeated=repeated)


_MEDIA: Message = {
    "bytesBase64Encoded": _STRING,
    "gcsUri": _STRING,
    "mimeType": _STRING,
    # known to the reader, and of no effect: what is named only there counts as empty
    "uri": _STRING,
}
_TABLES: dict[str, Message] = {
    "PredictRequest": {
        "instances": _inside("Instance", repeated=True),
        "parameters": _inside("Parameters"),
        "labels": Field(type="map"),
    },
    "Instance": {
        "prompt": _STRING,
        "image": _inside("Media"),
        "lastFrame": _inside("Media"),
        "video": _inside("Media"),
        "referenceImages": _inside("Reference", repeated=True),
        "mask": _inside("Mask"),
    },
    "Media": _MEDIA,
    "Mask": {**_MEDIA, "maskMode": _STRING},
    "Reference": {"image": _inside("Media"), "referenceType": _STRING},
    "Parameters": {
        "sampleCount": _VALUE,
        "durationSeconds": _VALUE,
        "aspectRatio": _STRING,
        "resolution": _STRING,
        "seed": _VALUE,
        "negativePrompt": _STRING,
        "personGeneration": _STRING,
        "generateAudio": _VALUE,
        "enhancePrompt": _VALUE,
        "storageUri": _STRING,
        "pubsubTopic": _STRING,
        "compressionQuality": _STRING,
        "resizeMode": _STRING,
        "fps": _VALUE,
    },
}
# names inside untyped values have one spelling
PREDICT_LONG_RUNNING = Checker(tables=_TABLES, camel=False)
FETCH_OPERATION = Checker(tables={"FetchRequest": {"operationName": _STRING}}, camel=False)
