"""Reads containers: gzip, zip archives, Hugging Face dataset folders; workbooks go to `workbooks`.

`part` names the sheet or the file inside. Where several would do and differ, DatasetError names them.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

from finetune.data.mail import Mail, eml_mail, msg_mail, thread_records
from finetune.data.parts import choose_part
from finetune.data.ticket import DatasetError, ReadResult
from finetune.data.workbooks import workbook_records

MAX_UNPACKED = 2_000_000_000  # bytes on disk
MAX_MEMBERS = 20_000
DATA = frozenset(
    (
        ".csv",
        ".tsv",
        ".txt",
        ".json",
        ".jsonl",
        ".ndjson",
        ".parquet",
        ".mbox",
        ".xlsx",
        ".xls",
        ".ods",
        ".gz",
    )
)
DAMAGES = (OSError, EOFError, zipfile.BadZipFile, RuntimeError, ValueError, zlib.error, lzma.LZMAError)
Read = Callable[[Path, str | None], Iterator[ReadResult]]


def gzip_records(path: Path, part: str | None, read: Read) -> Iterator[ReadResult]:
    """The records of a gzip file's content."""
    with gzip.open(path) as stream, _unpack(path, stream, path.stem) as inner:
        yield from read(inner, part)


@contextmanager
def _unpack(path: Path, stream: IO[bytes] | gzip.GzipFile, name: str) -> Iterator[Path]:
    """The stream's bytes as a file of that name, for as long as it is read."""
    with tempfile.TemporaryDirectory(prefix="trainwise-") as folder:
        inner = Path(folder) / (PurePosixPath(name).name or "tickets")
        size = 0
        try:
            with inner.open("wb") as out:
                while block := stream.read(1_000_000):
                    size += len(block)
                    if size > MAX_UNPACKED:
                        message = f"{path.name} unpacks to more than {MAX_UNPACKED / 1e9:.0f} GB."
                        raise DatasetError(message, what_next="Send the most recent tickets only.")
                    out.write(block)
        except DatasetError:
            raise
        except DAMAGES as error:
            raise _damage_error(path) from error
        yield inner


def _damage_error(path: Path) -> DatasetError:
    message = f"{path.name} is damaged or locked: it cannot be unpacked."
    return DatasetError(message, what_next="Pack it again without a password.")


def zip_records(path: Path, part: str | None, read: Read) -> Iterator[ReadResult]:
    """The records of a zip archive: its one file of tickets, all its mails, or the member named by `part`."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        message = f"{path.name} is a damaged zip archive or workbook."
        raise DatasetError(message, what_next="Save it again, or send CSV.") from error
    with archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        if len(names) > MAX_MEMBERS:
            message = f"{path.name} holds {len(names):,} files; {MAX_MEMBERS:,} are read at most."
            raise DatasetError(message, what_next="Pack them into several archives, or into one mbox file.")
        if any(name.startswith(("xl/", "content.xml")) for name in names):
            yield from workbook_records(path, part)
            return
        names = [
            name
            for name in names
            if not name.startswith("__MACOSX/") and not PurePosixPath(name).name.startswith(".")
        ]
        mails = [name for name in names if name.lower().endswith((".eml", ".msg"))]
        files = [name for name in names if PurePosixPath(name).suffix.lower() in DATA]
        if mails and (not part or not files):
            yield from thread_records(
                _mail(_member(archive, path, name), PurePosixPath(name), place)
                for place, name in enumerate(mails, 1)
            )
            return
        member = choose_part(path, [(name, "") for name in files], part, "file")
        with _open(archive, path, member) as stream, _unpack(path, stream, member) as inner:
            yield from read(inner, None)


def _mail(data: bytes, name: PurePosixPath, place: int) -> Mail:
    """A mail of an archive; its folder counts as its label."""
    if name.suffix.lower() == ".msg":
        return msg_mail(io.BytesIO(data), name.name, place, name.parent.name)
    return eml_mail(data, place, name.parent.name)


def _open(archive: zipfile.ZipFile, path: Path, name: str) -> IO[bytes]:
    try:
        return archive.open(name)
    except DAMAGES as error:
        raise _damage_error(path) from error


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    with _open(archive, path, name) as stream:
        try:
            return stream.read(50_000_000)
        except DAMAGES as error:
            raise _damage_error(path) from error


# -- Arrow, Parquet and Hugging Face's folders of them ---------------------------------------------


def folder_files(folder: Path) -> list[Path]:
    """The Arrow or Parquet files of a dataset saved to disk, train before the rest; none for another folder."""
    files = sorted([*folder.rglob("*.arrow"), *folder.rglob("*.parquet")])
    files = [file for file in files if not file.name.startswith("cache-")]
    return sorted(files, key=lambda file: "train" not in str(file.relative_to(folder)))


def arrow_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet or Arrow file, classes by their names where the file says them."""
    import pyarrow as pa
    import pyarrow.ipc as ipc
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as stream:
            is_parquet = stream.read(4) == b"PAR1"
        if is_parquet:
            with pq.ParquetFile(path) as file:
                names = _class_names(file.schema_arrow.metadata, path)
                for batch in file.iter_batches(batch_size=256):
                    yield from _with_class_names(batch.to_pylist(), names)
            return
        with path.open("rb") as stream:
            for batch in _arrow_batches(ipc, stream):
                yield from _with_class_names(batch.to_pylist(), _class_names(batch.schema.metadata, path))
    except (pa.ArrowException, OSError) as error:
        message = f"{path.name} is a damaged Parquet or Arrow file."
        raise DatasetError(message, what_next="Write it again, or send CSV.") from error


def _arrow_batches(ipc: Any, stream: BinaryIO) -> Iterator[Any]:
    magic = stream.read(6)
    stream.seek(0)
    if magic == b"ARROW1":
        reader = ipc.open_file(stream)
        yield from (reader.get_batch(at) for at in range(reader.num_record_batches))
    else:
        yield from ipc.open_stream(stream)


def _class_names(metadata: Any, path: Path) -> dict[str, list[str]]:
    """The names of each class column: from the schema, else from dataset_info.json beside the file."""
    features: Any = {}
    try:
        if metadata and b"huggingface" in metadata:
            features = json.loads(metadata[b"huggingface"])["info"]["features"]
        elif (info := path.with_name("dataset_info.json")).is_file():
            features = json.loads(info.read_text("utf-8"))["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {
        name: list(kind["names"])
        for name, kind in (features or {}).items()
        if isinstance(kind, dict) and kind.get("_type") == "ClassLabel" and kind.get("names")
    }


def _with_class_names(rows: list[dict[str, Any]], names: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        for column, classes in names.items():
            number = row.get(column)
            if isinstance(number, int):
                row[column] = classes[number] if 0 <= number < len(classes) else None
        yield row
