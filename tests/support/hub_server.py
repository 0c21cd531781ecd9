"""hack/hub_standin, served in a thread; hack/ is no package: the file is loaded by its path."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

_FILE = Path(__file__).resolve().parents[2] / "hack" / "hub_standin" / "hub_standin.py"


def load_standin() -> ModuleType:
    """The stand-in's module."""
    spec = importlib.util.spec_from_file_location("hub_standin", _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def served(root: Path) -> Iterator[Any]:
    """A HubServer over a directory."""
    server = load_standin().HubServer(root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
