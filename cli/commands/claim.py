"""`minise claim`: a study of the paper's claim, from the plan to the verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from minise_cli.arguments import FILE, PATH, choice, json_option, number
from minise_cli.commands.report import PAGE, keep_look
from minise_cli.errors import CommandError, interrupted
from minise_cli.options import absolute, train_option
from minise_cli.progress.display import follow
from minise_cli.progress.lines import display_for
from minise_cli.render.console import Waiting, print_json, warn
from minise_cli.render.study import draw_plan, draw_verdict

from minise._util.files import write_atomically
from minise.data import DATASETS
from minise.errors import ConfigError, MiniseError
from minise.models import MODELS
from minise.report import report
from minise.study import (
    STUDY_FILE,
    Study,
    StudyConfig,
    claim_dict,
    claim_text,
    earlier_looks,
    estimate,
    is_study,
    judge,
    open_study,
    planned_study,
    read_study,
    run_study,
    sizes,
    study_from_dict,
    unequal,
    with_recipe,
)
from minise.study.verdict import UNCLAIMED, stats
from minise.train.config import read_toml
from minise.train.recipes import recipes

FOLDER = Path("runs/claim")
PLANNED = ("datasets", "models", "arms", "seeds", "epochs")
"""The options that change the plan; the others say where and how it is carried out."""


@click.command(
    "claim",
    epilog="Ctrl-C keeps what is done; the same command goes on, more seeds or arms extend it. The verdict is"
    " for one look: fix the number of seeds before.",
)
@click.option(
    *("--study", "folder"),
    type=PATH,
    metavar="DIR",
    default=FOLDER,
    help="The folder of the study: to make, to go on with, or to extend.",
)
@click.option(
    *("--config", "file"),
    type=FILE,
    metavar="FILE",
    help="A study as a TOML file, see --print.",
    show_default="that of the folder, else the paper's claim",
)
@click.option("--print", "as_toml", is_flag=True, help="Print the study as a TOML file to copy, and end.")
@choice(
    *("--dataset", "datasets"),
    among=DATASETS,
    words="On what.",
    show_default="cifar10, cifar100",
    multiple=True,
)
@choice(
    *("--model", "models"),
    among=[name for name, spec in MODELS.items() if spec.has_se],
    words="A model with SE blocks.",
    show_default="se-resnet20",
    multiple=True,
)
@click.option(
    *("--arm", "arms"),
    multiple=True,
    metavar="NAME",
    help="Only these arms of the study, or, once it is begun, these besides; may be given again.",
    show_default="all",
)
@number("--seeds", words="Seeds 0 to N - 1.", show_default="5")
@number("--epochs", words="Of every run.", show_default="10")
@choice("--recipe", among=recipes(), words="How every run is trained, and its model.")
@number("--jobs", default=1, words="Runs at a time.")
@click.option("--retry", is_flag=True, help="Do the runs that failed anew.")
@click.option("--dry-run", is_flag=True, help="Show the plan and how long it takes, and end.")
@train_option("data_dir", "Where the files are.")
@train_option("mirror", "Where to download from.")
@train_option("device", "auto takes the GPU where there is one.")
@train_option("threads", "How many cores to use, for all runs together.")
@json_option("One JSON object a line: every event, then the verdict.")
def command(
    folder: Path,
    file: Path | None,
    recipe: str | None,
    as_toml: bool,
    dry_run: bool,
    as_json: bool,
    retry: bool,
    jobs: int,
    **options: Any,
) -> None:
    """Test the claim that FeLU helps SE: every arm with every seed, on equal terms, and a verdict.

    \b
    minise claim --dry-run
    minise claim --recipe quick --jobs 2
    minise claim --seeds 8
    """
    given = {name: value for name in PLANNED if (value := options.pop(name))}
    config = study_config(folder, file, recipe, given)
    if as_toml:
        click.echo(config.to_toml() if file or recipe or given else claim_text(), nl=False)
        return
    machine = options | {"data_dir": absolute(options["data_dir"])}
    if dry_run:
        show_plan(planned_study(folder, config, **machine), machine, as_json=as_json, retry=retry)
        return
    sizes(config)  # parity, before anything is made
    foretell_verdict()
    with Waiting("preparing the study") as waiting:
        events = run_study(folder, config, jobs=jobs, retry=retry, progress=waiting, **machine)
        follow(events, waiting, display_for(as_json, study=True), stopped=partial(stopped, folder))
    show_verdict(folder, as_json)


def study_config(folder: Path, file: Path | None, recipe: str | None, given: dict[str, Any]) -> StudyConfig:
    """The study of the file, else of the folder, else the paper's, with what was given in its place."""
    if file is not None:
        values, where = read_toml(file), str(file)
    elif is_study(folder):
        values, where = dataclasses.asdict(read_study(folder)), str(folder / STUDY_FILE)
    else:
        values, where = claim_dict(), "study"
    if recipe is not None:
        values = with_recipe(values, recipe)
    given = dict(given)
    if arms := given.pop("arms", None):
        begun = file is None and is_study(folder)
        values |= added_arms(values, arms) if begun else chosen_arms(values, arms)
    if epochs := given.pop("epochs", None):
        values["train"] = {**values.get("train", {}), "epochs": epochs}
    return study_from_dict({**values, **given}, where=where)


def added_arms(values: dict[str, Any], arms: tuple[str, ...]) -> dict[str, Any]:
    """The tables of a study that has begun, with the named arms of the paper's study added: those that its claim is
    judged against are judged here, too, where the claim is the same.
    """
    paper, own = claim_dict(), values["arms"]
    added = named(paper["arms"] | own, [arm for arm in arms if arm not in own])
    judged = paper["against"] if values["claim"] == paper["claim"] else []
    return {"arms": own | added, "against": [*values["against"], *(arm for arm in added if arm in judged)]}


def chosen_arms(values: dict[str, Any], arms: tuple[str, ...]) -> dict[str, Any]:
    """The study's tables with the named arms alone."""
    kept = named(values.get("arms", {}), arms)
    if values.get("claim") not in arms:
        raise ConfigError(
            f"arm: found {', '.join(arms)}, expected the claim's, {values.get('claim')}, among them"
        )
    against = [arm for arm in values.get("against", []) if arm in arms]
    return {"arms": kept, "against": against}


def named(known: dict[str, Any], arms: Sequence[str]) -> dict[str, Any]:
    """The tables of the named arms."""
    for arm in arms:
        if arm not in known:
            raise ConfigError(f"arm: found {arm!r}, expected some of {', '.join(known)}")
    return {arm: known[arm] for arm in arms}


def show_plan(study: Study, machine: dict[str, Any], *, as_json: bool, retry: bool) -> None:
    """What would be done, and how long it would take."""
    found = sizes(study.config)
    with Waiting("timing a few steps of every model"):
        times = estimate(study.todo(retry=retry), threads=machine["threads"], device=machine["device"])
    if not as_json:
        draw_plan(study, found, times)
        return
    print_json(
        {
            "event": "plan",
            "study": study.config,
            "sizes": found,
            "unequal": unequal(study.config),
            "states": {o.planned.name: o.state for o in study.outcomes},
            "seconds": times.total,
        }
    )


def stopped(folder: Path, error: KeyboardInterrupt) -> CommandError:
    """The line for a study that was interrupted: how far it is."""
    if not is_study(folder):
        return interrupted("the study had not begun", error)
    states = [o.state for o in open_study(folder).outcomes]
    kept = f"{states.count('done')} of {len(states)} runs are done and kept in {folder}"
    return interrupted(f"{kept}; the same command goes on", error)


def foretell_verdict() -> None:
    """Say before hours of training what would be missing after them."""
    try:
        stats()
    except ConfigError as error:
        warn(f"{error}; the runs can do without")


def show_verdict(folder: Path, as_json: bool) -> None:
    """The verdict, and then the page, as far as the extra `report` is there."""
    study = open_study(folder)
    try:
        verdict = judge(study)
    except ConfigError as error:  # no SciPy
        warn(str(error))
        if as_json:
            print_json({"event": "verdict", "verdict": None, "reason": str(error)})
        return
    looks = earlier_looks(study, verdict)
    if as_json:
        print_json({"event": "verdict", **vars(verdict), "looks": looks})
    else:
        draw_verdict(study, verdict, looks)
    keep_look(study, verdict)
    if verdict.verdict == UNCLAIMED and study.config.effect:
        names = ", ".join(study.config.datasets)
        warn(f"study: no gain is claimed on {names}; [effect] in a file claims one")
    try:
        write_atomically(folder / PAGE, report(folder).encode())
    except MiniseError as error:
        warn(str(error))
        return
    if not as_json:
        click.echo(f"report in {folder / PAGE}")
