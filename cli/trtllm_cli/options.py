"""The commands and their options as data, for the parser and for completion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Option:
    """An option of a command."""

    help: str
    takes: str = ""
    """Name of its value; empty for a switch."""
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
    """Allowed values of the argument."""
    resource: tuple[str, ...] = ()
    """Kinds that the argument may name."""

    @property
    def options(self) -> dict[str, Option]:
        """The options by their long and short spellings."""
        short = {option.short: option for option in self.long.values() if option.short}
        return {**self.long, **short}


_CLUSTER: Final = {
    "--namespace": Option("namespace; omitted: that of the kubeconfig's context", "NAMESPACE", "-n"),
    "--context": Option("context of the kubeconfig; omitted: the current one", "CONTEXT"),
}
_JSON: Final = Option(
    "output format; json is for programs", "FORMAT", "-o", ("text", "json"), settings={"default": "text"}
)
COMMANDS: Final[Mapping[str, Command]] = {
    "plan": Command(
        "check and plan QuantizedModels and EngineBuilds without a cluster",
        "Checks documents with the operator's own rules, and prints the plan: GPU memory by item, the reasons, and "
        "what else would fit. Exit code: 0 accepted, 1 refused, 2 wrong arguments or unreadable input.",
        {
            "--filename": Option("YAML or JSON file, - for standard input; may be repeated", "FILE", "-f", many=True),
            "--model": Option(
                "directory or config.json of the model; [KIND/][NAMESPACE/]NAME=PATH for one document; omitted: read "
                "from the hub (HF_ENDPOINT, HF_TOKEN or hf auth login)",
                "[NAME=]PATH",
                many=True,
            ),
            "--gpus": Option(
                "GPUs to plan on: NODESxCOUNTxPRODUCT, such as 2x8xNVIDIA-H100-80GB-HBM3", "GPUS", many=True
            ),
            "--inventory": Option(
                "file with the output of kubectl get nodes --output=json; - for standard input", "FILE"
            ),
            "--cluster": Option("plan on the nodes of the current cluster, and read QuantizedModels from it"),
            "--output": Option("output format", "FORMAT", "-o", ("text", "json", "yaml"), settings={"default": "text"}),
            "--strict": Option("exit with 1 for a warning as well"),
            **_CLUSTER,
        },
    ),
    "diagnose": Command(
        "find the cause of a failure in a log or in pods",
        "Prints the earliest root cause in a log of any size, or the cause why a pod failed or cannot start. Exit "
        "code: 0 certain or likely cause found, 1 none found, 2 unreadable input.",
        {
            "--exit-code": Option("exit code of the process, if it is known", "N", settings={"type": int}),
            "--output": _JSON,
        },
        ("logfile", "text or .gz file, or the output of kubectl get pods,events -o yaml; - for standard input"),
    ),
    "report": Command(
        "print the measurements of the quality gate",
        "Prints the quality table of a QuantizedModel, or of the QuantizedModel that an EngineBuild refers to.",
        {"--html": Option("also write the report as an HTML page", "FILE"), "--output": _JSON, **_CLUSTER},
        ("resource", "qm/NAME or eb/NAME"),
        resource=("qm", "eb"),
    ),
    "status": Command(
        "watch a resource until it is Ready or Stalled",
        "Shows stage, progress and conditions. Exit code: 0 Ready, 1 Stalled, 2 unreadable input, 3 neither yet "
        "(--once, --timeout).",
        {
            "--once": Option("print the state once and exit"),
            "--timeout": Option("exit with 3 after this many seconds", "SECONDS", settings={"type": float}),
            "--interval": Option("seconds between two polls", "SECONDS", settings={"type": float, "default": 2.0}),
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
