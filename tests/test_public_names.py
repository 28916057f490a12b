import subprocess
import sys

import pytest

import goodteacher


@pytest.mark.parametrize("name", goodteacher.__all__)
def test_public_name_exists_and_is_documented(name):
    value = getattr(goodteacher, name)
    if name != "__version__":
        assert value.__doc__, f"{name} has no docstring"


def test_export_list_is_what_the_homes_offer():
    offered = {name for names in goodteacher._HOMES.values() for name in names}
    assert set(goodteacher.__all__) == offered | {"__version__"}
    assert list(goodteacher.__all__) == sorted(goodteacher.__all__)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'teach'"):
        _ = goodteacher.teach


def test_importing_the_package_does_not_import_torch():
    code = "import goodteacher, goodteacher.cli, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["search", "distill", "score"])
def test_public_function_is_never_shadowed_by_a_module(name):
    import goodteacher.cli
    import goodteacher.public.distillation
    import goodteacher.public.scoring
    import goodteacher.public.study

    assert callable(getattr(goodteacher, name))
