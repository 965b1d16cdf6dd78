"""Compiled programs are kept where the user's caches are, in bounds, and where that can't be, nothing is said."""

import os
import warnings
from pathlib import Path

import jax
import pytest

from lapg_rl.commands.main import main
from lapg_rl.machine import cache


@pytest.fixture
def told(monkeypatch, tmp_path):
    """What JAX would be told, in a process of which nothing is known but a home."""
    settings = {}
    monkeypatch.setattr(cache, "_tell_jax", lambda **given: settings.update(given))
    monkeypatch.setattr(cache.sys, "platform", "linux")
    for name in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME", cache.SWITCH):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with warnings.catch_warnings():
        yield settings


def test_by_default_it_is_the_users_cache_folder(told, tmp_path, monkeypatch):
    place = cache.keep_compiled()
    assert place.parent == tmp_path / ".cache" / "lapg" / "compiled" and place.is_dir()
    assert told["jax_compilation_cache_dir"] == str(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "else"))
    assert cache.keep_compiled().parent == tmp_path / "else" / "lapg" / "compiled"


def test_it_can_be_turned_off_and_moved(told, tmp_path, monkeypatch):
    monkeypatch.setenv(cache.SWITCH, str(tmp_path / "mine"))
    assert cache.keep_compiled() == tmp_path / "mine"
    assert cache.keep_compiled(tmp_path / "other") == tmp_path / "other"
    told.clear()
    for off in (lambda: cache.keep_compiled(Path(cache.OFF)), lambda: monkeypatch.setenv(cache.SWITCH, cache.OFF)):
        off()
    assert cache.keep_compiled() is None and told == {"jax_enable_compilation_cache": "false"}


def test_what_jax_was_told_is_left_alone(told, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/elsewhere")
    assert cache.keep_compiled() is None and not told


def test_a_folder_that_cannot_be_made_is_no_failure_unless_it_was_named(told, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.keep_compiled() is None and not told
    with pytest.raises(ValueError, match="is no folder that you own and can write to"):
        cache.keep_compiled(tmp_path / "file")


def test_a_folder_of_somebody_else_is_not_trusted(told, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert cache.keep_compiled() is None and not told


def test_what_was_used_longest_ago_goes_first(told, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "MOST", 40)
    for age, name in enumerate(("newest", "newer", "old", "oldest", "ancient")):
        path = tmp_path / f"{name}-cache"
        path.write_bytes(b"0123456789")
        os.utime(path, (1e9 - age, 1e9 - age))
    (tmp_path / "no part of it").write_bytes(bytes(100))
    cache.keep_compiled(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["newer-cache", "newest-cache", "no part of it"]


def test_every_command_but_doctor_keeps_them(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(cache, "keep_compiled", lambda: asked.append(True))
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])
    assert not asked
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert asked


@pytest.mark.parametrize(("most", "forgets"), [("1000000000", False), ("10", True), ("nonsense", False)])
def test_what_is_compiled_is_forgotten_before_a_process_has_mapped_all_that_linux_lets_it(
    most, forgets, tmp_path, monkeypatch
):
    (tmp_path / "most").write_text(most)
    (tmp_path / "maps").write_text("one line a map\n" * 6)
    monkeypatch.setattr(cache, "MOST_MAPS", tmp_path / "most")
    monkeypatch.setattr(cache, "MAPS", tmp_path / "maps")
    asked = []
    monkeypatch.setattr(jax, "clear_caches", lambda: asked.append(True))
    cache.make_room()
    assert asked == [True] * forgets
    monkeypatch.setattr(cache, "MAPS", tmp_path / "no such file, as on other systems")
    cache.make_room()
