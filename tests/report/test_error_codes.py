"""Every code that stands in the source has a meaning, and no other."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from mediagen import errors
from mediagen.endpoints.wire.generate_content import FINISH_REASONS
from mediagen.report.error_codes import error_codes

GENERATOR = Path(__file__).parents[2] / "scripts" / "generate_docs.py"
CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MediaGenError)]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", GENERATOR)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(GENERATOR.parent))
        spec.loader.exec_module(module)
    return module


def test_codes_of_the_source_are_those_that_are_explained(generator: ModuleType):
    found = set().union(*generator.error_codes().values())
    found |= {reason.lower() for reason in FINISH_REASONS}
    found |= {kind.code for kind in CLASSES}
    assert set(error_codes()) == found


@pytest.mark.parametrize("kind", CLASSES)
def test_code_of_a_class_agrees_with_the_class(kind: type[errors.MediaGenError]):
    code = error_codes()[kind.code]
    assert code.retryable in {"yes" if kind.retryable else "no", "sometimes"}
    assert code.billed in {kind.billed, "varies"}


def test_every_code_says_in_a_sentence_what_it_means_and_what_to_do():
    for code in error_codes().values():
        assert code.means.endswith("."), code
        assert code.remedy[-1] in ".?", code
        assert code.retryable in {"no", "yes", "sometimes"}, code
        assert code.billed in {"no", "yes", "unknown", "varies"}, code
