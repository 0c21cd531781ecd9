"""Failures of input files and volumes: D3 to D12 of docs/failures.md, and their relatives."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Tier
from trtllm_diagnosis.model import Certainty

_DAMAGED: Final = ("corrupt", "truncated", "damaged")

DOWNLOAD: Final = (
    Entry(
        "D3",
        Reason.SOURCE_CORRUPT,
        "Git-LFS pointer, truncated or damaged file",
        (
            Pattern("headertoolarge"),
            Pattern("header too large"),
            Pattern("headertoosmall"),
            Pattern("header too small"),
            Pattern("metadataincompletebuffer"),
            Pattern("incomplete metadata, file not fully covered"),
            Pattern("invalidheader", r"InvalidHeader(?:Deserialization|Length|Start)?"),
            Pattern("error while deserializing header"),
            Pattern("invalid header or archive is corrupted"),
            Pattern("invalid load key", r"invalid load key, '(?P<key>.{1,6})'"),
            Pattern("pytorchstreamreader failed", r"PytorchStreamReader failed (?:reading|locating|finding)"),
            Pattern("git-lfs.github.com/spec"),
            Pattern("git-lfs installed", r"cloned a repository without having git-lfs installed"),
            Pattern("smudge", r"Smudge error|smudge filter lfs failed"),
            Pattern("consistency check failed", r"Consistency check failed"),
            Pattern("file might be corrupted"),
            Pattern("is not a zip file", r"File is not a zip file|BadZipFile"),
            Pattern("mismatch", r"(?:checksum|sha256|md5|hash|digest|etag)\b.{0,30}mismatch"),
            Pattern(
                "sha256",
                r"(?:sha256|checksum|digest|hash)\b.{0,80}(?:does not match|doesn't match|differs?"
                r"|expected \S+ but|!=|damaged|wrong)"
                r"|(?:invalid|wrong|bad|unexpected) (?:sha256|checksum|digest|hash)\b",
            ),
            Pattern(
                "checksum",
                r"checksum\b.{0,80}(?:does not match|doesn't match|differs?|expected \S+ but|!=|wrong|fail)"
                r"|(?:invalid|wrong|bad|unexpected) checksum\b",
            ),
            *(
                Pattern(
                    word,
                    r"^(?!.*\bengine).*?(?:file|shard|checkpoint|safetensors|weights?|header|archive|download\w*)\b"
                    rf".{{0,60}}\b(?:is |are |was |seems? |may be |looks )(?:to be )?{word}(?:ed)?\b",
                )
                for word in _DAMAGED
            ),
            *(
                Pattern(
                    word,
                    rf"{word}(?:ed)? (?:\w+ ){{0,2}}(?:file|shard|checkpoint|safetensors|weights?|header|archive)\b",
                )
                for word in _DAMAGED
            ),
            Pattern("ran out of input", r"EOFError: Ran out of input"),
            Pattern("unable to load weights from", r"Unable to load weights from \S+ checkpoint file"),
            Pattern("error while deserializing"),
        ),
        "A weight file is a Git-LFS pointer, truncated or damaged.",
        "Download it again (git lfs pull, or the hub client) and compare its size with the hub's.",
    ),
    Entry(
        "D4",
        Reason.STORAGE_FULL,
        "a volume is full",
        (
            Pattern(
                "no space left on device",
                r"^(?!.*(?:/dev/shm|</torch_|shared memory|posix_fallocate|NCCL|extract layer|"
                r"pull image|unpack image)).*No "
                r"space left on device(?:: '(?P<path>[^']+)')?",
            ),
            Pattern("disk quota exceeded"),
            Pattern("enospc", r"\bENOSPC\b"),
            Pattern("not enough free disk space"),
            Pattern("storagefull", r"StorageFull"),
            Pattern("pytorchstreamwriter failed writing", certainty=Certainty.LIKELY),
        ),
        "The volume is full[[ (writing {path})]].",
        "Give storage a claim larger than source + checkpoint + engine, with 10 % to spare.",
    ),
    Entry(
        "D5",
        Reason.EPHEMERAL_STORAGE_FULL,
        "the node's own disk is full",
        (
            Pattern("low on resource: ephemeral-storage"),
            Pattern("ephemeral storage", r"exceed\w* its (?:local )?ephemeral storage(?: limit \"(?P<limit>\w+)\")?"),
            Pattern(
                "ephemeral local storage usage exceeds",
                r"ephemeral local storage usage exceeds(?:\D{0,80}(?P<limit>\d{1,12}\w{0,2}))?",
            ),
            Pattern("diskpressure", r"had condition:? \[?DiskPressure"),
            Pattern(
                "ephemeral-storage",
                r"(?:low on|out of|short of)\b.{0,20}ephemeral-storage|exceed\w* its ephemeral-storage"
                r"|ephemeral-storage.{0,40}exceed",
            ),
            Pattern(
                "usage of emptydir volume",
                r"Usage of EmptyDir volume \"(?P<volume>[^\"]+)\" exceeds the limit \"(?P<limit>[^\"]+)\"",
            ),
        ),
        "The pod filled the node's disk[[ (limit {limit})]][[, volume {volume}]].",
        "Put downloads and caches on a persistent volume instead of the container's file system.",
    ),
    Entry(
        "D6p",
        Reason.PERMISSION_DENIED,
        "a cache inside the image's Python packages",
        (
            Pattern(
                "-packages/", r"Permission denied:? ['\"\[]?(?P<path>/[^'\"]{0,100}(?:site|dist)-packages/[^'\"\]]*)"
            ),
            Pattern(
                "-packages/", r"(?P<path>/[^\s:'\"]{0,100}(?:site|dist)-packages/[^\s:'\"]*)['\"]?: Permission denied"
            ),
        ),
        "The process may not write into the image's Python packages, {path}.",
        "Run as the image's own user or as group 0 (podTemplate.securityContext), or move that cache to a writable "
        "volume (FLASHINFER_WORKSPACE_BASE, FLASHINFER_CUBIN_DIR); HOME does not move it.",
    ),
    Entry(
        "D6",
        Reason.PERMISSION_DENIED,
        "no writable HOME or cache directory",
        (
            Pattern("permission denied: '", r"Permission denied: '(?P<path>/[^']*)'"),
            Pattern('permission denied: "', r'Permission denied: "(?P<path>/[^"]*)"'),
            Pattern(": permission denied", r"(?<![^\s:'\"=(\[])(?P<path>/[^\s:'\"]*)['\"]?: Permission denied"),
            Pattern("read-only file system", r"Read-only file system(?:: '(?P<path>[^']+)')?"),
            Pattern(
                "operation not permitted", r"^\W*PermissionError: .*Operation not permitted(?:: '(?P<path>[^']+)')?"
            ),
            Pattern("getpwuid", r"getpwuid\(\): uid not found: (?P<path>\d+)"),
            Pattern("eacces", r"\bEACCES\b"),
            Pattern("permissionerror at", r"PermissionError at (?P<path>/\S+)"),
            Pattern("when trying to write in your cache folder", r"write in your cache folder \((?P<path>[^)]+)\)"),
            Pattern("permission denied [", r"Permission denied \[(?P<path>/[^\]]*)\]"),
            Pattern("permission denied:", r"^\W*PermissionError: .{0,20}Permission denied:?\W*$"),
        ),
        "The process may not write[[ {path}]].",
        "Set HOME, HF_HOME and TRITON_CACHE_DIR to a writable volume, and fsGroup to the group that owns it.",
    ),
    Entry(
        "D7",
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        "the image's transformers is older than the model",
        (
            Pattern(
                "transformers does not recognize",
                r"(?:model type [`'\"]?(?P<type>[\w.-]{1,60}+)[`'\"]?.{0,120}?)?Transformers does not recognize",
            ),
            Pattern(
                "does not recognize this architecture",
                r"(?:model type [`'\"]?(?P<type>[\w.-]{1,60}+)[`'\"]?.{0,120}?)?does not recognize this architecture",
            ),
            Pattern(
                "keyerror: '", r"^\W*KeyError: '(?P<type>[\w.-]+)'", within=r"CONFIG_MAPPING|configuration_auto\.py"
            ),
            Pattern("unrecognized model in", r"Unrecognized model in (?P<path>\S+)", certainty=Certainty.LIKELY),
            Pattern(
                "unrecognized configuration class",
                r"Unrecognized configuration class (?!.*AutoTokenizer)<class '(?:[\w.]+\.)?(?P<type>\w+)'>",
            ),
            Pattern(
                "keyerror: '",
                r"^\W*KeyError: '(?P<type>(?-i:(?:baichuan|chatglm|cohere|dbrx|deepseek|ernie|exaone|falcon|gemma|glm"
                r"|gpt_oss|granite|hunyuan"
                r"|internlm|internvl|kimi|llama|llava|minicpm|minimax|mistral|ministral|mixtral|mllama|nemotron"
                r"|olmo|phi\d?|pixtral|qwen"
                r"|seed_oss|smollm|starcoder|step)\d?[\w.]*(?<!weight)(?<!bias)))'$",
                certainty=Certainty.LIKELY,
            ),
        ),
        "The image's transformers does not know this model[[ (type {type})]].",
        "Use a newer runtime image, or a model that this one knows.",
    ),
    Entry(
        "D8",
        Reason.CUSTOM_CODE_NOT_TRUSTED,
        "the model brings its own code",
        (
            Pattern("custom code", r"(?:contain|referenc)\w* custom code.*must be executed"),
            Pattern(
                "trust_remote_code",
                r"(?:argument|option|set|pass|use|add|with|requires?|need\w*)\W{1,4}"
                r"(?:the )?(?:argument |option )?[`'\"]?(?:--)?trust_remote_code"
                r"(?:[`'\"]? to |=)[`'\"]?True",
            ),
            Pattern("requires you to execute", r"requires you to execute the \w+ (?:file|script)"),
            Pattern("run custom code", r"Do you wish to run the custom code|allow custom code to be run"),
            Pattern(
                "trust_remote_code",
                r"(?:requires?|needs?|must (?:be set|set|pass|enable)|please (?:set|pass|enable"
                r"|use))\b.{0,30}trust_remote_code",
            ),
        ),
        "The model runs Python code of its own and that was not allowed.",
        "Read the code, then set trustRemoteCode: true with a pinned revision.",
    ),
    Entry(
        "D10",
        Reason.TOKENIZER_UNUSABLE,
        "the tokenizer is custom or missing",
        (
            Pattern(
                "tokenizer class", r"Tokenizer class [`'\"]?(?P<cls>[\w.]+)[`'\"]? (?:does not exist|is not|not found)"
            ),
            Pattern("load tokenizer for", r"Can(?:'|no)t load tokenizer for '(?P<cls>[^']+)'"),
            Pattern("instantiate the backend tokenizer"),
            Pattern("unable to load vocabulary from file"),
            Pattern(
                "tokenizer",
                r"tokenizer\b.{0,30}(?:cannot|can't|could not|couldn't|failed to) (?:be )?(?:instantiat|load"
                r"|convert|pars|initializ)"
                r"|(?:cannot|can't|could not|couldn't|failed to|unable to|error) (?:instantiat|load|convert"
                r"|pars|initializ)\w*"
                r"(?: the| a| slow| fast)* tokenizer\b(?! for ')",
            ),
            Pattern("tiktoken", r"Converting from .{0,40}tiktoken.{0,10}failed"),
            Pattern(
                "data did not match any variant of untagged enum",
                r"untagged enum (?:ModelWrapper|PyPreTokenizerTypeWrapper)",
            ),
            Pattern("to build an autotokenizer"),
            Pattern("not a string", r"TypeError: not a string", within=r"sentencepiece|tokeniz"),
        ),
        "The tokenizer cannot be loaded[[ ({cls})]].",
        "Copy the tokenizer's files beside the weights, allow its code with trustRemoteCode, or use a newer image.",
    ),
    Entry(
        "D11",
        Reason.CHAT_TEMPLATE_MISSING,
        "a base model is asked to chat",
        (
            Pattern("chat_template is not set", r"(?:tokenizer\.)?chat_template is not set"),
            Pattern(
                "chat template",
                r"(?:does not (?:have|include|contain|define)|has no|no|without|missing) (?:a |any "
                r")?(?:default )?chat template(?! (?:flag|option|argument))",
            ),
            Pattern("no template argument was passed"),
            Pattern(
                "chat template",
                r"chat template\b.{0,60}(?:no longer allowed|not (?:set|found|defined|provided|available)\b|is"
                r" (?:missing|None))"
                r"|(?:must|need to|please|should) (?:provide|set|supply|pass) (?:a |the )?chat template",
            ),
            Pattern("template error: template not found"),
            Pattern("default chat template is no longer"),
        ),
        "The tokenizer has no chat template, so the chat endpoint cannot answer.",
        "Use the instruction-tuned model, pass a chat template, or call /v1/completions.",
    ),
    Entry(
        "D12",
        Reason.SOURCE_INCOMPLETE,
        "no or ambiguous weight files",
        (
            Pattern(
                "could not find any",
                r"Could not find any .{0,40}(?:safetensors|bin|weight).{0,40}(?:in:? '?(?P<path>/?[^\s']+))?",
            ),
            Pattern("multiple safetensors files in", r"multiple safetensors files in:? ?'?(?P<path>[^\s']+)?"),
            Pattern("does not appear to have", r"(?<!\S)(?P<path>\S+) does not appear to have (?:a )?files? named"),
            Pattern(
                "error no file named",
                r"Error no file named (?P<file>[^\s,]{1,120}+)(?:.*?in directory (?P<path>\S+?)\.?$)?",
            ),
            Pattern(
                "no safetensors",
                r"(?:found no|there are no|no) \.?safetensors (?:weights "
                r"|weight |checkpoint |model )?(?:files? )?(?:found|were "
                r"found|in|under)",
            ),
            Pattern("no .safetensors", r"no \.safetensors (?:or \.bin )?files?"),
            Pattern("can't load the configuration of", r"Can't load the configuration of '(?P<path>[^']+)'"),
            Pattern(
                "files found",
                r"\bno (?:model |checkpoint )?weights? files? found(?: (?:in|under|at) (?P<path>/[^\s'`\"]+))?",
            ),
            Pattern("model weights with", r"Cannot find any model weights with [`'\"]?(?P<path>[^\s`'\"]+)"),
            Pattern(
                "is not a folder containing",
                r"(?<!\S)(?P<path>\S+) is not a folder containing a .{0,40}(?:index\.json|model\.bin|safetensors)",
            ),
            Pattern(
                "checkpoint files in", r"(?:could not find|cannot find|no) (?:any )?checkpoint files in (?P<path>\S+)"
            ),
            Pattern(
                "safetensors",
                r"\bno \S{0,3}safetensors (?:file|weight)s? (?:was |were |is |are )?(?:found|present)(?: (?:in"
                r"|under|at) (?P<path>/\S+))?",
            ),
            Pattern("safetensors", r"\bno safetensors\b[^/]{0,40}\b(?:in|under|at) (?P<path>/\S+)"),
            Pattern(
                "safetensors",
                r"\bneither \S*(?:safetensors|\.bin)\b.{0,80}\bnor\b(?:.{0,60}\b(?:in|under|at) (?P<path>/\S+))?",
            ),
            Pattern(
                "safetensors",
                r"(?:(?<!\S)(?P<path>/\S+) )?(?:does not|doesn't|do not) (?:contain|have"
                r"|hold) (?:any )?\W{0,3}(?:weights|safetensors)",
            ),
        ),
        "The model directory[[ {path}]] has no weight files that this loader takes[[ (wanted {file})]].",
        "Point at the directory with config.json and one set of .safetensors files; GGUF or mixed shards do not load.",
    ),
    Entry(
        "X3",
        Reason.FILE_NOT_FOUND,
        "some file is missing",
        (
            Pattern(
                "no such file or directory: ",
                r"No such file or directory: (?:Posix)?(?:Path)?\(?['\"](?P<path>[^'\"]+)['\"]",
            ),
            Pattern(
                "does not exist",
                r"\b(?:path|directory|folder|file)\b.{0,20}does not exist\W{1,3}(?P<path>/?[\w./-]+)",
            ),
            Pattern("failed to open", r"failed to open (?:file )?['\"](?P<path>/[^'\"]+)['\"]"),
            Pattern(
                "filenotfounderror",
                r"^\W*FileNotFoundError: (?!.*(?:data ?set|calib|safetensors|weights|tokenizer))(?P<path>.{1,120})",
            ),
            Pattern("notadirectoryerror", r"^\W*NotADirectoryError: (?P<path>.{1,120})"),
        ),
        "A file is missing[[: {path}]].",
        "Check the path and that the volume with it is mounted; an earlier stage may not have written it.",
        tier=Tier.VAGUE,
    ),
    Entry(
        "X4",
        Reason.SOURCE_CORRUPT,
        "a JSON file of the model is damaged",
        (
            Pattern("parse_error.101", r"json\.exception\.parse_error\.101"),
            Pattern("jsondecodeerror", within=r"config|tokenizer|index\.json|from_pretrained"),
            Pattern("is not a valid json file", r"config file at '?(?P<path>[^\s']+)'? is not a valid JSON file"),
        ),
        "A JSON file of the model cannot be parsed[[: {path}]].",
        "Download it again; an empty file or a Git-LFS pointer is the usual culprit.",
        certainty=Certainty.LIKELY,
    ),
)
