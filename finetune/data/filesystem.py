"""A few file operations on any fsspec URL, whole or not at all: what the dataset store is written on."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from finetune import bucket
from finetune.data.ticket import DatasetError


class Files:
    """Files below one URL. Paths are relative, with '/', and made by the store, never taken from a user."""

    def __init__(self, url: str) -> None:
        self._url = url if "://" in url else str(Path(url).expanduser())
        self._fs, self._root = bucket.open_store(self._url)
        protocols = self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,)
        self._local = "file" in protocols
        self._versioned = "s3" in protocols

    def read(self, path: str) -> bytes | None:
        """The file's bytes, None if there is no such file."""
        try:
            with self._in_words():
                data: bytes = self._fs.cat_file(self._at(path))
        except FileNotFoundError:
            return None
        return data

    def read_all(self, folder: str) -> dict[str, bytes]:
        """Every finished file below a folder by its path there; few round trips, however many files."""
        with self._in_words():
            found = self._fs.find(self._at(folder))
            start = len(self._at(folder)) + 1
            kept = [path for path in found if not path.rsplit("/", 1)[-1].startswith(".")]
            data = self._fs.cat(kept, on_error="return") if kept else {}
            for answer in data.values():
                if isinstance(answer, Exception) and not isinstance(answer, FileNotFoundError):
                    raise answer
        return {path[start:]: data[path] for path in kept if isinstance(data.get(path), bytes)}

    def exists(self, path: str) -> bool:
        """Whether the file is there."""
        with self._in_words():
            return bool(self._fs.exists(self._at(path)))

    def write(self, path: str, data: bytes) -> None:
        """Write the file, replacing it; a reader sees the old or the new one, never a part."""
        if self._local:
            os.replace(self._beside(path, data), self._at(path))
            self._sync_folder(path)
        else:
            with self._in_words():
                self._fs.pipe_file(self._at(path), data)

    def create(self, path: str, data: bytes) -> bool:
        """Write the file only if there is none; False if another writer was first."""
        if not self._local:
            return self._create_remote(self._at(path), data)
        draft = self._beside(path, data)
        try:
            os.link(draft, self._at(path))
        except FileExistsError:
            return False
        finally:
            os.unlink(draft)
        self._sync_folder(path)
        return True

    def _create_remote(self, path: str, data: bytes) -> bool:
        """By the store's own create-only write (S3 and memory have one), else by looking first."""
        with self._in_words():
            try:
                self._fs.pipe_file(path, data, mode="create")
                return True
            except OSError as error:
                if bucket.was_second(error):
                    return False
                if error.errno != errno.ENOSYS:
                    raise
            except (TypeError, NotImplementedError, ValueError):
                pass
            if self._fs.exists(path):
                return False
            self._fs.pipe_file(path, data)
        return True

    def delete(self, path: str) -> None:
        """Remove the file if it is there, with the old versions that a bucket may keep of it."""
        try:
            with self._in_words():
                if self._versioned:
                    bucket.erase(self._fs, self._at(path))
                else:
                    self._fs.rm_file(self._at(path))
        except FileNotFoundError:
            return

    def _in_words(self) -> AbstractContextManager[None]:
        return bucket.in_words(self._url) if not self._local else _of_a_folder(self._root)

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _beside(self, path: str, data: bytes) -> str:
        """A finished draft in the same folder (local only)."""
        target = self._at(path)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        draft = f"{os.path.dirname(target)}/.draft-{secrets.token_hex(8)}"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
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
