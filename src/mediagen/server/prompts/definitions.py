"""The prompts, read from `prompts.toml`, and how one is put into words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from mcp.types import Prompt, PromptArgument

from mediagen.errors import InvalidRequestError


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """What the user fills in.

    Attributes:
        completes: Name of what completes it, if anything does.
        otherwise: What holds when it is not given.
    """

    name: str
    description: str
    required: bool = False
    completes: str | None = None
    otherwise: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        needs: Tools without which it cannot be done.
        otherwise: What to do without them; empty leaves the step out.
    """

    text: str
    needs: tuple[str, ...] = ()
    otherwise: str = ""

    def with_tools(self, tools: Collection[str]) -> str:
        """What to do with the tools that there are; empty for nothing."""
        return self.text if all(tool in tools for tool in self.needs) else self.otherwise


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptDefinition:
    """One prompt."""

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    steps: tuple[Step, ...]

    def listed(self) -> Prompt:
        """The entry of a list."""
        return Prompt(
            name=self.name,
            title=self.title,
            description=self.description,
            arguments=[
                PromptArgument(name=argument.name, description=argument.description, required=argument.required)
                for argument in self.arguments
            ],
        )

    def argument(self, name: str) -> Argument | None:
        """The argument of a name, if there is one."""
        return next((argument for argument in self.arguments if argument.name == name), None)

    def worded(self, given: Mapping[str, str], tools: Collection[str]) -> str:
        """The instruction for what the user gave and the tools that there are.

        Raises:
            InvalidRequestError: An argument is missing or unknown.
        """
        known = ", ".join(argument.name for argument in self.arguments)
        for name in given:
            if self.argument(name) is None:
                raise InvalidRequestError(
                    f"{name[:100]!r} is no argument of {self.name}; allowed: {known}.", field=name
                )
        values = []
        for argument in self.arguments:
            value = given.get(argument.name, "").strip()
            if argument.required and not value:
                raise InvalidRequestError(f"{self.name} needs {argument.name}.", field=argument.name)
            values.append(f"- {argument.name}: {value or f'(not given: {argument.otherwise})'}")
        steps = _worded(self.steps, tools)
        return "\n".join(
            [
                f"{self.title}. {self.description}",
                "",
                "What the user gave:",
                *values,
                "",
                "Rules:",
                *(f"- {rule}" for rule in _worded(prompt_data().rules, tools)),
                "",
                "Steps:",
                *(f"{number}. {step}" for number, step in enumerate(steps, 1)),
            ]
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptData:
    """Everything in `prompts.toml`.

    Attributes:
        lists: Words that complete an argument, by name.
    """

    rules: tuple[Step, ...]
    prompts: Mapping[str, PromptDefinition]
    lists: Mapping[str, tuple[str, ...]]


@cache
def prompt_data() -> PromptData:
    """The packaged prompts; read once per process."""
    # Imported here so that the server starts at once.
    import tomllib
    from importlib.resources import files

    document = tomllib.loads(files("mediagen.server.prompts").joinpath("prompts.toml").read_text(encoding="utf-8"))
    prompts = [_definition(row) for row in document.pop("prompts")]
    rules = tuple(_step(row) for row in document.pop("rules"))
    return PromptData(
        rules=rules,
        prompts={prompt.name: prompt for prompt in prompts},
        lists={name: tuple(words) for name, words in document.items()},
    )


def _definition(row: Mapping[str, Any]) -> PromptDefinition:
    return PromptDefinition(
        name=row["name"],
        title=row["title"],
        description=row["description"],
        arguments=tuple(Argument(**argument) for argument in row["arguments"]),
        steps=tuple(_step(step) for step in row["steps"]),
    )


def _step(row: Mapping[str, Any]) -> Step:
    return Step(**{**row, "needs": tuple(row.get("needs", ()))})


def _worded(steps: Sequence[Step], tools: Collection[str]) -> list[str]:
    return [text for step in steps if (text := step.with_tools(tools))]
