"""Asks questions at a terminal; the functions that read and print are passed in."""

import getpass
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mediagen.settings.tables import Checker

TAKE_OUT = "-"
LARGEST_NUMBER = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Terminal:
    """What a conversation needs.

    Attributes:
        ask: Shows a question and reads a line; raises EOFError at the end of the input.
        ask_hidden: The same, without showing what is typed.
    """

    ask: Callable[[str], str] = input
    ask_hidden: Callable[[str], str] = getpass.getpass
    say: Callable[[str], None] = print

    def agrees(self, question: str, *, default: bool) -> bool:
        """Ask for yes or no; Enter takes the default."""
        while True:
            answer = self.ask(f"{question} [{'Y/n' if default else 'y/N'}] ").strip().lower()
            if not answer:
                return default
            if answer in {"y", "yes", "n", "no"}:
                return answer.startswith("y")
            self.say("Please answer y or n.")

    def choose(self, question: str, options: tuple[str, ...], *, default: int) -> int:
        """Ask for one of several; returns its place."""
        for place, option in enumerate(options, 1):
            self.say(f"  {place}. {option}")
        while True:
            answer = self.ask(f"{question} [{default + 1}] ").strip()
            if not answer:
                return default
            if answer.isdecimal() and 0 < int(answer[:LARGEST_NUMBER]) <= len(options):
                return int(answer) - 1
            self.say(f"Please answer with a number from 1 to {len(options)}.")

    def value(self, question: str, model: type[BaseModel], name: str, current: Any) -> Any:
        """Ask for a value until it is one that the model takes; Enter keeps what is there, "-" takes it out."""
        shown = f" [{current}; Enter keeps, {TAKE_OUT} takes out]" if current is not None else " [Enter skips]"
        while True:
            answer = self.ask(f"{question}{shown}: ").strip()
            if not answer:
                return current
            if answer == TAKE_OUT:
                return None
            value, problem = checked_answer(model, name, answer)
            if problem is None:
                return value
            self.say(f"  {problem}.")


def at_a_terminal() -> bool:
    """Whether questions can be asked and answered."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def checked_answer(model: type[BaseModel], name: str, answer: str) -> tuple[Any, str | None]:
    """The value that an answer means, or what is wrong with it; the answer itself is not repeated."""
    checker = Checker(Path())
    given: Mapping[str, Any] = {name: int(answer) if answer.isdecimal() and len(answer) < LARGEST_NUMBER else answer}
    if str in _kinds(model, name):
        given = {name: answer}
    checked = checker.check(model, given)
    if checker.problems:
        return None, checker.problems[0]
    value = getattr(checked, name)
    return (str(value) if isinstance(value, Path) else value), None


def _kinds(model: type[BaseModel], name: str) -> set[Any]:
    """Plain types of a field, without what restricts them."""
    found, open_types = set(), [model.model_fields[name].annotation]
    while open_types:
        annotation = open_types.pop()
        inner = getattr(annotation, "__args__", ())
        open_types += inner
        if not inner:
            found.add(annotation)
    return found
