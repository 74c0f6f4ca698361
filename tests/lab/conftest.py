"""What the tests of the lab share: a server without processes, and a real one with a browser."""

import base64
import json

import numpy as np
import pytest
from starlette.testclient import TestClient

from descender.lab.answers import Respond
from descender.lab.server import create_app

ADDRESS = "http://127.0.0.1:8765"


def unpacked(found):
    """An answer with its arrays as the page has them: as lists, in which what is not finite is None."""
    if isinstance(found, dict) and "float64" in found:
        values = np.frombuffer(base64.b64decode(found["float64"])).reshape(found["shape"])
        return np.where(np.isfinite(values), values, None).tolist()
    if isinstance(found, dict):
        return {name: unpacked(value) for name, value in found.items()}
    return [unpacked(value) for value in found] if isinstance(found, list) else found


class Page:
    """Asks as the page does."""

    def __init__(self, client):
        self.client = client

    def post(self, name, given, **headers):
        body = given if isinstance(given, bytes) else json.dumps(given)
        return self.client.post(f"/ask/{name}", content=body, headers={"content-type": "application/json", **headers})

    def ask(self, name, **given):
        answer = self.post(name, given)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert "refused" not in found, found
        return unpacked(found)

    def refusal(self, name, **given):
        answer = self.post(name, given)
        assert answer.status_code == 200, answer.text
        return answer.json()["refused"]

    def drop(self, text, name="data.csv"):
        return self.client.post("/data", content=text, headers={"x-file-name": name})


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The lab, answering in this process."""
    folder = tmp_path_factory.mktemp("lab")
    respond = Respond(str(folder))
    app = create_app(lambda name, given, key: respond(name, given), folder)
    with TestClient(app, base_url=ADDRESS, raise_server_exceptions=False) as client:
        yield Page(client)
