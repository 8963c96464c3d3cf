"""What a host's answer looks like in JSON: the record itself, and what Ansible puts around it."""

from __future__ import annotations

import contextlib
import json
import marshal

from kvmppc.fleet.hosts import Answer
from kvmppc.record import RecordError, load_key
from kvmppc.report import HostReport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# As many different answers are remembered: some MB.
_ANSWERS = 4096
_TOO_DEEP = "nested too deeply to be a record"
# Keys that an object has which Ansible wrote, or a script in its manner; "ansible_..." too.
_ANSIBLE = {
    "inventory_hostname",
    "__payload__",
    "unreachable",
    "failed",
    "changed",
    "gather_subset",
}


class Found:
    """What an object says of one host.

    Attributes:
        name: the host's, None where the object does not tell.
        answer: what it says.
        wrong: why it is no record, where it was to be one; "" where all is right.
    """

    __slots__ = ("answer", "name", "wrong")

    def __init__(self, name: str | None, answer: Answer, wrong: str = "") -> None:
        self.name: str | None = name
        self.answer: Answer = answer
        self.wrong: str = wrong


class Forms:
    """Reads objects. A record that differs from an earlier one in hostname and time alone costs
    less: checking the fields takes more time than all the rest, and a fleet has few different ones.
    """

    def __init__(self) -> None:
        self._answers: dict[bytes, Answer] = {}

    def read(self, item: Mapping[str, object], name: str | None) -> Iterator[Found]:
        """The hosts of an object, of which most have one.

        ``name`` is what the host is called where the object was found, None if nothing tells.
        """
        if "schema" in item:
            yield self._record(item, _text(item.get("inventory_hostname")) or name)
        elif isinstance(item.get("_meta"), dict):
            yield from self._inventory(item)
        elif is_ansible(item):
            yield self._result(item, _text(item.get("inventory_hostname")) or name)
        else:
            yield self._record(item, name)

    def _record(self, record: Mapping[str, object], name: str | None) -> Found:
        try:
            hostname, answer = self._answer(record)
        except RecordError as error:
            wrong = str(error)
            name = _text(record.get("hostname")) if name is None else name
            return Found(name, unreadable(wrong), wrong)
        return Found(hostname if name is None else name, answer)

    def _answer(self, record: Mapping[str, object]) -> tuple[str, Answer]:
        """Hostname and answer of a record. Raises RecordError where it is none."""
        try:
            # Equal bytes are equal values; version 2 writes no references.
            rest = marshal.dumps({**record, "hostname": None, "time": None}, 2)
        except ValueError:
            raise RecordError(_TOO_DEEP) from None
        answer = self._answers.get(rest)
        if answer is None:
            try:
                answer = Answer.of(HostReport.from_dict(record))
            except RecursionError:
                raise RecordError(_TOO_DEEP) from None
            if len(self._answers) == _ANSWERS:
                self._answers.clear()
            self._answers[rest] = answer
        load_key(record, "time")
        return str(load_key(record, "hostname")), answer

    def _inventory(self, item: Mapping[str, object]) -> Iterator[Found]:
        """The hosts of what ansible-inventory --list prints, where facts are cached."""
        facts = _variables(item)
        for name in inventory_names(item):
            variables = facts.get(name)
            yield self._result(variables if isinstance(variables, dict) else {}, name)

    def _result(self, item: Mapping[str, object], name: str | None) -> Found:
        """The host of what Ansible has of it: its facts, or how a task on it ended."""
        name = name or _text(item.get("hostname"))
        try:
            fact = _fact(item)
        except RecursionError:
            return Found(name, unreadable(_TOO_DEEP), _TOO_DEEP)
        if isinstance(fact, dict):
            return self._record(fact, name)
        message = _text(item.get("msg")) or _text(item.get("stderr")) or ""
        if isinstance(fact, str):
            answer = Answer("failed", f"the fact failed: {fact.strip()}")
        elif item.get("unreachable"):
            answer = Answer("unreachable", _sentence("Ansible could not reach it", message))
        elif item.get("failed") or item.get("rc"):
            answer = Answer("failed", _sentence("asking it failed", message))
        else:
            answer = Answer(
                "failed",
                "Ansible has no fact ansible_local.kvmppc of it; "
                "install /etc/ansible/facts.d/kvmppc.fact, and gather the facts again",
            )
        return Found(name, answer)


def unreadable(wrong: str) -> Answer:
    """The answer of a host of which something was read that is no record."""
    return Answer("unreadable", f"what was read is no record: {wrong}")


def is_ansible(item: Mapping[str, object]) -> bool:
    """Whether an object is what Ansible has of a host, and no record by itself."""
    return any(key in _ANSIBLE or key.startswith("ansible_") for key in item)


def inventory_names(item: Mapping[str, object]) -> list[str]:
    """The hosts of what ansible-inventory --list prints, also those of which it knows nothing."""
    names = dict.fromkeys(_variables(item))
    for group in item.values():
        hosts = group.get("hosts") if isinstance(group, dict) else None
        if isinstance(hosts, list):
            names.update(dict.fromkeys(host for host in hosts if isinstance(host, str)))
    return list(names)


def _variables(item: Mapping[str, object]) -> Mapping[str, object]:
    meta = item.get("_meta")
    variables = meta.get("hostvars") if isinstance(meta, dict) else None
    return variables if isinstance(variables, dict) else {}


def _fact(item: Mapping[str, object]) -> object:
    """The record in what Ansible has of a host, in whichever of its wrappings it is.

    Facts are bare (hostvars, and the jsonfile cache up to ansible-core 2.18), text inside of
    ``__payload__`` (that cache from 2.19 on), or under ``ansible_facts`` (what the setup module
    returns, and --tree writes). A task that ran kvmppc has the record as text in ``stdout``.
    """
    facts: object = _parsed(item.get("__payload__")) or item
    for name in ("ansible_facts", "ansible_local", "kvmppc"):
        if isinstance(facts, dict) and (name in facts or name != "ansible_facts"):
            facts = _unwrapped(facts.get(name))
    return _parsed(item.get("stdout")) if facts is None else _plain(facts)


def _parsed(text: object) -> object:
    """The object that is in a text, None if none is."""
    if isinstance(text, str):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(text)
            return value if isinstance(value, dict) else None
    return None


def _unwrapped(value: object) -> object:
    """A value without what Ansible wraps around one that may come from a host.

    That is {"__ansible_unsafe": text} up to ansible-core 2.19, and {"__ansible_type": ...,
    "value": ...} from then on.
    """
    if isinstance(value, dict):
        if len(value) == 1 and "__ansible_unsafe" in value:
            return value["__ansible_unsafe"]
        if "__ansible_type" in value and "value" in value:
            return value["value"]
    return value


def _plain(value: object) -> object:
    """A value without such wrappings, its own and those of all that is in it."""
    value = _unwrapped(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _text(value: object) -> str | None:
    """A name or a message, if it is one."""
    value = _unwrapped(value)
    return value if isinstance(value, str) else None


def _sentence(what: str, message: str) -> str:
    return ": ".join(filter(None, (what, " ".join(message.split()))))
