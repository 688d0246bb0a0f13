"""The leaderboard as LaTeX tables (booktabs), ready to paste."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from searchbench.printable import one_line, printable
from searchbench.reports.leaderboard import Leaderboard
from searchbench.reports.render.cells import (
    PUBLISHED_NOTES,
    Column,
    columns,
    details,
    heading,
    notes,
    published_columns,
    published_heading,
)

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


def to_latex(board: Leaderboard) -> str:
    """A table per block. Needs booktabs and textcomp, with graphicx to shrink a wide table to the line."""
    head = r"% \usepackage{booktabs, graphicx, textcomp} \usepackage[T1]{fontenc}"
    tables = [
        _table(
            f"{board.study}-{block.problem}-{i}",
            heading(board, block),
            columns(block),
            notes(board, block),
            details(block),
        )
        for i, block in enumerate(board.blocks)
    ]
    if board.reported:
        shown = published_columns(board.reported)
        tables.append(_table(f"{board.study}-reported", published_heading(board), shown, PUBLISHED_NOTES, ()))
    return "\n\n".join([head, *tables]) + "\n"


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
    said = "; ".join(notes)
    body = [
        r"\begin{table}[t]",
        r"  \centering",
        rf"  \caption{{{escape(title)}. {escape(said[:1].upper() + said[1:])}.}}",
        rf"  \label{{tab:{label}}}",
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"  \begin{{tabular}}{{{''.join('r' if c.numeric else 'l' for c in shown)}}}",
        r"    \toprule",
        _line([escape(column.title) for column in shown]),
        r"    \midrule",
        *(_line([_cell(column, row) for column in shown]) for row in range(len(shown[0].cells))),
        r"    \bottomrule",
        r"  \end{tabular}}",
        r"\end{table}",
        *(f"% {one_line(line)}" for line in comments),
    ]
    return "\n".join(body)


def _cell(column: Column, row: int) -> str:
    text = escape(column.cells[row].strip())
    return rf"\textbf{{{text}}}" if column.stands_out(row) else text


def _line(cells: Sequence[str]) -> str:
    return "    " + " & ".join(cells) + r" \\"
