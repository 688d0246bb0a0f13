"""The report: the page in a real browser, without a network; the files beside it; speed and size."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import math
import re
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path
from typing import Any

import pytest
from alone import run_alone
from click.testing import CliRunner
from recorded import BROKEN, CELL, ERRORS, EVIL, a_store

from searchbench.cli.entry import cli
from searchbench.errors import InputError
from searchbench.reports import report as report_module
from searchbench.reports.render.numbers import minus
from searchbench.reports.report import Written, default_folder, report
from searchbench.reports.serving import serving
from searchbench.results.store import open_store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000",
)  # fmt: skip
LONG_REPORT = """
import time
from pathlib import Path
from recorded import a_store
from searchbench.reports.report import report
from searchbench.results.store import open_store
folder = Path(sys.argv[1])
with open_store(a_store(folder / "r.db", seeds=1430, trials=200)) as store:
    began = time.process_time()
    written = report(store, None, folder / "out")
    took = time.process_time() - began
print(len(written.dossier.runs), took, written.page.stat().st_size)
"""
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; `apt-get install chromium`")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("report")
    with open_store(a_store(folder / "results.db")) as store:
        return report(store, None, folder / "out", published="CIFAR-10")


@pytest.fixture(scope="module")
def page(written: Written) -> str:
    return written.page.read_text(encoding="utf-8")


def without_library(page: str) -> str:
    """The page but for what it carries packed."""
    return re.sub(r'<script type="text/plain".*?</script>', "", page, flags=re.S)


def packed(page: str, name: str) -> Any:
    """What the page carries under a name."""
    found = re.search(rf'<script type="text/plain" id="data-{name}">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(zlib.decompress(base64.b64decode(found[1])))


def browse(tmp_path: Path, page: Path, script: str = "", *flags: str) -> tuple[Any, list[str]]:
    """Open the page in Chromium, run a script in it (an expression that may be a promise), read what it returns.

    Returns:
        The value, and what the browser's console said.
    """
    probe = (
        "<script>addEventListener('load', () => setTimeout(async () => { const out = document.createElement('pre');"
        "out.id = 'probe'; let found; try { found = await ("
        + (script or "null")
        + "); } catch (e) { found = 'failed: ' + e; }"
        "out.textContent = JSON.stringify(found); document.body.replaceChildren(out); }, 4000));</script></body>"
    )
    changed = tmp_path / "probed.html"
    changed.write_text(probe.join(page.read_text(encoding="utf-8").rsplit("</body>", 1)), encoding="utf-8")
    assert CHROMIUM is not None
    said = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, "--dump-dom", changed.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r'<pre id="probe">(.*?)</pre>', said.stdout, re.S)
    assert found is not None, said.stderr[-2000:]
    return json.loads(html.unescape(found[1])), [line for line in said.stderr.splitlines() if "CONSOLE" in line]


@in_browser
def test_the_page_draws_every_figure_without_network_or_console_errors(tmp_path: Path, written: Written) -> None:
    seen, console = browse(
        tmp_path, written.page,
        """(() => {
          const count = (what) => document.querySelectorAll(what).length;
          return { plots: count('.plot'), drawn: count('.plot[data-drawn] .main-svg:first-child'),
            hidden: count('[hidden] .plot'), alerts: count('main script'), title: document.title,
            resources: performance.getEntriesByType('resource').map(r => r.name) }; })()""",
        "--window-size=1280,2000",
    )  # fmt: skip
    assert console == []
    assert seen["resources"] == []
    assert seen["plots"] >= 15
    assert seen["drawn"] == seen["plots"] - seen["hidden"]  # hidden ones wait to be chosen
    assert seen["alerts"] == 0
    assert seen["title"] == "recorded: searchbench report"


SORTING = """(() => {
  const table = document.querySelector('#cells-every');
  const heads = [...table.tHead.rows[0].cells];
  const names = () => [...table.tBodies[0].rows].map(r => r.cells[0].textContent);
  const head = (title) => heads.find(h => h.textContent.includes(title));
  const click = (title) => { head(title).querySelector('button').click(); return names(); };
  const out = { first: names(), up: click('test error'), down: click('test error'), name: click('strategy'),
    aria: head('strategy').getAttribute('aria-sort') };
  const input = document.querySelector('input[data-filter="cells-every"]');
  const type = (text) => { input.value = text; input.dispatchEvent(new Event('input'));
    return [...table.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[0].textContent); };
  out.filtered = type('BROK 12/12');
  out.said = document.querySelector('[data-count="cells-every"]').textContent;
  out.all = type('').length;
  return out; })()"""


@in_browser
def test_the_leaderboard_sorts_and_filters(tmp_path: Path, written: Written) -> None:
    seen, console = browse(tmp_path, written.page, SORTING)
    assert console == []
    ordered = [row.strategy for row in written.dossier.board.blocks[0].rows]
    assert seen["first"] == ordered
    assert seen["up"] == ordered
    assert seen["down"] == [*ordered[-2::-1], BROKEN]  # what has no number stays last
    assert seen["name"] == sorted(seen["name"], key=str.lower) or seen["name"][0] in ("+A", EVIL)
    assert seen["aria"] == "ascending"
    assert seen["filtered"] == [BROKEN]
    assert seen["said"] == "1 of 7 rows"
    assert seen["all"] == 7


@in_browser
def test_menus_theme_and_downloads_work(tmp_path: Path, written: Written) -> None:
    script = """(async () => {
      const menu = document.querySelector('select[data-chooser="cells-anytime"]');
      menu.value = '1'; menu.dispatchEvent(new Event('change'));
      await new Promise(r => setTimeout(r, 500));
      const shown = [...document.querySelectorAll('#cells-anytime .choice')].map(c => !c.hidden);
      const drawn = !!document.querySelector('#cells-anytime .choice:not([hidden]) .main-svg');
      const before = getComputedStyle(document.body).backgroundColor;
      document.getElementById('theme').click();
      await new Promise(r => setTimeout(r, 100));
      const after = getComputedStyle(document.body).backgroundColor;
      let saved; URL.createObjectURL = (blob) => { saved = blob; return 'blob:x'; };
      HTMLAnchorElement.prototype.click = function () { window.named = this.download; };
      document.querySelector('button[data-csv="runs.csv"]').click();
      await new Promise(r => setTimeout(r, 500));
      return { shown, drawn, before, after, named: window.named, csv: await saved.text(),
        dead: document.querySelectorAll('button[disabled]').length }; })()"""
    seen, console = browse(tmp_path, written.page, script)
    assert console == []
    assert seen["shown"][:2] == [False, True]
    assert seen["drawn"]
    assert {seen["before"], seen["after"]} == {"rgb(255, 255, 255)", "rgb(18, 22, 27)"}
    assert seen["named"] == "runs.csv"
    assert seen["csv"] == (written.page.parent / "runs.csv").read_text()
    assert seen["dead"] == 0


CLICKING = """(async () => {
  const wait = (ms) => new Promise(r => setTimeout(r, ms));
  const rows = () => [...document.querySelectorAll('#run-table tbody tr')];
  const out = {};
  document.querySelector('#cells-short a[data-runs-of="random"]').click(); await wait(500);
  out.of = [...new Set(rows().map(r => r.cells[1].textContent))];
  out.count = document.getElementById('run-count').textContent;
  const type = async (text) => { const input = document.getElementById('run-filter'); input.value = text;
    input.dispatchEvent(new Event('input')); await wait(50); return rows().length; };
  out.filtered = await type('0/11'); await type('');
  rows()[3].querySelector('a').click(); await wait(1500);
  const run = document.getElementById('run');
  out.run = run.querySelector('h3').textContent;
  out.command = run.querySelector('code').textContent;
  out.plots = run.querySelectorAll('.main-svg:first-child').length;
  out.cell = !!run.querySelector('figure svg');
  out.seeds = run.querySelector('.facts').textContent.includes('seed');
  location.hash = '#run=' + encodeURIComponent('6/2'); await wait(800);
  out.failed = run.querySelector('pre').textContent;
  const links = [...document.querySelectorAll('nav a')];
  out.parts = links.filter(a => !document.getElementById(a.hash.slice(1))).map(a => a.hash);
  return out; })()"""


@in_browser
def test_a_row_leads_to_its_runs_and_a_run_to_its_page(tmp_path: Path, written: Written) -> None:
    seen, console = browse(tmp_path, written.page, CLICKING)
    assert console == []
    assert seen["of"] == ["random"]
    assert seen["count"] == "12 of 84 runs"
    assert seen["filtered"] == 1
    assert seen["run"] == "Run 0/3"
    assert seen["command"] == "searchbench verify recorded --run 0/3"
    assert seen["plots"] >= 2  # trials, and what was logged
    assert seen["cell"]
    assert seen["seeds"]
    assert "ValueError: </pre><b>boom</b>" in seen["failed"]
    assert seen["parts"] == []  # every link leads somewhere


@in_browser
def test_pointing_at_a_row_brings_its_strategy_forward_in_every_figure(tmp_path: Path, written: Written) -> None:
    script = """(async () => {
      const row = document.querySelector('#cells-short tr[data-strategy="+B"]');
      const node = document.querySelector('[data-figure="anytime-cells-evaluations"]');
      const seen = () => [...node.querySelectorAll('.scatterlayer .trace')].map(e => e.dataset.seen);
      const before = seen();
      row.dispatchEvent(new Event('mouseenter'));
      const at = seen();
      row.click(); row.dispatchEvent(new Event('mouseleave'));
      const kept = seen();
      const labels = [...node.querySelectorAll('.annotation-text')].map(e => e.textContent);
      return { before: [...new Set(before)], at: [...new Set(at)].sort(), labels,
        kept: kept.join() === at.join() }; })()"""
    seen, console = browse(tmp_path, written.page, script)
    assert console == []
    assert seen["before"] == ["true"]
    assert seen["at"] == ["false", "true"]
    assert seen["kept"]
    assert {"random", "base", "+A", "+B", "A and B"} <= set(seen["labels"])  # names at the ends of their lines


@in_browser
def test_a_crowded_plot_shows_the_best_and_the_baseline_at_first_and_all_on_request(tmp_path: Path) -> None:
    from benchmarks.page_at_scale import large_store

    store = large_store(tmp_path / "crowd.db", runs=15 * 10, trials=6, strategies=15)
    with open_store(store) as opened:
        page = report(opened, None, tmp_path / "out").page
    script = """(async () => {
      const node = document.querySelector('[data-figure="anytime-cells-evaluations"]');
      const traces = () => [...node.querySelectorAll('.scatterlayer .trace')];
      const seen = () => traces().filter(e => e.dataset.seen === 'true');
      const bands = () => traces().flatMap(e => [...e.querySelectorAll('.js-fill')])
        .filter(e => getComputedStyle(e).visibility !== 'hidden').length;
      const button = node.nextElementSibling;
      const found = { said: button.textContent, title: button.title, seen: seen().length, bands: bands() };
      const labels = [...node.querySelectorAll('.annotation-text')].map(e => e.textContent);
      button.click();
      const after = { all: traces().length === seen().length, more: bands(), then: button.textContent };
      return { ...found, ...after, labels }; })()"""
    seen, console = browse(tmp_path, page, script)
    assert console == []
    assert seen["said"] == "All alike"
    assert "random" in seen["title"]
    assert len(seen["labels"]) == 6  # the best five and the baseline
    assert 0 < seen["bands"] < seen["more"]
    assert seen["all"]
    assert seen["then"] == "Best and baseline"


@in_browser
def test_a_served_page_says_how_far_its_study_is_and_what_failed(tmp_path: Path) -> None:
    a_store(tmp_path / "r.db", seeds=3, trials=2, missing=2)
    with serving(tmp_path / "r.db") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}/r.db/recorded/"
        assert CHROMIUM is not None
        flags = [flag for flag in FLAGS if "resolver" not in flag and "virtual" not in flag]
        said = subprocess.run(
            [CHROMIUM, *flags, "--virtual-time-budget=3000", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
             address],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        server.shutdown()
        thread.join()
    live = said.stdout[said.stdout.index('id="live"') :].split("</div>", 1)[0]
    assert "19 of 21 runs, 2 without a result" in live
    assert f"{BROKEN} on cells, seed 1" in html.unescape(live)
    assert [line for line in said.stderr.splitlines() if "CONSOLE" in line] == []


@in_browser
@pytest.mark.parametrize("width", [390, 500])
def test_a_wide_table_says_that_it_goes_on_to_the_side(tmp_path: Path, written: Written, width: int) -> None:
    script = """(() => { const box = document.querySelector('#cells-short').parentElement;
      return { wide: box.scrollWidth > box.clientWidth, told: box.classList.contains('more-right'),
        words: getComputedStyle(box, '::before').content }; })()"""
    seen, _ = browse(tmp_path, written.page, script, f"--window-size={width},900")
    assert seen["wide"]
    assert seen["told"]
    assert "scroll it" in seen["words"]


def test_of_many_runs_those_that_are_looked_at_first_are_held_whole(tmp_path: Path) -> None:
    from searchbench.reports.runs import MAX_DETAILED, overview

    with open_store(a_store(tmp_path / "r.db", seeds=40, trials=3)) as store:
        dossier = report_module.read(store)
    found = overview(dossier)
    assert len(found["columns"]["id"]) == 280
    assert len(found["details"]) == MAX_DETAILED
    runs = {run.run_id: run for run in dossier.runs}
    for label in ERRORS:
        own = sorted((r for r in runs.values() if r.strategy == label), key=lambda r: (r.test_error, r.replicate))
        assert {own[0].run_id, own[20].run_id, own[-1].run_id} <= found["details"].keys()
    assert sum(runs[i].strategy == BROKEN for i in found["details"]) >= 40


@in_browser
def test_a_phone_scrolls_down_only(tmp_path: Path, written: Written) -> None:
    seen, _ = browse(
        tmp_path, written.page,
        "({ wide: document.documentElement.scrollWidth, window: innerWidth })", "--window-size=500,900",
    )  # fmt: skip
    assert seen["wide"] <= seen["window"]


@in_browser
def test_it_prints_every_figure_on_light_paper(tmp_path: Path, written: Written) -> None:
    """Printing draws what was not on screen, narrow enough for a page, and puts the screen back afterwards."""
    script = """(async () => {
      document.documentElement.dataset.theme = 'dark';
      dispatchEvent(new Event('beforeprint'));
      await new Promise(r => setTimeout(r, 1500));
      const plots = [...document.querySelectorAll('.plot[data-drawn]')];
      const widths = [...new Set(plots.map(p => p._fullLayout.width))];
      const high = plots.every(p => p._fullLayout.height <= 800);
      const wide = [...document.querySelectorAll('.scroll table')].map(t => {
        const shrink = t.style.getPropertyValue('--shrink'), size = parseFloat(getComputedStyle(t).fontSize);
        return t.scrollWidth * shrink * 8.67 / size; });
      const out = { widths, high, fits: wide.every(w => w <= 641), theme: document.documentElement.dataset.theme };
      dispatchEvent(new Event('afterprint'));
      return { ...out, after: document.documentElement.dataset.theme }; })()"""
    seen, console = browse(tmp_path, written.page, script, "--window-size=1280,900")
    assert console == []
    assert seen == {"widths": [620], "high": True, "fits": True, "theme": "light", "after": "dark"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-3.81", "−3.81"), ("-3.8 [-4.2, -.5]", "−3.8 [−4.2, −.5]"), ("+1.5", "+1.5"), ("2025-01-03", "2025-01-03"),
        ("p-2 and 1-3", "p-2 and 1-3"), ("1e-05", "1e-05"),
    ],
)  # fmt: skip
def test_negative_numbers_have_minus_signs(text: str, shown: str) -> None:
    assert minus(text) == shown


@in_browser
def test_everything_that_acts_can_be_reached_by_keyboard(tmp_path: Path, written: Written) -> None:
    script = """[...document.querySelectorAll('th button, .tools button, select, input, summary, nav *, .scroll')]
      .filter(e => e.tabIndex < 0).map(e => e.outerHTML.slice(0, 80))"""
    seen, _ = browse(tmp_path, written.page, script)
    assert seen == []


def test_the_page_asks_nobody_for_anything(page: str) -> None:
    plain = page[: page.index('<script type="text/plain"')]
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", plain)
    assert not re.findall(r"@import|url\(", plain)
    assert "default-src 'none'" in plain


def test_the_page_opens_with_what_was_found_then_the_short_table_then_figures(page: str, written: Written) -> None:
    from searchbench.reports.words import headlines

    said = html.escape(headlines(written.dossier.board)[0][1])
    main = page[page.index('<main id="main">') :]
    order = [said, 'id="cells-short"', 'class="plot"', "<details", "In words", 'id="cells-every"']
    places = [main.index(part) for part in order]
    assert places == sorted(places)
    heads = re.findall(r"<th scope=.col.[^>]*><button[^>]*>([^<]*)<", main[: main.index("<details")])
    assert heads == ["rank", "strategy", "test error ↓ (%)", "n", "failed", "verdict", "search simulated"]
    assert "All places it may hold at 95 % confidence" in main
    assert "the mean of the paired differences from random" in main


def test_words_say_what_is_real(page: str) -> None:
    words = html.unescape(page[page.index("In words") : page.index("Every column of the leaderboard")])
    assert "Better than random (the baseline): “A and B”" in words
    assert "No evidence of a difference from random" in words
    assert "To see a difference of 0.4 points (twice the declared rope) with 80 % power" in words
    assert "12 of 84 runs gave no test error (most: broken, 12 of 12)" in words
    assert "Ablation: Established (in percentage points)" in words
    assert "Checklist" in words


def test_labels_and_tracebacks_are_shown_as_they_are(page: str) -> None:
    assert "<script>alert" not in page
    assert "<b>boom</b>" not in page
    assert "{{ 7 * 7 }}" in page
    assert html.escape(EVIL, quote=False).replace('"', "&#34;").replace("'", "&#39;") in page


def test_every_section_is_there(page: str) -> None:
    for words in (
        "Rank intervals", "Difference from random", "Critical difference", "Validation over evaluations",
        "Seed by seed", "parameters of the found network", "Interaction of A and B",
        "Effects of the parts", "From base to full",
        "Found cells", CELL, "entropy", "Failures", "Provenance", "c0ffee", "C30", "Reported elsewhere", "never ranked",
    ):  # fmt: skip
        assert words in page, words


def test_files_agree_with_the_board(written: Written) -> None:
    folder = written.page.parent
    rows = {row.strategy: row.values() for row in written.dossier.board.blocks[0].rows}
    lines = list(csv.DictReader(io.StringIO((folder / "leaderboard.csv").read_text())))
    measured = [line for line in lines if line["source"] == "measured"]
    labels = {line["strategy"].removeprefix("'") for line in measured}  # what a spreadsheet would take for a formula
    assert labels == {*ERRORS, BROKEN}
    for line in measured:
        for key in ("test_error_mean", "interval_low", "p_adjusted", "rank_high"):
            number = rows[line["strategy"].removeprefix("'")][key]
            assert line[key] == ("" if math.isnan(number) else str(number)), key
    assert json.loads((folder / "leaderboard.json").read_text())["blocks"][0]["rows"][0]["strategy"] == "A and B"
    assert "A and B" in (folder / "leaderboard.md").read_text()
    assert "\\toprule" in (folder / "leaderboard.tex").read_text()
    comparisons = list(csv.DictReader(io.StringIO((folder / "comparisons.csv").read_text())))
    assert len([c for c in comparisons if c["b"] == "random"]) == 6
    assert len(comparisons) == 21  # one family: six with the baseline, then the pairs of the others
    assert len(list(csv.DictReader(io.StringIO((folder / "runs.csv").read_text())))) == 84
    assert len(list(csv.DictReader(io.StringIO((folder / "checklist.csv").read_text())))) == 30


def test_figures_are_svg_that_parses(written: Written) -> None:
    drawn = [path for path in written.files if path.suffix == ".svg"]
    assert len(drawn) >= 15
    for path in drawn:
        root = ET.parse(path).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "nan" not in path.read_text()


def test_figures_are_pdf_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(a_store(tmp_path / "r.db", seeds=2, trials=3)) as store:
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, "svglib.svglib", None)
            with pytest.raises(InputError, match=r"pip install 'searchbench\[report\]'"):
                report(store, None, tmp_path / "none", pdf=True)
        pytest.importorskip("svglib", reason="the extra `report` is not installed")
        files = report(store, None, tmp_path / "out", pdf=True).files
    drawn = [path for path in files if path.suffix == ".pdf"]
    assert len(drawn) == sum(path.suffix == ".svg" for path in files) > 0
    assert all(path.read_bytes().startswith(b"%PDF-") for path in drawn)


def test_a_second_report_replaces_the_first(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db", seeds=2, trials=3)) as store:
        first = report(store, "recorded", tmp_path / "out").page.read_bytes()
        assert report(store, "recorded", tmp_path / "out").page.read_bytes() == first
        assert default_folder(store, "My Study!") == tmp_path / "my-study-report"


def test_an_incomplete_study_is_reported_without_ranks(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db", missing=3)) as store:
        written = report(store, None, tmp_path / "out")
    text = html.unescape(written.page.read_text())
    assert "Nothing is ranked: C17 all scheduled runs accounted for" in text
    assert "81 of 84 scheduled runs accounted for" in text
    assert "Rank intervals" not in without_library(text)


def test_a_run_ends_with_words_and_the_report_beside_its_store(table_path: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(
        f"""name = "tiny study"
seeds = 2
budget = {{ evaluations = 5 }}
[[problems]]
space = "nasbench201"
task = "digits"
estimator = {{ use = "table", path = "{table_path}", validation = ["valid_0"], test = ["test_secret"] }}
label = "cells"
[[strategies]]
use = "random"
[[strategies]]
use = "local-search"
[comparison]
baseline = "random"
"""
    )
    arguments = ["run", str(tmp_path / "tiny.toml"), "--store", str(tmp_path / "r.db"), "--workers", "0"]
    found = CliRunner().invoke(cli, arguments)
    assert "In words, on cells:" in found.output
    assert "2 paired seeds cannot reach p < 0.05" in " ".join(found.output.split())
    assert "Checklist" in found.output
    page = tmp_path / "tiny-study-report" / "index.html"
    assert "tiny study" in page.read_text()
    with open_store(tmp_path / "r.db") as store:
        same = report(store, None, tmp_path / "again")
    assert page.read_text() == same.page.read_text()  # rankings and fronts included
    page.unlink()
    CliRunner().invoke(cli, [*arguments, "--resume", "--no-report"])
    assert not page.exists()


def test_a_folder_that_cannot_be_written_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        open_store(a_store(tmp_path / "r.db", seeds=2, trials=3)) as store,
        pytest.raises(InputError, match="the report cannot be written to"),
    ):
        report(store, None, tmp_path / "file" / "out")


def test_five_hundred_runs_are_reported_in_seconds(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db", seeds=72, trials=100)) as store:
        report_module.read(store)  # imports are measured by their own test
        began = time.process_time()  # of this process: other work on the machine does not count
        written = report(store, None, tmp_path / "out")
        took = time.process_time() - began
    assert len(written.dossier.runs) == 504
    assert took < 5
    assert written.page.stat().st_size < 3_000_000


@pytest.mark.slow
def test_ten_thousand_runs_are_reported_in_bounded_time_memory_and_size(tmp_path: Path) -> None:
    (runs, took, size), peak = run_alone(LONG_REPORT, str(tmp_path))
    print(f"{float(took):.1f} CPU-s, peak memory {peak / 1e6:.0f} MB, page {int(size) / 1e6:.1f} MB")
    assert int(runs) == 10_010
    assert float(took) < 40  # 14 to 17 where nothing else runs
    assert peak < 1e9
    assert int(size) < 10_000_000
