"""Composition root: settings → parts → what the server and the command line call. The only constructor of parts."""

import dataclasses
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mediagen.app.folders import own_folders
from mediagen.app.pool import EndpointPool
from mediagen.app.principals import app_of, editor_of
from mediagen.app.projects import ConfiguredProjects
from mediagen.catalog import Catalog
from mediagen.editor.editor import Editor
from mediagen.endpoints.wire.body import GeminiBodies, VertexBodies
from mediagen.errors import AuthenticationError
from mediagen.generator.alternatives import Alternatives
from mediagen.generator.chains import Chains
from mediagen.generator.checks import Checks
from mediagen.generator.clips import stored_file
from mediagen.generator.deliveries import Deliveries
from mediagen.generator.estimates import Estimates
from mediagen.generator.generator import Generator
from mediagen.generator.placement import Placement
from mediagen.generator.planner import Planner
from mediagen.generator.policy import Policy
from mediagen.generator.rebuilding import rebuild_from
from mediagen.generator.records import Records
from mediagen.generator.spending import Spending
from mediagen.generator.wishes import Wishes
from mediagen.jobs import Job
from mediagen.ledger.engines.base import Address
from mediagen.ledger.glance import LEDGER_FILE, SPOOL
from mediagen.ledger.ledger import Ledger
from mediagen.media.inputs import InputLoader
from mediagen.pricing import Prices
from mediagen.runner.advancing import Advancer
from mediagen.runner.changes import Changes
from mediagen.runner.collect import Collector
from mediagen.runner.embedded import Embedded
from mediagen.runner.patience import Patience
from mediagen.runner.runner import Runner
from mediagen.runner.scheduler import Scheduler
from mediagen.runner.spool import Spool
from mediagen.runner.steps import SETUP_WAITS, CallSteps
from mediagen.settings import Settings, check_supported
from mediagen.storage.conversations import Conversations
from mediagen.storage.local import LocalStorage
from mediagen.storage.uploads import Uploads
from mediagen.submitter.base import Submitter, is_supported

if TYPE_CHECKING:
    from mediagen.endpoints.http import HttpSettings
    from mediagen.media.fetch import FetchSettings
    from mediagen.runner.queue import HintQueue


Role = Literal["command", "server"]


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """What the server and the command line work with, while it is open.

    Attributes:
        uploads: Files that were sent to the server.
        principal: Whose jobs alone are seen; None, whoever owns the machine, sees all.
        is_shared: Whether every caller has a name, so that nobody works with it as a whole.
        own_folders: Names of this machine's folders, which callers on another one are not told.
    """

    settings: Settings
    generator: Generator
    checks: Checks
    estimates: Estimates
    editor: Editor
    runner: Runner
    records: Records
    spending: Spending
    deliveries: Deliveries
    uploads: Uploads
    principal: str | None = None
    is_shared: bool = False
    own_folders: tuple[str, ...] = ()

    def of(self, principal: str | None) -> "App":
        """The same for one of several principals, as if the jobs of the others did not exist.

        Raises:
            AuthenticationError: It is shared, and no principal is given.
        """
        if principal is not None:
            return app_of(self, principal)
        if self.is_shared:
            raise AuthenticationError("Nobody is authenticated.", hint="Send the token of this server.")
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How jobs are done, where it is not as usual.

    Attributes:
        setup_waits: Seconds to wait each time that Google is still setting a project up.
        lease_seconds: How long a process that does not move keeps its jobs; None is the usual.
        sends_itself: Whether this process sends paid requests itself, also where a submitter could.
    """

    setup_waits: tuple[float, ...] = SETUP_WAITS
    lease_seconds: float | None = None
    sends_itself: bool = False


USUAL = Manner()


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


@asynccontextmanager
async def open_app(
    settings: Settings,
    *,
    role: Role = "command",
    confine_inputs: bool = True,
    http: "HttpSettings | None" = None,
    web: "FetchSettings | None" = None,
    manner: Manner = USUAL,
) -> AsyncIterator[App]:
    """Build all parts and close them again.

    Args:
        settings: What the environment says.
        role: A server gets the submitter ready at once and, on PostgreSQL, shares its jobs with all servers and
            workers; a command starts it with the first paid request and does its own jobs.
        confine_inputs: Whether input files must lie in the input roots; False only where a person typed the path.
        http: How patient the surfaces are, instead of the usual.
        web: How videos are fetched from the web, instead of the usual.
        manner: How jobs are done, instead of as usual.

    Raises:
        ConfigurationError: A setting that this version cannot honour.
    """
    check_supported(settings)
    async with AsyncExitStack() as stack:
        ledger = _ledger(settings, manner)
        stack.push_async_callback(ledger.aclose)
        projects = ConfiguredProjects(settings, os.environ)
        pool = _pool(settings, projects, http)
        pool.submitter = await _submitter(stack, role, manner)
        stack.push_async_callback(pool.aclose)
        steps = _steps(ledger, pool, settings, manner)
        runner = await stack.enter_async_context(_runner(steps, _queue(settings) if role == "server" else None))
        planner = _planner(_policy(settings, projects), steps, pool, _loader(settings, ledger, confine_inputs))
        planner = dataclasses.replace(planner, web=web)
        deliveries = await stack.enter_async_context(Deliveries(ledger))
        yield _app(settings, runner, planner, steps, pool, deliveries)


def _ledger(settings: Settings, manner: Manner) -> Ledger:
    of_profiles = [profile.output_dir.expanduser() for profile in settings.profiles if profile.output_dir]
    return Ledger(
        _place_of_ledger(settings),
        clock=now,
        lease_seconds=manner.lease_seconds,
        rebuild=rebuild_from(settings.folder_for_files(), *of_profiles),
    )


def _place_of_ledger(settings: Settings) -> Path | Address:
    if settings.database_url:
        return Address(url=settings.database_url.get_secret_value(), state_folder=settings.folder_for_state())
    return settings.folder_for_state() / LEDGER_FILE


def _app(
    settings: Settings, runner: Runner, planner: Planner, steps: CallSteps, pool: EndpointPool, deliveries: Deliveries
) -> App:
    policy, storage = planner.placement.policy, steps.collector.storage
    generator = Generator(
        policy=policy,
        planner=planner,
        ledger=steps.ledger,
        runner=runner,
        storage=storage,
        endpoints=pool,
        alternatives=Alternatives(placement=planner.placement, prices=planner.prices),
        wishes=Wishes(ledger=steps.ledger, runner=runner, endpoints=pool, deliveries=deliveries, clock=now),
        clock=now,
    )
    app = App(
        settings=settings,
        generator=generator,
        checks=Checks(policy=policy, planner=planner, endpoints=pool, storage=storage),
        estimates=Estimates(placement=planner.placement, prices=planner.prices),
        editor=editor_of(settings, planner, storage),
        runner=runner,
        records=Records(ledger=steps.ledger, loader=planner.loader),
        spending=Spending(ledger=steps.ledger, clock=now, limits=policy.projects.all_limits()),
        deliveries=deliveries,
        uploads=_uploads(settings),
        own_folders=own_folders(settings),
    )

    async def make_next(link: Job) -> None:
        await app.of(link.principal).generator.make_next_link(link)

    runner.scheduler.on_link_ended = Chains(ledger=steps.ledger, make_next=make_next).go_on
    return app


def _uploads(settings: Settings) -> Uploads:
    return Uploads(root=settings.folder_for_state() / "uploads")


def _queue(settings: Settings) -> "HintQueue | None":
    if settings.database_url is None:
        return None
    from mediagen.runner.queue import HintQueue

    return HintQueue(settings.database_url.get_secret_value())


@asynccontextmanager
async def _runner(steps: CallSteps, queue: "HintQueue | None") -> AsyncIterator[Runner]:
    changes, advancer = steps.collector.changes, Advancer(steps)
    scheduler: Scheduler
    if queue:
        from mediagen.runner.distributed import Distributed

        scheduler = Distributed(steps, advancer, changes, queue)
    else:
        scheduler = Embedded(steps, advancer, changes)
    runner = Runner(steps, scheduler, changes)
    async with scheduler, runner.watcher:
        yield runner


def _steps(ledger: Ledger, pool: EndpointPool, settings: Settings, manner: Manner) -> CallSteps:
    storage = LocalStorage()
    collector = Collector(
        ledger=ledger,
        endpoints=pool,
        storage=storage,
        prices=Prices.load(),
        spool=Spool(folder=settings.folder_for_state() / SPOOL, storage=storage),
        clock=now,
        changes=Changes(),
        ffmpeg=settings.ffmpeg,
    )
    return CallSteps(
        ledger=ledger,
        endpoints=pool,
        collector=collector,
        conversations=Conversations(folder=settings.folder_for_state() / "conversations"),
        poll_seconds=settings.poll_seconds,
        clock=now,
        patience=Patience(clock=now),
        setup_waits=manner.setup_waits,
    )


def _loader(settings: Settings, ledger: Ledger, confine_inputs: bool) -> InputLoader:
    roots = settings.roots_for_inputs() if confine_inputs or settings.input_roots is not None else None
    return InputLoader(roots, partial(stored_file, ledger), resolve_upload=_uploads(settings).path)


def _planner(policy: Policy, steps: CallSteps, pool: EndpointPool, loader: InputLoader) -> Planner:
    return Planner(
        placement=Placement(policy=policy, catalog=Catalog.load(), clock=now),
        prices=steps.collector.prices,
        ledger=steps.ledger,
        loader=loader,
        conversations=steps.conversations,
        buckets=pool,
        encoders={"gemini": GeminiBodies(), "vertex": VertexBodies(), "cliproxy": GeminiBodies()},
        clock=now,
    )


async def _submitter(stack: AsyncExitStack, role: Role, manner: Manner) -> Submitter | None:
    if manner.sends_itself or not is_supported():
        return None
    from mediagen.submitter.submitter import DetachedSubmitter

    submitter = await stack.enter_async_context(DetachedSubmitter())
    if role == "server":
        submitter.warm_up()
    return submitter


def _pool(settings: Settings, projects: ConfiguredProjects, http: "HttpSettings | None") -> EndpointPool:
    return EndpointPool(
        projects=projects,
        api_version="v1beta" if settings.gemini_api_version == "beta" else settings.gemini_api_version,
        storage_host=settings.storage_emulator_host,
        state_dir=settings.folder_for_state(),
        ffmpeg=settings.ffmpeg,
        http=http,
    )


def _policy(settings: Settings, projects: ConfiguredProjects) -> Policy:
    return Policy(
        projects=projects,
        state_folder=settings.folder_for_state(),
        wait_seconds=settings.wait_seconds,
        ffmpeg=settings.ffmpeg,
    )
