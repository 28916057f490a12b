"""Modules that need a package which is not installed are left out of the doctests."""

from importlib.util import find_spec
from pathlib import Path

_NEEDS = {
    "integrations/transformers": "transformers",
    "integrations/lightning": "pytorch_lightning",
    "integrations/keras": "keras",
    "engines/ray_cluster": "ray",
    "engines/ray_engine": "ray",
    "engines/ray_helpers": "ray",
    "engines/ray_working": "ray",
}
_FOLDER = Path(__file__).parent / "src/goodteacher"

collect_ignore = [
    str(_FOLDER / f"{module}.py") for module, package in _NEEDS.items() if not find_spec(package)
]
