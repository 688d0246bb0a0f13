"""TFRecord files and protocol buffers, as far as a table needs them: framing, checksums, fields. No TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from searchbench.errors import TableError

Words = npt.NDArray[np.uint32]
BATCH = 4096
LONGEST = 1 << 20
"""Bytes of a record beyond which its length is taken for damage."""


def _table() -> Words:
    entries: Words = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        entries = np.where(entries & 1, (entries >> 1) ^ np.uint32(0x82F63B78), entries >> 1).astype(np.uint32)
    return entries


TABLE = _table()


def masked_crc32c(blocks: Sequence[bytes]) -> Words:
    """TFRecord's checksum of each block: CRC-32C, rotated by 15 bits, plus a constant. All blocks at once: a step per
    byte position, so that millions of short records cost seconds."""
    lengths = np.array([len(block) for block in blocks])
    padded = np.zeros((len(blocks), int(lengths.max(initial=0))), dtype=np.uint8)
    for row, block in enumerate(blocks):
        padded[row, : len(block)] = np.frombuffer(block, dtype=np.uint8)
    crc = np.full(len(blocks), 0xFFFFFFFF, dtype=np.uint32)
    for at in range(padded.shape[1]):
        following = (crc >> 8) ^ TABLE[(crc ^ padded[:, at]) & 0xFF]
        crc = np.where(lengths > at, following, crc)
    crc ^= np.uint32(0xFFFFFFFF)
    masked = ((crc >> 15) | (crc << 17)) + np.uint32(0xA282EAD8)
    return masked.astype(np.uint32)


def records(path: Path) -> Iterator[bytes]:
    """The records of a file in order, a few thousand in memory at a time.

    Raises:
        TableError: the file is truncated or a checksum does not agree; the message names the record.
    """
    with path.open("rb") as stream:
        first = 0
        while batch := _batch(stream, path, first):
            lengths, blocks = [head for head, _, _, _ in batch], [block for _, _, block, _ in batch]
            given = np.array([(of_length, of_block) for _, of_length, _, of_block in batch], dtype=np.uint32)
            bad = (masked_crc32c(lengths) != given[:, 0]) | (masked_crc32c(blocks) != given[:, 1])
            if bad.any():
                raise TableError(f"table {path}, record {first + int(bad.argmax()) + 1}: its checksum does not agree.")
            yield from blocks
            first += len(batch)


def _batch(stream: BinaryIO, path: Path, first: int) -> list[tuple[bytes, int, bytes, int]]:
    found: list[tuple[bytes, int, bytes, int]] = []
    while len(found) < BATCH and (head := stream.read(12)):
        where = f"table {path}, record {first + len(found) + 1}"
        length = int.from_bytes(head[:8], "little")
        if len(head) < 12 or length > LONGEST:
            raise TableError(f"{where}: is truncated or damaged, or this is no TFRecord file.")
        body = stream.read(length + 4)
        if len(body) < length + 4:
            raise TableError(f"{where}: the file ends within it; it is truncated.")
        found.append(
            (head[:8], int.from_bytes(head[8:], "little"), body[:length], int.from_bytes(body[length:], "little"))
        )
    return found


def fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Number and value of each field of a protocol-buffer message: integers, doubles, floats, or bytes.

    Raises:
        ValueError: the message is truncated or uses groups.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        length = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            length, at = _varint(message, at)
        if length is None or at + length > len(message):
            raise ValueError("a protocol buffer is truncated or of an unknown wire type")
        block, at = message[at : at + length], at + length
        yield number, block if kind == 2 else float(struct.unpack("<d" if kind == 1 else "<f", block)[0])


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value, at, shift = value | (byte & 0x7F) << shift, at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("a protocol buffer ends within a number")
