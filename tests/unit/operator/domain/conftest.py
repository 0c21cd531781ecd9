"""The world as a fixture; tests import the rest from domain_world, which lies beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from domain_world import World


@pytest.fixture
def world() -> World:
    return World()
