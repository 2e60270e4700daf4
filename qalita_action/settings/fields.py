"""Every setting with its type, and what the stages get of them. Must not know where a value came from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from qalita_action import model
from qalita_action.dbt import Places, Reach, Vetting, moment
from qalita_action.knobs import KNOBS
from qalita_action.model import DIMENSIONS
from qalita_action.redact import Secret

BYTES = {"": 0, "k": 1, "m": 2, "g": 3}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_POINTS = re.compile(r"\d{1,3}(\.\d{1,6})?")
SELECTOR_METHODS = ("tag", "path", "source")


def _field(name: str, default: Any, **rules: Any) -> Any:
    return Field(default, description=KNOBS[name].help, **rules)


class Settings(BaseModel):
    """All settings of `qalita-ingest dbt`. Names are those of the flags, with underscores."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    path: str | None = _field("path", None)
    config: str | None = _field("config", None)
    manifest: str | None = _field("manifest", None)
    results: tuple[str, ...] = _field("results", ())
    sources: str | None = _field("sources", None)
    catalog: str | None = _field("catalog", None)
    target_path: str | None = _field("target_path", None)
    max_artifact_size: str = _field("max_artifact_size", "1GiB", pattern=r"(?i)^\d+(\.\d+)? ?([kmg]i?b?|b)?$")
    since: str | None = _field("since", None)
    shard: str | None = _field("shard", None, pattern=r"^\d+/[1-9]\d*$")
    dbt_cloud_host: str | None = _field("dbt_cloud_host", None)
    dbt_cloud_token: SecretStr | None = _field("dbt_cloud_token", None)
    wait: bool = _field("wait", False)
    wait_timeout: float = _field("wait_timeout", 3600.0, gt=0)
    project: str | None = _field("project", None)
    env: str | None = _field("env", None)
    change_env: str = _field("change_env", "ci")
    suite: str | None = _field("suite", None)
    run_id: str | None = _field("run_id", None)
    endpoint: str | None = _field("endpoint", None)
    token: SecretStr | None = _field("token", None)
    api: Literal["auto", "results", "ingestion", "folder"] = _field("api", "auto")
    publish: Literal["auto", "always", "never"] = _field("publish", "auto")
    publish_timeout: float = _field("publish_timeout", 120.0, gt=0)
    on_publish_failure: Literal["auto", "fail", "warn"] = _field("on_publish_failure", "auto")
    dry_run: bool = _field("dry_run", False)
    output: Literal["text", "json"] = _field("output", "text")
    fail_on: Literal["fail", "warn", "new", "never"] = _field("fail_on", "fail")
    min_score: str | None = _field("min_score", None)
    max_score_drop: str | None = _field("max_score_drop", None)
    allow_failures: str | None = _field("allow_failures", None)
    mention_owners: bool = _field("mention_owners", False)
    on_empty: Literal["auto", "pass", "fail"] = _field("on_empty", "auto")
    baseline: str | None = _field("baseline", None)
    baseline_env: str | None = _field("baseline_env", None)
    require_run: tuple[str, ...] = _field("require_run", ())
    artifacts_since: str | None = _field("artifacts_since", None)
    max_age: str | None = _field("max_age", None, pattern=r"^\d+(\.\d+)?[smhdw]$")
    dbt_outcome: Literal["success", "failure", "cancelled", "skipped"] | None = _field("dbt_outcome", None)
    dbt_exit_code: int | None = _field("dbt_exit_code", None, ge=0, le=255)
    dimensions: tuple[str, ...] = _field("dimensions", ())
    warn_score: str = _field("warn_score", "0.5", pattern=r"^(0(\.\d+)?|1(\.0+)?)$")
    max_undecided: float = _field("max_undecided", 0.10, ge=0, le=1)
    comment: Literal["auto", "off", "changes", "failures", "always"] = _field("comment", "auto")
    github_token: SecretStr | None = _field("github_token", None)
    gitlab_token: SecretStr | None = _field("gitlab_token", None)
    metrics_detail: Literal["source", "table", "column", "check"] = _field("metrics_detail", "column")
    pack: str = _field("pack", "dbt_ingest")
    pack_per_dimension: bool = _field("pack_per_dimension", False)
    source_id: str | None = _field("source_id", None)
    visibility: Literal["private", "internal", "public"] = _field("visibility", "internal")
    send_messages: bool = _field("send_messages", False)
    send_sql: bool = _field("send_sql", False)
    ca_bundle: str | None = _field("ca_bundle", None)
    client_cert: str | None = _field("client_cert", None)
    client_key: str | None = _field("client_key", None)
    skip_ssl_verify: bool = _field("skip_ssl_verify", False)
    verbose: bool = _field("verbose", False)
    report_dir: str = _field("report_dir", "qalita-report")
    spool_dir: str = _field("spool_dir", "qalita-spool")
    sha: str | None = _field("sha", None)
    branch: str | None = _field("branch", None)
    default_branch: str | None = _field("default_branch", None)
    change_id: str | None = _field("change_id", None)
    job_id: str | None = _field("job_id", None)
    matrix: str | None = _field("matrix", None)
    job_status: Literal["success", "failure", "cancelled"] | None = _field("job_status", None)

    @field_validator("artifacts_since")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        if value is not None and value != "any" and moment(value) is None:
            raise PydanticCustomError("time", "a time such as 2026-01-31T07:15:00Z, or `any`")
        return value

    @field_validator("since")
    @classmethod
    def _is_a_time_or_all(cls, value: str | None) -> str | None:
        if value is not None and value != "all" and moment(value) is None:
            raise PydanticCustomError("time", "a time such as 2026-01-31 or 2026-01-31T07:15:00Z, or `all`")
        return value

    @field_validator("shard")
    @classmethod
    def _is_a_part(cls, value: str | None) -> str | None:
        part, _, parts = (value or "0/1").partition("/")
        if int(part) >= int(parts):
            raise PydanticCustomError("shard", "I/N with I from 0 to N-1: 0/3, 1/3 and 2/3 are all of three")
        return value

    @field_validator("matrix")
    @classmethod
    def _is_a_matrix(cls, value: str | None) -> str | None:
        """GitHub writes `null` where a job has no matrix."""
        try:
            found = json.loads(value or "null")
        except ValueError:
            found = value
        if found is not None and not isinstance(found, dict):
            raise PydanticCustomError("matrix", "a JSON object, as ${{ toJSON(matrix) }} gives it")
        return value if found else None

    @field_validator("min_score", "max_score_drop", mode="before")
    @classmethod
    def _are_points(cls, value: Any, info: ValidationInfo) -> Any:
        """`90`, `90.5`, `90 %`. A least score of 0.9 is meant as 90 %, and would be no gate at all."""
        if value is None:
            return None
        text = str(value).strip()
        number = text.removesuffix("%").strip()
        expected = "points of a hundred: 0 to 100, such as 90 or 90.5 %"
        if not _POINTS.fullmatch(number) or float(number) > 100:
            raise PydanticCustomError("points", expected)
        if info.field_name == "min_score" and 0 < float(number) <= 1 and "%" not in text:
            raise PydanticCustomError("points", f"{expected}; for nine tenths write 90")
        return number

    @field_validator("dimensions")
    @classmethod
    def _are_dimensions(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            name, _, dimension = value.partition("=")
            if not name.strip() or dimension.strip() not in DIMENSIONS:
                raise PydanticCustomError("dimension", f"TYPE=DIMENSION, one of {', '.join(DIMENSIONS)}")
        return values

    @field_validator("require_run")
    @classmethod
    def _are_selectors(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            method, colon, rest = value.partition(":")
            if colon and (method not in SELECTOR_METHODS or not rest.strip()):
                methods = ", ".join(f"{m}:..." for m in SELECTOR_METHODS)
                raise PydanticCustomError("selector", f"{methods}, or a name")
        return values

    def legs(self) -> tuple[str, ...]:
        """The matrix's own values, as GitHub shows them behind a job's name."""
        values = json.loads(self.matrix or "{}").values()
        return tuple(v if isinstance(v, str) else json.dumps(v) for v in values)

    def target(self, tool: model.Tool) -> model.Target:
        return model.Target(
            api=self.api,
            publish=self.publish,
            endpoint=self.endpoint,
            token=Secret(self.token.get_secret_value()) if self.token else None,
            ca=self.ca_bundle,
            client_cert=self.client_cert,
            client_key=self.client_key,
            verify_tls=not self.skip_ssl_verify,
            timeout_s=self.publish_timeout,
            pack=self.pack,
            pack_per_dimension=self.pack_per_dimension,
            source_id=self.source_id,
            metrics_detail=self.metrics_detail,
            folder=self.report_dir,
            spool_dir=self.spool_dir,
            tool=tool,
        )

    def policy(self, tool: model.Tool) -> model.Policy:
        return model.Policy(
            project=self.project,
            environment=self.env,
            change_environment=self.change_env,
            suite=self.suite,
            run_id=self.run_id,
            visibility=self.visibility,
            warn_score=self.warn_score,
            max_undecided=self.max_undecided,
            send_messages=self.send_messages,
            send_sql=self.send_sql,
            dimensions={
                name.strip(): dimension.strip()
                for name, _, dimension in (value.partition("=") for value in self.dimensions)
            },
            tool=tool,
        )

    def places(self, env: Mapping[str, str]) -> Places:
        """env: the clouds' own variables hold their credentials."""
        return Places(
            path=self.path,
            manifest=self.manifest,
            results=self.results,
            sources=self.sources,
            catalog=self.catalog,
            target_path=self.target_path,
            reach=Reach(
                env=env,
                max_bytes=self._max_bytes(),
                cloud_host=self.dbt_cloud_host,
                cloud_token=Secret(self.dbt_cloud_token.get_secret_value()) if self.dbt_cloud_token else None,
                wait_s=self.wait_timeout if self.wait else 0.0,
                ca=self.ca_bundle,
                verify_tls=not self.skip_ssl_verify,
            ),
        )

    def _max_bytes(self) -> int:
        """KiB and KB alike are 1,024 bytes: a limit, not a bill."""
        number = self.max_artifact_size.rstrip(" kmgibKMGIB")
        unit = self.max_artifact_size[len(number) :].strip().lower().replace("b", "").replace("i", "")
        return int(float(number) * 1024 ** BYTES[unit])

    def gate(self) -> model.Gate:
        """By the settings alone: the pipeline adds the allowlist, the day and the comparisons."""
        return model.Gate(
            fail_on=self.fail_on,
            require_run=self.require_run,
            min_score=self.min_score,
            max_score_drop=self.max_score_drop,
        )

    def vetting(self, context: model.CIContext, now: datetime) -> Vetting:
        on_empty = self.on_empty
        since = moment(context.ci.started_at if self.artifacts_since is None else self.artifacts_since)
        return Vetting(
            started_at=since,
            not_before=now - self._max_age() if self.max_age else None,
            dbt_exit_code=self._exit_code(),
            max_bytes=self._max_bytes(),
            on_empty=("pass" if context.is_change else "fail") if on_empty == "auto" else on_empty,
        )

    def _max_age(self) -> timedelta:
        age = self.max_age or "0s"
        return timedelta(seconds=float(age[:-1]) * SECONDS[age[-1]])

    def _exit_code(self) -> int | None:
        if self.dbt_exit_code is not None or self.dbt_outcome is None:
            return self.dbt_exit_code
        return {"success": 0, "failure": 1}.get(self.dbt_outcome)
