"""Folders for files that are none."""

import pytest
from tests.conftest import paid
from tests.generator.planning import MakeSettings, both, plan_clip

from mediagen.app.app import open_app
from mediagen.errors import InvalidRequestError


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("folder", ["~no-such-user/films", "films\0"])
async def test_folder_that_is_no_path_is_refused_and_nothing_sent(
    make_settings: MakeSettings, emulator, folder: str, dry_run: bool
):
    async with open_app(make_settings(**both(emulator.url))) as app:
        with pytest.raises(InvalidRequestError, match="no usable path") as refused:
            await plan_clip(app, output_dir=folder, dry_run=dry_run)
    assert refused.value.field == "output_dir"
    assert paid(emulator) == 0
