"""Types of values that both resources use."""

from __future__ import annotations

from schema_cases import text

OBJECT_NAME = text(
    253,
    shortest=1,
    pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
    wrong={"with a capital letter": "Store", "with a dash at its end": "store-", "with a slash": "a/b"},
    right={"with a dot and a dash": "store-1.example"},
)
SECRET_KEY = text(
    253,
    shortest=1,
    pattern="^[-._a-zA-Z0-9]+$",
    wrong={"with a space": "my token", "with a slash": "a/b"},
    right={"like an environment variable": "HF_TOKEN", "like a file": "train.jsonl"},
)
SHORT_TEXT = text(256)
QUANTITY = text(
    32,
    pattern="^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
    wrong={"below zero": "-1", "of an unknown unit": "5GB", "without a digit": "", "in words": "much"},
    right={"with a binary unit": "1.5Gi", "in thousandths": "500m", "without a unit": "8"},
    fill=lambda length: "1" * length,
)
HUB_REPO = text(
    200,
    pattern="^[-._a-zA-Z0-9]+(/[-._a-zA-Z0-9]+)?$",
    wrong={
        "with a space": "org/my model",
        "with two slashes": "a/b/c",
        "without a character": "",
        "as a URL": "hf://a",
    },
    right={"without an organisation": "gpt2", "with dots and dashes": "HuggingFaceTB/SmolLM2-135M_v1.0"},
)
REVISION = text(
    255,
    shortest=1,
    pattern="^[-._/a-zA-Z0-9]+$",
    wrong={"with a space": "my branch", "with a colon": "a:b"},
    right={"like a pull request": "refs/pr/1", "like a commit": "0123456789abcdef0123456789abcdef01234567"},
)
RELATIVE_PATH = text(
    1024,
    pattern="^([^/.][^/]*(/[^/.][^/]*)*)?$",
    wrong={"from the root": "/models", "to the parent": "../models", "through the parent": "a/../b", "hidden": ".a"},
    right={"of no characters": "", "with a file's ending": "models/llama.v2"},
)
DECIMAL = text(
    24,
    pattern="^[0-9]+(\\.[0-9]+)?$",
    wrong={"below zero": "-0.1", "in words": "little", "without a digit": "", "with an exponent": "1e-3"},
    right={"of 0": "0", "with digits after the point": "4.25"},
    fill=lambda length: "1" * length,
)
PERCENT = text(
    24,
    pattern="^[0-9]+(\\.[0-9]+)?%$",
    wrong={"without its sign": "10", "below zero": "-1%", "without a digit": "%", "with a space": "10 %"},
    right={"of 0%": "0%", "of 100%": "100%", "with digits after the point": "2.5%"},
    fill=lambda length: "1." + "0" * (length - 3) + "%",
)
MODULE = text(
    256,
    shortest=1,
    pattern="^[-._a-zA-Z0-9\\[\\]]*(\\*[-._a-zA-Z0-9\\[\\]]*){0,4}$",
    wrong={"with a space": "lm head", "with a comma": "a,b", "with five stars": "*a*b*c*d*"},
    right={
        "with a star": "model.layers.*.mlp",
        "with four stars": "*.mlp*.*_proj*",
        "with brackets": "layers.[01].mlp",
    },
)
FRACTION = text(
    8,
    pattern="^(0(\\.[0-9]+)?|1(\\.0+)?)$",
    wrong={"above 1": "1.5", "below 0": "-0.5", "without a digit": "", "that is a percentage": "50%"},
    right={"of 0": "0", "of 1": "1.0", "of a half": "0.5"},
    fill=lambda length: "0." + "5" * (length - 2),
)
URI = text(
    1024,
    pattern="^(s3|gs|https?)://.+$",
    wrong={"of a local file": "file:///etc", "without a scheme": "bucket/model", "without a host": "s3://"},
    right={"of a web server": "https://example.com/model", "of a bucket": "gs://bucket/model"},
    fill=lambda length: "s3://" + "a" * (length - 5),
)
