"""The commands and their options as data: main makes its parser of them, completion its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Option:
    """An option, or another spelling of it."""

    help: str
    takes: str = ""
    """What its value is called; empty for a switch."""
    short: str = ""
    choices: tuple[str, ...] = ()
    many: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of argparse."""


@dataclass(frozen=True)
class Command:
    """A subcommand."""

    help: str
    description: str
    long: Mapping[str, Option]
    argument: tuple[str, str] = ("", "")
    """Name and help of its one argument."""
    choices: tuple[str, ...] = ()
    """Of the argument."""
    resource: tuple[str, ...] = ()
    """Kinds that the argument may name."""

    @property
    def options(self) -> dict[str, Option]:
        """By every spelling."""
        short = {option.short: option for option in self.long.values() if option.short}
        return {**self.long, **short}


_CLUSTER: Final = {
    "--namespace": Option("kubectl's own when omitted", "NAMESPACE", "-n"),
    "--context": Option("of the kubeconfig; the current one when omitted", "CONTEXT"),
}
_JSON: Final = Option("json for programs", "FORMAT", "-o", ("text", "json"), settings={"default": "text"})
COMMANDS: Final[Mapping[str, Command]] = {
    "plan": Command(
        "judge and plan QuantizedModels and EngineBuilds without a cluster",
        "Says what the operator would say: every rule, the plan with GPU memory item by item, why, and what else would "
        "fit. Exit code: 0 fine, 1 refused, 2 usage or unreadable.",
        {
            "--filename": Option("a YAML file, - for standard input; may be repeated", "FILE", "-f", many=True),
            "--model": Option(
                "directory or config.json of the model; [KIND/][NAMESPACE/]NAME=PATH for one document; from the "
                "hub when omitted (HF_ENDPOINT, HF_TOKEN or hf auth login)",
                "[NAME=]PATH",
                many=True,
            ),
            "--gpus": Option("NODESxCOUNTxPRODUCT, such as 2x8xNVIDIA-H100-80GB-HBM3", "GPUS", many=True),
            "--inventory": Option("what kubectl get nodes --output=json has printed; - for standard input", "FILE"),
            "--cluster": Option("plan on the nodes of the current cluster, and find QuantizedModels there"),
            "--output": Option("how to print", "FORMAT", "-o", ("text", "json", "yaml"), settings={"default": "text"}),
            "--strict": Option("exit with 1 for warnings, too"),
            **_CLUSTER,
        },
    ),
    "diagnose": Command(
        "find the cause of a failure in a log, or in pods",
        "Names the earliest root cause in a log of any size, or why pods failed or do not begin. Exit code: 0 cause "
        "found, or a likely one, 1 none found, 2 unreadable.",
        {
            "--exit-code": Option("with which the process ended, where it is known", "N", settings={"type": int}),
            "--output": _JSON,
        },
        ("logfile", "a text or .gz file, or what kubectl get pods,events -o yaml printed; - for standard input"),
    ),
    "report": Command(
        "print what the quality gate measured",
        "Prints the quality table of a QuantizedModel, or of the one that an EngineBuild is made of.",
        {"--html": Option("write it as a page, too", "FILE"), "--output": _JSON, **_CLUSTER},
        ("resource", "qm/NAME or eb/NAME"),
        resource=("qm", "eb"),
    ),
    "status": Command(
        "watch a resource until it is Ready or Stalled",
        "Exit code: 0 Ready, 1 Stalled, 2 unreadable, 3 neither yet (--once, --timeout).",
        {
            "--once": Option("show it once"),
            "--timeout": Option("give up after so many seconds", "SECONDS", settings={"type": float}),
            "--interval": Option("seconds between two looks", "SECONDS", settings={"type": float, "default": 2.0}),
            **_CLUSTER,
        },
        ("resource", "qm/NAME or eb/NAME"),
        resource=("qm", "eb"),
    ),
    "completion": Command(
        "print the completion script of a shell",
        "bash: source <(trtllm completion bash); zsh: source <(trtllm completion zsh); fish: trtllm completion fish | "
        "source. kubectl finds kubectl_complete-trtllm by itself.",
        {},
        ("shell", "bash, zsh or fish"),
        choices=("bash", "zsh", "fish"),
    ),
}
