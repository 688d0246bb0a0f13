"""How a space without a notation of its own writes its points: ``name=value,name=value``, active decisions only.

What is written is read again by other processes and other days (the judge's, a table's, a store's), so it must say
which option is meant: a comma within a text, ``1`` beside ``"1"``, a list, a name with an equals sign. Whatever could
be mistaken is written as JSON, which knows the difference; everything else as it prints.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from searchbench.errors import SpaceError, did_you_mean
from searchbench.spaces.choices import NOTHING, Choice, Decision, Value

if TYPE_CHECKING:
    from searchbench.spaces.space import Space

CHECKED = 20
"""Draws from a space of which each must read back as itself."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_NAME_ENDS = re.compile("[=,]")
_JSON = json.JSONDecoder()


class Notation:
    """Writes and reads the points of some decisions.

    Raises:
        SpaceError: two options of a decision are written alike.
    """

    __slots__ = ("_at", "_decisions", "_names", "_options", "_words")

    def __init__(self, space: str, decisions: Sequence[Decision]) -> None:
        self._decisions = decisions
        self._names = [_name(decision.name) for decision in decisions]
        self._at = {decision.name: i for i, decision in enumerate(decisions)}
        self._words = [_words(d.options) if isinstance(d, Choice) else None for d in decisions]
        self._options = [None if words is None else _inverse(words) for words in self._words]
        for decision, words, options in zip(decisions, self._words, self._options, strict=True):
            if words is not None and any(options[word] is not option for option, word in words.items()):  # type: ignore[index]
                raise SpaceError(
                    f"options of `{decision.name}` of space `{space}` are written alike "
                    f"({', '.join(words.values())}), so their results could not be told apart; use texts or numbers."
                )

    def write(self, values: Sequence[Value]) -> str:
        """The notation of a point; decisions whose value is None are inactive and left out."""
        parts = zip(self._names, self._words, values, strict=True)
        return ",".join(
            f"{name}={value if words is None else words[value]}" for name, words, value in parts if value is not None
        )

    def read(self, space: str, text: str) -> dict[str, Value]:
        """The values that a text names. Raises SpaceError where a decision is unknown or named twice."""
        values: dict[str, Value] = {}
        for name, word in _parts(text):
            if name not in self._at:
                raise SpaceError(f"space `{space}` has no decision `{name}`; {did_you_mean(name, self._at)}")
            if name in values:
                raise SpaceError(f"`{name}` stands twice in {text!r}.")
            values[name] = self._value(self._at[name], word)
        return values

    def _value(self, at: int, word: str) -> Value:
        options = self._options[at]
        if options is not None:
            return options.get(word, word)
        for kind in (int, float):
            try:
                return kind(word)
            except ValueError:
                continue
        return word


def check_round_trip(space: Space) -> None:
    """Raise SpaceError unless what a space writes of a point is read back as that point, in `CHECKED` draws."""
    rng = np.random.default_rng(0)
    for _ in range(CHECKED):
        drawn = space.sample(rng)
        text = space.write(drawn)
        if not isinstance(text, str):
            raise SpaceError(f"space `{space.name}` must write a text of an architecture, but wrote {text!r}.")
        try:
            read = space.parse(text)
        except Exception as error:
            raise SpaceError(f"space `{space.name}` cannot read what it writes, {text!r}: {error}") from error
        if read != drawn and read.key != drawn.key:
            raise SpaceError(
                f"space `{space.name}` writes {text!r} and reads {space.write(read)!r}; "
                "its reader must be the inverse of its writer, or a judge gets another architecture."
            )


def _name(name: str) -> str:
    return json.dumps(name) if "=" in name or not _plain(name) else name


def _plain(text: str) -> bool:
    """Whether a text can stand for itself between commas: it neither ends early nor looks quoted nor is unprintable."""
    return "," not in text and not text.startswith(('"', "[")) and (text.isprintable() or not text)


def _words(options: Sequence[Value]) -> dict[Value, str]:
    """A word per option: as it prints, or as JSON where that is no plain text or is what another option prints."""
    printed = [str(option) for option in options]
    count = Counter(printed)

    def word(option: Value, text: str) -> str:
        if _plain(text) and not (isinstance(option, str) and count[text] > 1):
            return text
        return _json(option, text)

    return {option: word(option, text) for option, text in zip(options, printed, strict=True)}


def _json(option: Value, text: str) -> str:
    try:
        return json.dumps(option, separators=(",", ":"), default=lambda part: None if part is NOTHING else str(part))
    except (TypeError, ValueError):
        return json.dumps(text)


def _inverse(words: dict[Value, str]) -> dict[str, Value]:
    return {word: option for option, word in words.items()}


def _parts(text: str) -> list[tuple[str, str]]:
    """Names and words. Raises SpaceError where a part has no name."""
    found, at = [], 0
    while at < len(text):
        quoted = _QUOTED.match(text, at)
        if quoted is not None:
            name, at = _decoded(quoted[0]), quoted.end()
        else:
            end = _NAME_ENDS.search(text, at)
            stop = len(text) if end is None else end.start()
            name, at = text[at:stop], stop
        if text[at : at + 1] != "=":
            raise SpaceError(f"every part of {text!r} must be `name=value`, but `{name}` has no value.")
        stop = _end(text, at + 1)
        found.append((name, text[at + 1 : stop]))
        at = stop + 1
    return found


def _end(text: str, at: int) -> int:
    """Where the word that begins at `at` ends: after the JSON that it is, or at the next comma."""
    if text[at : at + 1] in ('"', "["):
        try:
            end = _JSON.raw_decode(text, at)[1]
        except (ValueError, RecursionError):
            end = -1
        if end == len(text) or text[end : end + 1] == ",":
            return end
    comma = text.find(",", at)
    return len(text) if comma < 0 else comma


def _decoded(quoted: str) -> Any:
    try:
        return json.loads(quoted)
    except ValueError:
        return quoted
