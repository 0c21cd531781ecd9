"""Texts for calibration and evaluation: from a mount, from the hub, or the builder's own."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trtllm_api.contract import DATASET_TOKEN_ENV, DatasetRequest, ExitCode
from trtllm_api.digest import digest_of
from trtllm_api.quality import HubDataset
from trtllm_api.reasons import Reason
from trtllm_builder.addresses import guarded
from trtllm_builder.failure import BuilderFailure, first_line, input_missing, transient
from trtllm_builder.hub import hub_of

Purpose = Literal["calibration", "evaluation"]

_OWN = Path(__file__).parent / "texts"
_MAX_TEXTS = 100_000


@dataclass(frozen=True)
class TextSet:
    """Texts, with a digest of their content."""

    name: str
    texts: tuple[str, ...]
    digest: str
    own: bool = False
    """True for the builder's own texts, whose windows may overlap."""


def load_texts(request: DatasetRequest | None, purpose: Purpose) -> TextSet:
    """Texts of the dataset without empty ones; raises DatasetUnusable if none remain."""
    if request is None:
        return _text_set(
            f"the builder's {purpose} texts",
            [path.read_text(encoding="utf-8") for path in sorted((_OWN / purpose).glob("*.txt"))],
            own=True,
        )
    name, texts = (
        (f"{request.hugging_face.repo}:{request.hugging_face.split}", _from_hub(request.hugging_face, purpose))
        if request.hugging_face is not None
        else _from_path(Path(request.path or ""), purpose)
    )
    kept = [text for text in texts if text.strip()]
    if not kept:
        raise unusable(
            f"The {purpose} dataset {name} is empty: none of its {len(texts)} lines or rows has text.",
            "Write one text per line (.txt), or JSON lines with a `text` field (.jsonl).",
        )
    return _text_set(name, kept)


def unusable(message: str, remedy: str) -> BuilderFailure:
    """Failure because of an unusable dataset."""
    return input_missing(Reason.DATASET_UNUSABLE, message, remedy)


def _text_set(name: str, texts: list[str], *, own: bool = False) -> TextSet:
    return TextSet(name, tuple(texts), digest_of(texts), own)


def _from_path(path: Path, purpose: Purpose) -> tuple[str, list[str]]:
    if path.is_dir():
        files = sorted(file for suffix in ("txt", "jsonl", "parquet") for file in path.glob(f"*.{suffix}"))
    else:
        files = [path] if path.exists() else []
    if not files:
        raise unusable(
            f"The {purpose} dataset has no .txt, .jsonl or .parquet file at {path.name or path}.",
            "Correct the key or path of the dataset.",
        )
    texts = [text for file in files for text in _read(file)]
    return files[0].name if len(files) == 1 else f"{len(files)} files", texts


def _read(file: Path) -> list[str]:
    if file.suffix == ".parquet":
        return _read_parquet(file)
    try:
        # not splitlines: a JSON string may contain other line separators, such as U+2028
        lines = file.read_text(encoding="utf-8").split("\n")[:_MAX_TEXTS]
        if file.suffix != ".jsonl":
            return lines
        return [_text(json.loads(line)["text"]) for line in lines if line.strip()]
    except UnicodeDecodeError as error:
        raise unusable(f"{file.name} is not UTF-8 text.", "Save it as UTF-8.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise unusable(
            f"{file.name} has a line that is not a JSON object with a `text` field.",
            'Write one object per line: {"text": "..."}.',
        ) from error


def _read_parquet(file: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(file)
        if "text" not in opened.schema_arrow.names:
            raise unusable(
                f"{file.name} has no column `text`. Its columns are {', '.join(opened.schema_arrow.names[:8])}.",
                "Rename the column with the texts to `text`.",
            )
        return [_text(value) for value in opened.read(columns=["text"])["text"].to_pylist()[:_MAX_TEXTS]]
    except pa.ArrowInvalid as error:
        raise unusable(f"{file.name} is not a Parquet file.", "Write the whole file again.") from error


def _text(value: object) -> str:
    """Text of a row; empty if it has none."""
    return "" if value is None else str(value)


def _from_hub(request: HubDataset, purpose: Purpose) -> list[str]:
    hub = hub_of(os.environ)
    token = hub.token(DATASET_TOKEN_ENV, "the dataset's tokenSecretRef")
    with guarded(hub.installation.networks) as guard:
        try:
            return _rows(request, purpose, token)
        except BuilderFailure as failure:
            raise (guard.failure(hub.name) if guard.refused else failure) from failure


def _rows(request: HubDataset, purpose: Purpose, token: str | None) -> list[str]:
    from datasets import load_dataset

    try:
        rows = load_dataset(
            request.repo,
            request.config,
            split=request.split,
            revision=request.revision,
            token=token or False,
            streaming=True,
        )
        return [_text(row[request.column]) for row in rows.take(_MAX_TEXTS)]
    except KeyError as error:
        raise unusable(
            f"The {purpose} dataset {request.repo} has no column {request.column}.",
            "Set `column` to the name of its text column.",
        ) from error
    except ConnectionError as error:
        raise _unreachable(request, purpose) from error
    except (ValueError, OSError) as error:
        raise BuilderFailure(
            ExitCode.INPUT_MISSING,
            Reason.DATASET_UNUSABLE,
            f"The {purpose} dataset {request.repo} (split {request.split}) cannot be read: {first_line(error)}",
            "Correct repo, config and split of the dataset. A private dataset needs tokenSecretRef.",
        ) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in {"httpx", "httpx2", "requests", "aiohttp"}:
            raise
        raise _unreachable(request, purpose) from error


def _unreachable(request: HubDataset, purpose: Purpose) -> BuilderFailure:
    return transient(
        Reason.DATASET_UNUSABLE,
        f"The hub cannot be reached for the {purpose} dataset {request.repo}.",
        "The Job is retried. In a cluster without internet, use a dataset from configMap or persistentVolumeClaim.",
    )
