"""Files that are written whole or not at all."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from searchbench.errors import InputError


@contextmanager
def whole(place: str | Path, *, fresh: bool = False) -> Iterator[Path]:
    """Yield a file to write beside `place`, which becomes `place` where all goes well, and else is removed.

    Args:
        place: where the file is to be.
        fresh: whether a file that is there already is refused.

    Raises:
        InputError: its folder is missing, it cannot be written, or it is there and may not be.
    """
    place = Path(place)
    check_writable(place, fresh=fresh)
    partial = place.with_name(f".{place.stem}.partial{place.suffix}")
    try:
        yield partial
        partial.replace(place)
    except OSError as error:
        raise InputError(f"`{place}` cannot be written: {error.strerror or error}.") from error
    finally:
        for left in glob.glob(f"{glob.escape(str(partial))}*"):  # with what a database keeps beside it
            Path(left).unlink(missing_ok=True)


def check_writable(place: Path, *, fresh: bool = False) -> None:
    """Raise InputError, before anything is done that takes long, where a file could not be written or may not be."""
    if place.is_dir():
        raise InputError(f"`{place}` is a folder; name a file.")
    if fresh and place.exists():
        raise InputError(f"`{place}` exists, and is not written over; remove it, or name another file.")
    if not place.parent.is_dir():
        raise InputError(f"`{place}` cannot be written: there is no folder `{place.parent}`; make it first.")
