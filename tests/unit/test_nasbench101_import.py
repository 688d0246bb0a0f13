"""NAS-Bench-101's TFRecord: framing and checksums, the metrics message, half-way values, faults named."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from searchbench.errors import TableError
from searchbench.spaces.graphs.nasbench101 import from_matrix, nasbench101
from searchbench.tables.importing import write
from searchbench.tables.nasbench101 import from_nasbench101
from searchbench.tables.tfrecord import fields, masked_crc32c, records
from searchbench.tasks import TASKS

SPACE = nasbench101()
LINE = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
OPERATIONS = ("conv3x3-bn-relu", "maxpool3x3")


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def metrics(epochs: int, base: float) -> str:
    """`ModelMetrics` of one training: untrained, half-way, at the end."""
    message = b""
    for at, epoch in enumerate((0.0, epochs / 2, float(epochs))):
        doubles = (epoch, 3.0 * epoch, 0.9, base + 0.1 * at, base + 0.1 * at - 0.01)
        inner = b"".join(varint(n << 3 | 1) + struct.pack("<d", d) for n, d in enumerate(doubles, start=1))
        inner += varint(6 << 3 | 2) + varint(4) + b"ckpt"
        message += varint(1 << 3 | 2) + varint(len(inner)) + inner
    message += varint(2 << 3) + varint(1_234_567) + varint(3 << 3 | 1) + struct.pack("<d", 99.0)
    return base64.b64encode(message).decode()


def row(operation: str, length: int, repeat: int, **changes: Any) -> bytes:
    cell = from_matrix(SPACE, LINE, [operation])
    parts = {
        "hash": cell.key, "epochs": length, "adjacency": "010001000", "operations": f"input,{operation},output",
        "metrics": metrics(length, 0.5 + 0.01 * repeat + length / 1000),
    }  # fmt: skip
    return json.dumps(list((parts | changes).values())).encode()


def framed(block: bytes) -> bytes:
    head = len(block).to_bytes(8, "little")
    of_head, of_block = (int(crc).to_bytes(4, "little") for crc in masked_crc32c([head, block]))
    return head + of_head + block + of_block


def written(path: Path, rows: list[bytes]) -> str:
    path.write_bytes(b"".join(framed(r) for r in rows))
    return str(path)


ALL = [row(o, e, r) for o in OPERATIONS for e in (4, 12, 36, 108) for r in range(3)]


def test_checksum_is_that_of_the_standard() -> None:
    crc = 0xE3069283  # of "123456789": the check value of CRC-32C
    rotated = ((crc >> 15) | (crc << 17)) & 0xFFFFFFFF
    found = masked_crc32c([b"", b"123456789", b"x" * 40])
    assert int(found[1]) == (rotated + 0xA282EAD8) & 0xFFFFFFFF
    assert [int(masked_crc32c([b])[0]) for b in (b"", b"x" * 40)] == [int(found[0]), int(found[2])]


def test_fields_of_every_wire_type_are_read_and_truncation_is_an_error() -> None:
    message = (
        varint(1 << 3) + varint(300) + varint(2 << 3 | 5) + struct.pack("<f", 0.5) + varint(3 << 3 | 2) + b"\x02ab"
    )
    assert list(fields(message)) == [(1, 300), (2, 0.5), (3, b"ab")]
    with pytest.raises(ValueError, match="truncated"):
        list(fields(message[:-1]))


def test_trainings_of_all_lengths_and_their_middles_become_fidelities(tmp_path: Path) -> None:
    content = from_nasbench101(written(tmp_path / "nasbench.tfrecord", ALL), partial=True)
    table = write(content, tmp_path / "nb101.parquet", TASKS.factory("digits")())
    found = pd.read_parquet(tmp_path / "nb101.parquet")
    assert [epochs for epochs, _ in table.fidelity] == [2.0, 4.0, 6.0, 12.0, 18.0, 36.0, 54.0]
    assert (table.epochs, table.curve, len(found)) == (108.0, False, 2)
    first = found.iloc[0]
    assert [first[f"validation_{i}"] for i in range(3)] == pytest.approx([0.808, 0.818, 0.828])
    assert [first[f"test_{i}"] for i in range(3)] == pytest.approx([0.798, 0.808, 0.818])
    assert (first["epochs_54_1"], first["epochs_2_0"]) == pytest.approx((0.718, 0.604))
    assert (first["seconds"], first["params"]) == (324.0, 1_234_567.0)
    assert SPACE.parse(first["architecture"]).key == from_matrix(SPACE, LINE, [OPERATIONS[0]]).key


def test_file_of_full_trainings_only_has_its_middles_for_fidelity(tmp_path: Path) -> None:
    rows = [r for r in ALL if json.loads(r)[1] == 108]
    content = from_nasbench101(written(tmp_path / "only108.tfrecord", rows), partial=True)
    assert content.table.fidelity == ((54.0, ("epochs_54_0", "epochs_54_1", "epochs_54_2")),)
    with pytest.raises(TableError, match="holds 2 cells of the 423,624"):
        from_nasbench101(str(tmp_path / "only108.tfrecord"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 10}, "record 25, column `epochs`: must be one of"),
        ({"adjacency": "0100010"}, "record 25, column `adjacency`: 9 digits"),
        ({"operations": "input,conv9x9,output"}, "record 25, column `operations`"),
        ({"operations": "conv3x3-bn-relu,conv3x3-bn-relu,output"}, "input first and output last"),
        ({"hash": "0" * 32}, "record 25, column `hash`: the cell's is"),
        ({"metrics": "AAA="}, "record 25, column `metrics`"),
        ({"metrics": metrics(108, 1.2)}, "record 25, column `validation`: an accuracy must lie in"),
        ({}, "already has 3 trainings of 108 epochs"),
    ],
)
def test_faulty_record_is_refused_with_its_number_and_column(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    whole = "conv1x1-bn-relu" if changes and "epochs" not in changes and "hash" not in changes else OPERATIONS[0]
    path = written(tmp_path / "bad.tfrecord", [*ALL, row(whole, 108, 0, **changes)])
    with pytest.raises(TableError, match=message):
        from_nasbench101(path, partial=True)


def test_damaged_and_truncated_files_are_refused_at_the_record(tmp_path: Path) -> None:
    path = Path(written(tmp_path / "whole.tfrecord", ALL))
    intact = path.read_bytes()
    assert list(records(path)) == ALL
    flipped = bytearray(intact)
    flipped[len(framed(ALL[0])) + 40] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(TableError, match="record 2: its checksum does not agree"):
        list(records(path))
    path.write_bytes(intact[:-3])
    with pytest.raises(TableError, match="record 24: the file ends within it"):
        list(records(path))
    path.write_bytes(b"PAR1" + intact)
    with pytest.raises(TableError, match="record 1: is truncated or damaged, or this is no TFRecord"):
        list(records(path))
