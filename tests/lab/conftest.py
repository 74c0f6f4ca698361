"""What the tests of the lab share: a server without processes, and a real one with a browser."""

import json

import pytest
from starlette.testclient import TestClient

from descender.lab.answers import Respond
from descender.lab.server import create_app

ADDRESS = "http://127.0.0.1:8765"


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
        return found

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
