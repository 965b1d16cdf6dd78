"""The mark of tests that need the native kernels."""

import pytest

from lapg_rl.native import library

needed = pytest.mark.skipif(library.in_use() is None, reason=library.loaded().words)
