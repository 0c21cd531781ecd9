"""The simulated cluster as a fixture; tests import the rest from support.domain_world."""

from __future__ import annotations

import pytest

from support.domain_world import World


@pytest.fixture
def world() -> World:
    return World()
