"""What a configuration must satisfy before anything starts: known keys, types, rules, and values that go together.

Hydra refuses unknown keys on the command line only. This check sees the composed configuration, so a key misspelt in an
experiment file, or appended with ``+``, is refused too.
"""

import copy
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dcgan.config.combinations import ImpossibleError, check_combinations
from dcgan.config.options import GROUPS, NETWORK_OPTIMIZERS, OfBoth, Optimizer
from dcgan.config.rules import Rule, one_line, shown
from dcgan.config.schema import CONF, SCHEMAS, Config, TrainConfig, is_group, known_keys

Values = dict[str, Any]
NOT_GLOBAL = (
    "its file must begin with the line `# @package _global_` (no byte order mark before it), and cannot name another "
    "experiment"
)
ELSEWHERE = ("experiment", "global", "_group_", "_global")  # where Hydra puts a file that says so, or nothing
NETWORKS = ("generator", "discriminator")


def check(config: DictConfig, schema: type[Config], *, typed: Sequence[str] | None = None) -> Config:
    """Turn a composed configuration into a ``schema``.

    Args:
        typed: the words of the command line. Where they choose an option, what an experiment had set for the one it
            replaces is dropped. None: everything must fit.

    Raises:
        ValueError: one line with the key, the value and what it may be.
    """
    try:
        return _checked(config, schema, typed)
    except ImpossibleError as error:
        raise ImpossibleError(one_line(str(error))) from error
    except ValueError as error:
        raise ValueError(one_line(str(error))) from error
    except (RecursionError, OverflowError) as error:  # containers in containers, a number of 400 digits
        raise ValueError(f"the configuration holds a value without end ({one_line(str(error))})") from error


def _checked(config: DictConfig, schema: type[Config], typed: Sequence[str] | None) -> Config:
    keys_typed = set(_keys_in(typed or ()))
    for key, _, value in (word.lstrip("+").partition("=") for word in typed or ()):
        if key in (*GROUPS, "experiment") and value.startswith("["):  # of which Hydra would take the last
            raise ValueError(f"{key}={value}: one option only; several are a sweep, -m {key}={value.strip('[]')}")
    for group, option in config.items_ex(resolve=False):
        if option is None and is_group(schema, str(group)):  # before names are looked for in it
            raise ValueError(_not_in_defaults(str(group), option))
    try:
        values: Values = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        _refuse_unknown_keys(values, schema, typed or ())
        kinds: dict[str, type] = {}
        for key in [key for key in values if is_group(schema, key) and isinstance(values[key], Mapping)]:
            if "name" not in values[key]:
                raise ValueError(unknown_key(f"{key}.{min(values[key])}", schema))
            kind = GROUPS[key].kind(str(values[key]["name"]), key=f"{key}.name")
            blocks = _of_networks(values[key], keys_typed) if key == "optimizer" else {}
            values[key] = _own_keys(values[key], kind, key, keys_typed)
            kinds[key] = kind
            for network, (block, of_network) in blocks.items():
                values[key][network], kinds[f"{key}.{network}"] = block, of_network
        typed_config = copy.deepcopy(_structured(schema, tuple(kinds.items())))  # type: ignore[arg-type]
        typed_config.merge_with(values)
        missing = OmegaConf.missing_keys(typed_config)
        if missing:
            raise ValueError(f"{min(missing)}: no value; give it as {min(missing)}=...")
        result = OmegaConf.to_object(typed_config)
    except OmegaConfBaseException as error:
        raise ValueError(_one_line(error)) from error
    assert isinstance(result, schema)
    _apply_rules(result)
    if isinstance(result, TrainConfig):
        check_combinations(result)
    return result


@cache
def _structured(schema: type, kinds: tuple[tuple[str, type], ...]) -> DictConfig:
    """``schema`` with the dataclasses of the options that were chosen, without values; to be copied."""
    typed_config: DictConfig = OmegaConf.structured(schema)
    for key, kind in kinds:
        OmegaConf.update(typed_config, key, OmegaConf.structured(kind), merge=False)
    return typed_config


def _keys_in(words: Sequence[str]) -> Iterator[str]:
    """The keys that words of a command line set: of ``a={b: 1}``, ``a.b``."""
    for word in words:
        key, _, value = word.lstrip("+~").partition("=")
        key = key.partition("@")[0]
        inner = re.findall(r"([\w.]+)\s*:", value) if value.startswith("{") else []
        yield from (f"{key}.{name}" for name in inner)
        if not inner:
            yield key


def _own_keys(values: Values, kind: type, group: str, typed: set[str]) -> Values:
    """Those that the option has. Another's is refused, unless an experiment set it for an option since replaced."""
    own = {one.name for one in fields(kind)}
    chosen_by = {"optimizer.generator": "optimizer", "optimizer.discriminator": "optimizer", "metrics": "data"}
    replaced = bool({group, f"{group}.name", chosen_by.get(group)} & typed)
    for key in values.keys() - own:
        if not replaced or any(f"{word}.".startswith(f"{group}.{key}.") for word in typed):
            users = _options_with(group.split(".", maxsplit=1)[0], key)
            raise ValueError(
                f"{group}.{key}={shown(values[key])}: {group}={values['name']} has no use for it, "
                f"only {', '.join(users)}; leave it out"
            )
    return {key: value for key, value in values.items() if key in own}


def _of_networks(values: Values, typed: set[str]) -> dict[str, tuple[Values, type]]:
    """The block of each network in ``optimizer``, filled in from the values of both, and its dataclass."""
    blocks = {}
    for network in NETWORKS:
        block = {"name": values["name"], **values.get(network, {})}
        kind = NETWORK_OPTIMIZERS.get(str(block["name"]), Optimizer)
        shared = {one.name: values[one.name] for one in fields(kind) if one.name in values}
        blocks[network] = shared | _own_keys(block, kind, f"optimizer.{network}", typed), kind
    used = {one.name for _, kind in blocks.values() for one in fields(kind)} | {one.name for one in fields(OfBoth)}
    for key in values.keys() - used:
        if f"optimizer.{key}" in typed:
            users = ", ".join(_options_with("optimizer", key))
            raise ValueError(
                f"optimizer.{key}={shown(values[key])}: neither network's optimiser has a use for it, only {users}; "
                "leave it out"
            )
    for key in values.keys() & used - {
        one.name for one in fields(GROUPS["optimizer"].kind(str(values["name"]), key=""))
    }:
        del values[key]  # one network alone has it, and was given it
    return blocks


def has_no_use(config: DictConfig, key: str) -> bool:
    """Whether ``key`` is one of other options than that which ``config`` has chosen in its group."""
    group, *names = key.split(".")
    if group not in GROUPS or not names:
        return False
    if group == "optimizer":
        networks = [names.pop(0)] if names[0] in NETWORKS and len(names) > 1 else NETWORKS
        chosen = [str(OmegaConf.select(config, f"{group}.{one}.name") or config[group].name) for one in networks]
        kinds: list[type] = [OfBoth, *(NETWORK_OPTIMIZERS.get(name, Optimizer) for name in chosen)]
    else:
        kinds = [GROUPS[group].kind(str(config[group].name), key=f"{group}.name")]
    own = {one.name for kind in kinds for one in fields(kind)}
    return names[0] not in own and bool(_options_with(group, names[0]))


def _options_with(group: str, key: str) -> list[str]:
    """The options of a group that have a key, in the order of its table, then by name."""
    files = sorted((CONF / group).glob("*.yaml"))
    names = dict.fromkeys([*GROUPS[group].own, *(_name_in(file, group) for file in files)])
    kinds = {name: GROUPS[group].own.get(name) or GROUPS[group].usual for name in names}
    return [name for name, kind in kinds.items() if kind and key in {one.name for one in fields(kind)}]


def _name_in(file: Path, group: str) -> str:
    values = OmegaConf.load(file)
    return str(OmegaConf.select(values, "name") or OmegaConf.select(values, f"{group}.name"))


def _apply_rules(values: Any, prefix: str = "") -> None:
    """Hold every key to the rule in its type, and convert it as that says."""
    for name, hint in get_type_hints(type(values), include_extras=True).items():
        value, key = getattr(values, name), f"{prefix}{name}"
        if is_dataclass(value):
            _apply_rules(value, f"{key}.")
        default = next(one.default for one in fields(values) if one.name == name)
        of_any = default is not None and get_args(hint)[:1] == (Any,)  # of other types OmegaConf refuses null
        for rule in get_args(hint)[1:] if get_origin(hint) is Annotated and (value is not None or of_any) else ():
            assert isinstance(rule, Rule)
            if not _holds(rule, value):
                raise ValueError(f"{key}={'null' if value is None else value}: {rule.words}")
            setattr(values, name, rule.convert(value))


def _holds(rule: Rule, value: Any) -> bool:
    try:
        return rule.holds(value)
    except (TypeError, OverflowError):  # a key of any type was given one that the rule cannot even compare
        return False


def unknown_key(key: str, schema: type) -> str:
    """The line for a key that does not exist, with the nearest that do."""
    keys = known_keys(schema)
    if key in keys:
        within = [other for other in keys if other.startswith(f"{key}.")]
        if within:  # a group elsewhere, not of this command
            return f"{key}: takes no option here; it has the keys {', '.join(within)}"
        group = key.partition(".")[0]  # which is null
        return f"{key}: say which {group} it belongs to, as in {group}=<option> {key}=...; --help lists the options"
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.75)
    if near:
        return f"{key}: no such key; did you mean {near[0]}?"
    elsewhere = [f"dcgan.{command}" for command, other in SCHEMAS.items() if key in known_keys(other)]
    if elsewhere:
        return f"{key}: no such key here; it is of {', '.join(elsewhere)}"
    return f"{key}: no such key; --help lists them"


def _refuse_unknown_keys(values: Mapping[Any, Any], schema: type, typed: Sequence[str]) -> None:
    known = known_keys(schema)
    groups = {key.rpartition(".")[0] for key in known}
    for key, value in _nodes(values, groups):
        if key in ELSEWHERE and key not in known:
            word = next((word for word in typed if word.lstrip("+").startswith("experiment=")), "experiment")
            raise ValueError(f"{word}: {NOT_GLOBAL}")
        if key not in known:
            raise ValueError(unknown_key(key, schema))
        if key in groups and not isinstance(value, Mapping):
            if key in GROUPS and not isinstance(value, list):
                raise ValueError(_not_in_defaults(key, value))
            inner = next(other for other in known if other.startswith(f"{key}."))
            raise ValueError(f"{key}={shown(value)}: is a group of keys, such as {inner}={shown(value)}")


def _not_in_defaults(group: str, value: Any) -> str:
    """A file's ``loss: hinge``, which chooses nothing; YAML makes booleans of on and off."""
    if value is None:
        return f"{group}: has nothing below it in the file; leave it out, or indent its keys under it"
    option = {True: '"on"', False: '"off"'}.get(value, value) if isinstance(value, bool) else value
    return f"{group}={shown(value)}: in the file's defaults it must be `override /{group}: {option}`"


def _nodes(values: Mapping[Any, Any], groups: set[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every dotted key and its value, into the groups."""
    for name, value in values.items():
        key = f"{prefix}{name}"
        yield key, value
        if key in groups and isinstance(value, Mapping):
            yield from _nodes(value, groups, f"{key}.")


KINDS = {"Integer": "a whole number", "Float": "a number", "bool": "true or false"}


def _one_line(error: OmegaConfBaseException) -> str:
    key, first = str(error.full_key), one_line(str(error).partition("\n")[0])
    if match := re.match(r"Value '(.*)' (?:of type '.*' could not be converted to|is not a valid) (\w+)", first):
        return f"{key}={match[1]}: must be {KINDS.get(match[2], match[2])}"
    if re.match(r"Incompatible value 'None'|field '.*' is not Optional", first):
        return f"{key}=null: must have a value"
    if "is not a ListConfig, list or tuple" in first:
        return f"{key}: must be a list, such as {key}=[0.5,0.9]"
    return f"{key}: {first}"
