"""A fake trtllm-serve: answers over HTTP as the file in FAKE_SERVE says, which a test may change meanwhile."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def behaviour() -> dict[str, Any]:
    return json.loads(Path(os.environ["FAKE_SERVE"]).read_text())


def note(kind: str, value: object) -> None:
    with Path(os.environ["FAKE_SERVE"] + ".calls").open("a") as file:
        file.write(json.dumps([kind, value]) + "\n")


class Handler(BaseHTTPRequestHandler):
    active = 0

    def do_GET(self) -> None:
        says = behaviour()
        if self.path == "/health":
            self.pause(says.get("healthPause", 0))
            self.send(says.get("health", 200), "")
        elif self.path == "/prometheus/metrics" and "answered" in says:
            if says["answered"] == "more and more":
                says["answered"] = time.monotonic()
            self.send(200, f'trtllm_request_success_total{{model_name="m"}} {says["answered"]}\n')
        else:
            self.send(404, "")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        says = behaviour()
        if self.path == "/v1/completions" and body["max_tokens"] == 1:
            note("canary", body)
            self.pause(says.get("canaryPause", 0))
            self.send(says.get("canary", 200), "")
            return
        note(self.path, body)
        Handler.active += 1
        while behaviour().get("hold"):
            time.sleep(0.05)
        status, text = says.get("status", 200), says.get("answer", "Paris.")
        if self.path == "/v1/completions":
            self.send(status, json.dumps({"choices": [{"text": text}]}))
        elif says.get("chat") is None:
            self.send(400, json.dumps({"error": "tokenizer.chat_template is not set"}))
        else:
            self.send(200, json.dumps({"choices": [{"message": says["chat"]}]}))
        Handler.active -= 1

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    says = behaviour()
    note("argv", sys.argv[1:])
    note("environment", dict(os.environ))
    note("pid", os.getpid())
    print(says.get("say", "loading weights"), flush=True)
    if "die" in says:
        time.sleep(says.get("linger", 0))
        sys.exit(says["die"])
    time.sleep(says.get("load", 0))
    arguments = sys.argv[1:]
    address = arguments[arguments.index("--host") + 1], int(arguments[arguments.index("--port") + 1])
    server = ThreadingHTTPServer(address, Handler)

    def finish() -> None:
        note("terminated", None)
        while Handler.active or behaviour().get("stubborn"):
            time.sleep(0.05)
        server.shutdown()

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=finish).start())
    server.serve_forever()


main()
