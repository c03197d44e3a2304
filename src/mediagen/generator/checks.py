"""Is everything in place? Costs nothing, ever: nothing is sent that could be carried out."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import anyio

from mediagen.catalog import DEFAULT_LOCATION
from mediagen.credentials import Identity
from mediagen.defaults import image_parameters
from mediagen.endpoints.base import BodyEncoder, Endpoint, EndpointCheck
from mediagen.errors import AuthenticationError, ConfigurationError, MediaGenError
from mediagen.generator.availability import Answer, Availability, listing_of
from mediagen.generator.budget import standing
from mediagen.generator.planner import Planner
from mediagen.generator.policy import Bucket, Policy, Project
from mediagen.generator.reach import Endpoints
from mediagen.media.ffmpeg import find_ffmpeg
from mediagen.report.checks import BucketReport, CheckReport, ProbeReport, SurfaceReport, ledger_in_words
from mediagen.report.spending import CapReport
from mediagen.requests import Backend, CheckApiRequest, GenerateImageRequest
from mediagen.routing import Route, choose_route
from mediagen.storage.gs_uri import parse_gs_uri
from mediagen.storage.local import LocalStorage

PROBE_PROMPT = "probe"
PATIENCE_SECONDS = 20.0
Spent = tuple[Decimal | None, Decimal | None, list[CapReport], list[str]]
SKEW_SECONDS = 30.0
# Whoever signs with a private key states the time; Google refuses statements from the future.
SIGNING_KINDS = frozenset({"service_account"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Checks:
    """Looks over surfaces, credentials, models, bucket, ledger and this machine.

    Attributes:
        patience_seconds: How long each surface and the bucket may take; they are looked at side by side.
    """

    policy: Policy
    planner: Planner
    endpoints: Endpoints
    storage: LocalStorage
    patience_seconds: float = PATIENCE_SECONDS

    async def check_api(self, request: CheckApiRequest) -> CheckReport:
        """Test what is configured; failures are told, not raised.

        With `deep`, each surface also gets one request that cannot be carried out: it has a field that does not exist
        and no contents. The answer says which fields are known, not that a job would succeed.
        """
        project, routes, blocking = self._choose(request)
        recoveries = await self.planner.ledger.recoveries()
        looks, bucket = await self._look_around(project, routes, request)
        chosen = next((look for look in looks if look.report.chosen), None)
        spent_today, spent_this_month, caps, no_ledger = await self._spent(project)
        blocking += [*_ban(project, routes), *no_ledger, *await self._folders(project)]
        ffmpeg, no_ffmpeg = self._ffmpeg()
        answered = [look.answer for look in looks if look.answer]
        available = chosen.answer.available if chosen and chosen.answer else None
        return CheckReport(
            ok=chosen is not None and chosen.report.works and not blocking and available is not False,
            profile=project.name if project else None,
            surfaces=[look.report for look in looks],
            bucket=bucket,
            model_asked=self._asked(request, answered),
            model_available=available,
            spent_today_usd=spent_today,
            spent_this_month_usd=spent_this_month,
            max_usd_per_day=project.limits.per_day_usd if project else None,
            max_usd_per_month=project.limits.per_month_usd if project else None,
            caps=caps,
            no_spend=(project.limits.no_spend or None) if project else None,
            output_dir=str(project.folder) if project else None,
            ledger=ledger_in_words(self.planner.ledger.place, self.policy.state_folder),
            ffmpeg=ffmpeg,
            blocking=blocking,
            problems=[
                *blocking,
                *recoveries,
                *(project.warnings if project else ()),
                *_problems(looks, bucket),
                *no_ffmpeg,
            ],
        )

    def _choose(self, request: CheckApiRequest) -> tuple[Project | None, list[Route], list[str]]:
        project = None
        try:
            project = self.policy.projects.choose(request.profile)
            return project, self._routes(project, request), []
        except ConfigurationError as error:
            return project, [], [str(error)]

    def _routes(self, project: Project, request: CheckApiRequest) -> list[Route]:
        """The surface that is asked for, or all that are configured; the one that would be used first.

        Raises:
            ConfigurationError: There is none.
        """
        configured = project.configured
        backend = request.backend or project.backend
        if backend == "emulator":
            # It speaks for both of Google's own surfaces.
            routes = [
                choose_route(backend, configured, serving=(name,), what="a model") for name in ("gemini", "vertex")
            ]
        else:
            wanted: list[Backend] = [backend]
            if backend == "auto":
                wanted = [access.surface for access in configured.offered] or ["auto"]
            routes = [choose_route(name, configured, serving=("gemini",), what="a model") for name in wanted]
        if request.model:
            serving = self._availability.serving(request.model)
            routes.sort(key=lambda route: route.surface not in serving)
        return [
            dataclasses.replace(
                route.at(configured.location or DEFAULT_LOCATION), reason=_reason(number, request, project)
            )
            for number, route in enumerate(routes)
        ]

    async def _look_around(
        self, project: Project | None, routes: list[Route], request: CheckApiRequest
    ) -> tuple[list["_Look"], BucketReport | None]:
        """Look at all surfaces and the bucket side by side, so that one that hangs does not hold the others."""
        looks: dict[int, _Look] = {}
        buckets: list[BucketReport | None] = [None]

        async def look(number: int, route: Route, of: Project) -> None:
            looks[number] = await self._surface(of, route, request, is_chosen=number == 0)

        async def look_at_bucket(of: Project) -> None:
            buckets[0] = await self._bucket(of, routes, request.backend or of.backend)

        async with anyio.create_task_group() as group:
            if project:
                for number, route in enumerate(routes):
                    group.start_soon(look, number, route, project)
                group.start_soon(look_at_bucket, project)
        return [looks[number] for number in sorted(looks)], buckets[0]

    async def _surface(self, project: Project, route: Route, request: CheckApiRequest, *, is_chosen: bool) -> "_Look":
        visit = _Visit()
        try:
            # Starting the built-in emulator has a deadline of its own.
            visit.base_url = await self.endpoints.base_url(route)
            with anyio.move_on_after(self.patience_seconds) as limit:
                await self._visit(visit, project, route, request)
            if limit.cancelled_caught:
                visit.give_up(self.patience_seconds)
        except MediaGenError as error:
            visit.fail(error)
        found, probe = visit.found, visit.probe
        listing = listing_of(found)
        refused = probe.message if probe and visit.key_refused else None
        untested = found.error if not found.lists_models else None
        answer = self._availability.answer(request.model, route, listing) if request.model else None
        report = SurfaceReport(
            backend=route.backend,
            surface=route.surface,
            chosen=is_chosen,
            works=_works(found, is_refused=visit.key_refused),
            base_url=visit.base_url,
            reason=route.reason,
            reachable=found.reachable,
            key_ok=False if visit.key_refused else found.key_ok,
            key_kind=visit.who.kind,
            key_source=route.source,
            identity=visit.who.email,
            project=route.project or visit.who.project,
            location=route.location,
            latency_ms=found.latency_ms,
            clock_skew_seconds=found.clock_skew_seconds,
            models=self._availability.models(route, listing, request.filter, answer.model if answer else None),
            new_models=self._availability.new_models(listing, request.filter),
            probe=probe,
            error=refused or (None if untested else found.error),
            retryable=found.retryable,
            note=untested or _project_note(route, found, is_deep=request.deep),
        )
        return _Look(report=report, answer=answer)

    async def _visit(self, visit: "_Visit", project: Project, route: Route, request: CheckApiRequest) -> None:
        """Find out one thing after the other; what is known is kept when a later one fails or hangs."""
        visit.who = await self.endpoints.identity(route, project.name)
        endpoint = await self.endpoints.at(route, project.name)
        visit.found = await endpoint.check()
        visit.is_tested = True
        if request.deep and visit.found.reachable and visit.found.key_ok is not False:
            await self._probe(visit, endpoint, route)

    async def _probe(self, visit: "_Visit", endpoint: Endpoint, route: Route) -> None:
        spec = self.planner.placement.catalog.default_model("image", route.surface)
        visit.probe = ProbeReport(model=spec.id, accepted=None, refused_fields=[], message="No answer came in time.")
        parameters, _ = image_parameters(GenerateImageRequest(prompt=PROBE_PROMPT), spec)
        encoder: BodyEncoder = self.planner.encoders[route.surface]
        result = await endpoint.probe(spec.id, encoder.build_image(parameters, PROBE_PROMPT))
        visit.key_refused = result.key_refused
        visit.probe = ProbeReport(
            model=spec.id,
            accepted=result.accepted,
            refused_fields=list(result.refused_fields),
            message=result.message,
        )

    async def _bucket(self, project: Project, routes: list[Route], backend: Backend) -> BucketReport | None:
        """Look at the bucket that is configured, else at the usual one where Vertex AI is in use."""
        bucket = project.bucket
        is_emulator = backend == "emulator"
        can_sign = bucket.has_credentials or is_emulator
        usual = bucket.usual_prefix if can_sign and any(route.backend == "vertex" for route in routes) else None
        prefix = bucket.prefix or usual
        if prefix is None:
            return None
        report = _empty(bucket, prefix)
        try:
            name, _ = parse_gs_uri(prefix, "bucket")
            report = report.model_copy(update={"name": name})
            with anyio.move_on_after(self.patience_seconds) as limit:
                found = await (await self.endpoints.bucket(project.name, backend)).check(name)
                report = report.model_copy(
                    update={field: getattr(found, field) for field in BucketReport.model_fields if field in _FOUND}
                )
            if limit.cancelled_caught:
                report = report.model_copy(update={"problem": _too_slow("Cloud Storage", self.patience_seconds)})
        except MediaGenError as error:
            report = report.model_copy(update={"problem": error.message, "hint": error.hint})
        return report if bucket.prefix else _excused(report)

    async def _spent(self, project: Project | None) -> Spent:
        limits = (project.limits,) if project else ()
        ledger, now = self.planner.ledger, self.planner.clock()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            caps = await standing(limits, ledger, midnight)
            return await ledger.spent(midnight), await ledger.spent(midnight.replace(day=1)), caps, []
        except MediaGenError as error:
            return None, None, [], [str(error)]

    async def _folders(self, project: Project | None) -> list[str]:
        """Test the folders for files and of the ledger, or where one is still to be made, the one above it."""
        found = []
        state = self.policy.state_folder
        places = {"MEDIAGEN_OUTPUT_DIR": project.folder, "MEDIAGEN_STATE_DIR": state} if project else {}
        for setting, folder in places.items():
            try:
                existing = next((part for part in (folder, *folder.parents) if part.exists()), folder)
                await self.storage.check_directory(existing, field=None, setting=setting)
            except (MediaGenError, OSError) as error:
                found.append(str(error) if isinstance(error, MediaGenError) else f"{folder} cannot be looked at.")
        return found

    @property
    def _availability(self) -> Availability:
        return Availability(
            catalog=self.planner.placement.catalog, prices=self.planner.prices, today=self.planner.clock().date()
        )

    def _asked(self, request: CheckApiRequest, answers: list[Answer]) -> str | None:
        if request.model is None:
            return None
        return " ".join(answer.words for answer in answers) or f"{request.model}: no API could be asked."

    def _ffmpeg(self) -> tuple[str, list[str]]:
        try:
            return str(Path(find_ffmpeg(self.policy.ffmpeg))), []
        except MediaGenError as error:
            return "not found", [f"Previews of videos are not made: {error}"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """What was seen at one surface."""

    report: SurfaceReport
    answer: Answer | None


@dataclass(kw_only=True, slots=True)
class _Visit:
    """What is known so far about a surface that is being looked at."""

    base_url: str = ""
    who: Identity = dataclasses.field(default_factory=lambda: Identity(kind="unknown"))
    found: EndpointCheck = dataclasses.field(default_factory=lambda: EndpointCheck(reachable=False, key_ok=None))
    is_tested: bool = False
    probe: ProbeReport | None = None
    key_refused: bool = False

    def fail(self, error: MediaGenError) -> None:
        """Something on the way to the surface does not work."""
        self.found = dataclasses.replace(
            self.found,
            key_ok=False if isinstance(error, AuthenticationError) else self.found.key_ok,
            error=str(error),
            retryable=error.retryable,
        )

    def give_up(self, seconds: float) -> None:
        """It takes too long; a probe that hangs says nothing about the rest."""
        if not self.is_tested:
            self.found = dataclasses.replace(
                self.found, error=_too_slow(self.base_url or "The API", seconds), retryable=True
            )


_FOUND = frozenset({"exists", "location", "can_write", "can_read", "can_delete", "problem", "hint"})


def _ban(project: Project | None, routes: list[Route]) -> list[str]:
    """Why nothing that costs may be sent, where that is what would be used."""
    if project is None or not project.limits.no_spend or all(route.backend == "emulator" for route in routes[:1]):
        return []
    return [f"{project.limits.no_spend}: every call that would cost money is refused."]


def _works(found: EndpointCheck, *, is_refused: bool) -> bool:
    if is_refused or not found.reachable:
        return False
    if not found.lists_models:
        # Nothing speaks against the key, and nothing more can be found out for free.
        return True
    return found.key_ok is True and (found.error is None or bool(found.models))


def _project_note(route: Route, found: EndpointCheck, *, is_deep: bool) -> str | None:
    """The list of models is the same for every project, and needs no rights there."""
    if is_deep or not found.key_ok or route.backend != "vertex" or route.project is None:
        return None
    return f"Listing models does not show whether the project {route.project} may be used; deep asks there."


def _reason(number: int, request: CheckApiRequest, project: Project) -> str:
    if request.backend and request.backend != "auto":
        return "asked for"
    if project.backend != "auto":
        return "chosen by MEDIAGEN_BACKEND" if project.backend_origin == "environment" else "chosen by the profile"
    if number:
        return "configured as well"
    return f"first configured surface that has {request.model}" if request.model else "first configured surface"


def _clock_problems(surface: SurfaceReport) -> list[str]:
    skew = surface.clock_skew_seconds
    if skew is None or abs(skew) <= SKEW_SECONDS or surface.key_kind not in SIGNING_KINDS:
        return []
    behind = "behind" if skew > 0 else "ahead of"
    return [
        f"The clock of this machine is {abs(skew):.0f} s {behind} Google's, and service accounts sign with the time: "
        "Google may refuse their tokens. Set the clock (NTP)."
    ]


def _problems(looks: Sequence[_Look], bucket: BucketReport | None) -> list[str]:
    """What is wrong with the surfaces and the bucket, in words."""
    return [
        *(look.report.error for look in looks if look.report.error),
        *(problem for look in looks for problem in _clock_problems(look.report)),
        *_bucket_problems(bucket),
    ]


def _bucket_problems(bucket: BucketReport | None) -> list[str]:
    return [f"Bucket {bucket.name}: {bucket.problem} {bucket.hint}".rstrip()] if bucket and bucket.problem else []


def _too_slow(what: str, seconds: float) -> str:
    return f"{what} gave no answer within {seconds:g} s. Check the network and a proxy in between, or try again."


def _empty(bucket: Bucket, prefix: str) -> BucketReport:
    return BucketReport(
        name=prefix,
        origin=bucket.origin if bucket.prefix else "default",
        exists=None,
        location=None,
        can_write=None,
        can_read=None,
        can_delete=None,
        problem=None,
        hint="",
    )


def _excused(report: BucketReport) -> BucketReport:
    """Nobody named this bucket, so that nothing needs it yet."""
    if report.problem is None:
        return report
    trouble = "" if report.exists is False else f"{report.problem} "
    what = "Nothing needs it yet: it is the usual bucket of this project, for storage_uri and large clips of Vertex AI."
    return report.model_copy(update={"problem": None, "hint": f"{trouble}{what} {report.hint}".rstrip()})
