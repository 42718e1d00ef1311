"""Files in Google Cloud Storage by its JSON API: what a tuning job reads, and erasing every generation of it."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from finetune.platforms.answers import Missing
from finetune.platforms.contract import PlatformError
from finetune.platforms.http import JsonClient

URL = "https://storage.googleapis.com"


class Bucket:
    """The objects below one gs:// address; `client` calls the service with the login."""

    def __init__(self, client: JsonClient, url: str, variable: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "gs" or not parts.netloc:
            raise PlatformError(f"{variable} is {url[:80]!r}: write gs://bucket/prefix.")
        self._client, self._bucket = client, parts.netloc
        self._prefix = parts.path.strip("/")

    def url_of(self, path: str) -> str:
        """Where a file lies, as a job is told."""
        return f"gs://{self._bucket}/{self._name(path)}"

    def write(self, path: str, data: bytes) -> None:
        """Write one object, replacing it."""
        where = {"uploadType": "media", "name": self._name(path)}
        kind = {"Content-Type": "application/jsonl"}
        path = f"/upload/storage/v1/b/{self._bucket}/o"
        self._client.call("POST", path, params=where, content=data, more_headers=kind)

    def names(self, folder: str) -> list[tuple[str, str]]:
        """Name and generation of every object below a folder, those that newer ones replaced among them."""
        rows: list[tuple[str, str]] = []
        page = ""
        while True:
            where = {"prefix": f"{self._name(folder)}/", "versions": "true", "pageToken": page}
            answer = self._client.call("GET", f"/storage/v1/b/{self._bucket}/o", params=where)
            rows += [(str(row["name"]), str(row["generation"])) for row in answer.get("items", [])]
            page = answer.get("nextPageToken", "")
            if not page:
                return rows

    def erase(self, folder: str) -> list[str]:
        """Erase everything below a folder; what is still there, and for how long the bucket itself keeps it, in words."""
        rows = self.names(folder)
        for name, generation in rows:
            path = f"/storage/v1/b/{self._bucket}/o/{quote(name, safe='')}"
            try:
                self._client.call("DELETE", path, params={"generation": generation})
            except Missing:
                continue
        left = [f"gs://{self._bucket}/{name}" for name, _ in self.names(folder)]
        days = self.days_kept() if rows else 0.0
        if days:
            left.append(
                f"what lay in gs://{self._bucket} stays recoverable for {days:.0f} days by its soft delete, which is switched "
                "off in the bucket's settings"
            )
        return left

    def days_kept(self) -> float:
        """For how many days the bucket keeps what was deleted; 0 where it keeps nothing or does not tell."""
        answer = self._client.call(
            "GET", f"/storage/v1/b/{self._bucket}", params={"fields": "softDeletePolicy"}
        )
        return float((answer.get("softDeletePolicy") or {}).get("retentionDurationSeconds") or 0) / 86400

    def _name(self, path: str) -> str:
        return "/".join(filter(None, (self._prefix, path)))
