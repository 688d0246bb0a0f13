"""Augmentations, checked pixel by pixel."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from searchbench.errors import StudyError
from searchbench.estimators.augment import BY_NAME, augmentations, crop, cutout, flip
from searchbench.tasks.task import AUGMENTATIONS, Recipe


@pytest.fixture
def images() -> Tensor:
    return torch.rand(200, 2, 16, 16, generator=Generator().manual_seed(0)) + 1.0


def generator() -> Generator:
    return Generator().manual_seed(7)


def test_crop_shifts_each_image_by_at_most_an_eighth_and_fills_with_zeros(images: Tensor) -> None:
    padded = torch.zeros(200, 2, 20, 20)
    padded[:, :, 2:18, 2:18] = images
    seen = set()
    for i, result in enumerate(crop(images, generator())):
        matches = [
            (y, x) for y in range(5) for x in range(5) if torch.equal(padded[i, :, y : y + 16, x : x + 16], result)
        ]
        assert len(matches) == 1
        seen.add(matches[0])
    assert len(seen) == 25


def test_flip_mirrors_about_half_of_the_images(images: Tensor) -> None:
    result = flip(images, generator())
    mirrored = sum(torch.equal(r, i.flip(-1)) for r, i in zip(result, images, strict=True))
    kept = sum(torch.equal(r, i) for r, i in zip(result, images, strict=True))
    assert mirrored + kept == 200
    assert 70 <= mirrored <= 130


def test_cutout_clears_one_clipped_square_of_half_the_side(images: Tensor) -> None:
    sizes = set()
    for result, image in zip(cutout(images, generator()), images, strict=True):
        cleared = (result == 0).all(0)
        assert torch.equal(result[:, ~cleared], image[:, ~cleared])
        rows, columns = cleared.any(1).nonzero().flatten(), cleared.any(0).nonzero().flatten()
        assert int(cleared.sum()) == len(rows) * len(columns)
        assert rows[-1] - rows[0] + 1 == len(rows)
        sizes |= {len(rows), len(columns)}
    assert max(sizes) == 8
    assert min(sizes) >= 4


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_is_repeatable_and_leaves_its_input_alone(name: str, images: Tensor) -> None:
    before = images.clone()
    assert torch.equal(BY_NAME[name](images, generator()), BY_NAME[name](images, generator()))
    assert torch.equal(images, before)


def test_every_name_a_recipe_may_use_exists() -> None:
    assert tuple(BY_NAME) == AUGMENTATIONS
    assert augmentations(("flip", "crop")) == (flip, crop)


def test_an_unknown_name_is_refused_by_recipe_and_function_alike() -> None:
    with pytest.raises(StudyError, match="unknown augmentation `cutoff`; did you mean `cutout`"):
        Recipe(epochs=1, batch_size=1, lr=0.1, augment=("cutoff",))
    with pytest.raises(StudyError, match="unknown augmentation `cutoff`; did you mean `cutout`"):
        augmentations(("cutoff",))
