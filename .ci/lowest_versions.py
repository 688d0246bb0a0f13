"""Print the lowest declared version of every dependency, a pip constraint a line; PyTorch's is chosen by who calls."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
for requirement in [*project["dependencies"], *project["optional-dependencies"]["images"]]:
    name, floor = re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", requirement).groups()
    if name != "torch":
        print(f"{name}=={floor}")
