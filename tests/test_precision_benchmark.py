"""What bench/precision.py measures within its time, and the tables of it."""

import json
import math
import sys
from pathlib import Path

import pytest
from helpers import COMPILED

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import precision
import report
import shapes

needs_bfloat16 = pytest.mark.skipif(COMPILED is None, reason="the cython backend is not built")
TORCH = {"torch float32": 3.0, "torch autocast": float("nan")}


def row(shape, ms=2.0, work="inference", **peers_ms):
    return {"work": work, "shape": shape, "threads": 1, "rounds": 3, "ms": ms, "peers_ms": peers_ms}


def tables(rows):
    """As they are made of a file."""
    return report.of_precisions(json.loads(json.dumps({"facts": precision.facts(), "rows": rows})))


def test_shapes_of_the_targets_come_first():
    every = shapes.of_precisions()
    named = [shapes.is_large_batch(*shape) or shapes.streams_weights(*shape) for shape in every]
    assert named == sorted(named, reverse=True)
    assert set(shapes.SHAPES) < set(every)


def test_ratios_are_times_divided_by_that_of_bfloat16():
    line = tables([row((64, 50, 64, 256), 2.0, float32=3.5, **TORCH)]).splitlines()[-1]
    assert line == "| 64, 50, 64, 256 | 3.5 | 2 | 1.75 x | 1.50 x | - |"


def test_columns_of_torch_are_left_out_without_it():
    assert "torch" not in tables([row((64, 50, 64, 256), float32=3.5)]).partition("\n\n")[2]


def test_targets_stand_beside_the_worst_shape():
    rows = [row((64, 50, 64, 256), 2.0, float32=3.6), row((64, 20, 128, 512), 2.0, float32=3.2)]
    assert "| inference, N >= 64, H >= 256 | float32 | 1 | 1.60 x at 64, 20, 128, 512 | >= 1.7 x |" in tables(rows)


@needs_bfloat16
@pytest.mark.parametrize("work", precision.WORKS)
def test_both_precisions_are_timed(monkeypatch, work):
    monkeypatch.setattr(precision.peers, "torch", None)
    found = precision.measure(work, (2, 3, 2, 8), threads=1, budget=0)
    assert found["rounds"] == precision.MIN_ROUNDS
    assert 0 < found["ms"] < 1000
    assert found["peers_ms"].keys() == {"float32"}


@needs_bfloat16
def test_shapes_beyond_the_time_limit_are_left_out(monkeypatch, capsys):
    monkeypatch.setattr(precision.peers, "torch", None)
    assert list(precision.measure_all(1, [(2, 3, 2, 8)], budget=-1)) == []
    assert "no time for 2 of 2 cases" in capsys.readouterr().err


def test_a_side_that_torch_cannot_run_takes_nan(monkeypatch):
    def refuse():
        raise RuntimeError("could not create a primitive descriptor")

    sides = {"float32": lambda: precision.normal(2), precision.TORCH["autocast"]: refuse}
    taken = precision.first_calls(sides)
    assert [math.isnan(seconds) for seconds in taken.values()] == [False, True]
    with pytest.raises(RuntimeError, match="primitive"):  # ours must run
        precision.first_calls({"float32": refuse})
