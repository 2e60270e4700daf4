"""Every knob, once. flag > INPUT_X > QALITA_X > qalita.yml > default; empty means unset.

The words come from knobs.py. Reads no environment and no file by itself: `resolve` gets both as values.
"""

from __future__ import annotations

import difflib
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from qalita_action import model
from qalita_action.dbt import Places, Vetting, moment
from qalita_action.errors import SettingsError, raise_all
from qalita_action.knobs import KNOBS, LISTS, NOT_FROM_FILE, ONE_RUN
from qalita_action.model import DIMENSIONS
from qalita_action.redact import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONFIG_FILE = "qalita.yml"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
SELECTOR_METHODS = ("tag", "path", "source")
# Other names that the environment may use. Plain URL and TOKEN are never read.
ENV_NAMES: dict[str, tuple[str, ...]] = {
    "endpoint": ("QALITA_WORKER_ENDPOINT", "QALITA_ENDPOINT", "QALITA_AGENT_ENDPOINT"),
    "token": ("QALITA_WORKER_TOKEN", "QALITA_TOKEN", "QALITA_AGENT_TOKEN"),
    "skip_ssl_verify": ("QALITA_SKIP_SSL_VERIFY", "SKIP_SSL_VERIFY"),
}


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
    fail_on: Literal["fail", "warn", "never"] = _field("fail_on", "fail")
    on_empty: Literal["auto", "pass", "fail"] = _field("on_empty", "auto")
    baseline: str | None = _field("baseline", None)
    require_run: tuple[str, ...] = _field("require_run", ())
    artifacts_since: str | None = _field("artifacts_since", None)
    max_age: str | None = _field("max_age", None, pattern=r"^\d+(\.\d+)?[smhdw]$")
    dbt_outcome: Literal["success", "failure", "cancelled", "skipped"] | None = _field("dbt_outcome", None)
    dbt_exit_code: int | None = _field("dbt_exit_code", None, ge=0, le=255)
    dimensions: tuple[str, ...] = _field("dimensions", ())
    warn_score: str = _field("warn_score", "0.5", pattern=r"^(0(\.\d+)?|1(\.0+)?)$")
    max_undecided: float = _field("max_undecided", 0.10, ge=0, le=1)
    metrics_detail: Literal["source", "table", "column", "check"] = _field("metrics_detail", "column")
    pack: str = _field("pack", "dbt_ingest")
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

    @field_validator("artifacts_since")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        if value is not None and value != "any" and moment(value) is None:
            raise PydanticCustomError("time", "a time such as 2026-01-31T07:15:00Z, or `any`")
        return value

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

    def places(self) -> Places:
        return Places(
            path=self.path,
            manifest=self.manifest,
            results=self.results,
            sources=self.sources,
            catalog=self.catalog,
            target_path=self.target_path,
        )

    def gate(self) -> model.Gate:
        return model.Gate(fail_on=self.fail_on, require_run=self.require_run)

    def vetting(self, context: model.CIContext, now: datetime) -> Vetting:
        on_empty = self.on_empty
        since = moment(context.ci.started_at if self.artifacts_since is None else self.artifacts_since)
        return Vetting(
            started_at=since,
            not_before=now - self._max_age() if self.max_age else None,
            dbt_exit_code=self._exit_code(),
            on_empty=("pass" if context.is_change else "fail") if on_empty == "auto" else on_empty,
        )

    def _max_age(self) -> timedelta:
        age = self.max_age or "0s"
        return timedelta(seconds=float(age[:-1]) * SECONDS[age[-1]])

    def _exit_code(self) -> int | None:
        if self.dbt_exit_code is not None or self.dbt_outcome is None:
            return self.dbt_exit_code
        return {"success": 0, "failure": 1}.get(self.dbt_outcome)


class Resolved(BaseModel):
    """Settings, and where each field that is set came from: flag, input, config, or env:NAME."""

    model_config = ConfigDict(frozen=True)
    settings: Settings
    origins: dict[str, str]


def resolve(flags: Mapping[str, Any], env: Mapping[str, str], file: Mapping[str, Any]) -> Resolved:
    """All bad settings at once. Errors: setting-unknown, setting-invalid, setting-not-in-file."""
    errors = _check_file(file)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name in Settings.model_fields:
        for origin, value in _candidates(name, flags, env, file):
            if not _is_unset(value):
                values[name] = _listed(value) if name in LISTS else value
                origins[name] = origin
                break
    settings = None
    try:
        settings = Settings(**values)
    except ValidationError as e:
        errors += [_invalid(error, origins) for error in e.errors()]
    raise_all(errors)
    assert settings is not None
    return Resolved(settings=settings, origins=origins)


def read_file(flags: Mapping[str, Any], env: Mapping[str, str], workspace: Path) -> dict[str, Any]:
    """qalita.yml: the one that --config names, else the project's, else the workspace's; {} where none is.

    Errors: config-missing, config-unreadable.
    """
    named = flags.get("config") or env.get("INPUT_CONFIG") or env.get("QALITA_CONFIG")
    project = flags.get("path") or env.get("INPUT_PATH") or env.get("QALITA_PATH") or "."
    places = [workspace / named] if named else [workspace / project / CONFIG_FILE, workspace / CONFIG_FILE]
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        if named:
            raise SettingsError(
                "config-missing",
                f"the settings file {named} does not exist",
                expected="a YAML file",
                looked=[str(places[0])],
                todo=["check --config"],
            )
        return {}
    import yaml

    try:
        content = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as e:
        raise _unreadable(path, " ".join(str(e).split())[:200]) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise _unreadable(path, f"it holds a {type(content).__name__}")
    return content


def _unreadable(path: Path, why: str) -> SettingsError:
    return SettingsError(
        "config-unreadable",
        f"{path} is not a YAML mapping of settings",
        expected="lines such as `fail-on: warn`",
        looked=[why],
        todo=["mend the file; docs/reference.md lists what it may hold"],
    )


def _candidates(
    name: str, flags: Mapping[str, Any], env: Mapping[str, str], file: Mapping[str, Any]
) -> list[tuple[str, Any]]:
    kebab = name.replace("_", "-")
    upper = name.upper()
    found: list[tuple[str, Any]] = [("flag", flags.get(name))]
    # A Docker action's input keeps its hyphen: `fail-on` is INPUT_FAIL-ON.
    found += [("input", env.get(key)) for key in (f"INPUT_{kebab.upper()}", f"INPUT_{upper}")]
    found += [(f"env:{key}", env.get(key)) for key in ENV_NAMES.get(name, (f"QALITA_{upper}",))]
    if name not in NOT_FROM_FILE | ONE_RUN:
        found.append(("config", file.get(kebab, file.get(name))))
    return found


def _is_unset(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value == ()


def _listed(value: Any) -> Any:
    """Several values: lines of one input, a list, or a mapping in qalita.yml."""
    if isinstance(value, str):
        return tuple(line.strip() for line in value.splitlines() if line.strip())
    if isinstance(value, dict):
        return tuple(f"{key}={item}" for key, item in value.items())
    return value


def _check_file(file: Mapping[str, Any]) -> list[SettingsError]:
    known = {n.replace("_", "-") for n in Settings.model_fields} - {
        n.replace("_", "-") for n in NOT_FROM_FILE | ONE_RUN
    }
    errors: list[SettingsError] = []
    for key in file:
        kebab = str(key).replace("_", "-")
        if kebab in known:
            continue
        if kebab.replace("-", "_") in Settings.model_fields:
            errors.append(
                SettingsError(
                    "setting-not-in-file",
                    f"qalita.yml sets {key!r}, which never comes from a file in the repository",
                    expected="a flag, an input or an environment variable",
                    todo=[
                        "a pull request could change the file and send the token elsewhere: set it in the CI"
                    ],
                )
            )
            continue
        near = difflib.get_close_matches(kebab, known, n=1)
        errors.append(
            SettingsError(
                "setting-unknown",
                f"qalita.yml sets {key!r}, which is no setting",
                expected=f"one of {', '.join(sorted(known))}",
                todo=[f"did you mean {near[0]!r}?"] if near else ["remove it"],
            )
        )
    return errors


def _invalid(error: Any, origins: Mapping[str, str]) -> SettingsError:
    name = str(error["loc"][0]) if error["loc"] else "?"
    flag = "--" + name.replace("_", "-")
    expected = (error.get("ctx") or {}).get("expected") or error["msg"]
    shown = "(hidden)" if name == "token" else repr(error.get("input"))[:80]
    return SettingsError(
        "setting-invalid",
        f"{flag} has a value that it cannot have: {shown}",
        expected=str(expected),
        looked=[f"it came from: {origins.get(name, 'nowhere')}"],
        todo=["correct it there; qalita-ingest dbt --help tells what each one takes"],
    )


def json_schema() -> str:
    """The JSON Schema of qalita.yml: everything but endpoint, token, TLS and facts of one run."""
    schema = Settings.model_json_schema()
    properties = {}
    for name, rule in sorted(schema["properties"].items()):
        if name in NOT_FROM_FILE | ONE_RUN:
            continue
        kept = {k: v for k, v in rule.items() if k != "title"}
        if name in LISTS:
            several: list[dict[str, Any]] = [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}},
            ]
            if name == "dimensions":
                several.append({"type": "object", "additionalProperties": {"enum": list(DIMENSIONS)}})
            kept["anyOf"] = several
            del kept["type"], kept["items"]
        properties[name.replace("_", "-")] = kept
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://raw.githubusercontent.com/qalita/dbt-ingest/main/docs/qalita.schema.json",
        "title": "qalita.yml: settings of qalita/dbt-ingest, beside dbt_project.yml",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
