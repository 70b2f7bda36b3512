import pytest

import lightning_neuro


def test_every_name_of_the_face_is_there_and_listed():
    for name in lightning_neuro.__all__:
        assert getattr(lightning_neuro, name) is not None
        assert name in dir(lightning_neuro)


def test_the_face_is_what_is_imported_on_demand():
    assert set(lightning_neuro._FOLDERS) | {"__version__"} == set(lightning_neuro.__all__)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'lightning_neuro' has no attribute 'Nothing'"):
        lightning_neuro.Nothing  # noqa: B018
