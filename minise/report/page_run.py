"""The page of a run: what it came to, how it learnt, where it goes wrong, how sure it is, and what its gates do."""

from __future__ import annotations

from functools import partial

from minise.report import figures_run as figures
from minise.report.answers import BINS, Answers
from minise.report.document import (
    Block,
    Cell,
    Fold,
    Page,
    Picture,
    Pictures,
    Plots,
    Section,
    Table,
    Words,
    table,
)
from minise.report.facts_run import RunFacts
from minise.report.page_microscope import microscope
from minise.report.provenance import UNOFFICIAL, provenance
from minise.report.words import (
    count,
    counted,
    date,
    decimal,
    duration,
    interval,
    known,
    label,
    listed,
    percent,
    scaled,
    short,
)

WHOLE = 20
"""Up to so many classes the whole confusion matrix is shown, and every class in the table of classes."""
MOST_PAIRS, MOST_CLASSES = 20, 20


def run_page(facts: RunFacts) -> Page:
    """The page of a run, with every part for which there is something to show, and words where there is not."""
    config, info = facts.config, facts.info
    act = f" with {config['act']}" if config["act"] else ""
    parts = [learning(facts), *answer_sections(facts), microscope(facts), where_from(facts)]
    started = f" · {date(info['started'])}" if "started" in info else ""
    return Page(
        kicker="minise · a run",
        title=f"{config['model']}{act}",
        subtitle=f"on {config['dataset']}, seed {config['seed']}{started}",
        hero=facts.state.capitalize() if facts.accuracy is None else percent(facts.accuracy),
        hero_label=hero_label(facts),
        tone="plain" if facts.state == "done" else "open",
        sentence=gist(facts.answers, facts.classes) if facts.answers is not None else "",
        facts=key_figures(facts),
        notices=notices(facts),
        source=facts.path,
        sections=tuple(part for part in parts if part is not None),
    )


def hero_label(facts: RunFacts) -> str:
    """What the large figure is of."""
    if facts.answers is None:
        return "no test accuracy yet" if facts.accuracy is None else "of the test images are right"
    low, high = 100 * facts.answers.low, 100 * facts.answers.high
    images = count(facts.answers.test.images)
    return f"of {images} test images are right; 95 % interval {interval(low, high, 1)} %"


def gist(answers: Answers, classes: tuple[str, ...]) -> str:
    """What a reader would want to be told first."""
    n = answers.test.images
    wrong = n - round(answers.test.top1 * n)
    hardest = sorted((a, i) for i, a in enumerate(answers.per_class) if known(a))[:2]
    named = listed([f"{label(classes[i])} ({percent(a, 1)})" for a, i in hardest])
    surer = 100 * (answers.calibration.confidence - answers.test.top1)
    return (
        f"{counted(wrong, 'answer is', 'answers are')} wrong; hardest are {named}. On average the answers are"
        f" {decimal(abs(surer), 1)} points {'surer' if surer > 0 else 'less sure'} than they are right."
    )


def key_figures(facts: RunFacts) -> tuple[tuple[str, str], ...]:
    """The figures under the large one."""
    tested = []
    if facts.answers is not None:
        test = facts.answers.test
        tested = [("top 5", percent(test.top5)), ("test loss", decimal(test.loss, 4))]
    size = (("parameters", count(facts.model.parameters)), ("FLOPs an image", scaled(facts.model.flops)))
    if "imported" in facts.info:
        return (*tested, *size)
    done, planned = len(facts.metrics), facts.config["epochs"]
    return (
        *tested,
        ("epochs", str(done) if done == planned else f"{done} of {planned}"),
        ("training time", duration(facts.seconds)),
        *size,
        ("optimiser, batch", f"{facts.config['optimizer']}, {facts.config['batch_size']}"),
    )


def notices(facts: RunFacts) -> tuple[str, ...]:
    """What a reader should know before taking the figures for the run's result."""
    found = []
    if facts.state != "done":
        reason = label(facts.info.get("reason") or "", 300)
        epochs = f"after {len(facts.metrics)} of {counted(facts.config['epochs'], 'epoch')}"
        found.append(f"This run {facts.state_words} {epochs}{f': {reason}' if reason else ''}.")
    if facts.info["data"].get("official") is False:
        found.append(UNOFFICIAL)
    return tuple(found)


def learning(facts: RunFacts) -> Section:
    """Curves, and the figures of every epoch."""
    if "imported" in facts.info:
        words = "It was not trained here: its weights were imported."
        return Section("learning", "How it learnt", "", (Words(words, "note"),))
    if not facts.metrics:
        return Section("learning", "How it learnt", "", (Words("No epoch is whole yet.", "note"),))
    lead = "Training figures are means over an epoch's batches as they were trained on, so they lag behind."
    if facts.config["smoothing"]:
        lead += f" The training loss is that of labels smoothed by {facts.config['smoothing']:g}."
    rows = [
        [
            str(line["epoch"]),
            decimal(line["train_loss"], 4),
            percent(line["train_acc"]),
            decimal(line["val_loss"], 4),
            percent(line["val_acc"]),
            short(line["lr"]),
            duration(line["seconds"]),
            decimal(line["images_per_second"], 0),
        ]
        for line in facts.metrics
    ]
    columns = ("epoch", "loss", "accuracy", "held-out loss", "held-out accuracy", "lr", "time", "images/s")
    every = Fold("Every epoch in figures", table=table("", columns, rows, right=columns))
    plots = Plots(
        tuple(partial(draw, facts) for draw in (figures.loss, figures.accuracy, figures.learning_rate))
    )
    return Section("learning", "How it learnt", lead, (plots, every))


def answer_sections(facts: RunFacts) -> list[Section | None]:
    """What is taken for what, the worst mistakes, and how sure the answers are."""
    if facts.answers is None:
        why = Words(f"There are no answers to show: {facts.gaps['answers']}.", "note")
        return [Section("answers", "What it answers", "", (why,))]
    return [confusions(facts, facts.answers), worst(facts, facts.answers), calibration(facts.answers)]


def confusions(facts: RunFacts, answers: Answers) -> Section:
    """The confusion matrix and the classes, the hardest first; with many classes, what matters most of them."""
    blocks: tuple[Block, ...]
    if len(facts.classes) <= WHOLE:
        lead = (
            "A row for each true class, a column for each answer. What is right is calm, what is wrong glows."
        )
        matrix = Plots((partial(figures.confusion, facts, answers),), "wide")
        blocks = (matrix, class_table(facts, answers, WHOLE))
    else:
        lead = f"How right each class is; the {MOST_PAIRS} mistakes made most often, and the classes hardest to tell."
        bars = Plots((partial(figures.class_bars, facts, answers),), "wide")
        blocks = (bars, class_table(facts, answers, MOST_CLASSES), pair_table(facts, answers))
    return Section("mistakes", "What is taken for what", lead, blocks, layout="pair")


def class_table(facts: RunFacts, answers: Answers, most: int) -> Table:
    """The hardest classes, and what each is taken for."""
    rows: list[list[str | Cell]] = []
    for accuracy, i in sorted((a, i) for i, a in enumerate(answers.per_class) if known(a))[:most]:
        taken = [p for p in answers.pairs if p.truth == i][:2]
        words = ", ".join(f"{label(facts.classes[p.answer])} {p.times}" for p in taken)
        images = count(int(answers.test.confusion[i].sum()))
        rows.append([label(facts.classes[i]), Cell(percent(accuracy, 1), accuracy, "cool"), images, words])
    columns = ("class", "right", "images", "mostly taken for, times")
    return table("Hardest classes", columns, rows, right=("images",))


def pair_table(facts: RunFacts, answers: Answers) -> Table:
    """The pairs that are confused most."""
    rows: list[list[str | Cell]] = []
    shown = answers.pairs[:MOST_PAIRS]
    most = max((p.times / p.of for p in shown), default=1)
    for p in shown:
        share = Cell(percent(p.times / p.of, 1), p.times / p.of / most, "warm")
        rows.append([label(facts.classes[p.truth]), label(facts.classes[p.answer]), str(p.times), share])
    columns = ("is", "taken for", "times", "of its images")
    return table("Most confused", columns, rows, right=("times",))


def worst(facts: RunFacts, answers: Answers) -> Section | None:
    """The images with the highest loss."""
    if not answers.mistakes:
        return None
    names = [label(name, 18) for name in facts.classes]
    rows = [
        [str(m.index), names[m.truth], names[m.answer], percent(m.confidence, 1), decimal(m.loss)]
        for m in answers.mistakes
    ]
    columns = ("test image", "is", "taken for", "confidence", "loss")
    every = Fold("These answers in figures", table=table("", columns, rows, right=(columns[0], *columns[3:])))
    if "pictures" in facts.gaps:
        why = Words(f"The images are not shown: {facts.gaps['pictures']}.", "note")
        return Section("worst", "Most wrong", "", (why, every))
    items = tuple(
        Picture(uri, names[m.truth], names[m.answer], percent(m.confidence, 1))
        for uri, m in zip(facts.pictures, answers.mistakes, strict=True)
    )
    lead = f"The {len(items)} test images with the highest loss: what each is, what it was taken for, and how surely."
    return Section("worst", "Most wrong", lead, (Pictures(items), every))


def calibration(answers: Answers) -> Section:
    """Confidence beside accuracy."""
    found = answers.calibration
    lead = (
        f"Expected calibration error {percent(found.ece)}: answers are put into {BINS} equally wide bins by their"
        " confidence (the highest probability), and the distance of accuracy from mean confidence is averaged over"
        " the bins, weighted by their answers. Below the diagonal the model is surer than it is right."
    )
    plots = Plots((partial(figures.reliability, answers), partial(figures.confidences, answers)))
    rows = [
        [f"{b.low:.2f} to {b.high:.2f}", count(b.images), percent(b.confidence, 1), percent(b.accuracy, 1)]
        for b in found.bins
        if b.images
    ]
    columns = ("confidence", "answers", "mean confidence", "accuracy")
    every = Fold("Every bin in figures", table=table("", columns, rows, right=columns[1:]))
    return Section("calibration", "How sure it is", lead, (plots, every))


def where_from(facts: RunFacts) -> Section:
    """Versions, data, machine, and the whole configuration."""
    fold = Fold("config.toml: every option of this training", facts.toml)
    lead = "What it takes to get the same figures again."
    return Section("provenance", "Where it comes from", lead, (provenance(facts.path, facts.info), fold))
