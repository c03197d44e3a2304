"""What the support codes of Veo's safety filters stand for. Data.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/video/responsible-ai-and-usage-guidelines
(checked 2026-11-21)
"""

import re
from collections.abc import Mapping

_CODES_OF: Mapping[str, tuple[int, ...]] = {
    "child safety": (58061214, 17301594),
    "a well-known person": (29310472, 15236754),
    "the rights of a third party": (35561574, 35561575),
    "video safety": (64151117, 42237218),
    "dangerous content": (62263041,),
    "hate": (57734940, 22137204),
    "prohibited content": (89371032, 49114662, 63429089, 72817394, 60599140),
    "sexual content": (90789179, 43188360),
    "toxic language": (78610348,),
    "violence": (61493863, 56562880),
    "vulgar language": (32635315,),
    "another safety rule": (74803281, 29578790, 42876398),
}
SUPPORT_CODES: Mapping[int, str] = {code: words for words, codes in _CODES_OF.items() for code in codes}

_CODES = re.compile(r"\b\d{8}\b")
_ANNOUNCED = re.compile(r"support codes?\b", re.IGNORECASE)


def has_support_codes(text: str) -> bool:
    """Whether a safety filter speaks, as far as its codes show."""
    return bool(_ANNOUNCED.search(text)) or any(int(code) in SUPPORT_CODES for code in _CODES.findall(text))


def in_words(text: str) -> str:
    """The text, with the meaning of each support code that is known behind it."""
    known = dict.fromkeys(SUPPORT_CODES[int(code)] for code in _CODES.findall(text) if int(code) in SUPPORT_CODES)
    return f"{text} (that is: {', '.join(known)})" if known else text
