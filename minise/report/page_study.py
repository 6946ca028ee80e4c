"""The page of a study: the verdict and its rule, every arm and comparison, and how they came about."""

from __future__ import annotations

from functools import partial

from minise.report import figures_study as figures
from minise.report.document import Block, Cell, Fold, Page, Plots, Section, Words, table
from minise.report.facts_study import RunRow, StudyFacts
from minise.report.page_dead import dead_units, worked_case
from minise.report.page_results import TONES, arms, comparisons
from minise.report.provenance import UNOFFICIAL, provenance
from minise.report.words import (
    NONE,
    counted,
    date,
    decimal,
    duration,
    label,
    listed,
    percent,
    signed,
)
from minise.study.interim import look_words
from minise.study.verdict import NOT_SUPPORTED, OPEN, SUPPORTED, UNCLAIMED

RULE = {
    SUPPORTED: "corrected p < 0.05, d > 0, and the corrected interval reaches up to the effect",
    NOT_SUPPORTED: "the corrected interval lies below the effect: so much is not gained, though less may be",
    OPEN: "anything else, and wherever a run of either arm failed",
}
"""The rule of `minise.study.verdict`, in its words."""
BECAUSE = {
    SUPPORTED: "the corrected interval lies above 0 and reaches up to what is claimed",
    NOT_SUPPORTED: "the corrected interval ends below what is claimed",
    OPEN: "the rule cannot decide",
}


def study_page(facts: StudyFacts) -> Page:
    """The page of a study as it stands, finished or not."""
    config, verdict = facts.config, facts.verdict
    claimed = {name: x for name, x in config["effect"].items() if name in config["datasets"]}
    effects = [f"{x:g} {'point' if x == 1 else 'points'} on {name}" for name, x in claimed.items()]
    gain, over = listed(effects) or "accuracy", listed(list(config["against"])) or "other arms"
    begun = next((f"begun {date(info['started'])}" for info in facts.infos if "started" in info), "not begun")
    parts = [
        arms(facts),
        comparisons(facts),
        learning(facts),
        dead_units(facts),
        worked_case(facts),
        every_run(facts),
        where_from(facts),
    ]
    return Page(
        kicker="minise · a study",
        title=f"Does {config['claim']} gain {gain} over {over}?" if claimed else listed(facts.arms),
        subtitle=f"{listed(list(config['models']))} on {listed(list(config['datasets']))} · {begun}",
        hero=verdict.verdict.capitalize(),
        hero_label="",
        tone=TONES[verdict.verdict],
        sentence=reasons(facts),
        facts=(
            ("runs done", f"{verdict.done} of {verdict.planned}"),
            ("failed", str(verdict.failed)),
            ("seeds", str(len(config["seeds"]))),
            ("arms", str(len(facts.arms))),
            ("data sets", str(len(config["datasets"]))),
            ("models", str(len(config["models"]))),
            ("training time", duration(sum(r.seconds for r in facts.runs))),
        ),
        notices=notices(facts),
        source=facts.path,
        sections=tuple(part for part in parts if part is not None),
        rule=tuple((name, words, name == verdict.verdict) for name, words in RULE.items() if claimed),
    )


def reasons(facts: StudyFacts) -> str:
    """Why the verdict is what it is, in a sentence."""
    verdict = facts.verdict
    judged = [c for c in verdict.comparisons if c.verdict]
    if verdict.verdict == UNCLAIMED:
        return "No gain is claimed over any arm on any of the data sets, so there is nothing to judge."
    telling = [c for c in judged if c.verdict == verdict.verdict and c.n > 1]
    if not telling:
        done = counted(verdict.done, "run is", "runs are")
        which = "not every" if any(c.n > 1 for c in judged) else "no"
        return f"{done} done of {verdict.planned}: {which} comparison has two pairs of finished runs yet."
    if len(telling) <= 2:
        gains = listed([f"{signed(c.mean)} points over {c.other} on {c.dataset}" for c in telling])
    else:
        means = [c.mean for c in telling]
        gains = f"between {signed(min(means))} and {signed(max(means))} points"
    where = f"in {len(telling)} of {len(judged)} comparisons" if len(telling) < len(judged) else "everywhere"
    claimed = listed(list(dict.fromkeys(signed(c.effect, 1) for c in telling)))
    return f"{facts.config['claim']} gains {gains} where {claimed} are claimed; {where} {BECAUSE[verdict.verdict]}."


def notices(facts: StudyFacts) -> tuple[str, ...]:
    """What a reader should know before taking the figures for the study's result."""
    found = []
    waiting = sum(r.state in ("open", "planned") for r in facts.runs)
    failed = facts.verdict.failed
    if facts.looks:
        found.append(f"This is {look_words(facts.looks)}. The rule is for one look.")
    if waiting:
        found.append(f"The study goes on: {waiting} of {counted(len(facts.runs), 'run')} still to be done.")
    if failed:
        found.append(
            f"{counted(failed, 'run')} failed for good, which leaves open what is compared with the arm; the reasons"
            " stand under “Every run”."
        )
    if facts.parity_gap:
        found.append(f"The arms are not of one size. {facts.parity_gap}.")
    for arm, options in facts.unequal.items():
        differ = listed([f"{name} = {mine}, not {claim}" for name, (mine, claim) in options.items()])
        found.append(f"{arm} is trained otherwise than the claim's arm: {differ}.")
    if facts.unofficial:
        found.append(f"{UNOFFICIAL} ({listed(list(facts.unofficial))})")
    return tuple(found)


def learning(facts: StudyFacts) -> Section | None:
    """Curves by arm."""
    blocks: list[Block] = []
    legend = figures.legend(facts)
    for i, (d, m) in enumerate(facts.groups):
        shown = [h.curves for h in facts.histories if (h.dataset, h.model) == (d, m)]
        draw = tuple(
            partial(figures.curves, facts, d, m, key, f"curve-{i}-{key}", title)
            for key, title in (("val_acc", "Held-out accuracy"), ("train_loss", "Training loss"))
            if any(key in curves for curves in shown)
        )
        if draw:
            blocks.append(Plots(draw, "half", f"{d}, {m}", () if blocks else legend))
    lead = (
        "Mean over the seeds of the finished runs; the band reaches from the lowest run to the highest. The first"
        " quarter of the epochs is left out, so that what follows can be told apart."
    )
    return Section("learning", "How the arms learn", lead, (*blocks, last_epoch(facts))) if blocks else None


def last_epoch(facts: StudyFacts) -> Fold:
    """Where the curves end."""
    rows = []
    for h in facts.histories:
        if h.curves:
            held, loss = h.curves.get("val_acc"), h.curves["train_loss"]
            accuracy = (
                [percent(ends[-1]) for ends in (held.mean, held.low, held.high)] if held else [NONE] * 3
            )
            losses = [decimal(ends[-1], 4) for ends in (loss.mean, loss.low, loss.high)]
            rows.append([h.dataset, h.model, h.arm, str(h.n), *accuracy, *losses])
    columns = (
        *("data set", "model", "arm", "runs", "held-out accuracy", "lowest", "highest"),
        *("training loss", "lowest loss", "highest loss"),
    )
    return Fold("The last epoch in figures", table=table("", columns, rows, right=columns[3:]))


def every_run(facts: StudyFacts) -> Section:
    """Runs that failed, runs that are to come, and a table of all."""
    blocks: list[Block] = []
    failed: list[list[str | Cell]] = [
        [r.name, str(r.epochs), Cell(label(r.reason, 300), tone="prose")]
        for r in facts.runs
        if r.state == "failed"
    ]
    if failed:
        blocks.append(table("Failed for good", ("run", "epochs", "reason"), failed, right=("epochs",)))
    for state, words in (("open", "Begun, to be gone on with"), ("planned", "Not begun")):
        names = [r.name for r in facts.runs if r.state == state]
        if names:
            shown = f"{', '.join(names[:12])}{' and others' if len(names) > 12 else ''}"
            blocks.append(Words(f"{words}: {counted(len(names), 'run')} ({shown})."))
    columns = ("run", "state", "epochs", "test", "held out, last", "held out, best", "dead units", "time")
    whole = table("", columns, [run_row(r) for r in facts.runs], right=columns[2:])
    blocks.append(Fold(f"All {counted(len(facts.runs), 'run')} in figures", table=whole))
    states = [f"{sum(r.state == s for r in facts.runs)} {s}" for s in ("done", "failed", "open", "planned")]
    return Section("runs", "Every run", f"{', '.join(states)}.", tuple(blocks))


def run_row(r: RunRow) -> list[str | Cell]:
    """The row of a run in the table of all."""
    return [
        r.name,
        Cell(r.state, tone={"failed": "bad", "done": ""}.get(r.state, "muted")),
        str(r.epochs),
        percent(r.test_acc),
        percent(r.val_acc),
        f"{percent(r.best_val_acc)}{f' (epoch {r.best_epoch})' if r.best_epoch else ''}",
        percent(r.dead_share, 1),
        duration(r.seconds) if r.epochs else NONE,
    ]


def where_from(facts: StudyFacts) -> Section:
    """The study's plan, and the versions, data and machines of its runs."""
    blocks: list[Block] = [provenance(facts.path, *facts.infos)] if facts.infos else []
    blocks.append(Fold("study.toml: the whole plan", facts.toml))
    lead = "Of all runs; where they differ, with every value." if facts.infos else "No run has begun."
    return Section("provenance", "Where it comes from", lead, tuple(blocks))
