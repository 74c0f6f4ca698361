"""The server: for this computer and its own page alone; nothing that is sent to it stops it."""

import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from worker import answer

from descender.errors import OptionError
from descender.lab.answers import Respond
from descender.lab.exports import modules, static
from descender.lab.server import open_port
from descender.lab.uploads import Uploads
from descender.lab.workers import Answer, Workers

QUESTION = {"cost": "(x - 3)**2", "start": [0], "methods": ["gd learning_rate=0.1"], "steps": 5}


def test_the_page_and_all_its_parts_are_there(page):
    index = page.client.get("/")
    assert index.status_code == 200
    parts = re.findall(r'(?:src|href)="(/[^"]+)"', index.text) + list(modules(index.text).values())
    assert len(parts) > 10
    for part in parts:
        answer = page.client.get(part)
        assert answer.status_code == 200, part
        assert page.client.get(part, headers={"if-none-match": answer.headers["etag"]}).status_code == 304


def test_no_part_of_the_page_names_another_server():
    names = [
        "index.html",
        "lab.css",
        *(address.rsplit("/")[-1] for address in modules(static("index.html").decode()).values()),
    ]
    for name in names:
        text = static(name).decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.[a-z]", text), name


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8765"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "127.0.0.1:8765.evil.example"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_who_is_not_the_page_is_refused(page, headers):
    for path in ("/", "/catalogue", "/plotly.js", "/plotly-in-space.js"):
        assert page.client.get(path, headers=headers).status_code == 403
    assert page.post("race", QUESTION, **headers).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "[::1]:8765"])
def test_the_page_itself_is_not(page, host):
    own = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    assert page.post("race", QUESTION, **own).status_code == 200


def test_the_policy_lets_nothing_else_in(page):
    for path in ("/", "/static/app.js", "/no-such-thing", "/catalogue"):
        policy = page.client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "connect-src 'self'" in policy
        assert "unsafe" not in re.search(r"script-src ([^;]*)", policy)[1]
    assert page.client.get("/", headers={"host": "evil.example"}).headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/static/../server.py", "/static/%2e%2e%2fserver.py", "/static/.hidden", "/etc/passwd"]
)
def test_no_other_file_is_served(page, path):
    assert page.client.get(path).status_code == 404


def test_what_is_no_question_is_refused(page):
    for body in (b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"cost": NaN'):
        assert page.post("race", body).status_code == 400
    assert "JSON object" in page.post("race", [1, 2]).json()["refused"]
    assert page.post("shutdown", {}).status_code == 404
    assert page.client.get("/ask/race").status_code == 405
    assert page.post("race", QUESTION, **{"content-type": "text/plain"}).status_code == 415
    assert page.post("race", {"cost": "x", "start": [1] * 200_000}).status_code == 413
    assert page.client.post("/data", content=iter([b"x" * 2**20] * 33)).status_code == 413
    assert page.ask("race", **QUESTION)["racers"][0]["nit"] == 5


@pytest.mark.parametrize(
    "cost",
    ["__import__('os').system('true')", "x.__class__", "().__class__", "lambda: 1", "open('x')", "x if x else 1",
     "9**9**9**9*x", "x" + "+x" * 5000, "(" * 900 + "x" + ")" * 900, "{{7*7}}", "", "1"],
)  # fmt: skip
def test_a_formula_is_read_and_never_run(page, cost):
    assert page.refusal("race", cost=cost, start=[1])


@pytest.mark.parametrize("data", ["/etc/passwd", "../x.csv", "file:../../etc/passwd", "file:" + "0" * 32 + ".csv",
                                  "example:../x", "example:flights", "https://example.com/x.csv", "-"])  # fmt: skip
def test_no_other_data_is_opened(page, data):
    assert page.refusal("table", data=data)
    assert page.refusal("race", cost="mean(x*w)", data=data, start=[1])


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"", "x.csv"), (b"  \n", "x.csv"), (b"a,b\n", "x.csv"), (b"a,a\n1,2\n", "x.csv"), (b"x", "x.exe"),
     (b"\x1f\x8b\x08junk", "x.gz"), (b"PAR1junk", "x.parquet"), (b"\x93NUMPYjunk", "x.npy"), (b"{}[", "x.json"),
     (b"\x00" * 1000, "x.csv")],
)  # fmt: skip
def test_a_file_that_is_no_table_is_told(page, content, name):
    answer = page.drop(content, name)
    assert answer.status_code == 200
    assert answer.json()["refused"]


def test_a_column_may_be_called_anything(page):
    wild = "<script>alert(1)</script>"
    text = f'"{wild}","{{{{7*7}}}}",y\n' + "\n".join(f"{k},{k % 3},{k + k % 2}" for k in range(20))
    kept = page.drop(text).json()
    assert kept["columns"][0]["name"] == wild
    asked = {
        "data": kept["data"],
        "target": "y",
        "model": "squared_error",
        "methods": ["gd learning_rate=0.1"],
        "steps": 9,
    }
    assert page.ask("ground", **asked)["names"][0] == wild
    replay = page.post("page", asked)
    assert replay.status_code == 200
    assert wild not in replay.text
    assert replay.text.count("<script") == replay.text.count("</script>") == 5


def test_many_ask_at_once_and_each_has_its_own_answer(page):
    def one(k):
        if k % 3 == 0:
            return page.post("race", b"{" * (k + 1)).status_code == 400
        if k % 3 == 1:
            found = page.drop(f"a,b\n1,{k}\n2,{k + 1}\n").json()
            line = page.ask("race", cost="mean((b - m*a - c)**2)", data=found["data"], methods=["auto"])
            return line["racers"][0]["x"] == pytest.approx([1, k - 1], abs=1e-6)
        return page.ask("race", **QUESTION | {"start": [k]})["racers"][0]["path"][0] == [k]

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(one, range(24)))


def test_files_are_kept_up_to_a_bound(tmp_path):
    kept = Uploads(tmp_path, most=3, total=100)
    names = [kept.keep(f"a\n{k}\n".encode(), "x.csv") for k in range(3)]
    assert kept.keep(b"a\n0\n", "y.csv") == names[0]
    kept.keep(b"a\n9\n", "x.csv")
    there = {path.name for path in tmp_path.iterdir()}
    assert f"{names[0]}".removeprefix("file:") in there
    assert f"{names[1]}".removeprefix("file:") not in there
    kept.keep(b"x" * 95, "x.csv")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_port_that_is_taken_is_told():
    with open_port(0) as line:
        line.listen()
        with pytest.raises(OptionError, match="in use"):
            open_port(line.getsockname()[1])
        assert line.getsockname()[0] == "127.0.0.1"


@pytest.fixture(scope="module")
def workers():
    """Two processes that have half a second for an answer."""
    found = Workers(answer, count=2, seconds=0.5)
    yield found
    found.close()


def test_an_answer_that_takes_too_long_is_ended_and_the_others_are_not(workers):
    answers = {}

    def ask(key, name, given):
        answers[key] = workers.ask(name, given, key)

    workers.seconds = 20.0  # until both have begun
    assert workers.ask("say", 1).status == workers.ask("say", 2, "other").status == 200
    workers.seconds = 0.5
    threads = [
        threading.Thread(target=ask, args=("a", "sleep", 30)),
        threading.Thread(target=ask, args=("b", "say", 7)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers["a"].status == 504
    assert b"takes longer than 0.5 seconds" in answers["a"].body
    assert answers["b"] == Answer(200, b"7")


def test_closing_ends_what_is_being_answered():
    found, answers = Workers(answer, count=1, seconds=60.0), []
    found.ask("say", 1)  # the process has begun
    asking = threading.Thread(target=lambda: answers.append(found.ask("sleep", 60.0)))
    asking.start()
    while not any(worker.busy for worker in found._workers):
        time.sleep(0.01)
    found.close()
    asking.join(10)
    assert [told.status for told in answers] == [500]
    assert all(worker.line.closed for worker in found._workers), "no process is begun anew"
    found.close()  # once more is nothing


def test_a_process_that_ends_is_replaced(workers):
    workers.seconds = 20.0
    assert workers.ask("end", None).status == 500
    assert [workers.ask("say", k).body for k in range(4)] == [b"0", b"1", b"2", b"3"]


def test_a_failure_is_told_and_not_its_inside(tmp_path, capsys, monkeypatch):
    from descender.lab import walks

    def fail(asked, folder):
        raise KeyError("secret")

    monkeypatch.setattr(walks, "race", fail)
    answer = Respond(str(tmp_path))("race", QUESTION)
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert "secret" in capsys.readouterr().err


def test_numbers_that_are_not_finite_are_null(tmp_path):
    from descender.lab.answers import to_json

    assert to_json({"a": [1.0, float("nan")], "b": (float("inf"),)}) == b'{"a":[1.0,null],"b":[null]}'


def test_a_free_port_is_found_where_the_usual_one_is_taken(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr("descender.lab.server.PORT", taken.getsockname()[1])
        with open_port(None) as line:
            assert line.getsockname()[1] != taken.getsockname()[1]
