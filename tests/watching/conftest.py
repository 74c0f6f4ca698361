"""Loops as small as these lose by a second thread: on a busy machine it waits more than it works."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch = pytest.importorskip("torch", reason="PyTorch is an extra")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
