"""The forms of a host's answer in JSON: the record itself, and what Ansible wraps around it."""

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

# Different answers that are remembered at most; some MB.
_ANSWERS = 4096
_TOO_DEEP = "nested too deeply to be a record"
# Keys of objects from Ansible, or from scripts that imitate it; "ansible_..." too.
_ANSIBLE = {
    "inventory_hostname",
    "__payload__",
    "unreachable",
    "failed",
    "changed",
    "gather_subset",
}


class Found:
    """What an object contains of one host.

    Attributes:
        name: the name of the host; None if the object does not have it.
        answer: the host's answer.
        wrong: why the object is not a valid record, if it should be one; otherwise "".
    """

    __slots__ = ("answer", "name", "wrong")

    def __init__(self, name: str | None, answer: Answer, wrong: str = "") -> None:
        self.name: str | None = name
        self.answer: Answer = answer
        self.wrong: str = wrong


class Forms:
    """Reads objects. Faster for a record that differs from an earlier one only in name and time.

    Checking the fields takes most of the time, and a fleet has few different answers.
    """

    def __init__(self) -> None:
        self._answers: dict[bytes, Answer] = {}

    def read(self, item: Mapping[str, object], name: str | None) -> Iterator[Found]:
        """Yields the hosts of an object; most objects have one.

        ``name`` is the name of the host by the surroundings of the object, or None.
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
        """Hostname and answer of a record. Raises RecordError if it is not a valid record."""
        try:
            # Equal bytes mean equal values, because version 2 writes no references.
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
        """The hosts in the output of ansible-inventory --list, with their cached facts."""
        facts = _variables(item)
        for name in inventory_names(item):
            variables = facts.get(name)
            yield self._result(variables if isinstance(variables, dict) else {}, name)

    def _result(self, item: Mapping[str, object], name: str | None) -> Found:
        """A host by what Ansible has of it: its facts, or the result of a task."""
        name = name or _text(item.get("hostname"))
        try:
            fact = _fact(item)
        except RecursionError:
            return Found(name, unreadable(_TOO_DEEP), _TOO_DEEP)
        if isinstance(fact, dict):
            return self._record(fact, name)
        message = _text(item.get("msg")) or _text(item.get("stderr")) or ""
        if isinstance(fact, str):
            answer = Answer("failed", f"the Ansible fact failed: {fact.strip()}")
        elif item.get("unreachable"):
            answer = Answer("unreachable", _sentence("Ansible could not reach the host", message))
        elif item.get("failed") or item.get("rc"):
            answer = Answer("failed", _sentence("the query failed", message))
        else:
            answer = Answer(
                "failed",
                "Ansible has no fact ansible_local.kvmppc for the host; "
                "install /etc/ansible/facts.d/kvmppc.fact and gather facts again",
            )
        return Found(name, answer)


def unreadable(wrong: str) -> Answer:
    """The answer of a host with data that is not a valid record."""
    return Answer("unreadable", f"no valid record: {wrong}")


def is_ansible(item: Mapping[str, object]) -> bool:
    """Whether an object comes from Ansible, and is not itself a record."""
    return any(key in _ANSIBLE or key.startswith("ansible_") for key in item)


def inventory_names(item: Mapping[str, object]) -> list[str]:
    """All hosts in the output of ansible-inventory --list, also those without variables."""
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
    """The record in what Ansible has of a host, in any of its wrappings.

    Facts are bare (hostvars, and the jsonfile cache up to ansible-core 2.18), text in
    ``__payload__`` (the same cache from 2.19 on), or under ``ansible_facts`` (the result of the
    setup module, also with --tree). A task that ran kvmppc has the record as text in ``stdout``.
    """
    facts: object = _parsed(item.get("__payload__")) or item
    for name in ("ansible_facts", "ansible_local", "kvmppc"):
        if isinstance(facts, dict) and (name in facts or name != "ansible_facts"):
            facts = _unwrapped(facts.get(name))
    return _parsed(item.get("stdout")) if facts is None else _plain(facts)


def _parsed(text: object) -> object:
    """The JSON object in a text; None if there is none."""
    if isinstance(text, str):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(text)
            return value if isinstance(value, dict) else None
    return None


def _unwrapped(value: object) -> object:
    """A value without Ansible's wrapping of untrusted values.

    It is {"__ansible_unsafe": text} before ansible-core 2.19, and {"__ansible_type": ...,
    "value": ...} from 2.19 on.
    """
    if isinstance(value, dict):
        if len(value) == 1 and "__ansible_unsafe" in value:
            return value["__ansible_unsafe"]
        if "__ansible_type" in value and "value" in value:
            return value["value"]
    return value


def _plain(value: object) -> object:
    """A value without such wrappings, at any depth."""
    value = _unwrapped(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _text(value: object) -> str | None:
    """A value that is text; None for any other."""
    value = _unwrapped(value)
    return value if isinstance(value, str) else None


def _sentence(what: str, message: str) -> str:
    return ": ".join(filter(None, (what, " ".join(message.split()))))
