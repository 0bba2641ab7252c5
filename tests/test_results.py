"""The published results of experiments: every report follows from the files beside it."""

import pathlib
import re

import pytest
from handmade_experiment import write
from recomputed_report import require_recomputable

from hasnn_jax.experiments.report import compute_report, write_report

ROOT = pathlib.Path(__file__).parents[1]
PUBLISHED = sorted(file.parent for file in (ROOT / "results").rglob("experiment.json"))


@pytest.fixture(params=PUBLISHED or [None], ids=[str(f.relative_to(ROOT)) for f in PUBLISHED] or ["handmade"])
def folder(request, tmp_path):
    """A published folder; while there is none, a handmade one."""
    if request.param is not None:
        return request.param
    write(tmp_path, {"base": {1: 0.5, 2: 0.52, 3: 0.51}, "other": {1: 0.6, 2: 0.63}}, [("other", 3)])
    write_report(tmp_path)
    return tmp_path


def test_the_report_is_what_its_files_give(folder):
    assert compute_report(folder)[1] == (folder / "report.md").read_text(encoding="utf-8")


def test_its_numbers_follow_from_the_metrics(folder):
    require_recomputable(folder)


def test_the_readme_quotes_what_the_reports_say():
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("### What was found")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if "](results/" in line]

    assert len(rows) == len(PUBLISHED)
    for row in rows:
        (link,) = re.findall(r"\]\((results/[^)]+)\)", row)
        report = (ROOT / link).read_text(encoding="utf-8")
        numbers = re.findall(r"\d+\.\d+", row)
        assert numbers
        # A difference is quoted from the other side, so that its sign may be another.
        assert [number for number in numbers if number not in report] == []
