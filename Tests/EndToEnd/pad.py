"""Reads the text that the demo guest shows on its pad, by the shapes of the BIOS's 8x16 font."""

import functools
import os

import numpy

COLUMNS, ROWS = 92, 32
BOX = (144, 128, 144 + COLUMNS * 8, 128 + ROWS * 16)
INK = (0x20, 0x24, 0x2C)
FONT = os.path.join(os.path.dirname(__file__), "../../bios/fonts/cp437-8x16.hex")


@functools.cache
def shapes():
    """Character of each shape."""
    found = {}
    with open(FONT) as file:
        for line in file:
            code, _, rows = line.strip().partition(":")
            if len(rows) == 32 and 0x20 <= int(code, 16) < 0x7F:
                found[bytes.fromhex(rows)] = chr(int(code, 16))
    return found


def read(picture):
    """The pad's text: lines without the blanks at their ends, and without empty lines below."""
    area = numpy.asarray(picture.convert("RGB").crop(BOX))
    ink = (area == numpy.array(INK, "B")).all(axis=2)
    # One byte for each row of each cell, then the sixteen of a cell together.
    rows = numpy.packbits(ink, axis=1).reshape(ROWS, 16, COLUMNS).transpose(0, 2, 1)
    lines = [
        "".join(shapes().get(cell.tobytes(), "?") for cell in line).rstrip() for line in rows]
    return "\n".join(lines).rstrip("\n")
