# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the server was told of Weir, and what a request may ask for."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from weir.sites import Plan, SiteTable, SiteTableError

NONE = "none"  # a request that wants no plan, whatever the default
RESERVED = "weir"  # where a checked request says what is done; never taken from outside
OPTIONS = {"folder", "folders", "default_plan", "any_dtype", "ignore_records"}


class Refused(ValueError):
    """A request that asks for what there is not: HTTP 400."""

    def __init__(self, message: str, parameter: str, value=None):
        super().__init__(message)
        self.parameter, self.value = parameter, value


class SettingsError(ValueError):
    """A server that cannot do what it is told: it does not start."""


@dataclass(frozen=True)
class Settings:
    """`additional_config["weir"]`, checked."""

    folders: dict[str, str]
    default_plan: str | None = None
    any_dtype: bool = False
    ignore_records: bool = False

    @classmethod
    def of(cls, additional_config) -> Settings | None:
        """None where Weir is not spoken of."""
        if isinstance(additional_config, Hashed):
            return additional_config.settings
        given = additional_config.get("weir") if isinstance(additional_config, dict) else None
        if given is None:
            return None
        if not isinstance(given, dict):
            raise SettingsError(f'weir: additional_config["weir"] must be an object, not {given!r}')
        unknown = sorted(set(given) - OPTIONS)
        if unknown:
            raise SettingsError(f"weir: there is no option {unknown[0]!r}; there are {', '.join(sorted(OPTIONS))}")
        folders = given.get("folders")
        if (folders is None) == (given.get("folder") is None):
            raise SettingsError('weir: give "folder", a folder that `weirc build` wrote, or "folders", names and folders')
        folders = {"": given["folder"]} if folders is None else folders
        if not isinstance(folders, dict) or not folders or not all(
                isinstance(name, str) and "/" not in name and isinstance(path, str) for name, path in folders.items()):
            raise SettingsError("weir: \"folder\" is a path, \"folders\" an object of names (without '/') and paths")
        for key in ("any_dtype", "ignore_records"):
            if not isinstance(given.get(key, False), bool):
                raise SettingsError(f"weir: {key!r} is true or false, not {given[key]!r}")
        default = given.get("default_plan")
        if default is not None and not isinstance(default, str):
            raise SettingsError(f"weir: 'default_plan' is the name of a plan, or null, not {default!r}")
        return cls(dict(folders), default, given.get("any_dtype", False), given.get("ignore_records", False))


class Hashed:
    """An additional_config whose hash, by which vLLM finds compiled graphs again, says which operators are in the graph
    and nothing of plans and their numbers."""

    def __init__(self, settings: Settings, others: dict, sites, native: bool):
        self.settings, self.others, self.sites, self.native = settings, others, list(sites), native

    def get(self, key, default=None):
        return self.others.get(key, default)

    def compute_hash(self) -> str:
        said = json.dumps([self.others, OPERATOR_VERSION, self.native, self.sites], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()


OPERATOR_VERSION = 2


@dataclass(frozen=True)
class Folder:
    """An opened folder. Its identity is that of the table's bytes, so that one that was built anew is another one."""

    name: str
    path: str
    identity: str
    table: SiteTable
    kernels: tuple[Path, str] | None = None  # kernels.so and its SHA-256

    @classmethod
    def open(cls, name: str, path: str) -> Folder:
        try:
            table = SiteTable.open(path)
        except SiteTableError as error:
            raise SettingsError(f"weir: {error}") from None
        file = table.path
        digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        manifest, kernels = Path(file).with_name("manifest.json"), None
        if manifest.exists():
            try:
                record = json.loads(manifest.read_text())
                said = record.get("table", {}).get("sha256")
                if record.get("kernels"):
                    kernels = manifest.with_name(record["kernels"]["path"]), record["kernels"]["sha256"]
            except (ValueError, AttributeError, KeyError, TypeError) as error:
                raise SettingsError(f"weir: {manifest}: {error}") from None
            if said != digest:
                raise SettingsError(f"weir: {file} is not the one that {manifest} names: it was changed, or is being "
                                    "built; build the spec again")
        return cls(name, path, digest[:16], table, kernels)


def scopes_of(plan: Plan) -> list[dict]:
    return [policy.tokens for policy in plan.policies if policy.edits]


def looks_for_markers(plan: Plan) -> bool:
    return any("markers" in scope for scope in scopes_of(plan))


@dataclass
class Registry:
    """The plans of all folders, as the process knows them that takes requests."""

    settings: Settings
    folders: list[Folder] = field(default_factory=list)

    @classmethod
    def open(cls, settings: Settings) -> Registry:
        registry = cls(settings, [Folder.open(name, path) for name, path in settings.folders.items()])
        registry.check()
        return registry

    def check(self):
        """Errors: what this server cannot do, which is then named before a request can ask for it."""
        models = {folder.table.model.get("weights"): folder for folder in self.folders}
        if len(models) > 1:
            a, b, *_ = models.values()
            raise SettingsError(f"weir: {a.path} and {b.path} were built for different models")
        for folder in self.folders:
            where = folder.table.path
            for entry in folder.table.refused:
                if "weight" in entry:  # of all plans
                    raise SettingsError(f"weir: {where}: the weight {entry['weight']} cannot be served: {entry['why']}")
                what = f"policy '{entry['policy']}'" if "policy" in entry else entry["operation"]
                raise SettingsError(f"weir: {where}: {what} cannot be served: {entry['why']}; build the spec without it")
            for plan in folder.table.plans:
                for policy in plan.policies:
                    if not policy.edits and not self.settings.ignore_records:
                        raise SettingsError(
                            f"weir: {where}: policy '{policy.name}' of plan '{plan.name}' records, and a server gives out "
                            'no records; build the spec without it, or start with {"weir": {"ignore_records": true, …}}')
        if self.settings.default_plan is not None:
            try:
                self.find(self.settings.default_plan)
            except Refused as error:
                raise SettingsError(f"weir: default_plan: {error}") from None

    def names(self) -> list[str]:
        return [self.name_of(folder, plan) for folder in self.folders for plan in folder.table.plans]

    def name_of(self, folder: Folder, plan: Plan) -> str:
        return f"{folder.name}/{plan.name}" if folder.name else plan.name

    def find(self, name: str) -> tuple[Folder, Plan]:
        """By its name, with that of its folder in front unless no other has a plan of the name."""
        found = [(folder, plan) for folder in self.folders for plan in folder.table.plans
                 if name in (plan.name, self.name_of(folder, plan))]
        if not found:
            raise Refused(f"there is no plan {name!r}; there are {', '.join(self.names()) or 'none'}, and "
                          f"{NONE} for no steering", "weir_plan", name)
        if len(found) > 1:
            raise Refused(f"several folders have a plan {name!r}: say "
                          f"{' or '.join(self.name_of(*each) for each in found)}", "weir_plan", name)
        return found[0]

    def resolve(self, extra: dict) -> dict | None:
        """What is done for a request with these extra arguments; None for nothing. Plain data, that goes with the request
        to the processes that key its blocks and run the model."""
        for key in extra:
            if key.startswith("weir_") and key not in ("weir_plan", "weir_knobs"):
                raise Refused(f"there is no argument {key!r}; there are weir_plan and weir_knobs", key)
        name = extra.get("weir_plan", self.settings.default_plan)
        if name is not None and not isinstance(name, str):
            raise Refused(f"weir_plan is the name of a plan, not {name!r}", "weir_plan", name)
        given = extra.get("weir_knobs")
        if name is None or name == NONE:
            if given is not None:
                raise Refused("weir_knobs needs weir_plan: without a plan there is nothing they change", "weir_knobs", given)
            return None
        folder, plan = self.find(name)
        knobs = {knob.name: knob.default for knob in folder.table.knobs}
        ranges = {knob.name: knob for knob in folder.table.knobs}
        for knob, value in parse_knobs(given).items():
            if knob not in plan.knobs:
                raise Refused(f"plan {name!r} has no knob {knob!r}; it has {', '.join(plan.knobs) or 'none'}", "weir_knobs",
                              knob)
            if not ranges[knob].min <= value <= ranges[knob].max:
                raise Refused(f"knob {knob!r} is from {ranges[knob].min:g} to {ranges[knob].max:g}, not {value:g}",
                              "weir_knobs", value)
            knobs[knob] = value
        used = [[knob, knobs[knob]] for knob in sorted(plan.knobs)]
        key = hashlib.sha256(json.dumps([plan.digest, used]).encode()).hexdigest()[:32]
        return {"table": folder.identity, "plan": plan.index, "knobs": list(knobs.values()), "key": key,
                "scopes": scopes_of(plan)}

    def describe(self) -> dict:
        """What GET /v1/weir/plans says."""
        return {
            "default_plan": self.settings.default_plan,
            "plans": [{
                "name": self.name_of(folder, plan), "digest": plan.digest,
                "policies": [{"name": policy.name, "features": list(policy.features), "tokens": policy.tokens,
                              "conditional": policy.conditional} for policy in plan.policies],
                "knobs": [{"name": knob.name, "default": knob.default, "min": knob.min, "max": knob.max}
                          for knob in folder.table.knobs if knob.name in plan.knobs],
            } for folder in self.folders for plan in folder.table.plans],
            "folders": [{"name": folder.name, "table": folder.identity, "model": folder.table.model,
                         "sites": [f"{layer}/{kind}" for kind, layer in folder.table.edited]} for folder in self.folders],
        }


def parse_knobs(given) -> dict[str, float]:
    """"a=1,b=2", a list of such texts, or an object."""
    if given is None:
        return {}
    if isinstance(given, dict):
        pairs = list(given.items())
    else:
        texts = given if isinstance(given, list) else [given]
        if not all(isinstance(text, str) for text in texts):
            raise Refused(f"weir_knobs is written NAME=NUMBER,…, not {given!r}", "weir_knobs", given)
        pairs = []
        for part in (part.strip() for text in texts for part in text.split(",")):
            name, equals, value = part.partition("=")
            if not equals:
                raise Refused(f"weir_knobs is written NAME=NUMBER,…, not {part!r}", "weir_knobs", part)
            pairs.append((name.strip(), value))
    knobs = {}
    for name, value in pairs:
        try:
            number = float(value) if not isinstance(value, bool) else math.nan
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise Refused(f"the value of knob {name!r} is no number: {value!r}", "weir_knobs", str(value))
        if name in knobs:
            raise Refused(f"knob {name!r} is given twice", "weir_knobs", name)
        knobs[name] = number
    return knobs


