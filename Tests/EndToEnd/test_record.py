"""`porthole record`: films that programs open, with the pictures and the time of what was filmed."""

import os
import shutil
import signal
import subprocess
import time

import pytest
from PIL import Image

from desktop import differing, until
from test_viewers import demo, ready, reads  # noqa: F401


class Filming:
    """A `porthole record` at work."""

    def __init__(self, desktop, path, *options):
        self.path = path
        command = desktop.command
        self.process = subprocess.Popen(
            [command.program, "record", "--name", desktop.name, *options, path],
            env=command.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until(lambda: os.path.exists(path) and pictures(path), 10, "the film's first picture")

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors


def pictures(path):
    """The film's pictures and how long each stands, in milliseconds; none while it is no film."""
    try:
        with Image.open(path) as film:
            found = []
            for index in range(film.n_frames):
                film.seek(index)
                found.append((film.convert("RGB"), film.info.get("duration", 0)))
            return found
    except (OSError, SyntaxError):
        return []


def test_a_film_has_every_picture_at_its_time(demo, folder):  # noqa: F811
    path = os.path.join(folder, "film.png")
    before = demo.picture()
    filming = Filming(demo, path)
    started = time.monotonic()
    time.sleep(0.7)
    demo.type("a")
    reads(demo, "a")
    middle = demo.picture()
    time.sleep(0.5)
    demo.type("b")
    reads(demo, "ab")
    time.sleep(0.3)
    assert filming.end() == (0, "")
    length = time.monotonic() - started
    found = pictures(path)
    # A letter and its caret may be seen apart.
    assert 3 <= len(found) <= 5
    assert not differing(found[0][0], before)
    assert any(not differing(shown, middle) for shown, _ in found)
    assert not differing(found[-1][0], demo.picture())
    assert found[0][1] > 500
    assert abs(sum(stands for _, stands in found) / 1000 - length) < 0.7


def test_a_film_is_whole_when_its_writer_is_killed(desktops, folder):
    desktop = desktops("--guest", "demo:drag")
    path = os.path.join(folder, "film.png")
    filming = Filming(desktop, path, "--fps", "10")
    until(lambda: len(pictures(path)) > 5, 10, "some pictures")
    assert filming.end(signal.SIGKILL)[0] == -signal.SIGKILL
    found = pictures(path)
    assert len(found) > 5
    assert all(differing(one, other) for (one, _), (other, _) in zip(found, found[1:]))
    # Ten a second at most.
    assert all(stands >= 95 for _, stands in found[:-1])


def test_a_film_ends_after_its_duration_and_with_its_desktop(demo, folder, porthole):  # noqa: F811
    path = os.path.join(folder, "film.png")
    started = time.monotonic()
    demo.run("record", "--duration", "0.5", path)
    assert 0.4 < time.monotonic() - started < 3
    assert [stands for _, stands in pictures(path)] == [pytest.approx(500, abs=150)]
    filming = Filming(demo, os.path.join(folder, "second.png"))
    demo.run("stop")
    filming.process.wait(10)
    assert filming.process.returncode == 0 and pictures(filming.path)
    assert "no desktop" in porthole.refused("record", path)


def test_another_size_begins_another_file(desktops, folder):
    desktop = desktops()
    desktop.wait_text("No bootable medium", 10)
    path = os.path.join(folder, "film.png")
    filming = Filming(desktop, path)
    desktop.reset()
    desktop.wait_text("No bootable medium", 10)
    filming.end()
    assert pictures(path)[0][0].size == desktop.picture().size
    other = desktops("--guest", "demo:still", name="other")
    filming = Filming(other, os.path.join(folder, "two.png"))
    ready(other)
    time.sleep(0.3)
    filming.end()
    last = sorted(name for name in os.listdir(folder) if name.startswith("two"))[-1]
    assert pictures(os.path.join(folder, last))[-1][0].size == (1024, 768)


def test_mistakes_of_films_are_sentences(demo, folder, porthole):  # noqa: F811
    assert "plain file" in demo.command.refused("record", "--name", demo.name, "/dev/null")
    missing = os.path.join(folder, "no/film.png")
    assert missing in demo.command.refused("record", "--name", demo.name, missing)
    assert "1 to 60" in porthole.refused("record", "--fps", "0", "x.png", status=64)
    assert "seconds" in porthole.refused("record", "--duration", "0", "x.png", status=64)


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_a_browser_opens_a_film(desktops, folder):
    desktop = desktops("--guest", "demo:still")
    ready(desktop)
    path = os.path.join(folder, "film.png")
    desktop.run("record", "--duration", "0.3", path)
    page, shot = os.path.join(folder, "page.html"), os.path.join(folder, "shot.png")
    with open(page, "w") as file:
        file.write("<body style='margin:0'><img src='film.png'>")
    subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--screenshot={shot}",
         "--window-size=1024,768", "--hide-scrollbars", f"--user-data-dir={folder}/chromium",
         f"file://{page}"], check=True, capture_output=True, timeout=40)
    with Image.open(shot) as image:
        assert not differing(image.convert("RGB"), desktop.picture())
