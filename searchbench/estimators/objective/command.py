"""A command as an objective, for programs in any language: ``./train --lr {lr} --seed {seed}``.

No shell takes part: the text is split into arguments first, values are filled in afterwards, each within its argument.
The result is the last line that the program prints, a number or a JSON object of numbers, or the JSON file that it
writes to ``{out}``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import string
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchbench.errors import EvaluationFailed, StudyError, did_you_mean
from searchbench.estimators.objective.answer import NoNumber
from searchbench.estimators.objective.function import CHECKPOINT, SEED, Call
from searchbench.spaces.space import Space

OUT, CONFIG = "out", "config"
TAIL = 2_000
"""Characters of what a failing program said that are kept."""


@dataclass(frozen=True)
class Command:
    """A command with places for values.

    Args:
        text: arguments as a shell has them. Places: ``{name}`` of every hyper-parameter, ``{seed}``, the fidelity under
            its name, ``{checkpoint}`` (a folder to leave its state in and go on from), ``{out}`` (a JSON file to write
            the result to), ``{config}`` (a JSON file of the whole configuration). An argument about a hyper-parameter
            that is inactive is left out, and with it the option before it: ``--momentum {momentum}``.
        folder: where it runs; the working directory by default.
        version: what tells it from others in place of the content of the files it names; None takes that.

    Raises:
        StudyError: the text is empty, quotes do not match, or a place is not written ``{name}``.
    """

    text: str
    folder: str = field(default_factory=os.getcwd, compare=False)
    version: str | None = None
    known: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.arguments:
            raise StudyError(f'`command` must be a text such as "./train --lr {{lr}}", but got {self.text!r}.')
        self.places  # noqa: B018  (said where the command is declared)

    @property
    def arguments(self) -> list[str]:
        """The text in arguments, places unfilled."""
        try:
            return shlex.split(self.text)
        except ValueError as error:
            raise StudyError(f"`command` cannot be split into arguments: {error}: {self.text!r}.") from None

    @property
    def places(self) -> dict[str, list[str]]:
        """The names of the places of each argument."""
        return {argument: _places(argument) for argument in self.arguments}

    @property
    def name(self) -> str:
        """The program's name, for titles; of an interpreter's command, the script's."""
        program, *others = self.arguments
        scripts = (a for a in others if not _places(a) and Path(self.folder, a).is_file())
        return Path(next(scripts, program)).stem

    path = None

    def identity(self) -> Any:
        """Plain values for the problem's fingerprint: the text, and the content of the files that it names."""
        if self.version is not None:
            return {"command": self.text, "version": self.version}
        if "files" not in self.known:
            files = {a: Path(self.folder, a) for a in self.arguments if not _places(a)}
            self.known["files"] = {a: _digest(path) for a, path in files.items() if path.is_file()}
        return {"command": self.text, "files": self.known["files"]}

    @property
    def continues(self) -> bool:
        """Whether it is told a checkpoint folder to go on from."""
        return CHECKPOINT in self._named()

    def takes(self, name: str | None) -> bool:
        """Whether it has a place of that name."""
        return name in self._named()

    def check(self, space: Space, fidelity: str | None) -> None:
        """Raise StudyError where a place has no value, or a hyper-parameter no place."""
        decisions = [decision.name for decision in space.decisions]
        known = [*decisions, SEED, CHECKPOINT, OUT, CONFIG, *([fidelity] if fidelity else [])]
        named = self._named()
        for place in sorted(named):
            if place not in known:
                raise StudyError(f"the command has a place `{{{place}}}`, of no value; {did_you_mean(place, known)}")
        for name in [*([] if CONFIG in named else decisions), *([fidelity] if fidelity else [])]:
            if name not in named:
                raise StudyError(
                    f"the command has no place for `{name}`: {self.text!r}; write {{{name}}} where it belongs"
                    f"{'' if name == fidelity else ', or {config} for a JSON file of all'}."
                )

    def caller(self, fidelity: str | None) -> Call:
        """What runs it."""

        def call(config: dict[str, Any], seed: int, amount: float | int | None, folder: Path | None) -> Any:
            with tempfile.TemporaryDirectory(prefix="searchbench-") as place:
                values = {**config, SEED: seed, CHECKPOINT: folder, OUT: Path(place, "out.json")}
                values[CONFIG] = Path(place, "config.json")
                if fidelity is not None:
                    values[fidelity] = amount
                if CONFIG in self._named():
                    values[CONFIG].write_text(json.dumps(config), encoding="utf-8")
                said = self._run(self._filled(values))
                return _result(said, values[OUT] if OUT in self._named() else None)

        return call

    def _filled(self, values: Mapping[str, Any]) -> list[str]:
        found: list[str] = []
        for argument in self.arguments:
            places = _places(argument)
            if all(place in values for place in places):
                found.append(argument.format(**values) if places else argument.format())
            elif found and found[-1].startswith("-") and "=" not in found[-1]:
                found.pop()
        return found

    def _run(self, arguments: list[str]) -> str:
        try:
            done = subprocess.run(arguments, cwd=self.folder, capture_output=True, check=False)
        except OSError as error:
            raise EvaluationFailed(
                "error", f"`{arguments[0]}` cannot be started in {self.folder}: {error.strerror}."
            ) from None
        if done.returncode:
            tail = (done.stderr or done.stdout).decode(errors="replace").strip()[-TAIL:]
            raise EvaluationFailed("error", f"`{arguments[0]}` ended with status {done.returncode}: {tail or 'silent'}")
        return done.stdout.decode(errors="replace")

    def _named(self) -> set[str]:
        return {place for places in self.places.values() for place in places}


def _places(argument: str) -> list[str]:
    try:
        found = [name for _, name, _, _ in string.Formatter().parse(argument) if name is not None]
    except ValueError as error:
        raise StudyError(f"`command` has an argument {argument!r} with an unfinished place: {error}.") from None
    for name in found:
        if not name or not all(c.isalnum() or c in "_-" for c in name):
            raise StudyError(f"`command`: a place is written {{name}}, but {argument!r} has {{{name}}}; double braces"
                             " stand for themselves.")  # fmt: skip
    return found


def _result(said: str, file: Path | None) -> Any:
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError:
            raise NoNumber("the program wrote no file to {out}.") from None
        return _parsed(text.strip(), "the file {out}")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines:
        raise NoNumber("the program printed nothing; its last line must be the result.")
    return _parsed(lines[-1], "the last line printed")


def _parsed(text: str, where: str) -> Any:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return json.loads(text)
    except ValueError:
        shown = text if len(text) < 120 else text[:117] + "…"
        raise NoNumber(f"{where} must be a number or a JSON object of numbers, but is {shown!r}.") from None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
