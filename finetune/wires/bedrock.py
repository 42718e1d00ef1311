"""Bedrock's Converse on the deployment of a custom model; never run live.

Client: boto3. The model is a custom model's ARN: its deployment is looked up before the first question.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from finetune.llm import LONGEST_ANSWER, AskLLM, EndpointFailure, ModelAnswer
from finetune.wires.wire import Wire, ask_with_advice, failure_of


def key_of(key_id: str, secret: str) -> str:
    """The two halves of an AWS key as one text; "" where the client is to look for one by itself."""
    return json.dumps([key_id, secret]) if key_id and secret else ""


def client_of(service: str, region: str, key: str, address: str | None, timeout_s: float) -> Any:
    """boto3's client of a service, which repeats nothing by itself; `key` is `key_of`'s."""
    import boto3
    from botocore.config import Config

    key_id, secret = json.loads(key) if key else (None, None)
    config = Config(
        connect_timeout=timeout_s,
        read_timeout=timeout_s,
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"} if address else None,
    )
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=address,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=config,
    )


class _Asker:
    """Asks the deployment of one custom model; safe for several threads."""

    def __init__(self, model: str, key: str, address: str | None, timeout_s: float) -> None:
        region = model.split(":")[3]
        self._model = model
        self._control, self._runtime = (
            client_of(service, region, key, address, timeout_s) for service in ("bedrock", "bedrock-runtime")
        )
        self._deployment = ""
        self._lock = threading.Lock()

    def __call__(self, prompt: str) -> ModelAnswer:
        """The model's words and the service's count of tokens; EndpointFailure says why there is no answer."""
        from botocore.exceptions import ClientError

        try:
            return self._ask(prompt)
        except ClientError as error:
            raise failure_of(int(error.response["ResponseMetadata"]["HTTPStatusCode"])) from None

    def _ask(self, prompt: str) -> ModelAnswer:
        answer = self._runtime.converse(
            modelId=self._place(),
            messages=[{"role": "user", "content": [{"text": prompt}]}],
            inferenceConfig={"maxTokens": LONGEST_ANSWER, "temperature": 0.0},
        )
        text = "".join(part.get("text", "") for part in answer["output"]["message"]["content"])
        usage = answer["usage"]
        return ModelAnswer(text.strip(), usage["inputTokens"], usage["outputTokens"])

    def _place(self) -> str:
        with self._lock:
            if not self._deployment:
                rows = self._control.list_custom_model_deployments(
                    modelArnEquals=self._model, statusEquals="Active"
                )["modelDeploymentSummaries"]
                if not rows:
                    raise EndpointFailure("has no deployment of this model", "It may have been erased there.")
                self._deployment = str(rows[0]["customModelDeploymentArn"])
            return self._deployment


def asker(model: str, key: str, address: str | None, timeout_s: float) -> AskLLM:
    """`ask(prompt)` for a custom model; no call is made here."""
    return _Asker(model, key, address, timeout_s)


WIRE = Wire("bedrock", asker, ask_with_advice(asker))
