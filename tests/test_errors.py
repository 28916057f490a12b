"""What is raised on purpose, and packages that only some uses need."""

import pytest

from goodteacher.errors import GoodteacherError, InputError, PackageError, needed_package


def test_a_package_that_is_there_is_imported():
    import json

    assert needed_package("json", extra="hub", what="A test") is json


def test_a_missing_package_is_named_with_the_way_to_install_it():
    with pytest.raises(PackageError) as caught:
        needed_package("nobody_wrote_this.part", extra="onnx", what="The format onnx")
    assert str(caught.value) == (
        "The format onnx needs the package nobody_wrote_this: pip install 'goodteacher[onnx]'"
    )
    assert isinstance(caught.value.__cause__, ImportError)


def test_a_missing_package_is_bad_input_and_an_import_that_failed():
    assert issubclass(PackageError, InputError)
    assert issubclass(PackageError, GoodteacherError)
    with pytest.raises(ImportError, match="nobody_wrote_this"):
        needed_package("nobody_wrote_this", extra="hf", what="A test")
