from pathlib import Path

import pytest

from mediagen.app.local_emulator import emulator_url
from mediagen.errors import ConfigurationError


async def test_folder_that_cannot_be_made_is_named_with_the_setting(tmp_path: Path):
    (tmp_path / "emulator").write_text("in the way")
    with pytest.raises(ConfigurationError, match="The emulator cannot be started") as refused:
        await emulator_url(tmp_path, None)
    assert str(tmp_path / "emulator") in refused.value.message
    assert "MEDIAGEN_STATE_DIR" in refused.value.hint
