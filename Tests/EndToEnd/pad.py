"""Reads the text that the demo desktop shows on the pad of its still scene, by its letters' shapes."""

import functools
import os
import re

import numpy

COLUMNS, ROWS = 92, 32
BOX = (144, 128, 144 + COLUMNS * 8, 128 + ROWS * 16)
INK, PAPER = (0x23, 0x26, 0x2F), (0xF8, 0xF4, 0xEA)
# The colours of the 16 shades, as the demo mixes them.
MIXED = numpy.array([
    [paper * (256 - alpha) + ink * alpha >> 8 for ink, paper in zip(INK, PAPER)]
    for alpha in (shade * 273 >> 4 for shade in range(16))])
FONTS = os.path.join(os.path.dirname(__file__), "../../Guests/demo/fonts.c")


@functools.cache
def shapes():
    """Character of each cell of 16 rows of 8 shades."""
    with open(FONTS) as file:
        source = file.read()

    def table(name):
        return re.search(name + r"\[\] = \{(.*?)\n\};", source, re.S).group(1)
    shades = [int(number) for number in re.findall(r"\d+", table("mono_shades"))]
    found = {}
    for index, entry in enumerate(re.findall(r"\{([^}]*)\}", table("mono_glyphs"))):
        left, top, width, height, _, start = map(int, entry.split(","))
        cell = numpy.zeros((16, 8), "B")
        for pixel in range(width * height):
            shade = shades[start + pixel // 2] >> (4 if pixel % 2 else 0) & 15
            cell[top - 1 + pixel // width, left + pixel % width] = shade
        found[cell.tobytes()] = chr(0x20 + index)
    return found


def read(picture):
    """The pad's text: lines without the blanks at their ends, and without empty lines below."""
    pixels = numpy.asarray(picture.convert("RGB").crop(BOX)).astype("i")
    shades = numpy.rint((PAPER[0] - pixels[:, :, 0]) * 15 / (PAPER[0] - INK[0]))
    shades = shades.clip(0, 15).astype("B")
    # What is no mixture of paper and ink is the caret or the pointer.
    shades[(pixels != MIXED[shades]).any(axis=2)] = 0
    cells = shades.reshape(ROWS, 16, COLUMNS, 8).transpose(0, 2, 1, 3)
    lines = []
    for line in cells:
        letters = [shapes().get(cell.tobytes(), "?") for cell in line]
        lines.append("".join(letters).rstrip())
    return "\n".join(lines).rstrip("\n")
