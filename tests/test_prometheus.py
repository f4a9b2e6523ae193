"""Saved answers of Prometheus: of a real server whose target goes down, and of files that are none."""

import json
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from builders import snapshot

from auditkit.capture import imports
from auditkit.capture.imports import Supplied
from auditkit.capture.imports.prometheus import Fired, Outage, Query, Target
from auditkit.errors import UsageError
from auditkit.evaluate import Tables, run

CONFIG = """
global: {scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: 500ms}
rule_files: [rules.yml]
scrape_configs:
  - {job_name: shop, static_configs: [{targets: ['127.0.0.1:%d']}]}
  - {job_name: prometheus, static_configs: [{targets: ['127.0.0.1:%d']}]}
"""
RULES = """
groups:
  - name: shop
    rules: [{alert: ShopDown, expr: up == 0, for: 1s, labels: {severity: critical}}]
"""


def read(*paths: Path) -> imports.Loaded:
    (found,) = imports.read([Supplied(source="prometheus", paths=paths)])
    return found


def matrix(*series: tuple[dict[str, str], dict[int, str]], **other: Any) -> str:
    result = [{"metric": metric, "values": [[t, v] for t, v in values.items()]} for metric, values in series]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}, **other})


def up(job: str, values: dict[int, str]) -> tuple[dict[str, str], dict[int, str]]:
    return {"__name__": "up", "job": job, "instance": "a"}, values


class _Metrics(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"shop_orders 1\n")

    def log_message(self, *_: object) -> None:
        pass


def _free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _asked(port: int, path: str, **query: Any) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(query)}", timeout=5) as answer:
        return bytes(answer.read())


def _until(port: int, query: str, seconds: float = 12) -> None:
    """Wait until an instant query has a result."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if json.loads(_asked(port, "/api/v1/query", query=query))["data"]["result"]:
                return
        except OSError:
            pass
        time.sleep(0.2)
    pytest.fail(f"prometheus has no result for {query} after {seconds} s")


def test_a_real_server_whose_target_goes_down(program: Callable[[str], str], tmp_path: Path) -> None:
    shop = HTTPServer(("127.0.0.1", 0), _Metrics)
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    port, began = _free(), time.time()
    (tmp_path / "prometheus.yml").write_text(CONFIG % (shop.server_port, port))
    (tmp_path / "rules.yml").write_text(RULES)
    data, config = f"--storage.tsdb.path={tmp_path / 'data'}", f"--config.file={tmp_path / 'prometheus.yml'}"
    listen = f"--web.listen-address=127.0.0.1:{port}"
    server = subprocess.Popen([program("prometheus"), config, data, listen, "--log.level=error"])
    try:
        _until(port, 'up{job="shop"} == 1')
        shop.shutdown()
        shop.server_close()
        _until(port, 'ALERTS{alertstate="firing"}')
        time.sleep(1)
        for name in ("ALERTS", "up"):
            answer = _asked(port, "/api/v1/query_range", query=name, start=began, end=time.time(), step=0.5)
            (tmp_path / f"{name}.json").write_bytes(answer)
    finally:
        server.terminate()
        server.wait(timeout=10)
    found = read(tmp_path / "ALERTS.json", tmp_path / "up.json")
    # An alert is pending before it fires: only what fired is kept.
    (fired,) = (r for r in found.records[Fired] if isinstance(r, Fired))
    assert (fired.alert, fired.severity, fired.ended, fired.step) == ("ShopDown", "critical", False, 0.5)
    assert "job=shop" in fired.place and fired.samples >= 1
    targets = {r.job: r for r in found.records[Target] if isinstance(r, Target)}
    assert targets["shop"].down >= 2 and targets["shop"].up >= 1 and targets["prometheus"].down == 0
    down = [r for r in found.records[Outage] if isinstance(r, Outage) and r.job == "shop" and r.down]
    assert len(down) == 1 and not down[0].ended and down[0].began < fired.began
    assert found.about.made_at and abs(found.about.made_at.timestamp() - time.time()) < 30
    tables = Tables(snapshot([], at=datetime.now(UTC)).beside([found]))
    results = run(tables, ["LOG-80", "LOG-81", "LOG-82"], settings={"LOG-80": {"minutes": 0}})
    assert {id: r.conclusion for id, r in results.items()} == {
        "LOG-80": "exceptions",
        "LOG-81": "no exceptions",
        "LOG-82": "no exceptions",
    }


def test_a_gap_is_not_up(tmp_path: Path) -> None:
    """Where every series lacks a sample Prometheus itself was down: the grid of the others' step still has the time."""
    path = tmp_path / "up.json"
    one = {0: "1", 60: "1", 120: "0", 180: "0", 240: "1", 420: "1", 480: "0"}
    path.write_text(matrix(up("one", one), up("two", dict.fromkeys(one, "1"))))
    found = read(path)
    (query,) = found.records[Query]
    assert isinstance(query, Query) and (query.step, query.series) == (60, 2)
    targets = {r.job: r for r in found.records[Target] if isinstance(r, Target)}
    assert (targets["one"].samples, targets["one"].up, targets["one"].down, targets["one"].missing) == (9, 4, 3, 2)
    assert (targets["two"].up, targets["two"].missing) == (7, 2)
    spans = [(r.job, r.down, r.missing, r.ended) for r in found.records[Outage] if isinstance(r, Outage)]
    assert spans == [("one", 2, 0, True), ("one", 0, 2, True), ("one", 1, 0, False), ("two", 0, 2, True)]
    down = Tables(snapshot([]).beside([found]))["targets_down"]
    assert down.minutes.tolist() == [2.0, 2.0, 1.0, 2.0]


def test_an_instant_answer_has_no_span(tmp_path: Path) -> None:
    path = tmp_path / "now.json"
    metric = {"__name__": "ALERTS", "alertname": "A", "alertstate": "firing", "token": "s3cret"}
    vector = {"resultType": "vector", "result": [{"metric": metric, "value": [1, "1"]}]}
    path.write_text(json.dumps({"status": "success", "data": vector}))
    found = read(path)
    assert Tables(snapshot([]).beside([found]))["alerts_fired"].minutes.isna().all()
    assert "s3cret" not in str(found)


def test_no_alert_fired(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    path.write_text(matrix())
    found = read(path)
    assert found.about.kept == {"queries": 1, "fired": 0, "targets": 0, "outages": 0} and found.about.made_at is None


def test_a_warning_of_prometheus_makes_the_import_partial(tmp_path: Path) -> None:
    path = tmp_path / "up.json"
    path.write_text(matrix(up("one", {0: "1", 60: "1"}), warnings=["one store did not answer"]))
    assert read(path).about.state == "partial" and "one store did not answer" in read(path).about.note


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"status":"success","data":{"resultType":"matrix","result":[', r"x\.json:1: not JSON, or cut off"),
        (
            '{"status":"error","errorType":"timeout","error":"slow"}',
            "did not answer the query but error: timeout: slow",
        ),
        ('{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}', "a scalar is not read"),
        (matrix(({"__name__": "node_load1"}, {0: "1"})), "holds node_load1: neither ALERTS nor up"),
        (matrix(({"job": "x"}, {0: "1"})), "neither ALERTS nor up"),
        ('{"status":"success","data":{"resultType":"matrix","result":[{"metric":1}]}}', r"data\.result: Expected"),
        ("[]", "not an answer of Prometheus"),
        (matrix(({"__name__": "up"}, {1e300: "1"})), r"a sample at 1e\+300, which is no time"),
        (matrix(({"__name__": "up"}, {-1: "1", 253402300800: "1"})), "a sample at 2.534023008e.11, which is no time"),
        (
            matrix(({"__name__": "up"}, {0: "1", 0.001: "1", 0.002: "1", 1e9: "1"})),
            "a sample every 0.001 s .* save shorter",
        ),
    ],
)
def test_what_is_no_answer_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match=said):
        read(tmp_path / "x.json")
