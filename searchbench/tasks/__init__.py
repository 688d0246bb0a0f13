"""Tasks: data sets with their splits and recipes."""

from __future__ import annotations

from searchbench.registry import Entry, Registry

TASKS = Registry(
    kind="task",
    group="searchbench.tasks",
    builtin={
        "digits": Entry("searchbench.tasks.digits:Digits", "1,797 real 8x8 handwritten digits, bundled; no download"),
        "mnist": Entry("searchbench.tasks.images:mnist", "70,000 handwritten digits, 28x28, read from a folder"),
        "cifar10": Entry("searchbench.tasks.images:cifar10", "60,000 photographs, 32x32, 10 classes, from a folder"),
        "cifar100": Entry("searchbench.tasks.images:cifar100", "60,000 photographs, 32x32, 100 classes, from a folder"),
        "image-folder": Entry(
            "searchbench.tasks.image_folder:ImageFolder", "your photographs, train/<class>/*.jpg and val/<class>/*.jpg"
        ),
        "wikitext2": Entry("searchbench.tasks.text:wikitext2", "2.1 million tokens of Wikipedia, read from a folder"),
        "penn-treebank": Entry(
            "searchbench.tasks.text:penn_treebank", "0.9 million tokens of news, read from a folder"
        ),
        "descriptions": Entry(
            "searchbench.tasks.text:descriptions", "9,000 tokens of English that scikit-learn ships; no download"
        ),
    },
)

__all__ = ["TASKS"]
