"""Memory of concurrent runs on one node, and images per second, by how many decoded images may be kept for all of them.

    python benchmarks/shared_data.py [--processes 4] [--images 12000] [--side 64] [--before CHECKOUT]

Writes a folder of photographs in ImageNet's layout (needs Pillow), then lets processes read it at once as runs do: the
task's splits, then an epoch of minibatches, cropped and flipped. Memory is the sum of proportional set sizes while all
hold their data (a page that four processes share counts a quarter in each), less that of as many processes that have
imported the same and read nothing; "most" is the largest that any process ever held. `--before` adds the lines of
another checkout, whose processes decode for themselves.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CLASSES = 10
HERE = Path(__file__).resolve().parent.parent


def write_photographs(root: Path, images: int) -> None:
    """Smooth noise of 100 x 75 to 125 pixels, a sixth of it to test."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for at in range(images):
        part = "val" if at % 6 == 5 else "train"
        folder = root / part / f"class{at // 6 % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(256, size=(12, 16, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((100, 75 + at % 50)).save(folder / f"{at}.jpg", quality=90)


def run(root: Path, side: int, cache_gb: float, reads: bool) -> None:
    """Be one run: print what was measured, and hold the data until told to end."""
    from searchbench.estimators.batches import Batches
    from searchbench.seeds import Seeds
    from searchbench.tasks.image_folder import ImageFolder

    if not reads:
        tell({})
        return
    known = inspect.signature(ImageFolder).parameters
    task = ImageFolder(folder=str(root), side=side, **({"cache_gb": cache_gb} if "cache_gb" in known else {}))
    began = time.perf_counter()
    data = task.search_data(Seeds("shared", os.getpid()))
    opened = time.perf_counter() - began
    train, valid = Batches(data.train), Batches(data.valid)
    began, worked = time.perf_counter(), time.process_time()
    count = sum(len(batch) for batch in train.epoch(128, 1, augment=("crop", "flip")))
    count += sum(len(batch) for batch in valid.in_order(256))
    took, worked = time.perf_counter() - began, time.process_time() - worked
    tell({"opened_s": opened, "images": count, "seconds": took, "cpu_s": worked})


def tell(found: dict[str, float]) -> None:
    """Print what was found and wait for a line."""
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({**found, "most_mb": int(peak.split()[1]) / 1024}), flush=True)
    sys.stdin.readline()


def together(checkout: Path, processes: int, given: list[str], cache: Path) -> tuple[float, list[dict[str, float]]]:
    """Megabytes of so many processes at once, and what each of them told."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout), os.environ.get("PYTHONPATH", "")])}
    environment |= {"SEARCHBENCH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--run", *given]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(processes)
    ]
    told = [json.loads(process.stdout.readline()) for process in started]  # type: ignore[union-attr]
    total = sum(proportional_mb(process.pid) for process in started)
    for process in started:
        process.communicate("\n")
    return total, told


def proportional_mb(pid: int) -> float:
    """The proportional set size of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024


def main() -> None:
    """Print a line for each way to keep the images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        root, side, cache_gb, reads = options.run
        run(Path(root), int(side), float(cache_gb), reads == "reads")
        return
    heads = ("memory, MB", "most, MB", "on disk, MB", "opened, s", "images/s each", "all", "a CPU-s")
    print(f"{'kept':<22}" + "".join(f"{head:>15}" for head in heads), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root, whole = Path(folder) / "photographs", options.images * 3 * options.side**2 / 1e9
        write_photographs(root, options.images)
        idle, _ = together(HERE, options.processes, [str(root), "8", "0", "idle"], Path(folder))
        lines = [("all", HERE, 2 * whole), ("half", HERE, whole / 2), ("none", HERE, 0.0)]
        lines += [("before", options.before.resolve(), 0.0)] if options.before else []
        for name, checkout, cache_gb in lines:
            cache = Path(folder) / name
            given = [str(root), str(options.side), str(cache_gb), "reads"]
            _, first = together(checkout, 1, given, cache)  # decodes, so that the others find what is kept
            total, told = together(checkout, options.processes, given, cache)
            kept = sum(file.stat().st_size for file in cache.rglob("*.npy")) / 1e6
            rates = [one["images"] / one["seconds"] for one in told]
            numbers = (
                *(total - idle, max(one["most_mb"] for one in told), kept),
                *(max(one["opened_s"] for one in told), sum(rates) / len(rates), sum(rates)),
                sum(one["images"] for one in told) / sum(one["cpu_s"] for one in told),
            )
            print(
                f"{name:<22}" + "".join(f"{number:>15,.1f}" for number in numbers)
                + f"   (first: {first[0]['opened_s']:.1f} s)", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
