#!/usr/bin/env python3
"""Writes the tables of keyboard layouts in Sources/Input/Layouts from Debian's xkb-data, by way of
libxkbcommon, and of dead keys from libx11-data's Compose file. Run it where a layout is to be added:

    apt-get install libxkbcommon0 xkb-data libx11-data && scripts/keyboard-layouts.py
"""

import collections
import ctypes
import os
import re
import unicodedata

FOLDER = os.path.join(os.path.dirname(__file__), "../Sources/Input/Layouts")
COMPOSE = "/usr/share/X11/locale/en_US.UTF-8/Compose"

# Name of the option, layout and variant of xkb-data, what people call it; by the file they go to.
LAYOUTS = {
    "Western": [
        ("us", "us", "", "US English"), ("us-intl", "us", "intl", "US English with dead keys"),
        ("gb", "gb", "", "British"), ("ie", "ie", "", "Irish"), ("de", "de", "", "German"),
        ("at", "at", "", "Austrian"), ("ch", "ch", "", "Swiss German"),
        ("ch-fr", "ch", "fr", "Swiss French"), ("fr", "fr", "", "French"),
        ("be", "be", "", "Belgian"), ("nl", "nl", "", "Dutch"), ("es", "es", "", "Spanish"),
        ("latam", "latam", "", "Latin American Spanish"), ("pt", "pt", "", "Portuguese"),
        ("br", "br", "", "Brazilian"), ("it", "it", "", "Italian"),
        ("ca", "ca", "", "Canadian French"), ("dvorak", "us", "dvorak", "Dvorak"),
        ("colemak", "us", "colemak", "Colemak")],
    "Northern": [
        ("se", "se", "", "Swedish"), ("no", "no", "", "Norwegian"), ("dk", "dk", "", "Danish"),
        ("fi", "fi", "", "Finnish"), ("is", "is", "", "Icelandic"), ("ee", "ee", "", "Estonian"),
        ("lv", "lv", "", "Latvian"), ("lt", "lt", "", "Lithuanian"), ("pl", "pl", "", "Polish"),
        ("cz", "cz", "", "Czech"), ("sk", "sk", "", "Slovak"), ("hu", "hu", "", "Hungarian"),
        ("ro", "ro", "", "Romanian"), ("hr", "hr", "", "Croatian"), ("si", "si", "", "Slovenian")],
    "Eastern": [
        ("tr", "tr", "", "Turkish"), ("gr", "gr", "", "Greek"), ("ru", "ru", "", "Russian"),
        ("ua", "ua", "", "Ukrainian"), ("bg", "bg", "", "Bulgarian"), ("rs", "rs", "", "Serbian"),
        ("il", "il", "", "Hebrew"), ("jp", "jp", "", "Japanese"), ("kr", "kr", "", "Korean")],
}

# Linux' codes of the keys, row by row, in the order of KeyboardLayout.rows.
ROWS = [[41, *range(2, 14), 124], range(16, 28), [*range(30, 41), 43], [86, *range(44, 54), 89]]
NONE = "none"


class Names(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in
                ("rules", "model", "layout", "variant", "options")]


class XKB:
    """The few functions of libxkbcommon that are needed."""

    def __init__(self):
        library = self.library = ctypes.CDLL("libxkbcommon.so.0")
        pointer, word = ctypes.c_void_p, ctypes.c_uint32
        for name, result, *arguments in [
                ("xkb_context_new", pointer, ctypes.c_int),
                ("xkb_keymap_new_from_names", pointer, pointer, pointer, ctypes.c_int),
                ("xkb_keymap_mod_get_index", word, pointer, ctypes.c_char_p),
                ("xkb_state_new", pointer, pointer),
                ("xkb_state_update_mask", word, pointer, *[word] * 6),
                ("xkb_state_key_get_one_sym", word, pointer, word),
                ("xkb_keysym_to_utf32", word, word),
                ("xkb_keysym_get_name", ctypes.c_int, word, ctypes.c_char_p, ctypes.c_size_t),
                ("xkb_keysym_from_name", word, ctypes.c_char_p, ctypes.c_int)]:
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        self.context = library.xkb_context_new(0)

    def name(self, keysym):
        buffer = ctypes.create_string_buffer(64)
        self.library.xkb_keysym_get_name(keysym, buffer, 64)
        return buffer.value.decode()

    def character(self, keysym):
        code = self.library.xkb_keysym_to_utf32(keysym)
        return chr(code) if code >= 0x20 and code != 0x7F else None

    def keysym(self, name):
        return self.library.xkb_keysym_from_name(name.encode(), 0)

    def levels(self, layout, variant):
        """A list of rows of keysyms for each level: plain, Shift, AltGr, both."""
        names = Names(b"evdev", b"pc105", layout.encode(), variant.encode(), b"")
        keymap = self.library.xkb_keymap_new_from_names(self.context, ctypes.byref(names), 0)
        assert keymap, (layout, variant)
        state = self.library.xkb_state_new(keymap)
        shift = 1 << self.library.xkb_keymap_mod_get_index(keymap, b"Shift")
        third = 1 << self.library.xkb_keymap_mod_get_index(keymap, b"Mod5")

        def keysym(modifiers, code):
            self.library.xkb_state_update_mask(state, modifiers, 0, 0, 0, 0, 0)
            return self.library.xkb_state_key_get_one_sym(state, code + 8)

        has_altgr = self.name(keysym(0, 100)) == "ISO_Level3_Shift"
        masks = [0, shift] + ([third, shift | third] if has_altgr else [])
        return [[[keysym(mask, code) for code in row] for row in ROWS] for mask in masks]


def composed(xkb):
    """What a dead key and a character make: {dead key's name: {second: character}}."""
    found = collections.defaultdict(dict)
    line = re.compile(r'<dead_(\w+)>\s+<(\w+)>\s*:\s*"\\?(.)"\s')
    with open(COMPOSE, encoding="utf-8") as file:
        for text in file:
            match = line.match(text)
            if not match:
                continue
            dead, second, character = match.groups()
            if unicodedata.category(character).startswith("M"):
                continue
            if second == "dead_" + dead:
                found[dead]["twice"] = character
            elif not second.startswith("dead_"):
                base = xkb.character(xkb.keysym(second))
                # What the Compose file has no character for is left out.
                if base and ord(base) < 0x10000 and ord(character) < 0x10000:
                    found[dead].setdefault(base, character)
    return found


def token(xkb, keysym, dead):
    name = xkb.name(keysym)
    if name.startswith("dead_"):
        dead.add(name[5:])
        return name[5:]
    character = xkb.character(keysym)
    if not character or character.isspace() or unicodedata.category(character)[0] in "MC":
        return NONE
    return character


def escaped(text):
    return text.replace("\\", "\\\\").replace('"', '\\"')


HEADER = """\
// Made by scripts/keyboard-layouts.py from {source}. Not edited by hand.

"""


def version(package):
    with os.popen(f"dpkg-query -W -f '${{source:Package}} ${{Version}}' {package}") as answer:
        return answer.read()


def write(name, text):
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as file:
        file.write(text)


def write_layouts(xkb, dead, characters):
    for group, layouts in LAYOUTS.items():
        text = HEADER.format(source="Debian's " + version("xkb-data"))
        text += f"extension KeyboardTables {{\n  static let {group.lower()}: [Row] = [\n"
        for name, layout, variant, title in layouts:
            levels = [[[token(xkb, keysym, dead) for keysym in row] for row in level]
                      for level in xkb.levels(layout, variant)]
            text += f'    Row(\n      name: "{name}", title: "{title}",\n      levels: #"""\n'
            for number, level in enumerate(levels):
                for index, row in enumerate(level):
                    characters.update(key for key in row if len(key) == 1)
                    # What a level repeats of the one below it with the same Shift is no news.
                    if number >= 2:
                        row = [NONE if key == levels[number - 2][index][place] else key
                               for place, key in enumerate(row)]
                    while row and row[-1] == NONE:
                        row = row[:-1]
                    text += ("        " + " ".join("-" if key == NONE else "\\-" if key == "-" else key
                                                   for key in row)).rstrip() + "\n"
            text += '        """#),\n'
        write(f"KeyboardTables+{group}.swift", text + "  ]\n}\n")


def write_dead_keys(xkb, dead, characters):
    table = composed(xkb)
    text = HEADER.format(source="Debian's " + version("libx11-data"))
    text += "extension DeadKey {\n  static let all: [DeadKey] = [\n"
    for name in sorted(dead, key=lambda name: xkb.keysym("dead_" + name)):
        pairs = table.get(name, {})
        twice, alone = pairs.pop("twice", ""), pairs.pop(" ", "")
        chosen = [(base, made) for base, made in sorted(pairs.items())
                  if base in characters]
        characters.update(made for _, made in chosen)
        text += (f'    DeadKey(\n      name: "{name}", keysym: 0x{xkb.keysym("dead_" + name):X}, '
                 f'alone: "{escaped(alone)}",\n'
                 f'      twice: "{escaped(twice)}",\n      pairs: #"""\n')
        words, line = [base + made for base, made in chosen], ""
        for word in words:
            if len(line) + 3 > 86:
                text += "        " + line + "\n"
                line = ""
            line += word
        text += ("        " + line + "\n" if line else "") + '        """#),\n'
    write("DeadKeys.swift", text + "  ]\n}\n")


def write_keysyms(xkb, characters):
    """The keysyms from before Unicode's, of characters that some layout has."""
    text = HEADER.format(source="Debian's libxkbcommon")
    text += '/// Keysyms and the characters that they stand for.\nenum LegacyKeysyms {\n'
    text += '  static let table = #"""\n'
    line = ""
    for keysym in range(0x100, 0x2100):
        character = xkb.character(keysym)
        if not character or character not in characters or ord(character) < 0x100:
            continue
        word = f"{keysym:X}{character} "
        if len(line) + len(word) > 92:
            text += "    " + line.rstrip() + "\n"
            line = ""
        line += word
    text += "    " + line.rstrip() + '\n    """#\n}\n'
    write("LegacyKeysyms.swift", text)


def main():
    xkb, dead, characters = XKB(), set(), set()
    write_layouts(xkb, dead, characters)
    write_dead_keys(xkb, dead, characters)
    write_keysyms(xkb, characters)


main()
