"""Where tests find a browser, and how large its windows are."""

import os
import shutil
from importlib.util import find_spec

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
ARGUMENTS = ["--no-sandbox"] if os.geteuid() == 0 else []
"""Root, as in containers, has no sandbox."""

SIZES = {"phone": (390, 844), "desk": (1280, 900)}

needs_browser = [
    pytest.mark.skipif(find_spec("playwright") is None, reason="Playwright is not installed"),
    pytest.mark.skipif(
        BROWSER is None, reason="no Chromium is installed: apt-get install chromium"
    ),
]


def is_foreign(request):
    """Whether a page asked for something outside itself and this machine."""
    return not request.url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:"))
