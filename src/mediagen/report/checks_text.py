"""What check_api found, in words: first whether it is ready, then what to do."""

from collections.abc import Iterable

from mediagen.report.checks import BucketReport, CheckReport, ModelReport, SurfaceReport
from mediagen.report.money import dollars
from mediagen.report.spending import caps_in_words

SKEW_SECONDS = 30
KEY_KINDS = {
    "api_key": "API key",
    "express_key": "express key",
    "access_token": "access token",
    "service_account": "service account",
    "user": "login of gcloud",
    "metadata_server": "metadata server",
    "proxy_key": "key",
}
# What stands for the ledger where it, and what is spent in it, is none of the caller's business.
ON_THE_SERVER = "(on the server)"
SURFACE_NAMES = {"gemini": "the Gemini API", "vertex": "Vertex AI", "cliproxy": "CLIProxyAPI"}


def check_summary(report: CheckReport, *, with_notes: bool = False) -> str:
    """What check_api found.

    Args:
        report: The finding.
        with_notes: Whether to say all that is known of each model, not only its name and price; always of one asked
            about, which then stands alone.
    """
    lines = [_verdict(report)]
    said = {lines[0]}
    shown: set[tuple[str, str]] = set()
    is_known = any(model.asked for surface in report.surfaces for model in surface.models)
    for surface in report.surfaces:
        # The emulator speaks for two surfaces, which share most models.
        models = [
            model
            for model in surface.models
            if (surface.backend, model.id) not in shown and (model.asked or not is_known)
        ]
        shown |= {(surface.backend, model.id) for model in models}
        lines += _surface_lines(surface, _model_lines(models, with_notes=with_notes) if surface.works else [])
        said.add(surface.error or "")
    if report.bucket:
        lines.append(_bucket_line(report.bucket))
        said.add(_bucket_problem(report.bucket))
    rest = [problem for problem in report.problems if problem not in said and problem not in lines[0]]
    lines += [f"Problem: {problem}" for problem in rest]
    lines += _spent_lines(report)
    lines.append(_places_line(report))
    return "\n".join(lines)


def _verdict(report: CheckReport) -> str:
    chosen = next((surface for surface in report.surfaces if surface.chosen), None)
    if chosen is None or report.blocking:
        return f"Not ready: {' '.join(report.blocking) or 'no API can be used.'}"
    asked = f" {report.model_asked}" if report.model_asked else ""
    if report.ok:
        problems = ", but there are problems" if report.problems else ""
        return f"Ready{problems}: calls go to {chosen.backend} ({chosen.reason}).{asked}"
    if chosen.works:
        return f"Not ready:{asked}"
    others = [surface.backend for surface in report.surfaces if surface.works]
    instead = f" What works: backend={' or '.join(dict.fromkeys(others))}." if others else ""
    return f"Not ready: {_name(chosen)} does not work ({chosen.reason}).{instead}{asked}"


def _name(surface: SurfaceReport) -> str:
    if surface.backend == "emulator":
        return f"emulator (as {SURFACE_NAMES[surface.surface]})"
    return surface.backend


def _surface_lines(surface: SurfaceReport, models: list[str]) -> list[str]:
    works = "does not work"
    if surface.works:
        works = "works" if surface.key_ok else "answers"
    # Project and location are said anyway.
    address = surface.base_url.partition("/projects/")[0] or "no address"
    lines = [f"{_name(surface)} {works}: {_credentials(surface)}; {address}{_latency(surface)}"]
    if surface.error:
        lines.append(f"  Problem: {surface.error}")
    if surface.note:
        lines.append(f"  Note: {surface.note}")
    skew = surface.clock_skew_seconds
    if skew is not None and abs(skew) > SKEW_SECONDS:
        lines.append(f"  The clock here is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} Google's.")
    lines += models
    if surface.new_models:
        lines.append(f"  Listed, but not in the catalogue: {', '.join(surface.new_models)}")
    if surface.probe:
        refused = f" Refused: {'; '.join(surface.probe.refused_fields)}." if surface.probe.refused_fields else ""
        lines.append(f"  Probe of {surface.probe.model}: {surface.probe.message}{refused}")
    return lines


def _credentials(surface: SurfaceReport) -> str:
    if surface.backend == "emulator":
        return "no key needed, nothing is billed"
    # A default that is no variable says itself what it is.
    kind = KEY_KINDS.get(surface.key_kind, surface.key_kind.replace("_", " "))
    known = surface.key_kind != "unknown" and not surface.key_source.startswith("the ")
    words = [f"{kind} from {surface.key_source}" if known else surface.key_source]
    words += [surface.identity] if surface.identity else []
    words += [f"project {surface.project}"] if surface.project else []
    words += [f"location {surface.location}"] if surface.location else []
    return ", ".join(words)


def _latency(surface: SurfaceReport) -> str:
    return f", {surface.latency_ms:.0f} ms" if surface.latency_ms is not None else ""


def _model_lines(models: list[ModelReport], *, with_notes: bool) -> list[str]:
    asked = [model for model in models if model.asked]
    if asked or with_notes:
        return [f"  {model.kind} {_model(model)}: {_state(model)}{_note(model)}" for model in asked or models]
    lines = []
    for kind in ("image", "video"):
        there = [model for model in models if model.kind == kind and model.state in {"live", "unlisted"}]
        doubt = " (not confirmed)" if there and all(model.state == "unlisted" for model in there) else ""
        lines += _joined(f"{kind}s{doubt}", (f"{_model(model)} {_price(model)}" for model in there))
    missing = [model.id for model in models if model.state == "missing"]
    after_all = [model.id for model in models if model.state == "retired" and model.listed]
    return [
        *lines,
        *_joined("in the catalogue, but not listed", missing),
        *_joined("listed, though the catalogue has them as shut down", after_all),
    ]


def _joined(title: str, words: Iterable[str]) -> list[str]:
    text = ", ".join(words)
    return [f"  {title}: {text}"] if text else []


def _model(model: ModelReport) -> str:
    return f"{model.id} (default)" if model.default else model.id


def _price(model: ModelReport) -> str:
    return "(price unknown)" if model.usd is None else dollars(model.usd)


def _state(model: ModelReport) -> str:
    return model.state if model.state == "retired" else f"{model.state}, {model.price}"


def _note(model: ModelReport) -> str:
    listed = " - is listed after all" if model.state == "retired" and model.listed else ""
    return f"{listed} - {model.note}" if model.note else listed


def _bucket_line(bucket: BucketReport) -> str:
    where = f" in {bucket.location}" if bucket.location else ""
    if bucket.exists is False and bucket.problem:
        return _bucket_problem(bucket)
    abilities = {"write": bucket.can_write, "read": bucket.can_read, "delete": bucket.can_delete}
    if bucket.exists is False:
        state = "does not exist"
    elif all(abilities.values()):
        state = "write, read and delete work"
    else:
        words = {True: "yes", False: "no", None: "not known"}
        state = ", ".join(f"{name} {words[can]}" for name, can in abilities.items())
    said = f" {bucket.problem or ''} {bucket.hint}".rstrip() if bucket.problem or bucket.hint else ""
    return f"Bucket {bucket.name}{where}: {state}.{said.replace('  ', ' ')}"


def _bucket_problem(bucket: BucketReport) -> str:
    """As it stands among the problems."""
    return f"Bucket {bucket.name}: {bucket.problem} {bucket.hint}".rstrip()


def _spent_lines(report: CheckReport) -> list[str]:
    own = [line for cap in report.caps if cap.profile is not None for line in caps_in_words([cap])]
    ban = f"Nothing more may be spent: {report.no_spend}." if report.no_spend else ""
    words = [*_spent(report), *([ban] if ban else []), *own]
    return [" ".join(words)] if words else []


def _spent(report: CheckReport) -> list[str]:
    """The sums of the day and the month, without what is not for the caller."""
    spans = [
        ("today", report.spent_today_usd, report.max_usd_per_day),
        ("this month", report.spent_this_month_usd, report.max_usd_per_month),
    ]
    told = [
        f"{dollars(spent)}{'' if cap is None else f' of {dollars(cap)}'} {span}"
        for span, spent, cap in spans
        if spent is not None
    ]
    if told:
        return [f"Spent: {', '.join(told)} (UTC)."]
    return [] if report.ledger == ON_THE_SERVER else ["Spent: not known, because the ledger cannot be read."]


def _places_line(report: CheckReport) -> str:
    profile = f"Profile {report.profile}. " if report.profile else ""
    files = f"Files: {report.output_dir}. " if report.output_dir else ""
    return f"{profile}{files}Ledger: {report.ledger}. ffmpeg: {report.ffmpeg}."
