"""The generated parts of the skills: what the models of today take, and the copies that work in a checkout."""

from pathlib import Path

from mediagen.catalog import Catalog, ModelSpec
from mediagen.catalog.allowed import in_words
from mediagen.catalog.spec import SURFACE_NAMES
from mediagen.modes import MODES
from mediagen.presets import built_in_presets

# Claude Code looks for them in `.claude/` of a checkout and at the top of a plugin. They are copies, since not every
# system checks out symbolic links.
COPIED = ("skills", "agents")


def copies(root: Path, written: dict[Path, str]) -> dict[Path, str]:
    """What belongs into `.claude/`.

    Args:
        root: Folder of the repository.
        written: Generated texts by file, which win over what is on the disk.
    """
    found = {path: path for folder in COPIED for path in [*(root / folder).rglob("*.md"), *written]
             if path.is_relative_to(root / folder)}  # fmt: skip
    return {
        root / ".claude" / path.relative_to(root): written.get(path) or path.read_text(encoding="utf-8")
        for path in sorted(found)
    }


def image_limits() -> str:
    """What picture models take."""
    catalog = Catalog.load()
    pages = [f"# What the picture models take (as of {catalog.as_of})\n", _defaults(catalog, "image")]
    pages += [
        f"- `{spec.id}` on {_surfaces(spec)}: sizes {_codes(spec.image_sizes)}; ratios "
        f"{_codes(spec.aspect_ratios)}; at most {spec.max_input_images} input pictures."
        for spec in _living(catalog, "image")
    ]
    return "\n".join([*pages, "", _presets("image")])


def video_limits() -> str:
    """What clip models take."""
    catalog = Catalog.load()
    pages = [f"# What the clip models take (as of {catalog.as_of})\n", _defaults(catalog, "video")]
    for spec in _living(catalog, "video"):
        silent = "always with sound" if spec.audio == "always" else "sound can be switched off"
        pages.append(
            f"- `{spec.id}` on {_surfaces(spec)}: {_codes(spec.resolutions)}; ratios {_codes(spec.aspect_ratios)}; "
            f"{silent}.\n{_modes(spec)}"
        )
    return "\n".join([*pages, "", _presets("video")])


def _living(catalog: Catalog, kind: str) -> list[ModelSpec]:
    return [spec for spec in catalog.models() if spec.kind == kind and spec.status != "retired"]


def _surfaces(spec: ModelSpec) -> str:
    return ", ".join(f"`{surface}`" for surface in spec.surfaces)


def _codes(values: tuple[str, ...] | None) -> str:
    return ", ".join(f"`{value}`" for value in values or ()) or "unknown"


def _defaults(catalog: Catalog, kind: str) -> str:
    by_surface = next(found for name, found in catalog.defaults.items() if name == kind)
    named = "; ".join(f"{SURFACE_NAMES[surface]}: `{model}`" for surface, model in by_surface.items())
    return f"Used when no model is named: {named}.\n"


def _modes(spec: ModelSpec) -> str:
    lines = []
    for mode in MODES:
        way = spec.way_of(mode)
        if way is None:
            continue
        seconds = "keeps its length" if way == "video_edit" else f"{in_words(spec.durations_for(way))} s"
        pictures = f", at most {spec.max_reference_images} pictures" if mode == "reference_asset" else ""
        told = f"; as `{way}`, the rest is said in words" if mode in spec.ways else ""
        lines.append(f"  - `{mode}`: {seconds}{pictures}{told}")
    return "\n".join(lines)


def _presets(kind: str) -> str:
    lines = ["Presets, by surface:", ""]
    for preset in built_in_presets().values():
        for surface, values in next((found for name, found in preset.values.items() if name == kind), {}).items():
            named = ", ".join(f"`{name}={value}`" for name, value in values.items())
            lines.append(f"- `{preset.name}` on `{surface}`: {named}")
    return "\n".join(lines) + "\n"
