"""A Python callable as an objective: ``def loss(config, *, seed, epochs, checkpoint)``.

It is given what it has parameters for: the configuration first, then by name the evaluation's `seed`, the fidelity
under the name the problem gives it, and `checkpoint`, a folder in which it may leave its state and go on from there; or
`state`, the state itself, which it then returns beside its answer.
"""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from searchbench.errors import EvaluationFailed, InputError, StudyError
from searchbench.estimators.objective.answer import NoNumber
from searchbench.estimators.objective.identity import identity
from searchbench.registry import load, settled_name
from searchbench.spaces.space import Space

SEED, CHECKPOINT, STATE = "seed", "checkpoint", "state"
Call = Callable[[dict[str, Any], int, float | int | None, Path | None], Any]
"""What is called for every evaluation: configuration, seed, amount of the fidelity, folder."""


@dataclass(frozen=True, eq=False)
class Function:
    """A callable, or ``"module:name"`` of one, which is imported when it is first needed.

    Args:
        given: the callable or its path.
        version: what tells it from others in place of its source, which then may change; None takes the source.
    """

    given: Callable[..., Any] | str
    version: str | None = None
    known: dict[str, Any] = field(default_factory=dict, repr=False)
    """Its identity, once taken: sent to other processes with it, so that nothing it changes by running alters it."""

    def __post_init__(self) -> None:
        if not isinstance(self.given, str) and not callable(self.given):
            raise StudyError(
                f'an objective must be a callable, or "module:name" of one, but got {self.given!r} '
                f"({type(self.given).__name__})."
            )

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The callable itself. Raises InputError where it cannot be imported, or is none."""
        found = load(self.given) if isinstance(self.given, str) else self.given
        if not callable(found):
            raise StudyError(f"an objective must be a callable, but {self.given} is a {type(found).__name__}.")
        return found

    @property
    def name(self) -> str:
        """A short name for titles."""
        if isinstance(self.given, str):
            return self.given.rpartition(":")[2]
        found = getattr(self.given, "__name__", None) or getattr(getattr(self.given, "func", None), "__name__", None)
        return str(found or type(self.given).__name__).replace("<lambda>", "objective")

    @property
    def path(self) -> str | None:
        """``module:name`` by which another program finds it; None where none could."""
        if isinstance(self.given, str):
            return self.given
        path = settled_name(self.given) if hasattr(self.given, "__qualname__") else ""
        if "<" in path or not path or path.startswith("__main__:"):
            return None
        try:
            return path if load(path) is self.given else None
        except InputError:
            return None

    def identity(self) -> Any:
        """Plain values for the problem's fingerprint."""
        if self.version is not None:
            return {"function": self.path or self.name, "version": self.version}
        if "source" not in self.known:
            self.known["source"] = identity(self.function)
        return self.known["source"]

    @property
    def continues(self) -> bool:
        """Whether it takes a checkpoint folder, or a state, to go on from."""
        return CHECKPOINT in self._parameters or self._stateful

    @property
    def _stateful(self) -> bool:
        return STATE in self._parameters

    def check(self, space: Space, fidelity: str | None) -> None:
        """Raise StudyError where it cannot be called with what the harness gives."""
        parameters, who = list(self._parameters.values()), f"objective `{self.name}`"
        first = next(iter(parameters), None)
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        if first is None or first.kind not in (*positional, first.VAR_POSITIONAL):
            raise StudyError(
                f"{who} must take the configuration as its first argument, but its signature is "
                f"{self._signature}; write `def {self.name}(config, *, seed)`."
            )
        offered = {name for name in (SEED, fidelity, CHECKPOINT, STATE) if name}
        for parameter in parameters[1:]:
            required = parameter.default is parameter.empty and parameter.kind in (*positional, parameter.KEYWORD_ONLY)
            if required and (parameter.name not in offered or parameter.kind is parameter.POSITIONAL_ONLY):
                raise StudyError(
                    f"{who} needs the argument `{parameter.name}`, but is given a configuration (first) and, by name, "
                    f"{', '.join(sorted(offered))}; its signature is {self._signature}."
                )
        if fidelity is not None and not self.takes(fidelity):
            raise StudyError(
                f"{who} takes no `{fidelity}`, the fidelity that is declared; its signature is {self._signature}. "
                "Give it that parameter, or declare no fidelity."
            )

    def takes(self, name: str | None) -> bool:
        """Whether it can be given something under that name."""
        return name in self._parameters or self._takes_anything

    @property
    def _takes_anything(self) -> bool:
        return any(p.kind is p.VAR_KEYWORD for p in self._parameters.values())

    def caller(self, fidelity: str | None) -> Call:
        """What calls it with the parameters it has."""
        function = self.function
        seeded, stopped = self.takes(SEED), fidelity is not None and self.takes(fidelity)
        continues, stateful = CHECKPOINT in self._parameters, self._stateful

        def call(config: dict[str, Any], seed: int, amount: float | int | None, folder: Path | None) -> Any:
            named: dict[str, Any] = {}
            if seeded:
                named[SEED] = seed
            if stopped:
                named[fidelity or ""] = amount
            if continues:
                named[CHECKPOINT] = folder
            if not stateful:
                return function(config, **named)
            assert folder is not None
            answer, state = _both(function(config, **named, state=_state(folder)))
            _leave(folder, state)
            return answer

        return call

    @cached_property
    def _signature(self) -> inspect.Signature | str:
        try:
            return inspect.signature(self.function)
        except (ValueError, TypeError):  # written in C: it is called with the configuration alone
            return inspect.Signature([inspect.Parameter("config", inspect.Parameter.POSITIONAL_ONLY)])

    @property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        assert isinstance(self._signature, inspect.Signature)
        return self._signature.parameters

    def __getstate__(self) -> dict[str, Any]:
        return {"given": self.given, "version": self.version, "known": self.known}


# -- the state of a function that returns it ------------------------------------------------------------------------


def _state(folder: Path) -> Any:
    """What was returned last; None at the beginning. Loaded anew each time, so that nobody changes another's."""
    file = folder / STATE
    return pickle.loads(file.read_bytes()) if file.exists() else None


def _leave(folder: Path, state: Any) -> None:
    try:
        packed = pickle.dumps(state, protocol=pickle.HIGHEST_PROTOCOL)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise EvaluationFailed(
            "error", f"its state cannot be kept ({error}); return what can be pickled, or take `checkpoint`, a folder."
        ) from error
    file = folder / STATE
    file.unlink(missing_ok=True)  # some file systems wait for the disk where a file is written over
    file.write_bytes(packed)


def _both(returned: Any) -> tuple[Any, Any]:
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise NoNumber(
            f"a function that takes `state` returns its answer and the state, `return loss, state`, but it returned "
            f"{type(returned).__name__}."
        )
    return returned
