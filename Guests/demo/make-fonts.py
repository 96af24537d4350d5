#!/usr/bin/env python3
"""Writes fonts.c: the demo desktop's letters as tables of 16 shades, drawn by FreeType.

Needs Python's Pillow and Debian's packages fonts-inter and fonts-jetbrains-mono (LICENSE-OFL). `./make-fonts.py` writes the file beside it.
"""

import os

from PIL import Image, ImageDraw, ImageFont

INTER = "/usr/share/fonts/opentype/inter/Inter-{}.otf"
MONO = "/usr/share/fonts/truetype/jetbrains-mono/JetBrainsMono-Regular.ttf"
ASCII = range(0x20, 0x7F)
# Name, file, pixels, characters. They stand in the order of demo.h's FONT_ numbers.
FONTS = [
    ("plain", INTER.format("Regular"), 13, ASCII),
    ("bold", INTER.format("SemiBold"), 13, ASCII),
    ("large", INTER.format("Medium"), 30, range(0x20, 0x3B)),
    ("mono", MONO, 13, ASCII),
]
MARGIN = 8


def glyph(font, character):
    """Left and top edge, size, and the shades of a character, from the top of the line."""
    image = Image.new("L", (64, 64))
    ImageDraw.Draw(image).text((MARGIN, 0), character, 255, font)
    shades = image.point(lambda value: (value * 15 + 127) // 255)
    box = shades.getbbox()
    if not box:
        return 0, 0, 0, 0, []
    pixels = shades.crop(box)
    data = pixels.tobytes()
    return box[0] - MARGIN, box[1], *pixels.size, data


def main():
    lines = [
        "// The letters of the demo desktop: Inter and JetBrains Mono (LICENSE-OFL), as",
        "// make-fonts.py draws them. Two pixels of 16 shades in a byte, the left one in the low half.",
        '#define DEMO_CONSTANTS', '#include "demo.h"', "",
    ]
    for name, file, size, characters in FONTS:
        font = ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)
        exact = ImageFont.truetype(file, size * 64, layout_engine=ImageFont.Layout.BASIC)
        glyphs, bits = [], []
        for code in characters:
            left, top, width, height, shades = glyph(font, chr(code))
            advance = round(exact.getlength(chr(code)))
            glyphs.append(f"{{{left}, {top}, {width}, {height}, {advance}, {len(bits)}}}")
            padded = [*shades, 0]
            bits += [padded[i] | padded[i + 1] << 4 for i in range(0, len(shades), 2)]
        lines.append(f"// {os.path.basename(file)}, {size} pixels.")
        lines.append(f"const struct glyph {name}_glyphs[] = {{")
        lines += [f"  {', '.join(glyphs[i:i + 4])}," for i in range(0, len(glyphs), 4)]
        lines += ["};", f"const uint8_t {name}_shades[] = {{"]
        lines += [f"  {','.join(map(str, bits[i:i + 26]))}," for i in range(0, len(bits), 26)]
        lines += ["};", ""]
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "fonts.c"), "w") as out:
        out.write("\n".join(lines[:-1]) + "\n")


main()
