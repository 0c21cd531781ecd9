"""Shell completion: scripts for bash, zsh and fish that run `trtllm __complete`, and its candidates."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from trtllm_cli.options import COMMANDS, Command
from trtllm_cli.problem import Unreadable

SCRIPTS: Final = {
    "bash": """\
# bash: source <(trtllm completion bash)
_trtllm() {
    local IFS=$'\\n'
    COMPREPLY=($(trtllm __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _trtllm trtllm
""",
    "zsh": """\
#compdef trtllm
# zsh: source <(trtllm completion zsh), after compinit
_trtllm() {
    local -a found
    found=("${(@f)$(trtllm __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then compadd -a found; else _files; fi
}
compdef _trtllm trtllm
""",
    "fish": """\
# fish: trtllm completion fish | source
complete -c trtllm -a '(trtllm __complete (commandline -opc)[2..] (commandline -ct))'
""",
}
_FILES: Final = 0
_NO_FILES: Final = 4
"""Directives of kubectl's completion: offer file names, or do not."""


def candidates(words: Sequence[str]) -> list[str]:
    """Completions of the last word; none if it is a file name."""
    *before, word = words or [""]
    command = next((COMMANDS[item] for item in before if item in COMMANDS), None)
    if command is None:
        return _matching([*COMMANDS, "--help", "--version"], word)
    option = command.options.get(before[-1]) if before else None
    if option is not None and option.takes:
        return _matching(option.choices, word)
    if word.startswith("-"):
        return _matching([*command.options, "--help"], word)
    return _matching(command.choices or (_resources(command, before) if command.resource else ()), word)


def for_kubectl() -> int:
    """Entry point of `kubectl_complete-trtllm`, which kubectl runs: candidates, and a directive for file names."""
    found = candidates(sys.argv[1:])
    print(*found, f":{_NO_FILES if found else _FILES}", sep="\n")
    return 0


def _matching(known: Sequence[str], word: str) -> list[str]:
    return [item for item in known if item.startswith(word)]


def _resources(command: Command, before: Sequence[str]) -> list[str]:
    """qm/NAME and eb/NAME in the namespace of the options."""
    from trtllm_cli.kubectl import Cluster  # imported late: completion must be fast

    given = dict(pairwise(before))
    namespace = given.get("-n") or given.get("--namespace")
    found = []
    for short in command.resource:
        try:
            items = Cluster(namespace, given.get("--context")).get(short).get("items") or []
        except Unreadable:
            continue
        found += [f"{short}/{item['metadata']['name']}" for item in items]
    return found
