"""nvidia-smi, the package and its launcher, as the builder's code asks them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trtllm_api.contract import ExpectedGpu
from trtllm_api.reasons import Reason
from trtllm_builder.engine.identity import Identity, look
from trtllm_builder.failure import BuilderFailure

from .conftest import L4, Machine

QUERY = "--query-gpu=name,compute_cap,memory.total"


def test_nvidia_smi_names_the_gpus_that_the_container_was_given(machine: Machine) -> None:
    machine.set(NVIDIA_VISIBLE_DEVICES="GPU-1,GPU-3")
    said = machine.run("nvidia-smi", QUERY, "--format=csv,noheader")
    assert (said.returncode, said.stdout) == (0, "NVIDIA H100 80GB HBM3, 9.0, 81559 MiB\n" * 2)
    listed = machine.run("nvidia-smi", "-L").stdout.splitlines()
    assert listed == [f"GPU {at}: NVIDIA H100 80GB HBM3 (UUID: GPU-{uuid})" for at, uuid in ((0, 1), (1, 3))]
    units = machine.run("nvidia-smi", "--query-gpu=index,memory.total,driver_version", "--format=csv,nounits")
    assert units.stdout.splitlines()[:2] == ["index, memory.total [MiB], driver_version", "0, 81559, 580.95.05"]
    assert machine.run("nvidia-smi", "--query-gpu=taste", "--format=csv").returncode == 2


@pytest.mark.parametrize("devices", ["void", "none", "", "GPU-of-another-node"])
def test_nvidia_smi_ends_with_6_where_the_container_was_given_none(machine: Machine, devices: str) -> None:
    machine.set(NVIDIA_VISIBLE_DEVICES=devices)
    said = machine.run("nvidia-smi", QUERY, "--format=csv,noheader")
    assert (said.returncode, said.stdout) == (6, "No devices were found\n")


def test_nvidia_smi_ends_with_9_without_a_driver(machine: Machine) -> None:
    (machine.root / "gpus.json").unlink()
    said = machine.run("nvidia-smi")
    assert said.returncode == 9
    assert "couldn't communicate with the NVIDIA driver" in said.stdout


@pytest.mark.parametrize("version", ["0.20.0", "1.0.0", "1.2.1"])
def test_the_builder_sees_the_double_as_it_sees_the_real_image(machine: Machine, version: str) -> None:
    machine.set(TRTLLM_DOUBLE_VERSION=version)
    machine.gpus(L4, 2)
    expected = ExpectedGpu(product="NVIDIA-L4", compute_capability="8.9", count=2)
    assert look(expected, version, machine.root) == Identity("NVIDIA-L4", "8.9", 2, version)
    with pytest.raises(BuilderFailure) as caught:
        look(expected, "0.21.0", machine.root)
    assert caught.value.reason is Reason.IMAGE_MISMATCH


def test_the_launcher_of_ranks_wants_mpi(machine: Machine) -> None:
    machine.monkeypatch.delenv("OMPI_COMM_WORLD_SIZE", raising=False)
    said = machine.run("trtllm-llmapi-launch", "trtllm-serve", "model")
    assert said.returncode == 1
    assert "must be run by mpirun" in said.stderr
    machine.set(OMPI_COMM_WORLD_SIZE="2", OMPI_COMM_WORLD_RANK="0")
    program = "import os; print(os.environ['TLLM_SPAWN_PROXY_PROCESS'])"
    assert machine.run("trtllm-llmapi-launch", sys.executable, "-c", program).stdout.splitlines()[-1] == "1"


def test_building_and_waiting_ranks_import_no_torch(machine: Machine) -> None:
    program = "import sys, {}; sys.exit(sum(name in sys.modules for name in ('torch', 'transformers')))"
    for module in ("tensorrt_llm.commands.build", "tensorrt_llm.llmapi.mgmn_worker_node"):
        assert machine.run(sys.executable, "-c", program.format(module)).returncode == 0, module


def test_a_model_of_another_family_is_not_converted(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["Qwen2ForCausalLM"]}')
    said = machine.convert(tmp_path, tmp_path / "out", "--tp_size", "1")
    assert said.returncode == 1
    assert "Unsupported model architecture: Qwen2ForCausalLM" in said.stderr
    said = machine.convert(tmp_path, tmp_path / "out", "--weight_only_precision", "int2")
    assert said.returncode == 2
    assert "invalid choice: 'int2'" in said.stderr
