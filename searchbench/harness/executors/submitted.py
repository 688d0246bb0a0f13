"""A study whose driver runs inside a cluster, as a Ray job: it goes on when the machine that asked for it is closed."""

from __future__ import annotations

import secrets
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from searchbench.errors import InputError
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.study_file import read_study
from searchbench.harness.executors.own_code import own_modules, staged
from searchbench.results.location import Location


def submit(study_file: Path, store: str, address: str, options: Sequence[str] = (), *, only: str | None = None) -> str:
    """Give a study to a driver inside a cluster; the id of its job.

    What can be wrong with the study is said here, before anything is sent. Then the file and the modules of the user's
    own that it names are sent; data and recorded tables are not.

    Args:
        study_file: a TOML file.
        store: as the cluster's head node sees it: an absolute path or the URL of a server.
        address: of the cluster's dashboard, ``http://host:8265``; "auto" takes what the environment names.
        options: further options of `searchbench run`.
        only: run the strategy of this label alone.

    Raises:
        InputError: the study is impossible, the store's path is relative, or there is no cluster that takes jobs.
    """
    study = read_study(study_file)
    study.check_label(only)
    study.spec()  # whatever it names is imported now, and so known to be sent
    plan(study)
    place = Location.parse(store)
    if place.path is not None and not place.path.is_absolute():
        raise InputError(
            f"the store of a study that is submitted is named as the cluster sees it, but `{store}` is relative to "
            "this folder; give an absolute path that the head node writes, or the URL of a server."
        )
    from ray.exceptions import RayError
    from ray.job_submission import JobSubmissionClient

    command = ["python", "-m", "searchbench", "run", study_file.name, "--store", store]
    command += ["--ray-address", "auto", "--resume", "--no-report", *options]
    command += [] if only is None else ["--only", only]
    try:
        client = JobSubmissionClient(None if address == "auto" else address)
        with tempfile.TemporaryDirectory() as folder:
            staged(own_modules(), Path(folder))
            shutil.copyfile(study_file, Path(folder) / study_file.name)
            job: str = client.submit_job(
                entrypoint=shlex.join(command),
                submission_id=f"searchbench-{_plain(study.name)}-{secrets.token_hex(3)}",
                runtime_env={"working_dir": folder},
            )
    except (RayError, RuntimeError, ValueError, OSError) as error:
        if "ray[default]" in str(error):
            raise InputError(
                "studies are submitted to Ray's dashboard: `pip install 'searchbench[cluster]'`, here and on the head."
            ) from error
        told = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(
            f"no cluster at `{address}` takes jobs: {told}; jobs go to the dashboard of a head node that has "
            "`ray[default]`, as a rule http://HOST:8265."
        ) from error
    return job


def _plain(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)[:40]
