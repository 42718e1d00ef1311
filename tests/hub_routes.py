"""What the hub answers, address by address (tests/hub_server.py has its state and its rights)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time

import yaml

from tests.hub_server import BINARY, XET_TOKEN, Handler, Refusal, Repository, Route, git_oid

REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"


def whoami(ask: Handler, body: bytes) -> None:
    role = "write" if ask.account().writes else "read"
    ask.answer(200, {"name": ask.account().name, "type": "user", "auth": {"accessToken": {"role": role}}})


def create(ask: Handler, body: bytes) -> None:
    form, who = json.loads(body), ask.account()
    repo = f"{form.get('organization') or who.name}/{form['name']}"
    if not who.writes or not repo.startswith(f"{who.name}/"):
        message = f'You don\'t have the rights to create a model under the namespace "{repo.split("/")[0]}"'
        raise Refusal(403, "", message)
    url = {"url": f"{ask.hub.url}/{repo}"}
    if repo in ask.hub.repositories:
        return ask.answer(409, {"error": "You already created this model repo", **url})
    ask.hub.repositories[repo] = Repository(private=form.get("visibility") == "private")
    ask.answer(200, {"name": repo, **url})


def validate_yaml(ask: Handler, body: bytes) -> None:
    front = re.match(r"---\n(.*?)\n---", json.loads(body)["content"], re.S)
    try:
        good = front is not None and isinstance(yaml.safe_load(front[1]), dict)
    except yaml.YAMLError:
        good = False
    errors = [] if good else [{"message": "the front matter is no YAML mapping"}]
    ask.answer(200 if good else 400, {"errors": errors, "warnings": []})


def preupload(ask: Handler, body: bytes, repo: str) -> None:
    files, modes = ask.writable(repo).files, []
    for file in json.loads(body)["files"]:
        mode = "lfs" if file["path"].endswith(BINARY) else "regular"
        content = files.get(file["path"])
        oid = git_oid(content) if isinstance(content, bytes) else content
        modes.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    ask.answer(200, {"files": modes})


def lfs_batch(ask: Handler, body: bytes, repo: str) -> None:
    ask.writable(repo)
    objects = []
    for one in json.loads(body)["objects"]:
        upload = {"upload": {"href": f"{ask.hub.url}/lfs/{one['oid']}", "header": {}}}
        objects.append({**one, **({} if one["oid"] in ask.hub.blobs else {"actions": upload})})
    ask.answer(200, {"transfer": "basic", "objects": objects})


def lfs_put(ask: Handler, body: bytes, oid: str) -> None:
    if hashlib.sha256(body).hexdigest() != oid:
        raise Refusal(400, "", "the content is not what its oid says")
    ask.hub.blobs[oid] = body
    ask.answer(200)


def commit(ask: Handler, body: bytes, repo: str) -> None:
    target = ask.writable(repo)
    lines = [json.loads(line) for line in body.splitlines()]
    new: dict[str, bytes | str] = {}
    for line in lines:
        value = line["value"]
        if line["key"] == "file":
            new[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            if value["oid"] not in ask.hub.blobs and value["oid"] not in ask.hub.xet.files:
                raise Refusal(
                    400, "", "Your push was rejected: an LFS pointer pointed to a file that does not exist."
                )
            new[value["path"]] = value["oid"]
    target.files = target.files | new
    target.keep(lines[0]["value"]["summary"])
    ask.answer(
        200,
        {
            "success": True,
            "commitOid": target.head,
            "commitUrl": f"{ask.hub.url}/{repo}/commit/{target.head}",
        },
    )


def info(ask: Handler, body: bytes, repo: str, rev: str | None = None) -> None:
    repository = ask.readable(repo)
    sha, files = _as_of(repository, rev or "main")
    siblings = [{"rfilename": path} for path in files]
    about = {"id": repo, "modelId": repo, "sha": sha, "private": repository.private, "tags": []}
    ask.answer(200, {"_id": "1", **about, "gated": repository.gate, "siblings": siblings})


def tree(ask: Handler, body: bytes, repo: str, rev: str, folder: str = "") -> None:
    _, files = _as_of(ask.readable(repo), rev)
    inside = f"{folder}/" if folder else ""
    entries = [ask.hub.describe(path, content) for path, content in files.items() if path.startswith(inside)]
    if inside and not entries:
        raise Refusal(404, "EntryNotFound", f"{folder} does not exist")
    ask.answer(200, entries)


def resolve(ask: Handler, body: bytes, repo: str, rev: str, path: str) -> None:
    repository = ask.readable(repo, contents=True)
    sha, files = _as_of(repository, rev)
    commit_of = {"X-Repo-Commit": sha}
    if path not in files:
        return ask.answer(404, b"", {**commit_of, "X-Error-Code": "EntryNotFound"})
    content = files[path]
    if isinstance(content, bytes):
        return ask.answer(200, content, {**commit_of, "ETag": f'"{git_oid(content)}"'})
    entry = ask.hub.describe(path, content)
    headers = {"X-Linked-Etag": f'"{content}"', "X-Linked-Size": str(entry["size"])}
    if "xetHash" in entry:
        route = f"{ask.hub.url}/api/models/{repo}/xet-read-token/{sha}"
        headers |= {"X-Xet-Hash": entry["xetHash"], "X-Xet-Refresh-Route": route}
    elsewhere = f"http://localhost:{ask.hub.port}/cdn/{content}"  # another host: the token must not go there
    ask.answer(302, b"", {**commit_of, **headers, "Location": elsewhere})


def _as_of(repository: Repository, rev: str) -> tuple[str, dict[str, bytes | str]]:
    """(commit, its files by path)."""
    if rev == "main":
        return repository.head, repository.files
    if rev not in repository.revisions:
        raise Refusal(404, "RevisionNotFound", f"no revision {rev}")
    return rev, repository.revisions[rev]


def cdn(ask: Handler, body: bytes, oid: str) -> None:
    if ask.token:
        raise Refusal(400, "", "a token was sent to the storage")
    ask.answer(200, ask.hub.blobs[oid], {"ETag": f'"{oid}"'})


def xet_token(ask: Handler, body: bytes, repo: str, what: str) -> None:
    (ask.writable if what == "write" else ask.readable)(repo)
    until = int(time.time()) + 3600
    answer = {"accessToken": XET_TOKEN, "casUrl": f"{ask.hub.url}/cas", "exp": until}
    headers = {
        "X-Xet-Access-Token": XET_TOKEN,
        "X-Xet-Cas-Url": answer["casUrl"],
        "X-Xet-Token-Expiration": str(until),
    }
    ask.answer(200, answer, headers)


def xorb_put(ask: Handler, body: bytes, digest: str) -> None:
    ask.hub.xet.xorbs[digest] = body
    ask.answer(200, {"was_inserted": True})


def shard_put(ask: Handler, body: bytes) -> None:
    ask.hub.xet.take_shard(body)
    ask.answer(200, {"result": 1})


def plan(ask: Handler, body: bytes, digest: str) -> None:
    ask.answer(200, ask.hub.xet.plan(digest, f"{ask.hub.url}/xorbs"))


def xorb_get(ask: Handler, body: bytes, digest: str) -> None:
    first, last = re.fullmatch(r"bytes=(\d+)-(\d+)", ask.headers["Range"]).groups()  # type: ignore[union-attr]
    data = ask.hub.xet.xorbs[digest]
    part = data[int(first) : int(last) + 1]
    ask.answer(206, part, {"Content-Range": f"bytes {first}-{last}/{len(data)}"})


API, HASH = f"/api/models/{REPO}", "(?P<digest>[0-9a-f]{64})"
ROUTES: list[Route] = [
    ("GET", "/api/whoami-v2", whoami),
    ("POST", "/api/repos/create", create),
    ("POST", "/api/validate-yaml", validate_yaml),
    ("POST", f"{API}/preupload/main", preupload),
    ("POST", f"/{REPO}\\.git/info/lfs/objects/batch", lfs_batch),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", lfs_put),
    ("POST", f"{API}/commit/main", commit),
    ("GET", f"{API}(?:/revision/(?P<rev>[^/]+))?", info),
    ("GET", f"{API}/tree/(?P<rev>[^/]+)(?:/(?P<folder>.+))?", tree),
    ("HEAD", f"/{REPO}/resolve/(?P<rev>[^/]+)/(?P<path>.+)", resolve),
    ("GET", f"/{REPO}/resolve/(?P<rev>[^/]+)/(?P<path>.+)", resolve),
    ("GET", "/cdn/(?P<oid>[0-9a-f]{64})", cdn),
    ("GET", f"{API}/xet-(?P<what>read|write)-token/.+", xet_token),
    ("POST", f"/cas/v1/xorbs/default/{HASH}", xorb_put),
    ("POST", "/cas/v1/shards", shard_put),
    ("GET", f"/cas/v1/reconstructions/{HASH}", plan),
    ("GET", f"/xorbs/{HASH}", xorb_get),
]
