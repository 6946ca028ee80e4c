"""The report on a run and on a study: whole, safe, the same every time, and there for runs that went wrong, too."""

import json
import math
import re
import shutil
import subprocess
import sys
from importlib.resources import files

import matplotlib
import numpy as np
import pytest
from browser import complaints
from cli_runs import TINY, failed, minise, succeeded
from jinja2 import nodes
from parsed_page import Parsed

from minise.data import DATASETS
from minise.data.shapes10 import CLASSES
from minise.errors import ConfigError
from minise.report import answers, filters, report
from minise.report.render import templates
from minise.runs.job import result_of
from minise.runs.run import METRICS, MICROSCOPE, Run
from minise.study import verdict
from minise.study.outcome import planned_study
from minise.study.plan import study_from_dict
from minise.train.config import TrainConfig
from minise.train.metrics import Evaluation, score

HOSTILE = '<script>alert(1)</script>"$x$|`*&amp;\x07'


def whole(text):
    """Check what holds for every page; returns it parsed."""
    page = Parsed(text)
    page.text = re.sub(r"[ \n]+", " ", page.text)
    assert text.startswith("<!doctype html>")
    assert "script" not in page.tags
    assert not [
        v
        for v in page.values
        if v[1] in ("src", "href", "xlink:href") and not v[2].startswith(("#", "data:"))
    ]
    assert not re.search(r"url\((?!#)|@import", text)
    assert len(page.ids) == len(set(page.ids))
    targets = [v[2][1:] for v in page.values if v[1] == "href" and v[2].startswith("#")]
    targets += re.findall(r"url\(#([^)]+)\)", text)
    targets += [target for v in page.values if v[1] == "aria-labelledby" for target in v[2].split()]
    assert set(targets) <= set(page.ids)
    for plot in page.plots:
        assert plot["role"] == "img"
        assert plot["title"]
        assert len(plot["desc"]) > 20, plot["title"]
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, re.S))
    assert set(re.findall(r"var\((--[\w-]+)\)", drawn)) <= set(re.findall(r"(--[\w-]+):", text))
    assert not re.search(r"#010[23]\d\d", drawn), "a sentinel colour is left"
    assert not re.search(r"\b(?i:nan|inf)\b|\bNone\b", page.text)
    return page


def strict(text):
    """The one JSON object, without NaN and the like."""

    def refuse(token):
        raise AssertionError(f"{token} is no JSON")

    return json.loads(text, parse_constant=refuse)


# ---- a run -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run."""
    path = tmp_path_factory.mktemp("report") / "run"
    succeeded(minise("train", *TINY, "--epochs", 2, "--microscope", 50, "--run", path))
    return path


@pytest.fixture(scope="module")
def run_page(made):
    return report(made)


@pytest.fixture
def run(made, tmp_path):
    """A copy of it to spoil."""
    return shutil.copytree(made, tmp_path / "run")


def edit(run, **values):
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | values))


def test_the_page_of_a_run(made, run_page):
    page = whole(run_page)
    accuracy = Run.open(made).info["result"]["test_acc"]
    assert filters.percent(accuracy) in page.text
    for name in (*CLASSES, "se-convnet", "felu", "shapes10", "groups.2", "microscope = 50", "SHA-256"):
        assert name in page.text
    assert page.tags.count("img") == min(24, round(100 * (1 - accuracy)))
    titles = {plot["title"] for plot in page.plots}
    assert {"Loss", "Accuracy", "Learning rate", "Confusion matrix", "Confidence and accuracy"} <= titles
    assert {"Dead units", "Alpha", "Variance of the gates", "groups.0"} <= titles
    sections = [value for tag, name, value in page.values if (tag, name) == ("section", "id")]
    assert sections == ["learning", "mistakes", "worst", "calibration", "microscope", "provenance"]


def test_text_in_plots_is_text_and_theirs_are_the_pages_colours(run_page):
    plot = next(plot for plot in whole(run_page).plots if plot["title"] == "Confusion matrix")
    assert "crescent" in plot["text"]
    assert "font-family" not in "".join(re.findall(r"<svg.*?</svg>", run_page, re.S))


def test_hostile_names_are_only_text(run):
    info = json.loads((run / "run.json").read_text())
    classes = [f"{HOSTILE}{i}" for i in range(10)]
    edit(
        run,
        data=info["data"] | {"classes": classes},
        command=HOSTILE,
        started=HOSTILE,
        versions={HOSTILE: HOSTILE},
    )
    page = whole(report(run, images=2))
    assert "<script>alert(1)" in page.text
    assert "\ufffd" in page.text
    assert "\x07" not in page.text


def test_imported_weights_and_unofficial_data(run):
    info = json.loads((run / "run.json").read_text())
    source = {"file": "weights.safetensors", "sha256": "ab12"}
    edit(run, imported=source, data=info["data"] | {"official": False})
    page = whole(report(run))
    assert "The weights were imported." in page.text
    assert "The data are not the official files." in page.text
    assert ["imported", "from weights.safetensors, SHA-256 ab12"] in page.terms
    assert "training time" not in dict(page.terms)


def test_a_run_that_was_interrupted(run):
    edit(run, state="interrupted", reason="")
    (run / "test.safetensors").unlink()
    page = whole(report(run))
    assert "This run was interrupted after 2 of 2 epochs." in page.text
    assert "There are no test results: the run was interrupted" in page.text
    found = strict(report(run, "json"))
    assert (found["answers"], found["state"], len(found["blocks"])) == (None, "interrupted", 3)


def test_a_run_that_failed_before_its_first_epoch(run):
    edit(run, state="failed", reason="training: the loss is no number")
    for name in ("test.safetensors", "model.safetensors", METRICS, MICROSCOPE):
        (run / name).unlink()
    page = whole(report(run))
    assert "This run failed after 0 of 2 epochs: training: the loss is no number." in page.text
    assert "No epoch has finished yet." in page.text
    assert "The gates of each class are not shown" in page.text


def test_other_test_images_are_not_shown(run):
    opened = Run.open(run)
    logits, labels = opened.load_test()
    opened.save_test(logits, labels[::-1].copy())
    found = strict(report(run, "json"))
    assert found["gaps"] == {"pictures": "generated, seed 0 has other test images than the run's"}


def test_logits_of_other_classes_are_not_read(run):
    Run.open(run).save_test(np.zeros((5, 3)), np.zeros(5))
    assert strict(report(run, "json"))["gaps"]["answers"].startswith("test.safetensors holds logits (5, 3)")


def test_a_line_of_metrics_that_lacks_something(run):
    (run / METRICS).write_text('{"epoch": 1}\n')
    failed(minise("report", run), 1, METRICS, "train_loss is missing")
    (run / METRICS).unlink()
    (run / MICROSCOPE).write_text('{"epoch": 1, "blocks": [{"dead": 0}]}\n')
    failed(minise("report", run), 1, MICROSCOPE)


def synthetic(path, config, **logits):
    """A finished run that was never trained."""
    classes = DATASETS[config.dataset].classes
    data = {"name": config.dataset, "checksum": "0" * 64, "official": True, "classes": list(classes)}
    run = Run.create(path, config.resolved(1000), {"data": data})
    rng = np.random.default_rng(0)
    labels = np.arange(400) % len(classes)
    scores = rng.normal(size=(400, len(classes))) + 2 * np.eye(len(classes))[labels]
    for epoch in range(1, config.epochs + 1):
        run.append(METRICS, metrics(epoch, 0.5))
    run.save_test(scores, labels)
    run.finish(result=result_of(score(scores.astype(np.float32), labels)))
    return run


def metrics(epoch, accuracy, val=True):
    line = {"epoch": epoch, "train_loss": 2 / epoch, "train_acc": accuracy, "lr": 0.1, "seconds": 3.0}
    held = {"val_loss": 2.1 / epoch if val else None, "val_acc": accuracy if val else None}
    return line | held | {"images_per_second": 100.0}


def test_many_classes_no_gates_and_no_data(tmp_path, monkeypatch):
    monkeypatch.setenv("MINISE_DATA_DIR", str(tmp_path))
    run = synthetic(tmp_path / "run", TrainConfig(dataset="cifar100", model="convnet", epochs=3))
    page = whole(report(run.path))
    assert "Accuracy by class, sorted" in [plot["title"] for plot in page.plots]
    assert "Most frequent mistakes" in page.text
    assert "The images are not shown: cifar100 is not in" in page.text
    assert "microscope" not in page.ids
    assert "img" not in page.tags


# ---- a study -----------------------------------------------------------------------------------------------


def make_study(path, gains, *, seeds=4, runs=None, effect=1.0, models=("se-convnet",), on="shapes10"):
    """A study of three arms; gains: points of the claim's arm over the others, by seed; runs: how many are done.

    effect: what is claimed, on the data set `on`.
    """
    plan = {
        "datasets": ["shapes10"],
        "models": list(models),
        "seeds": seeds,
        "claim": "se-felu",
        "against": ["plain", "se-relu"],
        "parity": 0.2,
        "effect": {on: effect},
        "train": {"epochs": 3, "warmup": 0, "microscope": 10},
        "arms": {"plain": {"se": False}, "se-relu": {"act": "relu"}, "se-felu": {"act": "felu"}},
    }
    study = planned_study(path, study_from_dict(plan))
    study.write()
    for planned in study.config.runs()[:runs]:
        accuracy = 0.5 + 0.003 * planned.seed + (gains[planned.seed] / 100 if planned.arm == "se-felu" else 0)
        info = {"data": {"name": "shapes10", "checksum": "0", "official": None}, "command": HOSTILE}
        run = Run.create(path / "runs" / planned.name, planned.config.resolved(1000), info)
        for epoch in (1, 2, 3):
            run.append(METRICS, metrics(epoch, accuracy * epoch / 3))
            if planned.config.act:
                blocks = [block(i, planned.config.act, planned.seed, epoch) for i in range(3)]
                run.append(MICROSCOPE, {"epoch": epoch, "blocks": blocks})
        run.finish(result={"test_acc": accuracy})
    return path


def block(i, act, seed, epoch):
    """What a microscope might have recorded."""
    dead = (seed + i) % 4 if act == "relu" else 0
    numbers = {"channels": 16, "hidden": 4, "images": 10, "silent": dead, "dead": dead, "collapsed": 0}
    means = {"alpha": [1 - 0.1 * epoch] if act == "felu" else [], "active": [0.5] * 4, "slope": [0.7] * 4}
    gates = {"histogram": [1] * 20, "between_images": 0.01, "between_classes": 0.001}
    return {"block": f"groups.{i}.se", "act": act} | numbers | means | gates


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study in which one run failed and one is not done."""
    path = make_study(tmp_path_factory.mktemp("study") / "study", (0.3, -0.2, 0.1, 0.0))
    runs = sorted((path / "runs").iterdir())
    edit(runs[0], state="failed", reason=HOSTILE, final=True)
    edit(runs[-1], state="interrupted")
    return path


@pytest.fixture(scope="module")
def study_page(study):
    return report(study)


def test_the_page_of_a_study(study_page):
    page = whole(study_page)
    assert "Not enough seeds to tell" in page.text
    assert "Does se-felu gain 1 point on shapes10 over plain and se-relu?" in page.text
    for text in ("10 of 12", "1 run failed for good", "not finished: 1 of 12 runs", "<script>alert(1)"):
        assert text in page.text
    titles = [plot["title"] for plot in page.plots]
    assert titles.count("shapes10, se-convnet") == 2
    assert {"Held-out accuracy", "Training loss", "se-relu: dead units", "se-felu: alpha"} <= set(titles)
    assert {"Dead units and accuracy", "relu", "felu", "elu"} <= set(titles)
    assert "neurons 1, 2 and 3 learn nothing" in next(p["desc"] for p in page.plots if p["title"] == "relu")


def test_the_tables_of_a_study(study_page):
    page = whole(study_page)
    rows = {tuple(row[:2]): row for row in page.rows}
    relu = rows["se-relu", "3"]
    assert relu[2:9] == ["0", "50.30", "0.30", "49.55 to 51.05", "50.30", "50.30", "38.9\u00a0%"]
    assert rows["shapes10, se-convnet", "over se-relu"][2:5] == ["not enough seeds to tell", "3", "+0.07"]
    assert rows["shapes10", "se-convnet"][2:4] == ["se-felu", "groups.2"]
    assert [row[1] for row in page.rows if row[0].endswith("-s3")] == ["done", "open", "done"]


def test_the_rule_is_said_as_where_it_is_applied(study_page):
    said = " ".join(verdict.__doc__.split())
    shown = dict(whole(study_page).terms)
    for name in (verdict.SUPPORTED, verdict.NOT_SUPPORTED, verdict.OPEN):
        assert shown[name]
        assert f"{name} {shown[name]}" in said


@pytest.mark.parametrize(
    ("gains", "runs", "expected", "because"),
    [
        ((1.0, 1.2, 1.1, 1.3), None, "Supported", "In every comparison the corrected interval lies above 0"),
        (
            (2.0, -2.0, 1.0, 0.5),
            None,
            "Not enough seeds to tell",
            "In every comparison the rule cannot decide",
        ),
        (
            (1.0, 1.2, 1.1, 1.3),
            4,
            "Not enough seeds to tell",
            "4 runs are done of 12: no comparison has two pairs",
        ),
        ((0,), 0, "Not enough seeds to tell", "0 runs are done of 12"),
    ],
)
def test_every_verdict_has_its_reason(tmp_path, gains, runs, expected, because):
    page = whole(report(make_study(tmp_path / "study", gains, runs=runs)))
    assert page.title.endswith(f" · {expected}")
    assert because in page.text


def test_more_than_two_comparisons_are_summed_up(tmp_path):
    path = make_study(tmp_path / "study", (1.0, 1.2, 1.1, 1.3), models=("se-convnet", "se-resnet20"))
    page = whole(report(path))
    assert "se-felu gains between +1.15 and +1.15 points; the claim is +1.0. In every comparison" in page.text
    assert [plot["title"] for plot in page.plots].count("shapes10, se-resnet20") == 2


def test_a_study_that_claims_nothing(tmp_path):
    page = whole(report(make_study(tmp_path / "study", (0.1, 0.2, 0.3, 0.4), on="cifar10")))
    assert page.title == "plain, se-relu and se-felu · Nothing is claimed"
    assert "so there is nothing to judge" in page.text
    assert "supported" not in dict(page.terms)


def test_an_earlier_look_is_told(tmp_path):
    path = make_study(tmp_path / "study", (0.1, 0.2, 0.3, 0.4), runs=6)
    succeeded(minise("report", path))
    shutil.rmtree(path / "runs")
    make_study(path, (0.1, 0.2, 0.3, 0.4))
    for _ in range(2):  # the same look
        page = whole(succeeded(minise("report", path, "-o", "-")))
        assert "This is look 2; before at 2 seeds (6 runs)." in page.text


def test_arms_that_are_trained_otherwise(tmp_path):
    path = make_study(tmp_path / "study", (0.1,), runs=0)
    file = path / "study.toml"
    file.write_text(file.read_text().replace('act = "relu"', 'act = "relu"\nepochs = 5'))
    words = "se-relu is trained otherwise than the claim's arm: epochs = 5, not 3."
    assert words in whole(report(path)).text
    assert "epochs = 5, not 3" in succeeded(minise("claim", "--study", path, "--dry-run"))


def test_every_origin_is_told(tmp_path):
    path = make_study(tmp_path / "study", (0.1, 0.2), seeds=2)
    for run, numpy in zip(sorted((path / "runs").iterdir()), (1, 1, 1, 1, 2, 2), strict=True):
        edit(run, command="minise claim", versions={"numpy": f"{numpy}.0"})
    terms = whole(report(path)).terms
    assert ["versions", "numpy 1.0; numpy 2.0"] in terms
    assert ["command", "minise claim"] in terms


def test_a_study_with_other_files_than_the_official_ones(tmp_path):
    path = make_study(tmp_path / "study", (0.1, 0.2), seeds=2)
    edit(next((path / "runs").iterdir()), data={"name": "shapes10", "checksum": "0", "official": False})
    page = whole(report(path))
    assert "not comparable with published results. (shapes10)" in page.text
    data = dict(page.terms)["data"].split("; ")
    assert sorted(data) == ["shapes10, generated", "shapes10, not the official content"]


def test_a_study_that_has_not_begun(tmp_path):
    page = whole(report(make_study(tmp_path / "study", (), runs=0, seeds=5)))
    assert "Not started: 15 runs (shapes10-se-convnet-plain-s0, " in page.text
    assert "se-felu-s3 and others)" in page.text
    assert "No run is done yet." in page.text
    assert "No run has started." in page.text
    assert {plot["title"] for plot in page.plots} == {"relu", "felu", "elu"}


def test_arms_that_are_not_of_one_size(tmp_path):
    path = make_study(tmp_path / "study", (0.1,), runs=0)
    file = path / "study.toml"
    file.write_text(file.read_text().replace("parity = 0.2", "parity = 0.0"))
    assert "The arms are not of one size." in whole(report(path)).text


def test_a_page_is_the_same_every_time_whatever_matplotlib_is_told(tmp_path):
    path = make_study(tmp_path / "study", (0.1,), runs=3)
    first = report(path)
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30, "axes.grid": False}):
        assert report(path) == first
    whole(first)


# ---- templates ----------------------------------------------------------------------------------------------


def test_every_name_in_a_template_is_known():
    """Also in the branches that no page here takes. An unknown filter does not even compile."""
    environment = templates()
    trees = {
        file.name: environment.parse(file.read_text(encoding="utf-8"))
        for file in files("minise.report").iterdir()
        if file.name.endswith(".j2")
    }
    assert {"layout.html.j2", "macros.html.j2", "run.html.j2", "study.html.j2"} <= set(trees)
    values = {"facts", "figures", "sections", "rule", "statistics", "chain"}  # what `render` hands over
    values |= {"loop", "self", "caller", "varargs"} | set(environment.globals)
    values |= {n.name for tree in trees.values() for n in tree.find_all(nodes.Name) if n.ctx != "load"}
    shared = {macro.name for macro in trees["macros.html.j2"].find_all(nodes.Macro)}
    for name, tree in trees.items():
        environment.get_template(name)
        imported = {name for found in tree.find_all(nodes.FromImport) for name in found.names}
        own = {macro.name for macro in tree.find_all(nodes.Macro)}
        used = {n.name for n in tree.find_all(nodes.Name) if n.ctx == "load"}
        assert used <= values | imported | own, name
        assert imported <= shared & used, name


# ---- formats and the command -------------------------------------------------------------------------------


def test_json(made, study):
    run = strict(report(made, "json"))
    assert (run["kind"], run["state"], len(run["metrics"]), len(run["classes"])) == ("run", "done", 2, 10)
    assert np.sum(run["answers"]["test"]["confusion"]) == 100
    assert sum(b["images"] for b in run["answers"]["calibration"]["bins"]) == 100
    assert len(run["blocks"][0]["class_gates"]) == 10
    found = strict(report(study, "json"))
    assert (found["kind"], found["verdict"]["verdict"]) == ("study", "not enough seeds to tell")
    assert [r["state"] for r in found["runs"]].count("done") == 10
    assert len(found["chains"]) == 3


def test_where_it_is_written(tmp_path):
    path = make_study(tmp_path / "study", (), runs=0)
    assert succeeded(minise("report", path)) == f"report in {path / 'report.html'}\n"
    assert (path / "report.html").read_text() == succeeded(minise("report", path, "-o", "-"))
    assert strict(succeeded(minise("report", path, "--format", "json")))["kind"] == "study"
    out = tmp_path / "facts.json"
    assert succeeded(minise("report", path, "--format", "json", "-o", out)) == f"report in {out}\n"
    assert strict(out.read_text())["kind"] == "study"
    failed(minise("report", path, "--format", "json", "-o", tmp_path / "no" / "a.json"), 1, "cannot write")
    failed(minise("report", path, "--format", "md"), 2, "'md' is not one of 'html', 'json'")


def test_what_is_no_run_and_no_study(tmp_path):
    failed(
        minise("report", tmp_path / "nothing"),
        1,
        "no run.json and no study.toml",
        "expected the folder of a run",
    )
    (tmp_path / "run.json").write_text("{}")
    failed(minise("report", tmp_path), 1, "run.json", "format")
    with pytest.raises(ConfigError, match="expected one of html, json"):
        report(tmp_path, "pdf")


def test_a_missing_extra_is_one_line(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    failed(minise("report", made), 2, "report: needs matplotlib", "pip install 'minise[report]'")
    assert strict(report(made, "json"))["kind"] == "run"


def test_the_command_line_does_not_wait_for_matplotlib():
    code = "import sys, minise_cli.commands.report; assert not {'matplotlib', 'scipy', 'jinja2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- figures -----------------------------------------------------------------------------------------------


def test_calibration_by_hand():
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    found = answers.calibrate(p, np.array([0, 1, 0, 1]))
    seen = {(b.low, b.images, b.accuracy) for b in found.bins if b.images}
    assert seen == {(8 / 15, 2, 1.0), (13 / 15, 2, 0.5)}
    assert found.ece == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    assert sum(b.images for b in answers.calibrate(np.array([[1.0, 0.0]]), np.array([0])).bins) == 1


def test_mistakes_and_pairs():
    p = np.array([[0.2, 0.8], [0.9, 0.1], [0.0, 1.0], [0.3, 0.7]])
    found = answers.worst_mistakes(p, np.array([0, 0, 0, 1]), 5)
    assert [(m.index, m.answer) for m in found] == [(2, 1), (0, 1)]
    assert math.isfinite(found[0].loss)
    pairs = Evaluation(0.0, 0.0, 0.0, np.array([[5, 1, 2], [0, 3, 0], [4, 0, 1]])).confused_pairs
    assert [(p.truth, p.answer, p.times, p.of) for p in pairs] == [(2, 0, 4, 5), (0, 2, 2, 8), (0, 1, 1, 8)]
    assert answers.wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_numbers_as_they_are_read():
    assert filters.percent(0.12345) == "12.35\u00a0%"
    assert [filters.signed(x) for x in (0.314, -0.314, 0.001, -0.001)] == [
        "+0.31",
        "\u22120.31",
        "0.00",
        "0.00",
    ]
    assert [filters.duration(x) for x in (1.5, 75, 3675)] == [
        "1.5\u00a0s",
        "1\u00a0min 15\u00a0s",
        "1\u00a0h 1\u00a0min",
    ]
    assert filters.p_value(0.0004) == "<\u00a00.001"
    assert {
        filters.percent(math.nan),
        filters.decimal(None),
        filters.short(math.inf),
        filters.interval(0, math.nan),
    } == {filters.NONE}
    assert filters.date("2026-11-24T16:37:26+00:00") == "24\u00a0November 2026, 16:37 UTC"


# ---- a browser ---------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_a_browser_has_nothing_to_complain_of(run_page, study_page, tmp_path):
    pages = [tmp_path / "run.html", tmp_path / "study.html"]
    for page, text in zip(pages, (run_page, study_page), strict=True):
        assert "</footer>" in text
        page.write_text(text, encoding="utf-8")
    assert complaints(pages, tmp_path) == {}


@pytest.mark.browser
def test_a_browser_complains_of_what_is_wrong(tmp_path):
    bodies = {
        "right": "<p>words</p>",
        "wide": "<p style='width: 500px'>words</p>",
        "cut": "<p style='width: 200px; overflow: hidden'><b style='margin-left: 400px'>words</b></p>",
        "loud": "<p>words</p><script>console.log('said')</script>",
        "empty": "",
    }
    pages = [tmp_path / f"{name}.html" for name in bodies]
    for page, body in zip(pages, bodies.values(), strict=True):
        page.write_text(f"<!doctype html><title>page</title>{body}")
    found = complaints(pages, tmp_path)
    assert all("said" in line for line in found.pop("console"))
    names = {name.partition("/")[2]: faults[0].split(":")[0] for name, faults in found.items()}
    assert names == {
        "wide.html at 390": "the page scrolls sideways",
        "cut.html at 1280": "p. (words)",
        "cut.html at 390": "p. (words)",
        "empty.html at 1280": "the page is empty",
        "empty.html at 390": "the page is empty",
    }
    assert complaints([tmp_path / "cut.html"], tmp_path, allowed="p") == {}
