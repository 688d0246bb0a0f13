"""The leaderboard as LaTeX tables (booktabs, siunitx, threeparttable), ready to paste."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from searchbench.printable import one_line, printable
from searchbench.reports.leaderboard import Leaderboard
from searchbench.reports.render.cells import (
    PUBLISHED_NOTES,
    Column,
    details,
    heading,
    notes,
    published_columns,
    published_heading,
)
from searchbench.reports.render.short import chosen, concerning, transposed

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
    r"\robustify\bfseries"
)
_NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d+))?(?: ± (\d+)(?:\.(\d+))?)?")
"""A cell that siunitx reads: sign, digits before and behind the point, and those of the spread."""


def to_latex(board: Leaderboard, names: Sequence[str] | None = None, *, transpose: bool = False) -> str:
    """A table per block; the packages it needs stand in its first line.

    Args:
        names: headings of the columns wanted; None takes the short table's, ("all",) all.
        transpose: strategies across instead of down.
    """
    tables = []
    for i, block in enumerate(board.blocks):
        shown = chosen(block, names)
        said = concerning(notes(board, block), shown)
        shown = transposed(shown) if transpose else shown
        tables.append(_table(f"{board.study}-{block.problem}-{i}", heading(board, block), shown, said, details(block)))
    if board.reported:
        shown = published_columns(board.reported)
        tables.append(_table(f"{board.study}-reported", published_heading(board), shown, PUBLISHED_NOTES, ()))
    return "\n\n".join([HEAD, *tables]) + "\n"


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


def _table(label: str, title: str, shown: Sequence[Column], notes: Sequence[str], comments: Sequence[str]) -> str:
    label = re.sub(r"[^a-zA-Z0-9]+", "-", label).strip("-").lower()
    kinds = [_kind(column) for column in shown]
    aligned = [kind.startswith("S") for kind in kinds]
    body = [
        r"\begin{table}[t]",
        r"  \centering",
        r"  \begin{threeparttable}",
        rf"  \caption{{{escape(title)}.}}",
        rf"  \label{{tab:{label}}}",
        rf"  \begin{{tabular}}{{{''.join(kinds)}}}",
        r"    \toprule",
        _line([_braced(escape(c.title)) if s else escape(c.title) for c, s in zip(shown, aligned, strict=True)]),
        r"    \midrule",
        *(_line([_cell(c, row, s) for c, s in zip(shown, aligned, strict=True)]) for row in range(len(shown[0].cells))),
        r"    \bottomrule",
        r"  \end{tabular}",
        *_notes(notes),
        r"  \end{threeparttable}",
        r"\end{table}",
        *(f"% {one_line(line)}" for line in comments),
    ]
    return "\n".join(body)


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    items = [rf"    \item {escape(note[:1].upper() + note[1:])}." for note in notes]
    return [r"  \begin{tablenotes}[flushleft]\footnotesize", *items, r"  \end{tablenotes}"]


def _kind(column: Column) -> str:
    """How a column is aligned: by siunitx on the point where it holds plain numbers, with room for the widest."""
    found = [match for cell in column.cells if (match := _NUMBER.fullmatch(cell.strip()))]
    if not column.numeric or not found:
        return "r" if column.numeric else "l"
    sign = "+" if any(match[1] for match in found) else ""
    before, behind = (max(len(match[at] or "") for match in found) for at in (2, 3))
    room = f"{sign}{before}.{behind}" if behind else f"{sign}{before}"
    if not any(match[4] for match in found):
        return f"S[table-format={room}]"
    spread = max(len(((match[4] or "") + (match[5] or "")).lstrip("0")) or 1 for match in found)
    return f"S[table-format={room}({spread}), separate-uncertainty, detect-weight]"


def _cell(column: Column, row: int, aligned: bool) -> str:
    """A cell; in an aligned column what is no number stands in braces."""
    plain, bold = column.cells[row].strip(), column.stands_out(row)
    if aligned and _NUMBER.fullmatch(plain):
        return (r"\bfseries " if bold else "") + plain.replace("±", "+-")
    text = escape(plain)
    if column.numeric:
        text = re.sub(r"(?<![\w.-])-(?=\d)", "$-$", text)
    text = rf"\textbf{{{text}}}" if bold else text
    return _braced(text) if aligned else text


def _braced(text: str) -> str:
    return f"{{{text}}}"


def _line(cells: Sequence[str]) -> str:
    return "    " + " & ".join(cells) + r" \\"
