"""Facts as one HTML file that needs nothing else: the templates beside this file say what stands where."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

import minise
from minise.analysis import dying_chain
from minise.report import figures_gates, figures_run, figures_study, filters
from minise.report.facts_run import RunFacts
from minise.report.facts_study import StudyFacts, within
from minise.report.figures_chain import chain_picture
from minise.report.history import mean
from minise.report.theme import style
from minise.study import statistics, verdict
from minise.study.interim import look_words

FILTERS: tuple[Callable[..., Any], ...] = (
    *(filters.block_name, filters.count, filters.counted, filters.date, filters.decimal, filters.duration),
    *(filters.interval, filters.label, filters.listed, filters.p_value, filters.percent, filters.scaled),
    *(filters.short, filters.signed, look_words, mean, within),
)
"""What templates call to write a number or a name, under the name of the function."""


def run_html(facts: RunFacts) -> str:
    """The page of a run."""
    return _html("run.html.j2", facts=facts, figures=figures_run)


def study_html(facts: StudyFacts) -> str:
    """The page of a study."""
    return _html(
        "study.html.j2",
        facts=facts,
        figures=figures_study,
        rule=verdict,
        statistics=statistics,
        chain=dying_chain,
    )


def _html(template: str, **values: Any) -> str:
    with style():
        return templates().get_template(template).render(sections=[], **values)


@cache
def templates() -> jinja2.Environment:
    """The templates of this package, with their filters."""
    made = environment(lambda name: __package__)
    made.add_extension("jinja2.ext.do")
    made.filters.update({function.__name__: function for function in FILTERS})
    made.tests["known"] = filters.known
    made.globals.update(version=minise.__version__, gates=figures_gates, chain_picture=chain_picture)
    return made


def environment(package: Callable[[str], str]) -> jinja2.Environment:
    """Where templates are found: each beside the code of its `package`. What is put into a page is escaped."""
    loader = jinja2.FunctionLoader(lambda name: (files(package(name)) / name).read_text(encoding="utf-8"))
    return jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        lstrip_blocks=True,
    )
