"""Pages of the site that are generated: one per strategy from its docstring, and the reference of every public name."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

GALLERY = Path(__file__).parents[1] / "gallery"
"""Where `make gallery` writes whole pages."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages to those of the folder."""
    for path, text in {**strategy_pages(), **reference_pages()}.items():
        files.append(File.generated(config, path, content=text))
    for page in sorted(GALLERY.glob("*/index.html")):
        files.append(File.generated(config, f"gallery/{page.parent.name}/index.html", abs_src_path=str(page)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads from a study of the gallery to its interactive page, where that was built before the site."""
    whole = GALLERY / page.file.name / "index.html"
    if not page.file.src_uri.startswith("gallery/") or not whole.is_file():
        return markdown
    heading, _, rest = markdown.partition("\n")
    return f"{heading}\n\n[The interactive page]({page.file.name}/index.html){{ .md-button }}\n{rest}"


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Generated pages are reached from their index; they would crowd the navigation."""
    for page in files.documentation_pages():
        if page.src_uri.startswith(("strategies/", "reference/")):
            page.inclusion = page.inclusion.__class__.NOT_IN_NAV
    return nav


def strategy_pages() -> dict[str, str]:
    """A page per registered strategy and one that lists them by family."""
    from searchbench.strategies import DIFFERENTIABLE, FAMILIES, STRATEGIES, SUPERNETS, family

    groups: dict[str, list[str]] = {title: [] for title in (*FAMILIES, DIFFERENTIABLE, SUPERNETS)}
    pages = {}
    for name, entry in STRATEGIES.builtin.items():
        groups[family(name)].append(f"- [`{name}`]({name}.md): {entry.summary}")
        pages[f"strategies/{name}.md"] = strategy_page(name, entry.summary, STRATEGIES.factory(name))
    adapters = [f"- `{prefix}:…`: {entry.summary}" for prefix, entry in STRATEGIES.adapters.items()]
    listed = [f"## {title}\n\n" + "\n".join(lines) for title, lines in groups.items() if lines]
    listed.append("## Libraries that compete\n\n" + "\n".join(adapters))
    intro = "Every strategy runs through the same lab, budget and judge. `searchbench describe NAME` prints its page.\n"
    pages["strategies/index.md"] = "# Strategies\n\n" + intro + "\n" + "\n\n".join(listed) + "\n"
    return pages


def strategy_page(name: str, summary: str, factory: Any) -> str:
    """The page of one strategy: idea, equations, source and differences as its docstring has them, and parameters."""
    document = inspect.getdoc(factory) or ""
    rows = "\n".join(f"| `{key}` | `{value}` |" for key, value in parameters(factory).items())
    table = f"\n## Parameters\n\n| parameter | default |\n|---|---|\n{rows}\n" if rows else ""
    use = f'```toml\n[[strategies]]\nuse = "{name}"\n```\n'
    tried = "\n".join(f"- `searchbench run examples/{study}`: {about}" for study, about in studies_with(name))
    tried = (
        f"\n## Tried here\n\n{tried}\n\nWhat came out is in [measured performance](../performance.md).\n"
        if tried
        else ""
    )
    said = published_table(name)
    return f"# {name}\n\n{summary[:1].upper()}{summary[1:]}.\n\n{use}\n{_markdown(document)}\n{table}{said}{tried}"


def published_table(name: str) -> str:
    """What was published of a strategy, as a section; nothing where nothing is known."""
    from searchbench.strategies.published import PUBLISHED

    rows = "\n".join(f"| {' | '.join(row)} |" for row in PUBLISHED.get(name, ()))
    if not rows:
        return ""
    about = "Never ranked with what is measured here: spaces, recipes and protocols differ.\n"
    return f"\n## Published\n\n{about}\n| where | figure | cost, GPU days | from |\n|---|---|---|---|\n{rows}\n"


def studies_with(name: str) -> list[tuple[str, str]]:
    """The example studies that a strategy runs in, and the first sentence that each says of itself."""
    found = []
    for path in sorted((Path(__file__).parents[1] / "examples").glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        if any(entry.get("use") == name for entry in tomllib.loads(text).get("strategies", ())):
            comment = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
            about = " ".join(line.removeprefix("#").strip() for line in comment)
            found.append((path.name, about.partition(". ")[0].rstrip(".")))
    return found


def parameters(factory: Any) -> dict[str, str]:
    """Defaults as they print, by parameter."""
    found = {}
    defaults = {f.name: f for f in dataclasses.fields(factory)} if dataclasses.is_dataclass(factory) else {}
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        field = defaults.get(parameter.name)
        made = field is not None and field.default_factory is not dataclasses.MISSING
        value = field.default_factory() if made else parameter.default  # type: ignore[union-attr, misc]
        shown = "required" if value is parameter.empty else repr(value)
        found[parameter.name] = shown.replace("|", "\\|")
    return found


def reference_pages() -> dict[str, str]:
    """The reference: every public name of the package, grouped by the module that it stands in."""
    import searchbench
    from searchbench import statistics

    where: Mapping[str, str] = searchbench._WHERE  # the table that __init__ imports by
    modules: dict[str, list[str]] = {}
    for name, module in sorted(where.items()):
        modules.setdefault(module, []).append(name)
    lines = ["# Reference", "", "Every public name. `import searchbench as sb` gives them all."]
    pages = {}
    for module, names in sorted(modules.items()):
        page = module.removeprefix("searchbench.").replace(".", "-")
        lines.append(f"- [`{module}`]({page}.md): {', '.join(f'`{name}`' for name in names)}")
        blocks = "\n\n".join(f"::: {module}.{name}" for name in names)
        pages[f"reference/{page}.md"] = f"# {module}\n\n{blocks}\n"
    places = {name: getattr(getattr(statistics, name), "__module__", "") for name in statistics.__all__}
    own = {name: module for name, module in places.items() if module.startswith("searchbench.")}  # the rest are aliases
    lines.append(f"- [`searchbench.statistics`](statistics.md): {len(own)} names, a library by itself")
    blocks = "\n\n".join(f"::: {module}.{name}" for name, module in own.items())
    pages["reference/statistics.md"] = f"# searchbench.statistics\n\n{blocks}\n"
    pages["reference/index.md"] = "\n".join(lines[:3]) + "\n\n" + "\n".join(lines[3:]) + "\n"
    return pages


def _markdown(document: str) -> str:
    """A docstring as Markdown: its sections as headings, what stands below `::` as code, parameters as a list."""
    text = re.sub(r"``([^`]+)``", r"`\1`", document)
    text = re.sub(r"(?m)^(Args|Raises|Returns):$", r"**\1**\n", text)
    text = re.sub(r"(?m)^(Source|Differs): ?", r"\n**\1.** ", text)
    text = re.sub(r"(?m)::$", ":", text)
    return re.sub(r"(?m)^ {4}(\w[\w, ]*): ", r"- `\1`: ", text)
