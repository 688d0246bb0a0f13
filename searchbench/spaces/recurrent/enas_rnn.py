"""The recurrent cells of ENAS (Pham et al. 2018)."""

from __future__ import annotations

from searchbench.spaces.recurrent.cells import canonical_rnn, recurrent
from searchbench.spaces.space import Space


def enas_rnn(
    nodes: int = 12,
    units: int = 300,
    network_units: int = 1000,
    dropout: float = 0.75,
    dropout_hidden: float = 0.25,
    dropout_inputs: float = 0.75,
    dropout_embedded: float = 0.2,
    dropout_words: float = 0.1,
    slowness: float = 1e-3,
    activity: float = 0.0,
) -> Space:
    """Recurrent cells: every node reads an earlier one through an activation; those that none reads are averaged.

    Node 0 is made of the cell's inputs. With 12 nodes there are 4^12 * 12! = 8.0e15 cells. All other settings are
    those of `darts_rnn`, whose language models these are as well.

    Raises:
        StudyError: a setting is out of range.
    """
    counts = {"nodes": nodes, "units": units, "network_units": network_units}
    shares = (dropout, dropout_hidden, dropout_inputs, dropout_embedded, dropout_words)
    decisions, settings = recurrent("enas-rnn", counts, shares, slowness, activity)
    return Space(
        name="enas-rnn",
        decisions=decisions,
        settings=settings,
        canonical=canonical_rnn,
        networks="searchbench.spaces.recurrent.enas_rnn_networks:EnasRnnNetworks",
        reads="text",
    )
