"""Kinds of failure of files, hub, checkpoints, ranks and options; asked after what a device cannot do."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.kinds.kind import REFUSES, Hint

SURROUNDINGS: Final = (
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
            r"\b(?:disk|volume|claim|storage|space|quota)\b|bytes (?:left|free)",
            r"\bfull\b|no space|space left|bytes (?:left|free)|not enough|insufficient|exceed|exhaust",
        ),
        "Give storage a larger claim.",
    ),
    Hint(
        Reason.PERMISSION_DENIED,
        "rights on a file",
        (r"permission denied|operation not permitted|read-only|not writable|cannot write",),
        "Set HOME, HF_HOME and TRITON_CACHE_DIR to a writable volume.",
    ),
    Hint(
        Reason.RATE_LIMITED,
        "too many requests",
        (r"\b429\b|too many requests|rate[- ]limit|throttl|requests? quota",),
        "Set a token, download once into a shared volume, and let replicas read it in offline mode.",
    ),
    Hint(
        Reason.CUSTOM_CODE_NOT_TRUSTED,
        "code that the model brings",
        (r"trust_remote_code|remote code|custom (?:modell?ing )?code",),
        "Read the code, then set trustRemoteCode: true with a pinned revision.",
    ),
    Hint(
        Reason.SOURCE_CORRUPT,
        "a damaged file",
        (
            r"\bfiles?\b|checkpoint|shard|safetensors|\bweights?\b|header|archive|download|checksum|sha256|pickle",
            (
                r"corrupt|damaged|truncated|\d (?:bytes|[kMG]i?B)\b.{0,40}(?:promise|expect|should|instead)"
                r"|checksum|sha256|incomplete|(?:unexpected|past the|beyond the) end|short read|cut short"
                r"|\blfs\b|bad magic"
            ),
        ),
        "Download it again (git lfs pull, or the hub client) and compare its size with the hub's.",
    ),
    Hint(
        Reason.SOURCE_ACCESS_DENIED,
        "the hub's or store's refusal",
        (
            (
                r"\b40[13]\b|unauthori[sz]ed|forbidden|access denied|\bgated\b|private repo|authenticat|\bapi key\b"
                r"|\btoken\b.{0,30}(?:invalid|expired|lacks|required|refused|permission)|grant\w* access"
            ),
        ),
        "Give a Secret with a token that can read it, and accept the licence with that account.",
    ),
    Hint(
        Reason.SOURCE_UNREACHABLE,
        "the way to the hub",
        (
            r"https?://|hugging ?face|\bhub\b|endpoint|modelscope",
            r"connect|reach|timed? ?out|resolve|offline|ssl|certificate|download|retries",
        ),
        "Check DNS, proxy and NetworkPolicy, or mount the files.",
    ),
    Hint(
        Reason.SOURCE_INCOMPLETE,
        "weights that are not there",
        (
            (
                r"\bonly gguf\b|\bno\b.{0,30}(?:weights?|safetensors|checkpoint|shards?|pytorch_model)\b"
                r"|(?:safetensors|\.bin|shard\w*)\b.{0,40}"
                r"\b(?:not in|missing from|absent)|(?:weights?|safetensors|shards?|checkpoint)"
                r" (?:files? )?(?:\w+ ){0,3}(?:not found|missing|empty)"
                r"|(?:not|n't) (?:contain|have|hold|find)\b.{0,30}(?:safetensors|weights?|\.bin\b|config\.json)"
            ),
            r"\bdirector|\bfolder|\bpath\b|\bfiles?\b|\.(?:bin|safetensors)\b",
        ),
        "Point at the directory with config.json and one set of .safetensors files.",
    ),
    Hint(
        Reason.TOKENIZER_UNUSABLE,
        "the tokenizer",
        (r"tokenizer|sentencepiece|tiktoken|pad[ _]token|vocab(?:ulary)?[ _]file",),
        "Copy the tokenizer's files beside the weights, or use a newer image.",
    ),
    Hint(
        Reason.WORLD_SIZE_MISMATCH,
        "the number of processes",
        (
            (
                r"world[ _]?size|mpi ?size|mpi ?world|\d (?:mpi )?ranks\b|\bn_workers|number of (?:\w+ )?(?:ranks"
                r"|processes|workers)|\d processes\b|\bprocesses\b.{0,40}\b(?:tp|pp|parallel)|\bpp_size|\btp_size"
            ),
            r"equal|match|expect|needs?|!=|==|differ|launched|started|but\b",
        ),
        "Start tp x pp x cp processes, and convert for as many.",
    ),
    Hint(
        Reason.TOO_FEW_GPUS,
        "the number of GPUs",
        (
            r"\b(?:gpus|devices)\b|same gpu|\bno gpu|device count",
            r"available|visible|enough|exceed|at least|fewer|more than|requires? \d|same gpu|\brank\b|requested",
        ),
        "Ask for as many GPUs as ranks in one pod, or lower the parallelism.",
    ),
    Hint(
        Reason.CHECKPOINT_NOT_SUPPORTED,
        "a quantized checkpoint that this program does not load",
        (
            r"\b(?:auto)?(?:awq|gptq)|bitsandbytes|compressed.tensors|gguf|qweight|qzeros|quant_method|hf_quant_config|quant_algo",
        ),
        "Quantize the BF16 original with this operator.",
    ),
    Hint(
        Reason.QUANTIZATION_NOT_SUPPORTED,
        "a quantization that this program does not have",
        (r"quanti[sz]|quant_|qformat|smooth ?quant|weight.only", REFUSES),
        "Use one method of the documented list.",
    ),
    Hint(
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        "a model that the image's transformers does not know",
        (
            r"\btransformers\b",
            r"model[_ ]type|CONFIG_MAPPING|recogni|upgrade|newer|too old|>=|\brequires? transformers",
        ),
        "Use a newer runtime image, or a model that this one knows.",
    ),
    Hint(
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        "a model architecture that this program does not have",
        (
            (
                r"architecture|model[ _](?:type|class|arch)|unsupported (?!data|memory)\w+ type\b|\wFor[A-Z]\w"
                r"|decoder type|\bmodel\b"
            ),
            rf"{REFUSES}|no (?:[\w-]+ ){{0,2}}(?:implementation|class)|no model\b|not found|not registered|not in\b",
        ),
        "Use a newer image, or a model of its table.",
    ),
    Hint(
        Reason.REQUEST_TOO_LONG,
        "the length of a request",
        (
            (
                r"(?:input|prompt|sequence|context|request|output)\w*[ _](?:len|length|tokens?)|max_\w*(?:len|tokens)"
                r"|(?:input|prompt|request)\b.{0,20}\b\d+ tokens|optimization profile"
                r"|max new tokens"
            ),
            r"exceed|longer|larger|greater|less than|too (?:long|large|big)|beyond|<=|\blimit\b|maximum|outside",
        ),
        "Send shorter requests, or raise max_seq_len and max_num_tokens as far as the model allows.",
    ),
    Hint(
        Reason.CHECKPOINT_MISMATCH,
        "weights that are not those which the program expects",
        (
            (
                r"\bweights?\b|\bcheckpoint|state_dict|tensor names|\btensors\b|\bshapes?\b|\bparameter '"
                r"|\.(?:weight|bias)\b"
            ),
            (
                r"mismatch|missing|unexpected|of size|not found|(?:not|n't) (?:match|initialized|find)|shape|expected"
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
        (
            (
                r"nccl|\bp2p\b|gpu \d+ can(?:not|'t) access|\bmpi\b|all_?reduce|all_?gather|rendezvous|\bgloo"
                r"|\bucx|nvshmem|infiniband|\bpeer\b"
            ),
        ),
        "Look for the first rank that stopped; check the network between nodes.",
    ),
    Hint(
        Reason.INVALID_OPTIONS,
        "options that do not go together",
        (
            (
                r"draft|lora|beam|batching|input_padding|eagle|medusa|speculat|plugin|profile|option|argument|--\w|max_batch|\bconfig\b|yaml"
                r"|parameter"
            ),
            (
                r"must|should|allows\b|conflict|contradict|exclusive|incompatib|not allowed|require|need"
                r"|greater|larger|exceed|smaller"
                r"|unknown|unexpected|only|max_\w|maximum|not set|not permitted|removed|no longer|exclude"
                r"|disabled|enabled"
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
        Reason.ENGINE_BUILD_FAILED,
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
                r"no such file|file ?not ?found|\b(?:file|directory|path|folder)\b.{0,40}(?:not exist|not found|missing"
                r"|n.t exist)|(?:cannot|could not|unable to) (?:find|open|read)"
            ),
        ),
        "Check the path, and that the volume with it is mounted.",
    ),
    Hint(
        Reason.IMAGE_MISMATCH,
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
