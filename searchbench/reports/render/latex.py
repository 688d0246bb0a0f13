"""The leaderboard as LaTeX tables (booktabs), ready to paste."""

from __future__ import annotations

import re
import unicodedata

from searchbench.reports.leaderboard import Block, Leaderboard
from searchbench.reports.render.cells import columns, details, heading, notes

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "[": "{[}", "]": "{]}",  # a row that began with a bare [ would be read as an argument of the \\ before it
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "–": "--",
    "—": "---", "…": r"\ldots{}", "≤": r"$\le$", "≥": r"$\ge$", "→": r"$\to$", "↓": r"$\downarrow$",
    "↑": r"$\uparrow$", "−": "$-$", "∞": r"$\infty$", "’": "'", "‘": "`", "“": "``", "”": "''", "\n": " ",
    "\r": " ", "\t": " ", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
}  # fmt: skip
_SPECIAL |= {
    "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "δ": r"$\delta$", "ε": r"$\epsilon$", "ζ": r"$\zeta$",
    "η": r"$\eta$", "θ": r"$\theta$", "ι": r"$\iota$", "κ": r"$\kappa$", "λ": r"$\lambda$", "μ": r"$\mu$",
    "ν": r"$\nu$", "ξ": r"$\xi$", "π": r"$\pi$", "ρ": r"$\rho$", "σ": r"$\sigma$", "τ": r"$\tau$",
    "υ": r"$\upsilon$", "φ": r"$\phi$", "χ": r"$\chi$", "ψ": r"$\psi$", "ω": r"$\omega$",
}  # fmt: skip
_SPECIAL |= {"Γ": r"$\Gamma$", "Δ": r"$\Delta$", "Θ": r"$\Theta$", "Λ": r"$\Lambda$", "Ξ": r"$\Xi$", "Π": r"$\Pi$",
             "Σ": r"$\Sigma$", "Φ": r"$\Phi$", "Ψ": r"$\Psi$", "Ω": r"$\Omega$", "µ": r"$\mu$"}  # fmt: skip

_NOT_IN_T1 = "ĦħĿŀĸŉŦŧſ"


def to_latex(board: Leaderboard) -> str:
    """A table per block. Needs booktabs and textcomp, with graphicx to shrink a wide table to the line."""
    head = r"% \usepackage{booktabs, graphicx, textcomp} \usepackage[T1]{fontenc}"
    return "\n\n".join([head, *(_table(board, block, i) for i, block in enumerate(board.blocks))]) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints as it is, whatever the label.

    Letters of Latin alphabets are left to LaTeX's UTF-8; what pdfLaTeX has no glyph for becomes its nearest ASCII
    letters, or its Unicode name's code point where there are none.
    """
    return "".join(_SPECIAL.get(c) or _letter(c) for c in text)


def _letter(character: str) -> str:
    if " " <= character <= "~" or ("\u00c0" <= character <= "\u017f" and character not in _NOT_IN_T1):
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    if plain:
        return "".join(_SPECIAL.get(c, c) for c in plain)
    return "" if unicodedata.category(character) in ("Mn", "Cf", "Cc") else f"{{[}}U+{ord(character):04X}{{]}}"


def _table(board: Leaderboard, block: Block, number: int) -> str:
    shown = columns(block)
    rows = zip(*(column.cells for column in shown), strict=True)
    label = re.sub(r"[^a-zA-Z0-9]+", "-", f"{board.study}-{block.problem}").strip("-").lower()
    said = "; ".join(notes(board, block))
    body = [
        r"\begin{table}[t]",
        r"  \centering",
        rf"  \caption{{{escape(heading(board, block))}. {escape(said[:1].upper() + said[1:])}.}}",
        rf"  \label{{tab:{label}-{number}}}",
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"  \begin{{tabular}}{{{''.join('r' if c.numeric else 'l' for c in shown)}}}",
        r"    \toprule",
        _line([column.title for column in shown]),
        r"    \midrule",
        *(_line(list(cells)) for cells in rows),
        r"    \bottomrule",
        r"  \end{tabular}}",
        r"\end{table}",
        *(f"% {line}" for line in details(block)),
    ]
    return "\n".join(body)


def _line(cells: list[str]) -> str:
    return "    " + " & ".join(escape(cell.strip()) for cell in cells) + r" \\"
