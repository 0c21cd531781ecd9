"""What an error that no entry of the catalogue knows is about, by its words alone; scan.py asks last.

An entry names a failure; a hint names its kind, and says that it is inferred.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from trtllm_api.diagnosis.entry import diagnosis
from trtllm_api.diagnosis.model import Certainty, Diagnosis, shorten
from trtllm_api.diagnosis.reasons import DiagnosisReason as Reason

_PATHS: Final = re.compile(r"(?:[A-Za-z]:)?(?<![\w.*])/(?!dev/shm)[\w.+@-]+(?:/[\w.+@-]+)+(?::\d+)?|\b0x[0-9a-f]+\b")
"""Files and addresses: their names say where, not why."""
_BARE: Final = re.compile(r"^[\w.]*(?:Error|Exception|Failure)?:?\s*$")
"""An exception without a message: only the line that raised it tells."""
_BUG: Final = re.compile(
    r"^[\w.]*(?:TypeError|AttributeError|IndexError|UnboundLocalError|NameError)\b|values? to unpack|index out of range"
)
"""What any mistake in a program says; its words name variables, not causes."""
_REFUSES: Final = (
    r"(?:not (?:yet )?(?:be )?(?:support|implement|allow|recogni)|unsupport|unknown|unrecogni|invalid|cannot)"
)


@dataclass(frozen=True)
class Hint:
    """A kind of failure, and the words that all have to be in the error."""

    reason: Reason
    about: str
    """Ends the sentence "the error is about"."""
    words: tuple[str, ...]
    """Expressions; case is ignored."""
    remedy: str

    @cached_property
    def expressions(self) -> tuple[re.Pattern[str], ...]:
        """The compiled words."""
        return tuple(re.compile(word, re.IGNORECASE) for word in self.words)


HINTS: Final = (
    Hint(
        Reason.SHARED_MEMORY_TOO_SMALL,
        "shared memory between the ranks",
        (r"\bdev/shm|shared memory (?:segment|object)|\bshm_open",),
        "Mount a memory-backed emptyDir at /dev/shm; Kubernetes gives 64 MB by default.",
    ),
    Hint(
        Reason.HOST_OUT_OF_MEMORY,
        "the host's memory",
        (
            r"\b(?:host|cpu|ram|cgroup|pinned)\b",
            (
                r"out of memory|memory.{0,30}(?:exhaust|exceed|insufficient|limit)|(?:insufficient"
                r"|not enough)\b.{0,30}\bmemory"
            ),
        ),
        "Raise podTemplate.resources.limits.memory.",
    ),
    Hint(
        Reason.GPU_OUT_OF_MEMORY,
        "GPU memory",
        (
            (
                r"out of memory|\boom\b|memory on device.{0,60}less than|gpu memory.{0,40}(?:exceed|less than)"
                r"|(?:insufficient|not enough|too little)\b.{0,30}\bmemory"
                r"|\b(?:and|device|tensors?) '?meta\b|\bmeta (?:device|tensor)"
            ),
        ),
        "Lower batch, tokens or sequence length, raise the parallelism, or quantize further.",
    ),
    Hint(
        Reason.KV_CACHE_TOO_SMALL,
        "the size of the KV cache",
        (r"\bkv[ _]?cache", r"\b(?:fit|small|enough|insufficient|free|exhaust\w*|large|capacity)\b"),
        "Lower max_seq_len, or raise the KV cache's memory fraction.",
    ),
    Hint(
        Reason.DRIVER_TOO_OLD,
        "the node's driver",
        (
            r"\bdriver\b",
            r"too old|newer|older|version|insufficient|requires?|update|needs?",
        ),
        "Update the driver, or use an older image.",
    ),
    Hint(
        Reason.NO_GPU,
        "a GPU that is not there",
        (r"\bno (?:\w+ )?gpus?\b|no cuda|cuda (?:is )?(?:not available|unavailable)|without a gpu|libcuda|nvml",),
        "Ask for nvidia.com/gpu in the pod, and check the device plugin of the node.",
    ),
    Hint(
        Reason.QUANTIZATION_UNSUPPORTED,
        "a quantization that this program does not have",
        (
            r"qformat|quant_algo|quant(?:ization)?[_ ](?:format|algo\w*|method|mode|type)",
            _REFUSES,
        ),
        "Use one method of the documented list.",
    ),
    Hint(
        Reason.CHAT_TEMPLATE_MISSING,
        "the chat template",
        (r"chat[ _]template",),
        "Use the instruction-tuned model, pass a chat template, or call /v1/completions.",
    ),
    Hint(
        Reason.ROPE_SCALING,
        "the rotary embedding's scaling",
        (r"\b(?:rope|rotary|yarn)(?:\b|_)", r"scal|type|factor|theta"),
        "Use a newer image, and check rope_scaling in config.json.",
    ),
    Hint(
        Reason.EXPERTS_NOT_DIVISIBLE,
        "experts and expert parallelism",
        (r"experts?(?:\b|_)", r"divi[sd]|multiple|evenly|%|ep_size|expert parallel"),
        "Use an expert parallelism that divides the experts.",
    ),
    Hint(
        Reason.HEADS_NOT_DIVISIBLE,
        "attention heads and tensor parallelism",
        (r"(?:\b|_)heads(?:\b|_)|k/v", r"divi[sd]|multiple|evenly|%|\btp|_tp|tensor[ _]parallel|world|gpus|ranks?\b"),
        "Use a tensor parallelism that divides the heads: `trtllm plan` names the valid ones.",
    ),
    Hint(
        Reason.SHARD_NOT_ALIGNED,
        "sizes that do not divide",
        (
            (
                r"divi[sd](?:ib|e\b)|multiple of|not aligned|alignment|\w % \w*(?:tp|world|group|block|size)"
                r"|% (?:self\.)?\w*(?:tp|world|group|block)"
            ),
        ),
        "Try a smaller tensor parallelism, or a group size that divides the weight.",
    ),
    Hint(
        Reason.GPU_UNSUPPORTED,
        "the GPU's generation",
        (
            (
                r"\bsm_?\d\d|\bsm (?:version|\d)|compute capab|cuda arch|\bgpu arch|hopper|ampere|blackwell|turing"
                r"|volta|\bada\b|cutlass|\b(?:nv|mx)?fp[48]\b"
            ),
            rf"{_REFUSES}|requires?\b|\bonly\b|no kernel|not found|missing",
        ),
        "Use a GPU that has it, or an algorithm that this one runs: `trtllm plan` lists them.",
    ),
    Hint(
        Reason.CALIBRATION_FAILED,
        "ranges that calibration should have given",
        (r"\bamax\b|_amax|calibrat(?:or|ed|ion)\b", r"nan\b|inf\b|none\b|missing|not |no |negative|zero"),
        "Use more and more varied calibration samples, and exclude the modules that stay without data.",
    ),
    Hint(
        Reason.CALIBRATION_DATA,
        "the calibration data",
        (r"data ?sets?\b|calib\w*[ _]data",),
        "Name its configuration and split, or mount a directory with a `train` split that has a `text` column.",
    ),
    Hint(
        Reason.BIND_FAILED,
        "the server's address",
        (
            r"\bport\b|listen|\bbind(?:ing)?\b|\baddress\b",
            r"in use|refused|denied|already|cannot|could not",
        ),
        "Pass --host 0.0.0.0 and a port that nothing else uses.",
    ),
    Hint(
        Reason.STORAGE_FULL,
        "a full volume",
        (
            r"\b(?:disk|volume|storage|space|quota)\b",
            r"\bfull\b|no space|space left|not enough|insufficient|exceed|exhaust",
        ),
        "Give storage a larger claim.",
    ),
    Hint(
        Reason.PERMISSION_DENIED,
        "rights on a file",
        (r"permission denied|not permitted|read-only|not writable|cannot write",),
        "Set HOME, HF_HOME and TRITON_CACHE_DIR to a writable volume.",
    ),
    Hint(
        Reason.ACCESS_DENIED,
        "the hub's or store's refusal",
        (r"\b40[13]\b|unauthori[sz]ed|forbidden|access denied|\bgated\b",),
        "Give a Secret with a token that can read it, and accept the licence with that account.",
    ),
    Hint(
        Reason.HUB_UNREACHABLE,
        "the way to the hub",
        (
            r"https?://|hugging ?face|\bhub\b|endpoint|modelscope",
            r"connect|reach|timed? ?out|resolve|offline|ssl|certificate|download|retries",
        ),
        "Check DNS, proxy and NetworkPolicy, or mount the files.",
    ),
    Hint(
        Reason.TOKENIZER,
        "the tokenizer",
        (r"tokenizer|sentencepiece|tiktoken|pad[ _]token|vocab(?:ulary)?[ _]file",),
        "Copy the tokenizer's files beside the weights, or use a newer image.",
    ),
    Hint(
        Reason.ENGINE_INCOMPATIBLE,
        "an engine of another version, GPU or build",
        (
            r"\bengines?\b|\bplan file",
            r"deseriali|version|incompatib|mismatch|not the same|corrupt|magic|rebuil|cannot be (?:read|loaded)",
        ),
        "Build it again with the image and GPU that serve it.",
    ),
    Hint(
        Reason.WORLD_SIZE_MISMATCH,
        "the number of processes",
        (
            r"world[ _]?size|mpi ?size|\bn_workers|number of (?:ranks|processes|workers)|\bpp_size|\btp_size",
            r"equal|match|expect|!=|==|differ",
        ),
        "Start tp x pp x cp processes, and convert for as many.",
    ),
    Hint(
        Reason.TOO_FEW_GPUS,
        "the number of GPUs",
        (r"\b(?:gpus|devices)\b", r"available|visible|enough|exceed|at least|fewer|more than|requires? \d"),
        "Ask for as many GPUs as ranks in one pod, or lower the parallelism.",
    ),
    Hint(
        Reason.CHECKPOINT_FORMAT,
        "a quantized checkpoint that this program does not load",
        (r"\b(?:auto)?(?:awq|gptq)|bitsandbytes|compressed.tensors|gguf|qweight|qzeros|quant_method",),
        "Quantize the BF16 original with this operator.",
    ),
    Hint(
        Reason.QUANTIZATION_UNSUPPORTED,
        "a quantization that this program does not have",
        (r"quanti[sz]|quant_|qformat|smooth ?quant|weight.only", _REFUSES),
        "Use one method of the documented list.",
    ),
    Hint(
        Reason.UNSUPPORTED_ARCHITECTURE,
        "a model architecture that this program does not have",
        (
            (
                r"architecture|model[ _](?:type|class|arch)|unsupported (?!data|memory)\w+ type\b|\w+For[A-Z]\w+"
                r"|decoder type|\bmodel\b"
            ),
            rf"{_REFUSES}|no implementation|not found|not registered",
        ),
        "Use a newer image, or a model of its table.",
    ),
    Hint(
        Reason.REQUEST_TOO_LONG,
        "the length of a request",
        (
            (
                r"(?:input|prompt|sequence|context|request|output)\w*[ _](?:len|length|tokens?)|max_\w*(?:len|tokens)"
                r"|max new tokens"
            ),
            r"exceed|longer|larger|greater|less than|too (?:long|large|big)|beyond|<=",
        ),
        "Send shorter requests, or raise max_seq_len and max_num_tokens as far as the model allows.",
    ),
    Hint(
        Reason.CHECKPOINT_MISMATCH,
        "weights that are not those which the program expects",
        (
            r"\bweights?\b|\bcheckpoint|state_dict|tensor names|\bshapes?\b|\bparameter '|\.(?:weight|bias)\b",
            (
                r"mismatch|missing|unexpected|not found|(?:not|n't) (?:match|initialized|find)|shape|expected"
                r"|invalid for|keyerror|error '"
            ),
        ),
        "Use the same version and options for convert, build and serve, or a newer image.",
    ),
    Hint(
        Reason.LAUNCH_FAILED,
        "starting the ranks",
        (r"\bmpirun|\bprterun|\borte|\bprte|\bpmix|\bopal_|\bssh\b|\bslurm",),
        "Check that every pod of the group runs and reaches the leader.",
    ),
    Hint(
        Reason.COMMUNICATION_FAILED,
        "the connection between ranks",
        (r"nccl|\bmpi\b|all_?reduce|all_?gather|rendezvous|\bgloo|\bucx|nvshmem|infiniband|\bpeer\b",),
        "Look for the first rank that stopped; check the network between nodes.",
    ),
    Hint(
        Reason.INVALID_OPTIONS,
        "options that do not go together",
        (
            (
                r"draft|lora|beam|eagle|medusa|speculat|plugin|profile|option|argument|--\w|max_batch|\bconfig\b|yaml"
                r"|parameter"
            ),
            (
                r"must|should|conflict|exclusive|incompatib|not allowed|require|need|greater|larger|exceed|smaller"
                r"|unknown|only|max_\w|not set|disabled|enabled"
            ),
        ),
        "Change the option that it names, in the build or in the serving configuration.",
    ),
    Hint(
        Reason.GPU_FAULT,
        "a kernel on the GPU",
        (
            (
                r"cuda(?:[_ ]\w+)?[_ ]?error|cublas|cudnn|\bkernels?\b.{0,40}\b(?:fail|launch|error)"
                r"|\bgemm\b.{0,40}\b(?:fail|error)|triton error"
            ),
        ),
        "Run again with CUDA_LAUNCH_BLOCKING=1 to see which kernel, and try a newer image.",
    ),
    Hint(
        Reason.BUILD_FAILED,
        "a network that TensorRT does not build",
        (
            (
                r"Error Code \d|\bbuilder\b|buildSerializedNetwork|\btactics?\b|network (?:must|is|has)"
                r"|build(?:ing)? (?:the )?engine"
            ),
        ),
        "Read its line in the log; a newer image, smaller limits or the PyTorch runtime usually help.",
    ),
    Hint(
        Reason.FILE_NOT_FOUND,
        "a file that is not there",
        (
            (
                r"no such file|file not found|\b(?:file|directory|path|folder)\b.{0,40}(?:not exist|not found|missing"
                r"|n.t exist)|(?:cannot|could not|unable to) (?:find|open|read)"
            ),
        ),
        "Check the path, and that the volume with it is mounted.",
    ),
    Hint(
        Reason.WRONG_IMAGE,
        "a library or program that the image lacks",
        (
            r"import|module|librar|package|executable|\bcommand\b|\.so\b",
            r"not found|no module|missing|cannot open|not installed|n.t installed",
        ),
        "Use an image that has it.",
    ),
    Hint(
        Reason.VERSION_MISMATCH,
        "parts of different versions",
        (
            r"\bversions?\b",
            r"incompatib|mismatch|too (?:old|new)|differ|upgrade|newer|older",
        ),
        "Use an unmodified image, and one version for convert, build and serve.",
    ),
)
"""In the order in which they are asked: memory and division before what only names a part of the program."""


def hint(text: str, source: str, line: int) -> Diagnosis | None:
    """The kind of an unknown error; source is the line of the program that raised it, where a traceback has it."""
    if _BUG.search(text):
        return None
    words = _PATHS.sub(" ", f"{text}\n{source}" if _BARE.search(text) else text)
    for known in HINTS:
        if all(expression.search(words) for expression in known.expressions):
            message = f"the error is about {known.about}: {shorten(text, 300)}"
            found = diagnosis(
                f"like{known.reason.value}",
                known.reason,
                Certainty.LIKELY,
                message,
                known.remedy,
                evidence=text,
                line=line,
            )
            return replace(found, guessed=True)
    return None
