"""Rows from a hub name, a local file or a saved data set, checked before anything else is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

_READERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}


class DataError(ValueError):
    """A data set can not be found, read or used; the message names the remedy."""


def load_rows(source: str, *, split: str = "train", config: str | None = None) -> Any:
    """The rows of a data set as a `datasets.Dataset`.

    Args:
        source: a local JSONL, JSON, CSV or Parquet file, a folder made by ``save_to_disk``, or a hub name.
        split: the split of a saved data set or of one on the hub; a file has only one.
        config: the configuration of a data set on the hub.

    Raises:
        DataError: not found, unreachable, unreadable, without the split, or empty.
    """
    import datasets

    path = Path(source)
    if path.exists():
        rows = _local(path, split, datasets)
    elif path.suffix in _READERS or source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise DataError(f"there is no file {source!r} (looked in {Path.cwd()})")
    else:
        rows = _from_hub(source, split, config, datasets)
    if len(rows) == 0:
        raise DataError(f"the data set {source!r} is empty")
    return rows


def load_split(source: str, eval_source: str | None, eval_rows: int, config: str | None = None) -> tuple[Any, Any]:
    """Rows to train on and at most `eval_rows` rows to evaluate on, which have none in common.

    The second are the test split of `eval_source` or of a data set on the hub; of a local file or folder they are
    its last rows, at most a tenth.
    """
    train = load_rows(source, config=config)
    if eval_source is not None or not Path(source).exists():
        test = load_rows(eval_source or source, split="test", config=None if eval_source else config)
        return train, test.select(range(min(eval_rows, len(test))))
    held = min(eval_rows, len(train) // 10)
    if held == 0:
        raise DataError(f"{source!r} has {len(train)} rows, too few to hold some out; give --eval-dataset")
    cut = len(train) - held
    return train.select(range(cut)), train.select(range(cut, len(train)))


def _local(path: Path, split: str, datasets: Any) -> Any:
    if path.is_dir():
        try:
            saved = datasets.load_from_disk(str(path))
        except FileNotFoundError as error:
            raise DataError(f"the folder {path} is no data set; make one with Dataset.save_to_disk") from error
        if hasattr(saved, "keys"):
            if split not in saved:
                raise DataError(f"the data set {path} has no split {split!r}; it has {', '.join(saved)}")
            return saved[split]
        return saved
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise DataError(f"can not read {path.name!r}; give a file that ends in {', '.join(_READERS)}")
    if path.stat().st_size == 0:
        raise DataError(f"the data set {str(path)!r} is empty")
    try:
        return datasets.load_dataset(reader, data_files=str(path), split="train")
    except (datasets.exceptions.DatasetGenerationError, ValueError) as error:
        raise DataError(f"{path} can not be read as {reader}: {error.__cause__ or error}") from error


def _from_hub(name: str, split: str, config: str | None, datasets: Any) -> Any:
    try:
        return datasets.load_dataset(name, config, split=split)
    except (ConnectionError, OSError) as error:
        raise DataError(
            f"the data set {name!r} is no local path and the hub could not be reached ({type(error).__name__}); "
            "give a local JSONL, Parquet or save_to_disk path with --dataset, or run with --embedded"
        ) from error
    except ValueError as error:
        raise DataError(f"the data set {name!r} could not be loaded: {error}") from error


def require_columns(rows: Any, columns: Sequence[str], source: str) -> None:
    """Raise unless the data set has all columns."""
    missing = [c for c in columns if c not in rows.column_names]
    if missing:
        raise DataError(f"the data set {source!r} has no column {missing[0]!r}; it has {', '.join(rows.column_names)}")
