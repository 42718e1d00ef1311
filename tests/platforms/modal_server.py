"""Modal's gRPC service, built on the protocol buffers that its client ships; sandboxes of one workspace. Never run live.

A body that Modal's client sends is one of its messages or no call at all; what the messages leave open (limits, names,
secrets that must exist) is checked here. Ended sandboxes are not listed and give their name free. A call that the client
repeats bears the same idempotency key: what it did the first time it is not done again, and it meets the same fault.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import grpclib.server
from google.protobuf.json_format import MessageToDict
from google.protobuf.unknown_fields import UnknownFieldSet
from grpclib import GRPCError, Status
from modal._utils.grpc_testing import patch_mock_servicer
from modal_proto import api_pb2
from modal_proto.api_grpc import ModalClientBase

from finetune.platforms import PLATFORMS
from finetune.platforms.modal_calls import CALL_THREAD
from tests.platforms.harness import IMAGE, Wire
from tests.platforms.standin import (
    CANCELLED,
    FAILED,
    KEY,
    SUCCEEDED,
    TIMED_OUT,
    PlatformJob,
    StandIn,
)

TOKEN_ID = "ak-test"
GPU = "T4"
BUCKET_SECRET = "trainwise-bucket"
LONGEST_S = 86_400
TIMEOUT_S, SILENCE_S = 0.4, 0.5  # a create is four calls
LATE_S = 20.0  # at most, for a call that was given up
Result = api_pb2.GenericResult
ENDS = {
    SUCCEEDED: (Result.GENERIC_STATUS_SUCCESS, 0),
    FAILED: (Result.GENERIC_STATUS_FAILURE, 1),
    CANCELLED: (Result.GENERIC_STATUS_TERMINATED, 137),
    TIMED_OUT: (Result.GENERIC_STATUS_TIMEOUT, 124),
}
UNKNOWN_STATUS = 77


def handle_calls(cls: type) -> type:
    """Every method that the service defines goes through the stand-in's faults."""
    for name in [name for name in vars(cls) if name[0].isupper()]:
        setattr(cls, name, befall(name, getattr(cls, name)))
    return patch_mock_servicer(cls)


def befall(name: str, answer: Callable[[Any, Any], Any]) -> Any:
    """A gRPC method of the answer to its message."""

    async def method(self: Any, stream: Any) -> None:
        message = await stream.recv_message()
        server: ModalServer = self.server
        value, fault = server.take_call(name, message, stream.metadata, lambda m: answer(self, m))
        if fault == "silent":
            await asyncio.sleep(SILENCE_S)
        if fault in ("cut", "silent"):
            await stream.cancel()
            return
        if isinstance(value, GRPCError):
            raise value
        await stream.send_message(value)

    return method


@handle_calls
class Service(ModalClientBase):
    """The calls that the adapter's client makes; every other one answers UNIMPLEMENTED."""

    def __init__(self, server: ModalServer) -> None:
        self.server = server

    def AppGetOrCreate(self, message: Any) -> Any:
        if not message.object_creation_type and not self.server.has_app:
            raise GRPCError(Status.NOT_FOUND, "no such app")
        self.server.has_app = True
        return api_pb2.AppGetOrCreateResponse(app_id="ap-1")

    def EnvironmentGetOrCreate(self, message: Any) -> Any:
        settings = api_pb2.EnvironmentSettings(image_builder_version="2025.06")
        return api_pb2.EnvironmentGetOrCreateResponse(
            environment_id="en-1",
            metadata=api_pb2.EnvironmentMetadata(name="main", settings=settings),
        )

    def ImageGetOrCreate(self, message: Any) -> Any:
        lines = list(message.image.dockerfile_commands)
        number = {f"FROM {IMAGE}": "im-0", "FROM base": "im-1"}.get(lines[0])
        if number is None or (number == "im-1") != ("ENTRYPOINT []" in lines):
            self.server.violations.append(f"image {lines}")
        success = Result(status=Result.GENERIC_STATUS_SUCCESS)
        return api_pb2.ImageGetOrCreateResponse(image_id=number or "im-9", result=success)

    def SecretGetOrCreate(self, message: Any) -> Any:
        if message.deployment_name not in ("", BUCKET_SECRET):
            raise GRPCError(Status.NOT_FOUND, "no such secret")
        self.server.secrets[f"st-{len(self.server.secrets)}"] = dict(message.env_dict)
        return api_pb2.SecretGetOrCreateResponse(secret_id=f"st-{len(self.server.secrets) - 1}")

    def AuthTokenGet(self, message: Any) -> Any:
        return api_pb2.AuthTokenGetResponse(token=jwt_until(time.time() + 3600))

    def SandboxCreate(self, message: Any) -> Any:
        if not message.definition.resources.gpu_config.gpu_type:
            self.server.violations.append("a sandbox without a GPU of the older kind")
        env = [self.server.secrets.get(name, {}) for name in message.definition.secret_ids]
        return api_pb2.SandboxCreateResponse(sandbox_id=self.server.take(message, env, "sb-{:022d}").id)

    def SandboxCreateV2(self, message: Any) -> Any:
        if message.definition.resources.gpu_config.gpu_type:
            raise GRPCError(Status.INVALID_ARGUMENT, "GPUs are not supported")
        env = [dict(one.env.contents) for one in message.secret_sources]
        return api_pb2.SandboxCreateV2Response(sandbox_id=self.server.take(message, env, "sb-new{:06d}").id)

    def SandboxGetTaskId(self, message: Any) -> Any:
        job = self.server.sandbox_of(message.sandbox_id)
        is_placed = self.server.has_capacity or job.started_at is not None
        return api_pb2.SandboxGetTaskIdResponse(task_id=f"ta-{job.id[3:]}" if is_placed else "")

    def SandboxGetFromNameV2(self, message: Any) -> Any:
        return self.by_name(message, is_new=True)

    def SandboxGetFromName(self, message: Any) -> Any:
        return self.by_name(message, is_new=False)

    def by_name(self, message: Any, is_new: bool) -> Any:
        """The sandbox that runs under a name, of the newer or the older kind."""
        for job in self.server.visible_jobs():
            if (job.tag, job.ended_at, "new" in job.id) == (message.sandbox_name, None, is_new):
                return api_pb2.SandboxGetFromNameResponse(sandbox_id=job.id)
        raise GRPCError(Status.NOT_FOUND, "no running sandbox of this name")

    def SandboxListV2(self, message: Any) -> Any:
        tags = {one.tag_name: one.tag_value for one in message.tags}
        jobs = [job for job in self.server.visible_jobs() if job.ended_at is None]
        rows = sorted(jobs, key=lambda job: -job.number)
        if message.before_timestamp:
            rows = [job for job in rows if float(job.number) < message.before_timestamp]
        rows = [job for job in rows if tags.get("trainwise", job.tag) == job.tag]
        return api_pb2.SandboxListResponse(
            sandboxes=[api_pb2.SandboxInfo(id=job.id, created_at=float(job.number)) for job in rows]
        )

    def SandboxTagsGet(self, message: Any) -> Any:
        job = self.server.sandbox_of(message.sandbox_id)
        return api_pb2.SandboxTagsGetResponse(
            tags=[api_pb2.SandboxTag(tag_name="trainwise", tag_value=job.tag)]
        )

    def SandboxWait(self, message: Any) -> Any:
        job = self.server.sandbox_of(message.sandbox_id)
        if job.odd_word:
            return api_pb2.SandboxWaitResponse(result=Result(status=UNKNOWN_STATUS, exitcode=0))
        if job.ended_at is None:
            return api_pb2.SandboxWaitResponse()
        status, code = ENDS[job.stage]
        return api_pb2.SandboxWaitResponse(result=Result(status=status, exitcode=code))

    def SandboxTerminate(self, message: Any) -> Any:
        job = self.server.sandbox_of(message.sandbox_id)
        if job.ended_at is None:
            self.server.cancel(job)
        return api_pb2.SandboxTerminateResponse()

    SandboxTagsGetV2, SandboxWaitV2, SandboxTerminateV2 = SandboxTagsGet, SandboxWait, SandboxTerminate

    def WorkspaceNameLookup(self, message: Any) -> Any:
        return api_pb2.WorkspaceNameLookupResponse(username="team")

    def WorkspaceBillingReport(self, message: Any) -> Any:
        row = api_pb2.WorkspaceBillingReportItem(object_id=self.server.billed_id, cost=self.server.billed_usd)
        return row


def jwt_until(end: float) -> str:
    """A token whose signature nobody checks, with the hour of its end."""
    return f"e30.{base64.urlsafe_b64encode(json.dumps({'exp': end}).encode()).decode().rstrip('=')}.e30"


class Sandbox(PlatformJob):
    """A sandbox, with its number among those that were made."""

    number = 0


class ModalServer(StandIn):
    """Sandboxes: a name is taken while one of it runs."""

    name = "modal"

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.secrets: dict[str, dict[str, str]] = {}
        self.has_app, self.has_capacity = False, True
        self.billed_id, self.billed_usd = "", "0"
        self._calls: dict[str, tuple[Any, str]] = {}
        self._calls_without_key = self._serial = 0
        self._loop = asyncio.new_event_loop()
        self._grpc: Any = None
        began = threading.Event()
        threading.Thread(target=self._serve, args=(began,), daemon=True).start()
        began.wait(10)

    def _serve(self, began: threading.Event) -> None:
        async def start() -> None:
            self._grpc = grpclib.server.Server([Service(self)])
            await self._grpc.start("127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{self._grpc._server.sockets[0].getsockname()[1]}"
            began.set()

        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(start())
        self._loop.run_forever()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._grpc.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        super().close()

    def finish_calls(self) -> None:
        """Modal's client tries again in its own thread (finetune/platforms/modal_calls.py), which nobody waits for any more."""
        for thread in threading.enumerate():
            if thread.name == CALL_THREAD:
                thread.join(LATE_S)

    def reset(self) -> None:
        self.finish_calls()
        super().reset()
        self._calls.clear()
        self.has_capacity = True

    def take_call(
        self, name: str, message: Any, metadata: Any, answer: Callable[[Any], Any]
    ) -> tuple[Any, str]:
        """The answer to a call, an error among them, and what befalls it on the way."""
        self._calls_without_key += 1
        key = f"{name} {metadata.get('x-idempotency-key', self._calls_without_key)}"
        with self._lock:
            self.requests += 1
            value, fault = self._calls.get(key, (None, ""))
            if value is not None:
                return value, fault if fault == "cut" else ""
            faults = self.create_faults if name.startswith("SandboxCreate") else self.read_faults
            fault = faults.pop(0) if faults else ""
            if len(UnknownFieldSet(message)):
                self.violations.append(f"{name} has fields that its message does not know")
            self._calls[key] = (self._answer(message, metadata, answer, fault), fault)
            return self._calls[key]

    def _answer(self, message: Any, metadata: Any, answer: Callable[[Any], Any], fault: str) -> Any:
        statuses = {"503": Status.UNAVAILABLE, "429": Status.RESOURCE_EXHAUSTED, "html": Status.UNKNOWN}
        if fault in statuses:
            return GRPCError(statuses[fault], "refused")
        login = metadata.get("x-modal-token-id"), metadata.get("x-modal-token-secret")
        if not self.is_key_good or login != (TOKEN_ID, KEY):
            return GRPCError(Status.UNAUTHENTICATED, "Token ID is malformed or revoked.")
        try:
            return answer(message)
        except GRPCError as error:
            return error
        except Exception as error:  # a stand-in that breaks is a broken test, not a fault of the platform
            self.violations.append(f"the stand-in broke on {type(message).__name__}: {error!r}")
            return GRPCError(Status.INTERNAL, "broken")

    def sandbox_of(self, sandbox_id: str) -> Any:
        """The sandbox of an id, ended or not."""
        job = self.job(sandbox_id)
        if job is None:
            raise GRPCError(Status.NOT_FOUND, "no such sandbox")
        return job

    def take(self, message: Any, secrets: list[dict[str, str]], shape: str) -> PlatformJob:
        """The sandbox of a create; `secrets` are the contents of those that it names, `shape` that of its id."""
        one = message.definition
        facts = {
            "app": message.app_id == "ap-1",
            "image": one.image_id == "im-1",
            "entrypoint": list(one.entrypoint_args)[:1] == ["trainwise"],
            "name": re.fullmatch(r"[a-zA-Z0-9._-]{1,64}", one.name) is not None,
            "timeout": 1 <= one.timeout_secs <= LONGEST_S,
            "tags": [(tag.tag_name, tag.tag_value) for tag in message.tags] == [("trainwise", one.name)],
            "secrets": all(name in self.secrets for name in one.secret_ids),
            "gpu": one.resources.gpu_config.gpu_type in ("", GPU),
            "network": one.network_access.network_access_type == api_pb2.NetworkAccess.OPEN,
        }
        self.violations += [f"{name} of {one}" for name, holds in facts.items() if not holds]
        if any(
            job.tag == one.name and job.ended_at is None and not job.is_gone for job in self.jobs.values()
        ):
            raise GRPCError(Status.ALREADY_EXISTS, "Sandbox with this name already exists")
        self.creates += 1
        body = {**MessageToDict(message), "env": secrets}
        self._serial += 1
        job = Sandbox(shape.format(self._serial), one.name, body, self.clock())
        job.number = self._serial
        self.jobs[job.id] = job
        return job

    def end(self, job: PlatformJob, stage: str) -> None:
        """The sandbox ends, is listed no more, and another may have its name."""
        super().end(job, stage)
        if job.gone_at is None:
            job.gone_at = self.clock()


def settings_for(standin: StandIn, runs_url: str) -> dict[str, str]:
    """The settings of Modal before its stand-in."""
    return {
        "MODAL_TOKEN_ID": TOKEN_ID,
        "MODAL_TOKEN_SECRET": KEY,
        "MODAL_SERVER_URL": standin.url,
        "timeout_s": str(TIMEOUT_S),
        "TRAINWISE_MODAL_RUNS_URL": runs_url,
        "TRAINWISE_MODAL_BUCKET_SECRET": BUCKET_SECRET,
        "TRAINWISE_MODAL_MACHINES": f"{GPU}=0.95, cpu=0.40",
        "TRAINWISE_IMAGE": IMAGE,
    }


WIRE = Wire(PLATFORMS["modal"], ModalServer, settings_for, GPU)
