"""The cases by number. A case is a function of a Site, with the contract's sentence as its first line."""
import collections

Case = collections.namedtuple("Case", "number kind what run waits_for")
CASES = []


def case(number, what, kind="node", waits_for=None):
    """`kind` says when it is run: "node" at each node; "slow" at each, beside the others of its kind;
    "kill" once, with three nodes. `waits_for` names what is not built yet: a failure is then no failure."""
    def add(function):
        CASES.append(Case(number, kind, what, function, waits_for))
        return function
    return add
