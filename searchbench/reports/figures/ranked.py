"""What the searches knew against what the judge found: an architecture is a dot."""

from __future__ import annotations

from collections.abc import Mapping

from searchbench.reports.figures.figure import Axis, Dots, Figure, slug
from searchbench.reports.ranking import WHAT, Agreement, ProxyRanking

MAX_DOTS = 200


def scatters(found: ProxyRanking, colours: Mapping[str, int]) -> list[Figure]:
    """A figure for each kind of value, for their scales differ; a colour for each strategy."""
    drawn = [_scatter(found, pool, colours) for pool in found.agreements if pool.pooled]
    return [figure for figure in drawn if figure is not None]


def _scatter(found: ProxyRanking, pool: Agreement, colours: Mapping[str, int]) -> Figure | None:
    own = [a for a in found.agreements if not a.pooled and a.kind == pool.kind and a.judged]
    if not own:
        return None
    caption = f"Each dot is an architecture, means over its judgements. Values: {WHAT[pool.kind]}. {pool.tau.wording}."
    return Figure(
        slug(f"ranking-{found.problem}-{pool.kind}"),
        f"Validation against test ({pool.kind})",
        caption,
        Axis("validation value stated by the search"),
        Axis(found.metric.heading),
        tuple(_dots(found, a, colours.get(a.name, i)) for i, a in enumerate(own)),
    )


def _dots(found: ProxyRanking, own: Agreement, colour: int) -> Dots:
    shown = own.judged[:: -(-len(own.judged) // MAX_DOTS)]
    told = tuple(f"{own.name}: validation {a.value:.4g}, test {found.scale * a.error:.4g}" for a in shown)
    return Dots(own.name, [a.value for a in shown], [found.scale * a.error for a in shown], colour, told, small=True)
