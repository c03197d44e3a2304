"""Settings of one process, from the environment and the configuration file."""

from mediagen.settings.config_file import candidate_files
from mediagen.settings.profiles import Preset, ProfileSettings
from mediagen.settings.settings import (
    CLIPROXY_API_KEY,
    CLIPROXY_BASE_URL,
    GEMINI_KEY_VARIABLES,
    TOOLSETS,
    Settings,
    check_supported,
    is_ordinary_folder,
    read_settings,
    usable_variables,
    variables_of,
)

__all__ = [
    "CLIPROXY_API_KEY",
    "CLIPROXY_BASE_URL",
    "GEMINI_KEY_VARIABLES",
    "TOOLSETS",
    "Preset",
    "ProfileSettings",
    "Settings",
    "candidate_files",
    "check_supported",
    "is_ordinary_folder",
    "read_settings",
    "usable_variables",
    "variables_of",
]
