"""Failures of download and input: D1 to D12 of docs/failures.md, and their relatives."""

from __future__ import annotations

from typing import Final

from trtllm_api.diagnosis.entry import Entry, Pattern, Tier
from trtllm_api.diagnosis.model import Certainty
from trtllm_api.diagnosis.reasons import DiagnosisReason as Reason

_HUB = r"hugging ?face|hf\.co|hf_hub|hf-mirror|modelscope|https?://|HTTPS?Connection|urllib3|cdn-lfs"

ENTRIES: Final = (
    Entry(
        "D1",
        Reason.ACCESS_DENIED,
        "gated or private repository",
        (
            Pattern("gated dataset"),
            Pattern("gated repo", r"(?<!private or )gated repo(?:.{0,40}https?://[^/\s]+/(?P<model>[\w.-]+/[\w.-]+))?"),
            Pattern("gatedrepoerror", r"GatedRepoError(?!\w)"),
            Pattern("authorized list", r"(?:Access to (?:model|dataset) (?P<model>\S+).*)?not in the authorized list"),
            Pattern("is restricted", r"Access to (?:model|dataset) (?P<model>\S+) is restricted"),
            Pattern(
                "client error",
                r"\b(?P<status>401|403) Client Error(?:.*?https?://[^/\s]+/"
                r"(?:api/models/)?(?P<model>[\w.-]+/[\w.-]+))?",
            ),
            Pattern("http error 40", r"HTTP Error (?P<status>401|403)"),
            Pattern("invalid user token"),
            Pattern("invalid username or password", r"Invalid username or password"),
            Pattern("awaiting a review", r"awaiting a review from the repo authors"),
            Pattern("have access to it and be authenticated"),
            Pattern("when calling the", r"An error occurred \((?P<status>403|AccessDenied|InvalidAccessKeyId)\)"),
            Pattern("unable to locate credentials"),
        ),
        "The hub or store refuses access[[ to {model}]][[ ({status})]].",
        "Give a Secret with a token that can read it (401: no or invalid token) and accept the model's licence with "
        "that account (403).",
    ),
    Entry(
        "D2",
        Reason.RATE_LIMITED,
        "the hub refuses more requests",
        (
            Pattern("too many requests", r"429\b.{0,60}Too Many Requests|Too Many Requests.{0,40}(?:url|429)"),
            Pattern("429", r"(?:HTTP ?Error|status(?:[ _]code)?|response)\D{0,12}429\b"),
            Pattern("rate limit", r"(?:we had to rate limit|rate limit(?:ed)? (?:exceeded|reached|your IP))"),
            Pattern("slowdown", r"\(SlowDown\) when calling"),
        ),
        "The hub answers 429 Too Many Requests.",
        "Set a token, download once into a shared volume, and let replicas read it in offline mode.",
    ),
    Entry(
        "D3",
        Reason.CORRUPT_CHECKPOINT,
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
            Pattern("pytorchstreamreader failed", r"PytorchStreamReader failed (?:reading|locating)"),
            Pattern("git-lfs.github.com/spec"),
            Pattern("git-lfs installed", r"cloned a repository without having git-lfs installed"),
            Pattern("consistency check failed", r"Consistency check failed"),
            Pattern("file might be corrupted"),
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
                r"^(?!.*(?:/dev/shm|shared memory|posix_fallocate|NCCL)).*No "
                r"space left on device(?:: '(?P<path>[^']+)')?",
            ),
            Pattern("disk quota exceeded"),
            Pattern("enospc", r"\bENOSPC\b"),
            Pattern("not enough free disk space"),
            Pattern("storagefull", r"StorageFull"),
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
                r"ephemeral local storage usage exceeds.*?(?P<limit>\d+\w*)?\.?$",
            ),
            Pattern("ephemeral-storage", r"exceed\w* its ephemeral-storage|ephemeral-storage.{0,40}exceed"),
            Pattern(
                "usage of emptydir volume",
                r"Usage of EmptyDir volume \"(?P<volume>[^\"]+)\" exceeds the limit \"(?P<limit>[^\"]+)\"",
            ),
        ),
        "The pod filled the node's disk[[ (limit {limit})]][[, volume {volume}]].",
        "Put downloads and caches on a persistent volume instead of the container's file system.",
    ),
    Entry(
        "D6",
        Reason.PERMISSION_DENIED,
        "no writable HOME or cache directory",
        (
            Pattern("permission denied: '", r"Permission denied: '(?P<path>/[^']*)'"),
            Pattern('permission denied: "', r'Permission denied: "(?P<path>/[^"]*)"'),
            Pattern(": permission denied", r"(?P<path>/[^\s:'\"]*)['\"]?: Permission denied"),
            Pattern("read-only file system", r"Read-only file system(?:: '(?P<path>[^']+)')?"),
            Pattern("permissionerror at", r"PermissionError at (?P<path>/\S+)"),
            Pattern("when trying to write in your cache folder", r"write in your cache folder \((?P<path>[^)]+)\)"),
        ),
        "The process may not write[[ {path}]].",
        "Set HOME, HF_HOME and TRITON_CACHE_DIR to a writable volume, and fsGroup to the group that owns it.",
    ),
    Entry(
        "D7",
        Reason.UNKNOWN_MODEL_TYPE,
        "the image's transformers is older than the model",
        (
            Pattern(
                "transformers does not recognize",
                r"(?:model type [`'\"]?(?P<type>[\w.-]+)[`'\"]?.*)?Transformers does not recognize",
            ),
            Pattern(
                "does not recognize this architecture",
                r"(?:model type [`'\"]?(?P<type>[\w.-]+)[`'\"]?.*)?does not recognize this architecture",
            ),
            Pattern(
                "keyerror: '", r"^\W*KeyError: '(?P<type>[\w.-]+)'", within=r"CONFIG_MAPPING|configuration_auto\.py"
            ),
            Pattern("unrecognized model in", r"Unrecognized model in (?P<path>\S+)", certainty=Certainty.LIKELY),
            Pattern(
                "unrecognized configuration class",
                r"Unrecognized configuration class <class '(?:[\w.]+\.)?(?P<type>\w+)'>",
            ),
        ),
        "The image's transformers does not know this model[[ (type {type})]].",
        "Use a newer runtime image, or a model that this one knows.",
    ),
    Entry(
        "D8",
        Reason.REMOTE_CODE_REQUIRED,
        "the model brings its own code",
        (
            Pattern("custom code", r"contain\w* custom code.*must be executed"),
            Pattern(
                "trust_remote_code",
                r"(?:argument|option|set|pass|use|add|with|requires?|need\w*)\W{1,4}"
                r"(?:the )?(?:argument |option )?[`'\"]?(?:--)?trust_remote_code"
                r"(?:[`'\"]? to |=)[`'\"]?True",
            ),
            Pattern("requires you to execute", r"requires you to execute the \w+ (?:file|script)"),
            Pattern("run custom code", r"Do you wish to run the custom code|allow custom code to be run"),
        ),
        "The model runs Python code of its own and that was not allowed.",
        "Read the code, then set trustRemoteCode: true with a pinned revision.",
    ),
    Entry(
        "D10",
        Reason.TOKENIZER,
        "the tokenizer is custom or missing",
        (
            Pattern(
                "tokenizer class", r"Tokenizer class [`'\"]?(?P<cls>[\w.]+)[`'\"]? (?:does not exist|is not|not found)"
            ),
            Pattern("load tokenizer for", r"Can(?:'|no)t load tokenizer for '(?P<cls>[^']+)'"),
            Pattern("instantiate the backend tokenizer"),
            Pattern("unable to load vocabulary from file"),
            Pattern(
                "data did not match any variant of untagged enum",
                r"untagged enum (?:ModelWrapper|PyPreTokenizerTypeWrapper)",
            ),
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
                r"(?:does not have|has no|no|without|missing) (?:a |any "
                r")?(?:default )?chat template(?! (?:flag|option|argument))",
            ),
            Pattern("no template argument was passed"),
        ),
        "The tokenizer has no chat template, so the chat endpoint cannot answer.",
        "Use the instruction-tuned model, pass a chat template, or call /v1/completions.",
    ),
    Entry(
        "D12",
        Reason.WEIGHTS_NOT_FOUND,
        "no or ambiguous weight files",
        (
            Pattern(
                "could not find any",
                r"Could not find any .{0,40}(?:safetensors|bin|weight).{0,40}(?:in:? '?(?P<path>/?[^\s']+))?",
            ),
            Pattern("multiple safetensors files in", r"multiple safetensors files in:? ?'?(?P<path>[^\s']+)?"),
            Pattern("does not appear to have", r"(?P<path>\S+) does not appear to have (?:a )?files? named"),
            Pattern(
                "error no file named", r"Error no file named (?P<file>[^\s,]+).*?(?:in directory (?P<path>\S+?)\.?$|$)"
            ),
            Pattern(
                "no safetensors",
                r"(?:found no|there are no|no) \.?safetensors (?:weights "
                r"|weight |checkpoint |model )?(?:files? )?(?:found|were "
                r"found|in|under)",
            ),
            Pattern("no .safetensors", r"no \.safetensors (?:or \.bin )?files?"),
            Pattern("can't load the configuration of", r"Can't load the configuration of '(?P<path>[^']+)'"),
        ),
        "The model directory[[ {path}]] has no weight files that this loader takes[[ (wanted {file})]].",
        "Point at the directory with config.json and one set of .safetensors files; GGUF or mixed shards do not load.",
    ),
    Entry(
        "X1",
        Reason.MODEL_NOT_FOUND,
        "the repository, revision or path does not exist",
        (
            Pattern("repositorynotfounderror", r"RepositoryNotFoundError"),
            Pattern("revisionnotfounderror", r"RevisionNotFoundError"),
            Pattern(
                "repository not found for url",
                r"Repository Not Found for url:? https?://[^/\s]+/(?:api/models/)?(?P<model>[\w.-]+/[\w.-]+)",
            ),
            Pattern(
                "not a valid model identifier",
                r"(?P<model>\S+) is not a local folder and is not a valid model identifier",
            ),
            Pattern("is not a valid git identifier", r"(?P<model>\S+) is not a valid git identifier"),
            Pattern("repo id must be in the form", r"Repo id must be in the form .*?: '(?P<model>[^']+)'"),
            Pattern("repo id must use alphanumeric"),
            Pattern("incorrect path_or_model_id", r"Incorrect path_or_model_id: '(?P<model>[^']+)'"),
            Pattern(
                "404 client error",
                r"404 Client Error(?:.*?https?://[^/\s]+/(?:api/models/)?(?P<model>[\w.-]+/[\w.-]+))?",
            ),
            Pattern("nosuchbucket"),
            Pattern("nosuchkey"),
        ),
        "The model[[ {model}]], its revision or its path does not exist.",
        "Check the name, the revision and the mounted path; a private repository without a token looks the same.",
    ),
    Entry(
        "X2",
        Reason.HUB_UNREACHABLE,
        "the hub cannot be reached",
        (
            Pattern(
                "resolve",
                rf"(?=.*(?:{_HUB})).*(?:failed to resolve '?(?P<host>[\w.-]+)"
                r"|Could not resolve host:? '?(?P<host2>[\w.-]+)|NameResolutionError)",
            ),
            Pattern("name resolution", rf"(?=.*(?:{_HUB})).*(?:Temporary failure in name resolution)"),
            Pattern("name or service not known", rf"(?=.*(?:{_HUB})).*Name or service not known"),
            Pattern("max retries exceeded with url", r"(?:host='(?P<host>[\w.-]+)'.*)?Max retries exceeded with url"),
            Pattern("couldn't connect to", r"couldn't connect to '?https?://(?P<host>[\w.-]+)"),
            Pattern("localentrynotfounderror"),
            Pattern("cannot find the requested files in the local cache"),
            Pattern("outgoing traffic has been disabled"),
            Pattern("certificate_verify_failed"),
            Pattern("read timed out", rf"(?=.*(?:{_HUB})).*Read timed out"),
            Pattern("proxyerror", r"ProxyError"),
        ),
        "The hub[[ {host}]][[ {host2}]] cannot be reached from the pod.",
        "Check DNS, proxy and NetworkPolicy, set an endpoint inside your network, or mount the files.",
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
            Pattern("filenotfounderror", r"^\W*FileNotFoundError: (?P<path>.{1,120})"),
            Pattern("notadirectoryerror", r"^\W*NotADirectoryError: (?P<path>.{1,120})"),
        ),
        "A file is missing[[: {path}]].",
        "Check the path and that the volume with it is mounted; an earlier stage may not have written it.",
        tier=Tier.VAGUE,
    ),
    Entry(
        "X4",
        Reason.CORRUPT_CHECKPOINT,
        "a JSON file of the model is damaged",
        (
            Pattern("jsondecodeerror", within=r"config|tokenizer|index\.json|from_pretrained"),
            Pattern("is not a valid json file", r"config file at '?(?P<path>[^\s']+)'? is not a valid JSON file"),
        ),
        "A JSON file of the model cannot be parsed[[: {path}]].",
        "Download it again; an empty file or a Git-LFS pointer is the usual culprit.",
        certainty=Certainty.LIKELY,
    ),
)
