#!/usr/bin/env python3
"""Writes ../fonts.S from the fonts' text form; with --sheet FILE.png also a picture of them.

A line of a .hex file is one glyph: its code page 437 code, a colon, and its rows from the top,
two hexadecimal digits each, the most significant bit leftmost.

The 8x14 font is made of the 8x16 one by leaving out one row above the baseline and one below it.
"""

import pathlib
import struct
import sys
import zlib

HERE = pathlib.Path(__file__).resolve().parent

HEADER = """\
// The text fonts of the display's ROM: code page 437 in cells of 8x16, 8x14 and 8x8 dots.
//
// Written by fonts/make-fonts.py from fonts/*.hex; where they come from and their licence stand in
// fonts/LICENSE-bolkhov and fonts/README. One glyph a line, its rows from the top, the most
// significant bit leftmost. The 8x8 font lies in two halves, as a PC's ROM has it: characters 0
// to 127 at F000:FA6E (INT 43h), 128 to 255 where INT 1Fh points.

  .section .rodata.porthole_fonts, "a", @progbits
"""

LOW = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"


def load(name, height):
    """The 256 glyphs of a .hex file, each `height` bytes."""
    glyphs = {}
    for line in (HERE / name).read_text().splitlines():
        code, rows = line.split(":")
        glyphs[int(code, 16)] = bytes.fromhex(rows)
    result = [glyphs[code] for code in range(256)]
    assert all(len(glyph) == height for glyph in result), name
    return result


RUNNING = {0x08, 0x0A, 0xF4, 0xF5, *range(0xB0, 0xE0)}
"""Characters that run on into their neighbours."""


def shorten(code, glyph):
    """The 8x14 form of an 8x16 glyph."""
    if code in RUNNING or not glyph[0]:
        return glyph[1:15]
    # An accented capital fills the top: leave out a row that its neighbour repeats.
    for row in range(10, 0, -1):
        if glyph[row] == glyph[row + 1]:
            return glyph[:row] + glyph[row + 1:15]
    return glyph[1:15]


def label(code):
    """What stands in the comment behind a glyph."""
    if code < 32:
        return LOW[code]
    return "⌂" if code == 127 else bytes([code]).decode("cp437")


def section(name, glyphs, first):
    """The lines of one font under its label."""
    lines = [f"\n  .globl {name}", f"{name}:"]
    for index, glyph in enumerate(glyphs):
        code = first + index
        rows = ", ".join(f"0x{row:02x}" for row in glyph)
        lines.append(f"  .byte {rows}  // {code:02x} '{label(code)}'")
    return "\n".join(lines) + "\n"


def check_boxes(glyphs, height):
    """Box drawing characters reach their cell's edges, so that neighbours join."""
    def rows(code): return glyphs[code]
    for code in (0xB3, 0xBA, 0xB4, 0xC3, 0xC5, 0xB9, 0xCC, 0xCE):
        assert rows(code)[0] and rows(code)[-1], f"{code:02x} is open at top or bottom"
    for code in (0xC4, 0xCD, 0xC5, 0xCE, 0xC1, 0xC2, 0xCA, 0xCB):
        assert any(row & 0x81 == 0x81 for row in rows(code)), f"{code:02x} is open at a side"
    for code in (0xDA, 0xC3, 0xC0, 0xC9, 0xCC, 0xC8):
        assert any(row & 1 for row in rows(code)), f"{code:02x} is open on the right"
    for code in (0xBF, 0xB4, 0xD9, 0xBB, 0xB9, 0xBC):
        assert any(row & 0x80 for row in rows(code)), f"{code:02x} is open on the left"
    assert all(row == 0xFF for row in rows(0xDB)), "the full block is not full"
    assert len(rows(0xDB)) == height


def write_sheet(path, fonts):
    """A grey PNG of every font, 9 dots a cell as a VGA shows them, twice enlarged."""
    width, picture = 32 * 9, []
    for glyphs in fonts:
        height = len(glyphs[0])
        for top in range(0, 256, 32):
            for y in range(height):
                line = []
                for code in range(top, top + 32):
                    row = glyphs[code][y]
                    ninth = row & 1 if 0xC0 <= code <= 0xDF else 0
                    line += [200 if row >> bit & 1 else 0 for bit in range(7, -1, -1)]
                    line.append(200 if ninth else 0)
                picture.append(line)
        picture += [[60] * width] * 4
    raw = b"".join(
        (b"\0" + bytes(dot for dot in line for _ in "12")) * 2 for line in picture)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width * 2, len(picture) * 2, 8, 0, 0, 0, 0)
    pathlib.Path(path).write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b""))


def main():
    tall, small = load("cp437-8x16.hex", 16), load("cp437-8x8.hex", 8)
    medium = [shorten(code, glyph) for code, glyph in enumerate(tall)]
    for glyphs, height in ((tall, 16), (medium, 14), (small, 8)):
        check_boxes(glyphs, height)
    text = HEADER
    if len(sys.argv) == 3 and sys.argv[1] == "--sheet":
        write_sheet(sys.argv[2], [tall, medium, small])
    placements = (
        ("font_8x16", tall, 0), ("font_8x14", medium, 0),
        ("font_8x8_high", small[128:], 128), ("font_8x8_low", small[:128], 0))
    for name, glyphs, first in placements:
        text += section(name, glyphs, first)
    text += '\n  .section .note.GNU-stack, "", @progbits\n'
    (HERE.parent / "fonts.S").write_text(text)


if __name__ == "__main__":
    main()
