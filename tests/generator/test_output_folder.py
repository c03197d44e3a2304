"""Folders for files that are none."""

import pytest
from tests.conftest import paid
from tests.generator.planning import MakeSettings, both, plan_clip
from tests.runner.asking import image

from mediagen.app.app import open_app
from mediagen.errors import ConfigurationError, InvalidRequestError


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("folder", ["~no-such-user/films"])
async def test_folder_that_is_no_path_is_refused_and_nothing_sent(
    make_settings: MakeSettings, emulator, folder: str, dry_run: bool
):
    async with open_app(make_settings(**both(emulator.url))) as app:
        with pytest.raises(InvalidRequestError, match="no usable path") as refused:
            await plan_clip(app, output_dir=folder, dry_run=dry_run)
    assert refused.value.field == "output_dir"
    assert paid(emulator) == 0


async def test_folder_beside_the_ledger_that_cannot_be_used_is_told_with_its_own_setting(
    make_settings: MakeSettings, emulator
):
    settings = make_settings(**both(emulator.url))
    spool = settings.folder_for_state() / "spool"
    spool.parent.mkdir(parents=True, exist_ok=True)
    spool.write_text("in the way")
    async with open_app(settings) as app:
        with pytest.raises(ConfigurationError) as refused:
            await image(app)
    assert "MEDIAGEN_STATE_DIR" in refused.value.hint
    assert "MEDIAGEN_OUTPUT_DIR" not in str(refused.value)
    assert paid(emulator) == 0
