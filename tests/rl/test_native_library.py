"""How the native kernels are built, kept and loaded; and what is said where they can't be."""

import jax
import jax.numpy as jnp
import pytest
from kernels import needed

from lapg_rl.native import calls, library


@pytest.fixture
def anew(monkeypatch):
    """As if nothing had been loaded yet, nor were after the test, and nothing were switched."""
    library.loaded.cache_clear()
    monkeypatch.delenv(library.SWITCH, raising=False)
    yield monkeypatch
    library.loaded.cache_clear()


def test_without_a_compiler_jax_does_it_and_says_so(anew):
    anew.setattr(library, "COMPILERS", ("no-such-compiler",))
    assert library.loaded() == (
        None,
        "no C++ compiler (no-such-compiler) was found; with one sequence models learn faster",
    )
    assert not calls.fits(jnp.zeros(3), 16)


def test_they_can_be_switched_off(anew):
    anew.setenv("LAPG_NATIVE", "off")
    assert library.loaded() == (None, "switched off by LAPG_NATIVE")


@pytest.mark.parametrize(
    ("named", "said"), [("no-such-compiler", r"no C\+\+ compiler"), ("false", "doesn't build them")]
)
def test_a_compiler_that_is_named_must_work(anew, named, said):
    anew.setenv("LAPG_NATIVE", named)
    with pytest.raises(
        ValueError, match=f"LAPG_NATIVE={named}: .*{said}.*; name another compiler, or off, or unset it"
    ):
        library.loaded()


@needed
def test_what_a_compiler_says_is_passed_on(anew, tmp_path):
    anew.setattr(library, "HERE", tmp_path)
    for name in library.SOURCES:
        (tmp_path / name).write_text('#include "lanes.h"' if name == "kernels.cc" else "#error this is wrong\n")
    assert "this is wrong" in library.loaded().words
    assert library.loaded().path is None


@pytest.fixture
def stubs(anew, tmp_path):
    """Sources that take no time to build, an empty folder for what is built, and kernels in use that stay."""
    (sources := tmp_path / "sources").mkdir()
    for name in library.SOURCES:
        (sources / name).touch()
    (sources / "kernels.cc").write_text("".join(f'extern "C" void lapg_{name}() {{}}\n' for name in library.KERNELS))
    (kept := tmp_path / "kept").mkdir()
    anew.setattr(library, "HERE", sources)
    anew.setattr(library, "own_folder", lambda purpose: kept)
    anew.setattr(jax.ffi, "register_ffi_target", lambda *names, platform: None)
    return kept


@needed
def test_a_damaged_file_is_built_again(stubs):
    path = library.built(library.first_of(library.COMPILERS))
    path.write_bytes(b"")
    assert library.loaded().path == path
    assert path.stat().st_size > 0


def test_where_no_cache_folder_can_be_had_nothing_is_left_behind(monkeypatch):
    at_end = []
    monkeypatch.setattr(library.atexit, "register", lambda call, *args, **more: at_end.append((call, args, more)))
    folder = library._temporary()
    (folder / "some.so").touch()
    for call, args, more in at_end:
        call(*args, **more)
    assert not folder.exists()


@needed
def test_they_are_built_once(stubs):
    compiler = library.first_of(library.COMPILERS)
    first = library.built(compiler)
    written = first.stat().st_mtime_ns
    assert library.built(compiler) == first
    assert first.stat().st_mtime_ns == written
    assert list(stubs.iterdir()) == [first]
