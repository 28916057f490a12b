"""How often the verdict on folds is right: the page holds what was counted, as it says."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fold_verdicts

    yield fold_verdicts
    sys.modules.pop("fold_verdicts")


def lines(benchmark):
    return [json.loads(line) for line in benchmark.RESULTS.read_text().splitlines()]


def test_the_page_holds_the_table_of_the_results(benchmark):
    text = benchmark.PAGE.read_text()
    _, _, rest = text.partition("<!-- fold_verdicts -->\n")
    shown = rest.partition("\n<!-- end -->")[0]
    assert shown == benchmark.table_of(lines(benchmark)), "run benchmarks/fold_verdicts.py --page"


def test_teachers_without_similarity_are_called_knowledge_in_less_than_a_twentieth(benchmark):
    false = [e["verdict"] == "knowledge" for e in lines(benchmark) if e["teacher"] != "posterior"]
    assert len(false) >= 100
    told = benchmark.table_of(lines(benchmark))
    bound = re.search(r"At most ([\d.]+) % if verdicts on one table were independent", told)
    assert float(bound[1]) < 5


def test_each_table_was_judged_once(benchmark):
    told = [(e["student"], e["teacher"], e["rows"], e["seed"]) for e in lines(benchmark)]
    assert len(told) == len(set(told))


def test_a_bound_without_any_error_is_the_exact_one(benchmark):
    line = {"student": "s", "teacher": "labels", "rows": 9, "verdict": "no_gain", "similarity": 0.0}
    told = benchmark.table_of([{**line, "seed": number // 2} for number in range(118)])
    assert "knowledge in 0 of 118 verdicts on 59 tables" in told
    assert "at most 4.95 % of tables have any" in told  # 1 - 0.05 ** (1 / 59)


def test_teachers_without_similarity_have_none(benchmark):
    rng = np.random.default_rng(0)
    x, codes, logits = benchmark.drawn(600, rng)
    labels = torch.from_numpy(codes)
    posterior = logits.softmax(1).numpy()
    assert x.shape == (600, benchmark.FEATURES)
    alike = codes ^ 1  # classes stand in pairs
    rows = np.arange(600)
    doubt = 1 - posterior[rows, codes]
    assert posterior[rows, alike][doubt > 0.2].mean() > 0.8 * doubt[doubt > 0.2].mean()
    for name, teacher in benchmark.TEACHERS.items():
        said = teacher(logits, labels, rng).numpy()
        assert said.sum(axis=1) == pytest.approx(1, abs=1e-5)
        if name not in ("posterior", "labels"):
            assert said[rows, codes] == pytest.approx(posterior[rows, codes], abs=1e-5)
            share = said[rows, alike] / np.maximum(1 - said[rows, codes], 1e-9)
            assert share[doubt > 0.2].mean() == pytest.approx(0.2, abs=0.05), name


@pytest.mark.filterwarnings("ignore")  # few steps are part of the student
def test_a_table_is_judged(benchmark):
    found = benchmark.judged(benchmark.STUDENTS["tree"], benchmark.TEACHERS["labels"], 90, 0)
    assert found.verdict in benchmark.VERDICTS
    assert found.num_seeds == benchmark.REPEATS
