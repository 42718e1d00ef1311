"""A few file operations on any fsspec URL, whole or not at all: what the dataset store is written on."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from finetune.ticket import DatasetError


class Files:
    """Files below one URL. Paths are relative, with '/', and made by the store, never taken from a user."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        try:
            self._fs, root = url_to_fs(str(Path(url).expanduser()) if "://" not in url else url)
        except (ImportError, ValueError) as error:
            message = f"The dataset store cannot use {url.split('://')[0]}:// addresses here."
            raise DatasetError(
                message, what_next="Install the fsspec package for it, or use a folder."
            ) from error
        self._root = root.rstrip("/")
        self._local = "file" in (
            self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,)
        )

    def read(self, path: str) -> bytes | None:
        """The file's bytes, None if there is no such file."""
        try:
            data: bytes = self._fs.cat_file(self._at(path))
        except FileNotFoundError:
            return None
        return data

    def exists(self, path: str) -> bool:
        """Whether the file is there."""
        return bool(self._fs.exists(self._at(path)))

    def write(self, path: str, data: bytes) -> None:
        """Write the file, replacing it; a reader sees the old or the new one, never a part."""
        if self._local:
            os.replace(self._beside(path, data), self._at(path))
            self._sync_folder(path)
        else:
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
        try:
            self._fs.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        except (TypeError, NotImplementedError, ValueError):
            if self._fs.exists(path):
                return False
            self._fs.pipe_file(path, data)
        return True

    def delete(self, path: str) -> None:
        """Remove the file if it is there."""
        try:
            self._fs.rm_file(self._at(path))
        except FileNotFoundError:
            return

    def names(self, folder: str) -> list[str]:
        """The finished files in a folder, sorted."""
        return sorted(
            name for name, kind in self._listing(folder) if kind == "file" and not name.startswith(".")
        )

    def folders(self, folder: str) -> list[str]:
        """The folders in a folder, sorted."""
        return sorted(name for name, kind in self._listing(folder) if kind == "directory")

    def _listing(self, folder: str) -> list[tuple[str, str]]:
        try:
            found: list[dict[str, Any]] = self._fs.ls(self._at(folder), detail=True, refresh=True)
        except FileNotFoundError:
            return []
        return [(item["name"].rstrip("/").rsplit("/", 1)[-1], item["type"]) for item in found]

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
