"""The parts of the app as one of several principals works with them: own jobs, own folder, no path of this machine."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mediagen.editor.editor import Editor
from mediagen.editor.sources import SourceFinder
from mediagen.editor.workshop import Workshop
from mediagen.errors import ConfigurationError
from mediagen.generator.clips import stored_file
from mediagen.generator.generator import Generator
from mediagen.generator.planner import Planner
from mediagen.generator.policy import Limits, Project, Projects
from mediagen.jobs import Origin
from mediagen.ledger.scoped import ledger_of
from mediagen.settings import Settings
from mediagen.storage.local import LocalStorage
from mediagen.storage.uploads import folder_name

if TYPE_CHECKING:
    from mediagen.app.app import App


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectsOf:
    """The configured projects with a folder of the principal's own in that of each."""

    projects: Projects
    folder: str

    def choose(
        self, name: str | None, *, source_profile: str | None = None, source_project: str | None = None
    ) -> Project:
        """The project to use; see `Projects`.

        Raises:
            ConfigurationError: No such profile, or several and none chosen.
        """
        project = self.projects.choose(name, source_profile=source_profile, source_project=source_project)
        return dataclasses.replace(project, folder=project.folder / self.folder)

    def all_limits(self) -> tuple[Limits, ...]:
        """Those of every profile."""
        return self.projects.all_limits()


def editor_of(settings: Settings, planner: Planner, storage: LocalStorage, folder: str = "") -> Editor:
    """The editor for whoever a planner is for.

    Args:
        settings: What the environment says.
        planner: Knows the ledger, the inputs and the projects.
        storage: Writes the files.
        folder: Of a principal's own, below the usual one.
    """
    return Editor(
        sources=SourceFinder(
            ledger=planner.ledger, loader=planner.loader, stored_file=partial(stored_file, planner.ledger)
        ),
        workshop=Workshop(
            ledger=planner.ledger,
            storage=storage,
            usual_folder=_usual_folder(settings, planner.placement.policy.projects, folder),
            clock=planner.clock,
        ),
        ffmpeg=settings.ffmpeg,
    )


def app_of(app: "App", principal: str) -> "App":
    """The app as a principal works with it; the jobs that run, the connections and the caps are common to all."""
    folder = folder_name(principal)
    policy = app.generator.policy
    policy = dataclasses.replace(policy, projects=ProjectsOf(projects=policy.projects, folder=folder))
    ledger = ledger_of(app.generator.ledger, principal)
    uploads = dataclasses.replace(app.uploads, principal=principal)
    planner = app.generator.planner
    planner = dataclasses.replace(
        planner,
        placement=dataclasses.replace(planner.placement, policy=policy),
        ledger=ledger,
        loader=planner.loader.for_guest(partial(stored_file, ledger), uploads.path),
    )
    generator = _generator(app.generator, planner)
    return dataclasses.replace(
        app,
        principal=principal,
        generator=generator,
        checks=dataclasses.replace(app.checks, policy=policy, planner=planner),
        estimates=dataclasses.replace(app.estimates, placement=planner.placement),
        editor=editor_of(app.settings, planner, generator.storage, folder),
        runner=generator.runner,
        records=dataclasses.replace(app.records, ledger=ledger, loader=planner.loader),
        spending=dataclasses.replace(app.spending, ledger=ledger),
        uploads=uploads,
    )


def _generator(whole: Generator, planner: Planner) -> Generator:
    runner = whole.runner.of(planner.ledger)
    return dataclasses.replace(
        whole,
        policy=planner.placement.policy,
        planner=planner,
        ledger=planner.ledger,
        runner=runner,
        alternatives=dataclasses.replace(whole.alternatives, placement=planner.placement),
        wishes=dataclasses.replace(whole.wishes, ledger=planner.ledger, runner=runner),
    )


def _usual_folder(settings: Settings, projects: Projects, folder: str) -> Callable[[], tuple[Path, Origin]]:
    def usual_folder() -> tuple[Path, Origin]:
        try:
            project = projects.choose(None)
        except ConfigurationError:
            # Which of several profiles would pay does not matter here.
            return settings.folder_for_files() / folder, "environment" if settings.output_dir else "default"
        return project.folder, project.folder_origin

    return usual_folder
