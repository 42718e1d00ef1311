"""Atomic file operations on any fsspec URL, for the dataset store."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from finetune.data.store_errors import code_of, translate_errors
from finetune.data.ticket import DatasetError

PIECE, DEAD_S = 1 << 20, 3_600.0  # bytes; seconds after which nobody writes to a draft any more


class Files:
    """Files below one URL. Paths are relative, with '/', and made by the store, never taken from a user.

    `login` is what an S3 client is to use in the place of the environment's key (`key`, `secret`, `endpoint_url`).
    """

    def __init__(self, url: str, login: Mapping[str, str] | None = None) -> None:
        self._url = url if "://" in url else str(Path(url).expanduser())
        self._fs, self._root = open_store(self._url, login)
        protocols = self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,)
        self._local = "file" in protocols
        self._has_versions = "s3" in protocols

    def read(self, path: str, most: int | None = None) -> bytes | None:
        """The file's bytes, at most its first `most`; None if there is no such file."""
        limits = {} if most is None else {"start": 0, "end": most}
        try:
            with self._translate_errors():
                data: bytes = self._fs.cat_file(self._at(path), **limits)
        except FileNotFoundError:
            return None
        return data

    def read_all(self, folder: str) -> dict[str, bytes]:
        """Every finished file below a folder by its path there; few round trips, however many files."""
        with self._translate_errors():
            paths = self._fs.find(self._at(folder))
            start = len(self._at(folder)) + 1
            files = [path for path in paths if not path.rsplit("/", 1)[-1].startswith(".")]
            data = self._fs.cat(files, on_error="return") if files else {}
            for answer in data.values():
                if isinstance(answer, Exception) and not isinstance(answer, FileNotFoundError):
                    raise answer
        return {path[start:]: data[path] for path in files if isinstance(data.get(path), bytes)}

    def exists(self, path: str) -> bool:
        """Whether the file is there."""
        with self._translate_errors():
            return bool(self._fs.exists(self._at(path)))

    def write(self, path: str, data: bytes) -> None:
        """Write the file, replacing it; a reader sees the old or the new one, never a part."""
        if self._local:
            os.replace(self._beside(path, [data]), self._at(path))
            self._sync_folder(path)
        else:
            with self._translate_errors():
                self._fs.pipe_file(self._at(path), data)

    def write_pieces(self, path: str, pieces: Iterable[bytes]) -> None:
        """Write the file piece by piece, so that it need not fit into memory; whole or not at all, as `write`."""
        if self._local:
            self._drop_old_drafts(path)
            os.replace(self._beside(path, pieces), self._at(path))
            self._sync_folder(path)
            return
        with tempfile.NamedTemporaryFile(buffering=PIECE) as stream:
            stream.writelines(pieces)
            stream.flush()
            self.upload(path, Path(stream.name))

    def open(self, path: str) -> BinaryIO | None:
        """The file for reading, where it lies or as a copy without a name on this machine; None if there is none."""
        if self._local:
            try:
                return open(self._at(path), "rb")
            except FileNotFoundError:
                return None
        with tempfile.NamedTemporaryFile(delete=False) as copy:
            pass
        try:
            return open(copy.name, "rb") if self.download(path, Path(copy.name)) else None
        finally:
            os.unlink(copy.name)

    def create(self, path: str, data: bytes) -> bool:
        """Write the file only if there is none; False if another writer was first."""
        if not self._local:
            return self._create_remote(self._at(path), data)
        draft = self._beside(path, [data])
        try:
            os.link(draft, self._at(path))
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return self._create_exclusively(path, data)
        finally:
            os.unlink(draft)
        self._sync_folder(path)
        return True

    def _create_exclusively(self, path: str, data: bytes) -> bool:
        """For a mounted bucket, which has no hard links: a reader may see a part of the file for a moment."""
        try:
            handle = os.open(self._at(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        with open(handle, "wb") as stream:
            stream.write(data)
        return True

    def _create_remote(self, path: str, data: bytes) -> bool:
        """By the store's own create-only write (S3 and memory have one), else by looking first."""
        with self._translate_errors():
            try:
                self._fs.pipe_file(path, data, mode="create")
                return True
            except OSError as error:
                if was_second(error):
                    return False
                if error.errno != errno.ENOSYS:
                    raise
            except (TypeError, NotImplementedError, ValueError):
                pass
            if self._fs.exists(path):
                return False
            self._fs.pipe_file(path, data)
        return True

    def upload(self, path: str, local: Path) -> None:
        """Copy a file of this machine there, in pieces."""
        with self._translate_errors():
            if self._local:
                os.makedirs(os.path.dirname(self._at(path)), mode=0o700, exist_ok=True)
            self._fs.put_file(str(local), self._at(path))

    def download(self, path: str, local: Path, size: int | None = None) -> bool:
        """Copy a file to this machine, in pieces; False where there is none, or none of so many bytes."""
        try:
            with self._translate_errors():
                if size is not None and self._fs.size(self._at(path)) != size:
                    return False
                self._fs.get_file(self._at(path), str(local))
        except FileNotFoundError:
            return False
        return True

    def names(self, folder: str) -> list[str]:
        """The paths of all files below a folder, relative to it."""
        with self._translate_errors():
            start = len(self._at(folder)) + 1
            return sorted(path[start:] for path in self._fs.find(self._at(folder)))

    def delete(self, path: str) -> None:
        """Remove the file if it is there, with the old versions that a bucket may keep of it."""
        try:
            with self._translate_errors():
                if self._has_versions:
                    erase(self._fs, self._at(path))
                else:
                    self._fs.rm_file(self._at(path))
        except FileNotFoundError:
            return

    def prune(self, folder: str) -> None:
        """Remove a local folder that holds no file any more; a bucket has none."""
        if self._local:
            shutil.rmtree(self._at(folder), ignore_errors=True)

    def erase_all(self, skip: str = "") -> None:
        """Delete every file below the URL, but those whose path begins with `skip`; a local folder then goes too."""
        with self._translate_errors():
            paths = [path[len(self._root) + 1 :] for path in self._fs.find(self._root)]
        for path in paths:
            if not skip or not path.startswith(skip):
                self.delete(path)
        if self._local and not skip:
            shutil.rmtree(self._root, ignore_errors=True)

    def _translate_errors(self) -> AbstractContextManager[None]:
        return translate_errors(self._url) if not self._local else _of_a_folder(self._root)

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _drop_old_drafts(self, path: str) -> None:
        """Remove drafts of writers that were killed: nobody has written to them for a while."""
        folder = Path(self._at(path)).parent
        for draft in folder.glob(".draft-*") if folder.is_dir() else ():
            with suppress(FileNotFoundError):
                if draft.stat().st_mtime < time.time() - DEAD_S:
                    draft.unlink()

    def _beside(self, path: str, pieces: Iterable[bytes]) -> str:
        """A finished draft in the same folder (local only)."""
        target = self._at(path)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        draft = f"{os.path.dirname(target)}/.draft-{secrets.token_hex(8)}"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.writelines(pieces)
                stream.flush()
                os.fsync(stream.fileno())
        except BaseException as error:
            if not isinstance(error, OSError):
                os.unlink(draft)
                raise
            if os.path.exists(draft):
                os.unlink(draft)
            message = f"The dataset could not be written: {error.strerror or 'disk error'}."
            raise DatasetError(message, what_next="Free some disk space and add it again.") from error
        return draft

    def _sync_folder(self, path: str) -> None:
        folder = os.open(os.path.dirname(self._at(path)), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _of_a_folder(root: str) -> Iterator[None]:
    """A folder that is another's, or is none, as DatasetError."""
    try:
        yield
    except (PermissionError, NotADirectoryError) as error:
        message = f"The datasets in {root} cannot be used: {error.strerror}."
        raise DatasetError(message, what_next="Check TRAINWISE_DATASETS_URL and who owns it.") from error


S3 = ("s3", "s3a")
NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EMLINK)
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
SECOND = ("PreconditionFailed", "ConditionalRequestConflict", "412")
PATIENCE = {
    "connect_timeout": 3,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}
"""A bucket that is down is told within seconds: a person waits, or the job is tried again by its worker."""


def open_store(url: str, login: Mapping[str, str] | None = None) -> tuple[Any, str]:
    """(fsspec file system, root path) of a URL; DatasetError names the package that is missing. `login` is for S3 alone."""
    from fsspec.core import url_to_fs

    scheme = url.split("://", maxsplit=1)[0] if "://" in url else ""
    options: dict[str, Any] = {}
    if scheme in S3:
        options = {"use_listings_cache": False, "config_kwargs": PATIENCE, **(login or {})}
    try:
        fs, root = url_to_fs(url, **options)
    except (ImportError, ValueError) as error:
        package = f"`pip install {PACKAGES[scheme]}`" if scheme in PACKAGES else "the fsspec package for it"
        raise DatasetError(
            f"The dataset store cannot use {scheme or url}:// addresses here.",
            what_next=f"Install {package} where bot and workers run, or use a folder.",
        ) from error
    if scheme in S3:
        fs.retries = 1  # on top of botocore's own: a store that hangs would be waited for 15 times
    return fs, str(root).rstrip("/")


def was_second(error: OSError) -> bool:
    """Whether a create-only write failed because another writer was first, or wrote at the same moment."""
    return isinstance(error, FileExistsError) or code_of(error) in SECOND


def erase(fs: Any, path: str) -> None:
    """Delete an object for good: in a bucket that keeps old versions, all of them and the marks of deletion."""
    bucket, _, key = path.partition("/")
    answer = fs.call_s3("delete_object", Bucket=bucket, Key=key)
    if not (answer.get("DeleteMarker") or answer.get("VersionId")):
        return
    try:
        versions = fs.call_s3("list_object_versions", Bucket=bucket, Prefix=key)
        for one in [*versions.get("Versions", ()), *versions.get("DeleteMarkers", ())]:
            if one["Key"] == key:
                fs.call_s3("delete_object", Bucket=bucket, Key=key, VersionId=one["VersionId"])
    except PermissionError as refused:
        raise DatasetError(
            f"The bucket {bucket} keeps old versions and these credentials may not delete them: the rows are "
            "still in them.",
            what_next="Allow s3:ListBucketVersions and s3:DeleteObjectVersion, then do this again.",
        ) from refused
