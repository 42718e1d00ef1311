"""Files in S3 by boto3's client: what a tuning job reads and leaves, and erasing every version of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from finetune.platforms.aws import translate_errors
from finetune.platforms.contract import PlatformError


class S3Files:
    """The objects below one s3:// address; `label` is the platform's name in errors."""

    def __init__(self, label: str, client: Any, url: str, variable: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise PlatformError(f"{variable} is {url[:80]!r}: write s3://bucket/prefix.")
        self._label, self._client, self._bucket = label, client, parts.netloc
        self._prefix = parts.path.strip("/")

    def url_of(self, path: str) -> str:
        """Where a file lies, as a job is told."""
        return f"s3://{self._bucket}/{self._key(path)}"

    def write(self, path: str, data: bytes) -> None:
        """Write one object, replacing it."""
        with translate_errors(self._label):
            self._client.put_object(Bucket=self._bucket, Key=self._key(path), Body=data)

    def read(self, key: str) -> bytes:
        """One object by its whole key."""
        with translate_errors(self._label):
            return bytes(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())

    def versions(self, folder: str) -> list[tuple[str, str]]:
        """Key and version of every object below a folder, marks of deleted ones among them."""
        rows: list[tuple[str, str]] = []
        with translate_errors(self._label):
            pages = self._client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self._bucket, Prefix=f"{self._key(folder)}/"):
                entries = (*page.get("Versions", []), *page.get("DeleteMarkers", []))
                rows += [(str(one["Key"]), str(one["VersionId"])) for one in entries]
        return rows

    def erase(self, folder: str) -> list[str]:
        """Erase everything below a folder in every version; what is still there."""
        for key, version in self.versions(folder):
            with translate_errors(self._label):
                self._client.delete_object(Bucket=self._bucket, Key=key, VersionId=version)
        return [f"s3://{self._bucket}/{key}" for key, _ in self.versions(folder)]

    def _key(self, path: str) -> str:
        return "/".join(filter(None, (self._prefix, path)))
