"""Tables as LaTeX (booktabs, siunitx, threeparttable), ready to paste."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from textwrap import wrap

from searchbench.printable import one_line, printable
from searchbench.reports.render.cells import Column
from searchbench.reports.render.numbers import minus
from searchbench.reports.render.sheets import Fit, Sheet

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "[": "{[}", "]": "{]}",  # a row that began with a bare [ would be read as an argument of the \\ before it
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "–": "--",
    "—": "---", "…": r"\ldots{}", "≤": r"$\le$", "≥": r"$\ge$", "→": r"$\to$", "↓": r"$\downarrow$",
    "↑": r"$\uparrow$", "−": "$-$",  "∞": r"$\infty$", "’": "'", "‘": "`", "“": "``", "”": "''", "\n": " ",
    "\r": " ", "\t": " ", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
}  # fmt: skip
_SPECIAL |= {
    "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "δ": r"$\delta$", "ε": r"$\epsilon$", "ζ": r"$\zeta$",
    "η": r"$\eta$", "θ": r"$\theta$", "ι": r"$\iota$", "κ": r"$\kappa$", "λ": r"$\lambda$", "μ": r"$\mu$",
    "ν": r"$\nu$", "ξ": r"$\xi$", "π": r"$\pi$", "ρ": r"$\rho$", "σ": r"$\sigma$", "τ": r"$\tau$",
    "υ": r"$\upsilon$", "φ": r"$\phi$", "χ": r"$\chi$", "ψ": r"$\psi$", "ω": r"$\omega$",
}  # fmt: skip
_SPECIAL |= {"•": r"$\bullet$", "†": r"$\dagger$", "‡": r"$\ddagger$", "Δ": r"$\Delta$"}
_SPECIAL |= {"Γ": r"$\Gamma$", "Δ": r"$\Delta$", "Θ": r"$\Theta$", "Λ": r"$\Lambda$", "Ξ": r"$\Xi$", "Π": r"$\Pi$",
             "Σ": r"$\Sigma$", "Φ": r"$\Phi$", "Ψ": r"$\Psi$", "Ω": r"$\Omega$", "µ": r"$\mu$"}  # fmt: skip

_NOT_IN_T1 = "ĦħĿŀĸŉŦŧſ"


HEAD = (
    r"% \usepackage{booktabs, threeparttable, siunitx, textcomp, etoolbox} \usepackage[T1]{fontenc} "
    r"\robustify\bfseries \sisetup{detect-weight, retain-explicit-plus, group-digits=none}"
)
_NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d+))?(?: ± (\d+)(?:\.(\d+))?)?")
"""A cell that siunitx reads: sign, digits before and behind the point, and those of the spread."""


def to_latex(sheets: Sequence[Sheet], fit: Fit = "text") -> str:
    """A table per sheet; the packages they need stand in the first line.

    Args:
        fit: "column" sets them small, for one of two columns; "page" across both.
    """
    return "\n\n".join([HEAD, *(_table(sheet, fit) for sheet in sheets)]) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints as it is, whatever the label.

    Letters of Latin alphabets are left to LaTeX's UTF-8; what pdfLaTeX has no glyph for becomes its nearest ASCII
    letters, or its Unicode name's code point where there are none.
    """
    return "".join(_SPECIAL.get(c) or _letter(c) for c in printable(text))


def _letter(character: str) -> str:
    if " " <= character <= "~" or ("\u00c0" <= character <= "\u017f" and character not in _NOT_IN_T1):
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    if plain:
        return "".join(_SPECIAL.get(c, c) for c in plain)
    return "" if unicodedata.category(character) in ("Mn", "Cf", "Cc") else f"{{[}}U+{ord(character):04X}{{]}}"


def _table(sheet: Sheet, fit: Fit) -> str:
    label = re.sub(r"[^a-zA-Z0-9]+", "-", sheet.label).strip("-").lower()
    shown = sheet.columns
    kinds = [_kind(column) for column in shown]
    starred = "table*" if fit == "page" else "table"
    size = _size(shown, fit)
    heads = [_head(column, kind) for column, kind in zip(shown, kinds, strict=True)]
    rows = range(len(shown[0].cells))
    cells = [[_cell(c, row, kind) for c, kind in zip(shown, kinds, strict=True)] for row in rows]
    body = [
        rf"\begin{{{starred}}}[t]",
        r"  \centering",
        *([rf"  {size}\setlength{{\tabcolsep}}{{{TIGHT}pt}}"] if size else []),
        r"  \begin{threeparttable}",
        rf"  \caption{{{escape(sheet.title)}.}}",
        rf"  \label{{tab:{label}}}",
        rf"  \begin{{tabular}}{{{''.join(kinds)}}}",
        r"    \toprule",
        _line(heads),
        r"    \midrule",
        *map(_line, cells),
        r"    \bottomrule",
        r"  \end{tabular}",
        *_notes(sheet.notes, r"\scriptsize" if fit == "column" else r"\footnotesize"),
        r"  \end{threeparttable}",
        rf"\end{{{starred}}}",
        *(f"% {one_line(line)}" for line in sheet.comments),
    ]
    return "\n".join(body)


def _size(shown: Sequence[Column], fit: Fit) -> str:
    """The size of type in which the columns fit, by an estimate of their width; none is set where the text's does."""
    lines = [max(_lines(column)) for column in shown]
    sizes = SIZES[2:] if fit == "column" else SIZES
    for size, share in sizes:
        gap = 2 * (TIGHT if size else 6)
        if sum(share * CHARACTER * wide + gap for wide in lines) <= WIDTHS[fit]:
            return size
    return SIZES[-1][0]


def _lines(column: Column) -> list[int]:
    """Characters of every line that a column sets, its heading's among them."""
    long = any(len(cell) > LONG for cell in column.cells)
    return [*map(len, column.heading), *(min(len(cell), LONG) if long else len(cell) for cell in column.cells)]


WIDTHS: dict[Fit, float] = {"text": 397.0, "column": 234.0, "page": 487.0}
"""What a table may take, in points: of NeurIPS' and ICLR's text, and of ICML's column and page."""
SIZES = (("", 1.0), (r"\small", 0.9), (r"\footnotesize", 0.8), (r"\scriptsize", 0.7))
CHARACTER = 4.7
"""Points that a character takes at 10 pt, on average."""
TIGHT = 3
LONG = 22
"""Characters of a cell of words beyond which its column is broken into lines."""


def _notes(notes: Sequence[str], size: str) -> list[str]:
    if not notes:
        return []
    items = [rf"    \item {escape(minus(_begun(note)))}." for note in notes]
    return [rf"  \begin{{tablenotes}}[flushleft]{size}", *items, r"  \end{tablenotes}"]


def _begun(note: str) -> str:
    """A text with a capital, unless it begins with a symbol such as p or n."""
    return note if len(note) > 1 and not note[1].isalpha() else note[:1].upper() + note[1:]


BREAK = r"\\"
SPREAD = r"@{\,$\pm$\,}"
"""Between the two columns of a mean and its spread, each aligned on its own point."""


def _kind(column: Column) -> str:
    """How a column is aligned: by siunitx on the point where it holds plain numbers, with room for the widest.

    Means with their spreads are two such columns, which every version of siunitx sets alike.
    """
    found = [match for cell in column.cells if (match := _NUMBER.fullmatch(cell.strip()))]
    if not column.numeric and any(len(cell) > LONG for cell in column.cells):
        return rf">{{\raggedright\arraybackslash}}p{{{LONG * CHARACTER / 10:.1f}em}}"
    if not column.numeric or not found:
        return "r" if column.numeric else "l"
    sign = "+" if any(match[1] for match in found) else ""
    mean = f"S[table-format={sign}{_room(found, 2, 3)}]"
    if not any(match[4] for match in found):
        return mean
    return f"{mean}{SPREAD}S[table-format={_room([match for match in found if match[4]], 4, 5)}]"


def _room(found: Sequence[re.Match[str]], *at: int) -> str:
    before, behind = (max(len(match[group] or "") for match in found) for group in at)
    return f"{before}.{behind}" if behind else f"{before}"


def _head(column: Column, kind: str) -> str:
    lines = list(filter(None, column.heading))
    if SPREAD in kind:  # what is wider than two columns of numbers would pull them apart
        lines = [
            part for line in lines for part in wrap(line, max(10, *map(len, column.cells)), break_long_words=False)
        ]
    lines = [escape(line) for line in lines]
    text = lines[0] if len(lines) == 1 else rf"\shortstack{{{BREAK.join(lines)}}}" if lines else ""
    if SPREAD in kind:
        return rf"\multicolumn{{2}}{{c}}{{{text}}}"
    return _braced(text) if kind.startswith("S") else text


def _cell(column: Column, row: int, kind: str) -> str:
    """A cell; in an aligned column what is no number stands in braces, or across mean and spread."""
    plain, bold = column.cells[row].strip(), column.stands_out(row)
    number = _NUMBER.fullmatch(plain)
    if kind.startswith("S") and number and (number[4] or SPREAD not in kind):
        return " & ".join((r"\bfseries " if bold else "") + part for part in plain.split(" ± "))
    text = escape(minus(plain) if column.numeric else plain)
    text = rf"\textbf{{{text}}}" if bold else text
    if SPREAD in kind:
        return rf"\multicolumn{{2}}{{c}}{{{text}}}"
    return _braced(text) if kind.startswith("S") else text


def _braced(text: str) -> str:
    return f"{{{text}}}"


def _line(cells: Sequence[str]) -> str:
    return "    " + " & ".join(cells) + r" \\"
