"""Failures of quantization: Q1 to Q14 of docs/failures.md, and ModelOpt's own."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import Entry, Pattern, Seen, Tier
from trtllm_diagnosis.model import Certainty

QUANTIZE: Final = (
    Entry(
        "Q1",
        Reason.NO_GPU,
        "no GPU is visible",
        (
            Pattern("gpu is required for inference"),
            Pattern("no cuda gpus are available"),
            Pattern("no cuda runtime is found"),
            Pattern("torch.cuda.is_available() is false"),
            Pattern(
                "cudagetdevicecount",
                r"^(?!.*(?:Error 80[34]\b|system not yet initialized)).*?(?:(?:error|failed).{0,40}cudaGetDeviceCount"
                r"|cudaGetDeviceCount\w*\W.{0,40}(?:fail|error))",
            ),
            Pattern("failed to initialize nvml", r"failed to initialize NVML(?!.*(?:version mismatch|Unknown Error))"),
            Pattern("failed to infer device type"),
            Pattern("active driver", r"\b0 active drivers"),
            Pattern("could not select device driver"),
            Pattern("found no nvidia driver"),
            Pattern("no cuda-capable device is detected"),
            Pattern("torch not compiled with cuda"),
            Pattern("cudaerrornodevice"),
            Pattern("nvidia driver was not detected"),
            Pattern("libcuda.so", r"libcuda\.so(?:\.1)?: cannot open shared object"),
            Pattern("nvidia-smi", r"nvidia-smi:? .{0,12}(?:not found|No such file)"),
            Pattern("libnvidia-ml", r"libnvidia-ml\S*: cannot open|NVML Shared Library Not Found"),
            Pattern("cuda driver initialization failed"),
            Pattern("nvmlerror_", r"NVMLError_(?:DriverNotLoaded|LibraryNotFound|Uninitialized|NoPermission)"),
            Pattern("nvml shared library not found"),
            Pattern("cuda_error_no_device"),
            Pattern("cuda unknown error", certainty=Certainty.LIKELY),
            Pattern(
                "gpu",
                r"(?:Error|Exception): .{0,40}\bno (?:supported |nvidia |cuda |visible )?gpus? (?:\w+ )?(?:found"
                r"|detected|available|visible)",
            ),
        ),
        "The process sees no GPU.",
        "Ask for nvidia.com/gpu in the pod, and check the device plugin and the container runtime of the node.",
    ),
    Entry(
        "Q2",
        Reason.QUANTIZATION_NOT_SUPPORTED,
        "unknown or mixed quantization format",
        (
            Pattern("unsupported quantization format", r"Unsupported quantization format:? ?(?P<format>[\w,. ]+)?"),
            Pattern("one quantization format", r"(?:only|exactly|at most) one quantization format"),
            Pattern("qformat", r"qformat\S*: invalid choice: '(?P<format>[^']+)'"),
            Pattern(
                "unsupported quantization",
                r"Unsupported quantization (?:mode|algorithm|algo|type|method):? ?(?P<format>[\w.'\"]+)?",
            ),
            Pattern("invalid kv cache quantization format"),
            Pattern(
                "quantization format",
                r"(?:unsupported|unknown|invalid)(?: \w+)? quantization format\W{0,3}(?P<format>[\w.]+)?",
            ),
            Pattern("quant", r"(?:unsupported|unknown|invalid) quant(?:ization)?[_ ]algo\w*\W{1,3}(?P<format>[\w.]+)?"),
            Pattern(
                "not been supported",
                r"(?<!\w)(?P<format>(?:int|fp|nvfp)\d|smooth ?quant\w*|\w{0,20}quant)\b.{0,20}"
                r"ha(?:s|ve) not been supported",
            ),
        ),
        "The quantization format[[ {format}]] is not one that this exporter takes, or more than one was given.",
        "Use one method of the documented list.",
    ),
    Entry(
        "Q3",
        Reason.SOURCE_UNREACHABLE,
        "the calibration set cannot be downloaded",
        (
            Pattern("couldn't reach", r"Couldn't reach '?(?P<data>[^']+?)'? on the Hub"),
            Pattern("couldn't reach", r"Couldn't reach (?P<data>https?://\S+)"),
            Pattern("offlinemodeisenabled"),
            Pattern("offline mode is enabled"),
        ),
        "The calibration set or model[[ {data}]] must be downloaded, "
        "and there is no way out or offline mode forbids it.",
        "Mount the data set and name its path in the calibration.",
        refines=("X2",),
    ),
    Entry(
        "Q4",
        Reason.DATASET_UNUSABLE,
        "calibration data set unknown or ambiguous",
        (
            Pattern("config name is missing"),
            Pattern(
                "unsupported dataset name or local repo directory",
                r"Unsupported dataset name or local repo directory:? ?(?P<data>\S+)?",
            ),
            Pattern("datasetnotfounderror", r"DatasetNotFoundError(?:: Dataset '(?P<data>[^']+)')?"),
            Pattern("dataset scripts are no longer supported"),
            Pattern("unknown split", r"Unknown split \"?(?P<split>[\w\[\]:%]+)\"?"),
            Pattern("unsupported calibration dataset", r"Unsupported calib\w* dataset:? ?(?P<data>\S+)?"),
            Pattern("any data file at", r"Couldn't find any data file at (?P<data>\S+?)\.?(?:\s|$)"),
            Pattern("couldn't find a dataset script"),
            Pattern("builderconfig", r"BuilderConfig '?(?P<split>[^']+?)'? not found"),
            Pattern("doesn't exist on the hub", r"Dataset '?(?P<data>[^']+?)'? doesn't exist on the Hub"),
            Pattern("datasetgenerationerror"),
            Pattern(
                "keyerror: '",
                r"KeyError: '(?P<split>text|article|prompt|content|messages|train|validation|test)'",
                within=r"calib|dataset",
            ),
            Pattern("data files found", r"No (?:\(supported\) |supported )?data files found in (?P<data>\S+)"),
            Pattern(
                "contain any data files",
                r"(?:directory|folder) at (?P<data>\S+) (?:doesn't|does not) contain any data files",
            ),
            Pattern("unsupported dataset", r"Unsupported dataset\w*:? (?P<data>[\w./-]+)"),
        ),
        "The calibration data set[[ {data}]] cannot be used[[ (split {split})]].",
        "Name its configuration and split, or mount a directory with a `train` split that has a `text` column.",
    ),
    Entry(
        "Q5",
        Reason.DATASET_UNUSABLE,
        "bare data set name with a new hub client",
        (Pattern("repository id must be", r"Repository id must be 'namespace/name', got '(?P<data>[^']+)'"),),
        "The hub client wants namespace/name, not the bare name[[ {data}]].",
        "Write the full name, such as abisee/cnn_dailymail, or mount the data set.",
    ),
    Entry(
        "Q6",
        Reason.EXPORT_INCOMPLETE,
        "the export only warned",
        (
            Pattern("cannot export model to the model_config"),
            Pattern("is saved to", r"state_dict.{0,40}is saved to (?P<path>\S+)"),
        ),
        "The exporter could not write a checkpoint and saved a bare state_dict[[ to {path}]] instead; it exits with 0.",
        "Export again with a library that knows the architecture; the directory lacks config.json or safetensors.",
        seen=Seen.ANYWHERE,
        tier=Tier.VAGUE,
    ),
    Entry(
        "Q7",
        Reason.GPU_OUT_OF_MEMORY,
        "offloaded weights: the GPUs are too small",
        (
            Pattern("cannot copy out of meta tensor"),
            Pattern("make sure you have enough gpu ram"),
            Pattern("offloaded to", r"(?:Error|can't|cannot)\b.{0,80}offloaded to (?:the )?(?:cpu|disk)"),
            Pattern("the model is too large to fit", r"too large to fit .{0,20}GPU"),
            Pattern("on meta tensors", r"cannot be called on meta tensors", certainty=Certainty.LIKELY),
            Pattern(
                "expected device",
                r"tensor on device \S+ is not on the expected device meta|device meta is not on the expected",
                certainty=Certainty.LIKELY,
            ),
            Pattern("is on the meta device", r"is on the meta device, we need", certainty=Certainty.LIKELY),
            Pattern("have any device set", certainty=Certainty.LIKELY),
            Pattern("with meta tensors", r"run this operator with Meta tensors", certainty=Certainty.LIKELY),
            Pattern("from the 'meta' backend", certainty=Certainty.LIKELY),
            Pattern("meta!", r"at least two devices, .{0,30}\bmeta!", certainty=Certainty.LIKELY),
        ),
        "Part of the model was offloaded because the GPUs' memory does not hold it, and this step cannot use that.",
        "Use GPUs with at least 1.2x the source's bytes together.",
    ),
    Entry(
        "Q8",
        Reason.TOKENIZER_UNUSABLE,
        "no pad token",
        (
            Pattern("pad token for", r"Pad token for (?P<model>\S+) cannot be set"),
            Pattern("does not have a padding token"),
            Pattern(
                "pad",
                r"(?:Error|Exception)\b.{0,60}\b(?:no|missing|without|not have|not set|requires?|needs?) (?:an? "
                r"|any )?pad(?:ding)?[_ ]token",
            ),
        ),
        "The tokenizer[[ of {model}]] has no pad token, which calibration in batches needs.",
        "Set pad_token in tokenizer_config.json (the end token is usual), or calibrate with batch size 1.",
    ),
    Entry(
        "Q11",
        Reason.CALIBRATION_FAILED,
        "calibration gave no usable ranges",
        (
            Pattern("nan", r"detected (?:inf or |nan or )?(?:nan|inf) values? in amax|amax\b.{0,30}\b(?:nan|inf)\b"),
            Pattern(
                "expert",
                r"experts?\b.{0,80}(?:never|not|no tokens?|un)\W?(?:been "
                r"|were )?(?:activated|routed|calibrated|received|seen)",
            ),
            Pattern("amax", r"amax\b.{0,60}(?:not (?:been )?(?:calibrated|set|computed)|has no|is None)"),
            Pattern("in amax", r"detected \w+ values? in amax"),
            Pattern("calibrator returned none"),
            Pattern("missing amax value"),
            Pattern(
                "nan", r"(?:found|detected|contains?|got) (?:inf(?:/| or | and )?)?nan\b.{0,40}(?:scal(?:e|ing)|amax)"
            ),
            Pattern("did you forget to calibrate"),
            Pattern("amax", r"quantizer\b.{0,50}(?:not have|has no|no|without|missing)\b.{0,16}\b_?amax"),
        ),
        "Calibration left values without usable ranges (NaN, or experts that no sample reached).",
        "Use more and more varied calibration samples, and exclude the modules that stay without data.",
        seen=Seen.WARNING,
        tier=Tier.VAGUE,
    ),
    Entry(
        "Q13",
        Reason.VERSION_MISMATCH,
        "mixed precision on an old runtime",
        (
            Pattern(
                "quantized_layers",
                r"(?:has no|no|unexpected|unknown)\W+(?:\w+ )*(?:attribute"
                r"|field|keyword argument|argument).{0,20}quantized_layers",
            ),
            Pattern(
                "quantized_layers", r"quantized_layers\b.{0,60}(?:unknown|unexpected|not (?:known|supported|a field))"
            ),
            Pattern(
                "'quantconfig' object has no", r"'QuantConfig' object has no (?:attribute|field) ['\"](?P<name>\w+)"
            ),
        ),
        "This runtime is too old for a mixed-precision checkpoint[[ (it has no {name})]].",
        "Use a newer runtime image, or one algorithm for all layers.",
    ),
    Entry(
        "Q14",
        Reason.SHARD_NOT_ALIGNED,
        "in_features do not divide by the group",
        (
            Pattern("group_size", r"must be divis\w+ by .{0,20}group[_ ]?size\D{0,4}\d*"),
            Pattern("in_features % ", r"in_features\s*%\s*(?:self\.)?group_size"),
            Pattern("in_features", r"in_features\W+(?P<size>\d+)?.{0,40}(?:divisible|multiple).{0,40}group"),
        ),
        "A layer's in_features[[ ({size})]] do not divide by the group size.",
        "Use a group size that divides it (64 or 128), or exclude the layer.",
    ),
    Entry(
        "M1",
        Reason.QUANTIZATION_NOT_SUPPORTED,
        "infeasible effective bits",
        (
            Pattern(
                "is infeasible",
                r"effective_bits target (?P<bits>[\d.]+) is infeasible(?:.*?minimum "
                r"achievable effective bits is (?P<least>[\d.]+\d))?",
            ),
            Pattern(
                "effective_bits",
                r"effective_bits (?P<bits>[\d.]+) constraint cannot be lower than(?:.*num_bits = (?P<least>[\d.]*\d))?",
            ),
        ),
        "effectiveBits {bits} cannot be reached[[; the least is {least}]].",
        "Ask for more bits, or allow smaller formats.",
    ),
    Entry(
        "M2",
        Reason.HEADS_NOT_DIVISIBLE,
        "SmoothQuant with more ranks than KV heads",
        (Pattern("duplicating kv heads", r"Duplicating KV heads .{0,60}not supported"),),
        "SmoothQuant cannot duplicate KV heads: the tensor parallelism is larger than their number.",
        "Use a tensor parallelism up to the number of KV heads, or another method.",
    ),
    Entry(
        "M3",
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        "the exporter does not know the architecture",
        (
            Pattern("unsupported model type", r"Unsupported model type:? ?(?P<type>[\w.'\"]+)?"),
            Pattern(
                "notimplementederror",
                r"^\W*NotImplementedError(?:: (?:<class ')?(?P<type>[\w.]+)(?:'>)?(?: (?:is )?not supported)?)?\.?$",
                within=r"modelopt/torch/export|layer_utils|unified_export|convert_checkpoint|/convert\.py",
            ),
            Pattern(
                "keyerror: '",
                r"^\W*KeyError: '(?P<type>\w+)'$",
                within=r"modelopt/torch/export",
                certainty=Certainty.LIKELY,
            ),
            Pattern("unsupported decoder type", r"Unsupported decoder type:? ?(?P<type>[\w.'\"]+)?"),
            Pattern(
                "notimplementederror",
                r"^\W*NotImplementedError: \W*(?P<type>[a-z]\w{3,60})\W{0,2}(?: (?:is |are )?not"
                r" (?:yet )?(?:supported|recognized))?\.?$",
                certainty=Certainty.LIKELY,
            ),
            Pattern(
                "model",
                r"(?:Error|Exception): .{0,20}\b(?P<type>MoE|encoder[- ]decoder)\b.{0,60}?(?:is )?not supported(?! by)",
            ),
        ),
        "The exporter or converter does not know this architecture[[ ({type})]].",
        "Use a newer image, or a model of the supported list.",
    ),
)
