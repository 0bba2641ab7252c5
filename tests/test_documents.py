"""What the documents point to exists."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = ("README.md", "FIDELITY.md", "CONTRIBUTING.md")


def test_every_test_named_in_fidelity_exists():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "FIDELITY.md").read_text(encoding="utf-8")))
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 15
    assert named <= set(re.findall(r"^def (test_\w+)\(", sources, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_and_path_leads_to_a_file(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    paths = re.findall(r"`((?:benchmarks|configs|docs|hasnn_jax|notebooks|tests)/[\w/.]*)`", text)
    assert [path for path in links + paths if not (ROOT / path).exists()] == []
