"""`searchbench`: the entry point. Heavy imports wait inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

import click

from searchbench.cli import INTERRUPTED, SAID
from searchbench.cli.bundles import export, import_bundle, merge
from searchbench.cli.data import doctor
from searchbench.cli.docs import docs
from searchbench.cli.finished import results
from searchbench.cli.latencies import latency
from searchbench.cli.methods import methods
from searchbench.cli.plugins import check
from searchbench.cli.reporting import ablation, checklist, pareto, ranking, report
from searchbench.cli.running import run, verify
from searchbench.cli.scaffold import new
from searchbench.cli.serving import serve
from searchbench.cli.showing import compare, leaderboard
from searchbench.cli.tables import table
from searchbench.cli.things import describe, list_things
from searchbench.cli.tuning import tune
from searchbench.cli.watching import status
from searchbench.printable import printable
from searchbench.working_folder import search_last

BAD_INPUT = 2
COLLECTED_AFTER = 50_000
"""Objects made before unreachable ones are looked for: what is read of a large store stays to the end, and looking
through it again and again finds nothing."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Begin with: searchbench run examples/quickstart.toml",
)
@click.version_option(package_name="searchbench", prog_name="searchbench")
def cli() -> None:
    """Compare search strategies fairly: one budget, one judge, declared seeds."""


for command in (
    run,
    tune,
    status,
    leaderboard,
    compare,
    ablation,
    ranking,
    pareto,
    checklist,
    report,
    methods,
    serve,
    results,
    export,
    import_bundle,
    merge,
    list_things,
    describe,
    verify,
    new,
    check,
    table,
    latency,
    doctor,
    docs,
):
    cli.add_command(command)


def carry_out(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit, as `searchbench.cli.main` says."""
    from searchbench.errors import InputError

    search_last()
    gc.set_threshold(COLLECTED_AFTER)
    try:
        code = cli.main(args=arguments, prog_name="searchbench", standalone_mode=False)
    except InputError as error:
        _say(f"{error.command} (searchbench docs {error.page})" if error.page else error.command)
        sys.exit(BAD_INPUT)
    except click.ClickException as error:
        _say(error.format_message())
        sys.exit(BAD_INPUT)
    except (KeyboardInterrupt, click.Abort):
        click.echo(SAID, err=True)
        sys.exit(INTERRUPTED)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # whoever read along has seen enough
            sys.exit(1)
        # no command calls it: a plug-in has, where nothing could take it for its failure
        _say(f"something that the command ran ended the process (exit status {error.code}); the command is not done")
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _say(message: str) -> None:
    click.echo(f"searchbench: {printable(message)}", err=True)
