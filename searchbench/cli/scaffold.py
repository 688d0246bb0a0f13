"""`new`: a project around one part, which passes the conformance suite as it stands."""

from __future__ import annotations

import keyword
from pathlib import Path

import click

KINDS = {"strategy": "strategies", "space": "spaces", "task": "tasks", "estimator": "estimators", "judge": "judges"}
"""What can be begun, and the plural by which entry points call it."""
TEMPLATES = Path(__file__).parent / "templates"
USE = {
    "strategy": '[[strategies]]\nuse = "{path}"',
    "space": '[[problems]]\nspace = {{ use = "{path}", channels = 4 }}\ntask = "digits"\nestimator = "train"',
    "task": '[[problems]]\nspace = "nasbench201"\ntask = "{path}"\nestimator = "train"',
    "estimator": '[[problems]]\nspace = "nasbench201"\ntask = "digits"\nestimator = "{path}"',
    "judge": '[[problems]]\nspace = "nasbench201"\ntask = "digits"\nestimator = "train"\njudge = "{path}"',
}
"""How a study names it."""


@click.command()
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("name")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), help="The folder to make. [default: NAME]")
def new(kind: str, name: str, into: Path | None) -> None:
    """Begin a KIND called NAME: an installable project of one file, its test and its entry point.

    It passes its test at once; change the file from there.
    """
    from searchbench.errors import InputError

    folder = into or Path(name)
    texts = project(kind, name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"`{folder}` is there already and not empty; name another with --into.")
    try:
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"`{folder}` cannot be written: {error.strerror}.") from error
    click.echo(f"{folder}: the {kind} is in {module_of(name)}.py; its test passes: cd {folder} && python -m pytest")


def project(kind: str, name: str) -> dict[str, str]:
    """The files of a project, path to text.

    Raises:
        InputError: the name makes no module of its own.
    """
    from string import Template

    module = module_of(name)
    _check_name(kind, name, module)
    title = "".join(word[:1].upper() + word[1:] for word in module.split("_"))
    values = {"name": name, "module": module, "kind": kind, "plural": KINDS[kind], "title": title}
    values["attribute"] = module if kind == "space" else title
    values["article"] = "an" if kind == "estimator" else "a"
    values["tried"] = "epochs=1" if kind == "judge" else ""  # a test need not train for long
    values["use"] = USE[kind].format(path=f"{module}:{values['attribute']}")
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{module}.py": f"{kind}.py",
        f"tests/test_{module}.py": "test.py",
    }
    return {
        path: Template((TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")).substitute(values)
        for path, template in files.items()
    }


def module_of(name: str) -> str:
    """What Python calls it."""
    return name.replace("-", "_")


def _check_name(kind: str, name: str, module: str) -> None:
    import importlib.util

    from searchbench.cli.things import registries
    from searchbench.errors import InputError

    if not module.isidentifier() or not name.isascii() or not name[0].isalpha() or keyword.iskeyword(module):
        raise InputError(f"NAME must be made of letters, digits, - and _, and begin with a letter, but got `{name}`.")
    if name != name.lower():
        raise InputError(f"NAME is written in lower case, but got `{name}`; take `{name.lower()}`.")
    if name in registries()[KINDS[kind]].names():
        raise InputError(f"there is a {kind} `{name}` already; take another name.")
    found = importlib.util.find_spec(module)
    if found is not None and found.origin is not None:  # a folder of that name is no module
        raise InputError(f"there is a Python module `{module}` already, which would be hidden; take another name.")
