"""What the commands that look and type do, with and without a viewer, and pictures that must not
change by accident."""

import os
import re
import time

import pytest
from PIL import Image

import pad
from desktop import differing, same, until
from rfb import RFB
from test_viewers import demo, reads  # noqa: F401

GOLDEN = os.path.join(os.path.dirname(__file__), "golden")
ALL = "".join(map(chr, range(0x20, 0x7F)))


def golden(desktop, name, keep):
    """The screen is the picture kept under `name`; its cursor may be dark at first.

    With PORTHOLE_GOLDEN=1 the picture is kept anew. Look at it before you commit it.
    """
    path = os.path.join(GOLDEN, name + ".png")
    if os.environ.get("PORTHOLE_GOLDEN") == "1":
        shots = []
        for _ in range(15):
            shots.append(desktop.picture())
            time.sleep(0.08)
        max(shots, key=lambda shot: sum(shot.convert("L").histogram()[1:])).save(path, optimize=True)
        return
    wanted = Image.open(path).convert("RGB")
    end = time.monotonic() + 3
    while time.monotonic() < end:
        shown = desktop.picture()
        if not differing(shown, wanted):
            return
        time.sleep(0.05)
    same(shown, wanted, keep=keep)


def test_the_text_screen_looks_like_a_pcs(desktops, media, keep):
    desktop = desktops(media("mbr-disk.img"), "--read-only")
    desktop.wait_text(r"^MBR 12FA:", 10)
    golden(desktop, "mbr-prompt", keep)
    desktop.key("1")
    desktop.wait_text(r"Porthole booted partition 1", 10)
    golden(desktop, "mbr-partition", keep)


def test_the_screen_without_a_medium_looks_as_it_should(desktops, keep):
    desktop = desktops()
    desktop.wait_text(r"Press a key to try again\.", 10)
    golden(desktop, "no-medium", keep)


def test_the_demo_looks_as_it_should(demo, keep):  # noqa: F811
    demo.type("Hello from a test.")
    reads(demo, "Hello from a test.")
    golden(demo, "demo", keep)


def test_sixteen_colours_blink_and_box_drawing(desktops, boot_sector, keep):
    """Every attribute and every character of code page 437, straight into the text memory."""
    # Writes characters 0-255 with rising attributes, 8 rows of 80; cursor off; halts.
    code = bytes.fromhex(
        "fa" "b80300cd10"        # mode 3
        "b401b90020cd10"         # cursor off
        "b800b88ec0" "31ff" "31c0" "fc"
        "b98002"                 # 640 cells
        "88c4" "80e47f" "ab" "fec0" "e2f6"  # attribute: character with the blink bit off
        "f4ebfd")
    desktop = desktops(boot_sector(code))
    desktop.wait_text("ABCDEFG", 10)
    golden(desktop, "characters", keep)
    text = desktop.text()
    for part in ("┌", "█", "é", "≡", "☺", "║╗╝"):
        assert part in text, part


@pytest.mark.parametrize("watched", [False, True], ids=["alone", "with-a-viewer"])
def test_type_key_text_and_screenshot(demo, folder, watched):  # noqa: F811
    viewer = RFB(demo.host, demo.port, demo.password) if watched else None
    demo.type("first")
    demo.key("enter")
    demo.type("Second, with ~!@#$%^&*()_+|", "--enter")
    demo.command.good("type", "--name", demo.name, input="from\nstandard input")
    reads(demo, "first\nSecond, with ~!@#$%^&*()_+|\nfrom\nstandard input")
    demo.key("backspace", "shift-z", "z")
    reads(demo, "first\nSecond, with ~!@#$%^&*()_+|\nfrom\nstandard inpuZz")
    path = os.path.join(folder, "now.png")
    assert demo.run("screenshot", path) == ""
    with Image.open(path) as image:
        assert image.format == "PNG" and image.size == (1024, 768)
        assert not differing(image.convert("RGB"), demo.picture())
    assert "graphics" in demo.command.refused("text", "--name", demo.name)
    if viewer:
        viewer.settle()
        assert not differing(viewer.image, demo.picture())
        viewer.link.close()


def test_every_printable_character_can_be_typed(demo):  # noqa: F811
    demo.type(ALL[:64], "--enter")
    demo.type(ALL[64:])
    # The pad drops the blank in front, as it does not show one.
    until(lambda: pad.read(demo.picture()).replace("\n", "") == ALL, 10, "every character")


def test_a_long_text_arrives_whole(demo):  # noqa: F811
    lines = [f"{number:02} The five boxing wizards jump quickly." for number in range(30)]
    demo.type("\n".join(lines))
    reads(demo, "\n".join(lines))


def test_what_cannot_be_typed_or_pressed_is_named(demo):  # noqa: F811
    refused = demo.command.refused
    assert "€" in refused("type", "--name", demo.name, "five €")
    assert "hyper" in refused("key", "--name", demo.name, "hyper-x")
    assert refused("key", "--name", demo.name, "ctrl-")
    assert pad.read(demo.picture()) in ("", "five")


def test_a_screenshot_that_cannot_be_saved_is_named(demo, folder):  # noqa: F811
    path = os.path.join(folder, "no/such/folder.png")
    assert path in demo.command.refused("screenshot", "--name", demo.name, path)
    assert demo.command.refused("screenshot", "--name", demo.name, folder)


def test_reset_restarts_the_guest_and_keeps_viewers(demo):  # noqa: F811
    with RFB(demo.host, demo.port, demo.password) as viewer:
        demo.type("gone soon")
        reads(demo, "gone soon")
        demo.reset()
        viewer.watch(lambda image: image.size == (1024, 768) and "gone" not in pad.read(image), 10,
                     "an empty pad")
        until(lambda: pad.read(demo.picture()) == "" and demo.picture().size == (1024, 768), 10, "")
        viewer.settle()
        viewer.tap(ord("k"))
        reads(demo, "k")


def test_ctrl_alt_del_restarts_a_real_mode_guest(desktops, media):
    desktop = desktops(media("mbr-disk.img"), "--read-only")
    desktop.wait_text(r"^MBR 12FA:", 10)
    desktop.key("1")
    desktop.wait_text(r"Porthole booted partition 1", 10)
    desktop.key("ctrl-alt-del")
    until(lambda: "partition" not in desktop.glance() and "MBR 12FA:" in desktop.glance(), 10,
          "the prompt alone")


def test_text_has_a_line_for_every_row_without_the_blanks_at_the_end(desktops, media):
    desktop = desktops(media("mbr-disk.img"), "--read-only")
    desktop.wait_text(r"^MBR 12FA:", 10)
    assert desktop.ask("text")[0]["text"] == "MBR 12FA:"
    assert desktop.text() == "MBR 12FA:\n"
    desktop.key("1")
    desktop.wait_text("Press a key", 10)
    assert re.fullmatch(
        r"MBR 12FA:.*\n+Porthole booted partition 1\. Press a key\.\n", desktop.text())


def test_looking_disturbs_nobody(demo):  # noqa: F811
    """Screenshots as fast as they go, while a viewer types."""
    with RFB(demo.host, demo.port, demo.password) as viewer:
        viewer.settle(still=0.1)
        text = "typed while others look"
        for character in text:
            viewer.tap(ord(character))
            demo.ask("screenshot")
        viewer.watch(lambda image: pad.read(image) == text, 5, text)
