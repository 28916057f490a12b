"""Modules that need a package which is not installed are left out of the doctests."""

from importlib.util import find_spec
from pathlib import Path

_NEEDS = {"transformers": "transformers", "lightning": "pytorch_lightning", "keras": "keras"}
_FOLDER = Path(__file__).parent / "src/goodteacher/integrations"

collect_ignore = [
    str(_FOLDER / f"{module}.py") for module, package in _NEEDS.items() if not find_spec(package)
]
