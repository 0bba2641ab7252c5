"""Metrics on disk: JSON lines that survive a kill, and TensorBoard events that say the same."""

import json
import math
import struct

import pytest

from hasnn_jax.runs.metrics import METRICS_FILE, MetricWriter, read_metrics

TRAIN = {"loss": 1.5, "accuracy": 0.25}
TEST = {"loss": 0.1, "accuracy": 1 / 3}


def write_three(workdir):
    with MetricWriter(workdir, from_step=0) as writer:
        writer.write(10, 0.5, "train", TRAIN)
        writer.write(20, 1.0, "train", {"loss": 1.25, "accuracy": 0.5})
        writer.write(20, 1.0, "test", TEST)


def events_in(workdir):
    """The events of all files, oldest file first: TensorBoard's records of length, checksum, bytes, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    events = []
    for path in sorted((workdir / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            events.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return events


def scalars_in(workdir):
    return [(v.tag, e.step, v.simple_value) for e in events_in(workdir) for v in e.summary.value]


def test_records_come_back_in_order_and_exactly(tmp_path):
    write_three(tmp_path)
    assert read_metrics(tmp_path) == [
        {"step": 10, "epoch": 0.5, "split": "train", **TRAIN},
        {"step": 20, "epoch": 1.0, "split": "train", "loss": 1.25, "accuracy": 0.5},
        {"step": 20, "epoch": 1.0, "split": "test", **TEST},
    ]


def test_a_record_is_one_line_of_json_and_on_disk_at_once(tmp_path):
    with MetricWriter(tmp_path, from_step=0) as writer:
        for count in (1, 2):
            writer.write(count, 0.1 * count, "train", TRAIN)
            lines = (tmp_path / METRICS_FILE).read_text().splitlines()
            assert len(lines) == count
            assert json.loads(lines[-1])["step"] == count


def test_a_run_without_metrics_has_no_records(tmp_path):
    assert read_metrics(tmp_path) == []


def test_not_a_number_survives(tmp_path):
    with MetricWriter(tmp_path, from_step=0) as writer:
        writer.write(1, 0.1, "train", {"loss": math.nan})
    (record,) = read_metrics(tmp_path)
    assert math.isnan(record["loss"])


@pytest.mark.parametrize(("from_step", "kept"), [(0, 0), (10, 1), (19, 1), (20, 3), (99, 3)])
def test_continuing_drops_the_records_that_will_be_written_anew(tmp_path, from_step, kept):
    write_three(tmp_path)
    before = read_metrics(tmp_path)
    with MetricWriter(tmp_path, from_step) as writer:
        assert read_metrics(tmp_path) == before[:kept]
        writer.write(from_step + 5, 3.0, "train", TRAIN)
    assert read_metrics(tmp_path)[:-1] == before[:kept]
    assert read_metrics(tmp_path)[-1]["step"] == from_step + 5


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_last_line_cut_short_is_ignored_and_replaced_on_continuing(tmp_path, cut):
    write_three(tmp_path)
    path = tmp_path / METRICS_FILE
    path.write_bytes(path.read_bytes()[:-cut])
    assert [record["split"] for record in read_metrics(tmp_path)] == ["train", "train"]
    with MetricWriter(tmp_path, from_step=20) as writer:
        writer.write(30, 1.5, "train", TRAIN)
    assert [record["step"] for record in read_metrics(tmp_path)] == [10, 20, 30]


def test_a_continued_run_has_the_same_file_as_one_that_was_never_cut(tmp_path):
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    for folder in (straight, cut):
        folder.mkdir()
    write_three(straight)
    with MetricWriter(cut, from_step=0) as writer:
        writer.write(10, 0.5, "train", TRAIN)
        writer.write(12, 0.6, "train", TRAIN)  # after the last checkpoint, at step 10
    with MetricWriter(cut, from_step=10) as writer:
        writer.write(20, 1.0, "train", {"loss": 1.25, "accuracy": 0.5})
        writer.write(20, 1.0, "test", TEST)
    assert (cut / METRICS_FILE).read_bytes() == (straight / METRICS_FILE).read_bytes()


def test_tensorboard_gets_every_value_under_its_split_and_step(tmp_path):
    write_three(tmp_path)
    expected = [
        ("train/loss", 10, 1.5),
        ("train/accuracy", 10, 0.25),
        ("train/loss", 20, 1.25),
        ("train/accuracy", 20, 0.5),
        ("test/loss", 20, pytest.approx(0.1)),
        ("test/accuracy", 20, pytest.approx(1 / 3)),
    ]
    assert scalars_in(tmp_path) == expected


def test_tensorboard_is_told_to_drop_what_follows_the_step_continued_from(tmp_path):
    from tensorboardX.proto.event_pb2 import SessionLog

    write_three(tmp_path)
    with MetricWriter(tmp_path, from_step=10) as writer:
        writer.write(20, 1.0, "train", TRAIN)
    starts = [e.step for e in events_in(tmp_path) if e.session_log.status == SessionLog.START]
    assert starts[-1] == 11
    assert ("train/loss", 20, 1.5) in scalars_in(tmp_path)
