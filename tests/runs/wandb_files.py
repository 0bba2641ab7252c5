"""What W&B has written in offline mode, read from its own files.

A `.wandb` file is a LevelDB log after a header of seven bytes: blocks of 32 KiB with pieces of messages, each behind
four bytes of checksum, two of length and one that says whether it is whole, first, middle or last.
"""

import json
import struct

import wandb
from wandb.proto.wandb_internal_pb2 import Record

HEADER = 7
BLOCK = 2**15
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def offline_runs(workdir):
    """The records of every start of a run in a workdir, oldest first; those of a killed one may be cut short."""
    wandb.teardown()  # a run that has ended may still be on its way to the disk
    paths = (workdir / "wandb").glob("offline-run-*/*.wandb")
    return [read_records(path) for path in sorted(paths)]  # the folders are named by time, in seconds


def read_records(path):
    data, at, message, records = path.read_bytes(), HEADER, b"", []
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:  # the rest of a block holds no piece's head
            at += BLOCK - at % BLOCK
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        piece = data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        message = piece if kind in (WHOLE, FIRST) else message + piece
        if kind in (WHOLE, LAST):
            records.append(Record.FromString(message))
    return records


def rows(records):
    """The logged rows: {name: value}, among them W&B's own "_step"."""
    return [values(record.history.item) for record in records if record.WhichOneof("record_type") == "history"]


def summary(records):
    """The summary that was set, not the part that W&B derives from the rows."""
    updates = [record.summary.update for record in records if record.WhichOneof("record_type") == "summary"]
    return {name: value for update in updates for name, value in values(update).items()}


def run_of(records):
    """The message that names the run: its run_id, project and display_name."""
    return next(record.run for record in records if record.WhichOneof("record_type") == "run")


def config(records):
    """The run's config."""
    return values(run_of(records).config.update)


def exit_code(records):
    """The code of the run's end; None where it was killed."""
    codes = [record.exit.exit_code for record in records if record.WhichOneof("record_type") == "exit"]
    return codes[0] if codes else None


def values(items):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
