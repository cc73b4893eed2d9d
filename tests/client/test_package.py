"""The npm client: its types are those of the service, and the packed file works in Node."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

from hatch_build import run_npm
from tests.client.message_types import MESSAGES, typescript
from tests.npm import DASHBOARD, npm
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.live import PATIENCE, live

PROGRAM = """
import { WebSocket } from 'ws';
import { StreamClient, float32, streamUrl } from 'mimamba-client';

const [url, token] = process.argv.slice(2);
const sockets = [];
const phases = [];
let [signals, next, lost, predicted] = [0, null, 0, false];

function open(address, protocol) {
  sockets.push(new WebSocket(address, protocol));
  return sockets.at(-1);
}

function onSignal({ first, data }) {
  signals += 1;
  if (next !== null) lost += first - next;
  next = first + float32(data).length / 4;
  if (signals === 5) sockets.at(-1).terminate();
}

const listener = {
  connection: ({ phase }) => phases.push(phase),
  message: (message) => {
    if (message.type === 'signal') onSignal(message);
    if (message.type === 'prediction') predicted = true;
    if (message.type === 'subscribed' && message.session === 'late') {
      console.log(JSON.stringify({ phases, lost, predicted, channels: message.info.ch_names }));
      client.stop();
      process.exit();
    }
    if (sockets.length === 2 && signals > 10 && predicted) console.error('resumed');
  },
};
const client = new StreamClient(streamUrl(url), listener, open, 0.05);
client.token = token;
client.follow('simulate-1', ['signal', 'prediction']);
client.follow('late', ['link']);
client.start();
"""


def test_the_types_are_those_of_the_schema() -> None:
    remedy = "python -m tests.client.message_types writes them anew"
    assert MESSAGES.read_text("utf-8") == typescript(), remedy


def test_the_packed_client_runs_in_node(tmp_path: Path) -> None:
    run_npm(npm(), DASHBOARD / "client", "pack", "--pack-destination", str(tmp_path))
    (packed,) = tmp_path.glob("*.tgz")
    modules = tmp_path / "node_modules"
    with tarfile.open(packed) as content:
        names = set(content.getnames())
        content.extractall(modules, filter="data")
    assert {f"package/{name}" for name in ("README.md", "dist/LICENSE", "dist/index.d.ts")} <= names
    assert not any("test" in name or name.endswith("tsconfig.json") for name in names)
    (modules / "package").rename(modules / "mimamba-client")
    for name in ("@msgpack", "ws"):
        (modules / name).symlink_to(DASHBOARD / "node_modules" / name)
    program = tmp_path / "program.mjs"
    program.write_text(PROGRAM, encoding="utf-8")
    node = shutil.which("node", path=str(npm())) or "node"
    with (
        live("simulate://?seed=2", token=CONTROL, view_token=VIEW) as service,
        subprocess.Popen(
            [node, program, service.url, VIEW],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running,
    ):
        assert running.stderr is not None
        assert running.stderr.readline() == "resumed\n"
        new = {"source": "simulate://", "id": "late", "model": "none"}
        assert service.http.post("/v1/sessions", json=new).status_code == 201
        said, _ = running.communicate(timeout=PATIENCE)
    assert json.loads(said) == {
        "phases": ["connecting", "connected", "waiting", "connecting", "connected"],
        "lost": 0,
        "predicted": True,
        "channels": ["TP9", "AF7", "AF8", "TP10"],
    }
