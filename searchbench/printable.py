"""Text that others wrote (labels, errors, cells of files), made fit for a terminal, a LaTeX file or a spreadsheet."""

from __future__ import annotations

import re

_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
"""Control characters as Unicode's pictures of them: ␛ for the escape that begins a terminal's commands."""
_HIDDEN = re.compile("[\x80-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\ud800-\udfff]")
"""Control characters of eight bits, those that turn the direction of reading, and halves of pairs of code units."""
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")


def printable(text: str) -> str:
    """A text whose characters all show: nothing in it moves a cursor, sets a colour or hides what follows.

    Lines and tabs stay. What is printable already is returned as it is.
    """
    if text.isprintable():
        return text
    return _HIDDEN.sub(lambda found: ascii(found[0])[1:-1], text.translate(_PICTURES))


def escaped(json: str) -> str:
    """A JSON text with what `printable` would change as JSON's own escapes (other control characters are already)."""
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.replace("\x7f", "\\u007f"))


def one_line(text: str) -> str:
    """This text in one line."""
    return " ".join(printable(text).split("\n"))


def cell(value: object) -> object:
    """A cell of a CSV file as it stands there: a text that a spreadsheet would take for a formula begins with an
    apostrophe, which spreadsheets do not show (https://owasp.org/www-community/attacks/CSV_Injection)."""
    if not isinstance(value, str):
        return value
    return f"'{printable(value)}" if _FORMULA.match(value) else printable(value)
