"""What must hold of the disks that a power cut left: see the head of run.py."""
import bisect
import collections
import json

from journal import SENT
from world import Failure


class Look:
    """What look.c found in one directory."""

    def __init__(self):
        self.refused = None
        self.entries = {}  # index: (term, chain, digest)
        self.keys = {}
        self.torn = []
        self.ahead = None

    def up(self, words):
        self.term, self.vote, self.mark_term, self.mark_vote, self.base, self.last, self.last_term, \
            recovering, self.latest_term, self.latest_vote = (int(word) for word in words)
        self.is_recovering = recovering != 0

    def counts(self):
        """In elections."""
        return self.refused is None and not self.is_recovering

    def end(self):
        """(term, index) of what the node will begin with."""
        own = (self.last_term, self.last)
        return max(own, self.ahead) if self.ahead else own


def read_looks(lines):
    looks = []
    for line in lines:
        what, *words = line.split(" ")
        if what == "node" and words[1] == "up":
            looks.append(Look())
            looks[-1].up(words[2:])
        elif what == "node":
            if len(looks) < int(words[0]):
                looks.append(Look())
            looks[-1].refused = " ".join(words[2:])
        elif what == "entry":
            looks[-1].entries[int(words[0])] = (int(words[1]), words[2], words[3])
        elif what == "key":
            looks[-1].keys[words[0]] = int(words[1])
        elif what == "ahead":
            looks[-1].ahead = (int(words[1]), int(words[0]))
        elif what == "torn":
            looks[-1].torn.append(words[0])
    return looks


# -- what clients were answered --

class Expected:
    """What a key may hold: the last acknowledged number, or one whose outcome was open."""

    def __init__(self, acknowledged=0, open_=()):
        self.acknowledged = acknowledged
        self.open = set(open_)

    def allows(self, number):
        return number == self.acknowledged or number in self.open


def expected_at(round_, place):
    """Of each key, as its clients knew it at that place of the journal."""
    keys = {key: Expected(old.acknowledged, old.open)
            for key, old in round_.acknowledged_before.items()}
    for write in round_.writes:
        if write.begun > place:
            continue
        key = keys.setdefault(write.key, Expected())
        if write.done and write.done <= place:
            key.acknowledged = write.number
            key.open.discard(write.number)
        elif not write.refused or write.refused > place:
            key.open.add(write.number)
    return keys


# -- what nodes promised each other --

Promise = collections.namedtuple("Promise", "at node term vote match")


def promise_of(record):
    text = bytes(record.data)
    try:
        message = json.loads(text[:text.index(b"}") + 1])
    except ValueError:
        return None  # longer than what was noted down
    kind = message["type"]
    if message.get("pre_vote"):
        return None
    vote = 0
    if kind == "vote_request":
        vote = message["from"]
    elif kind == "vote_response" and message["granted"]:
        vote = message["to"]
    match = message["match"] if kind == "append_response" and message["accepted"] else 0
    return Promise(record.at, record.node, message["term"], vote, match)


class Promises:
    """Of a round, so that each cut asks only for those that came since the last."""

    def __init__(self, records):
        all_ = (promise_of(record) for record in records if record.op == SENT)
        self.all = [promise for promise in all_ if promise]
        self.places = [promise.at for promise in self.all]

    def before(self, place):
        return self.all[:bisect.bisect_left(self.places, place)]


def promises_before(records, place):
    return Promises(records).before(place)


def strongest(promises):
    """Per node: the greatest term, the vote in it, and the greatest match in it."""
    found = {}
    for promise in promises:
        term, vote, match = found.get(promise.node, (0, 0, 0))
        if promise.term > term:
            term, vote, match = promise.term, 0, 0
        if promise.term == term:
            vote, match = vote or promise.vote, max(match, promise.match)
        found[promise.node] = (term, vote, match)
    return found


# -- the facts --

def judge(looks, expected, promises, damaged, told):
    for number, look in enumerate(looks, 1):
        if number in damaged and not look.counts():
            told["cuts before a node was healed"] += 1
            continue
        if look.refused is not None:
            raise Failure("n%d does not come up: %s" % (number, look.refused))
        if look.is_recovering:
            raise Failure("n%d: the log ends at %d, short of its mark" % (number, look.last))
        if look.torn:
            raise Failure("n%d: %s is not whole" % (number, look.torn[0]))
    told["promises held"] += judge_promises(looks, promises)
    judge_agreement(looks, told)
    judge_writes(looks, expected, told)


def judge_promises(looks, promises):
    found = strongest(promises)
    for number, (term, vote, match) in found.items():
        look = looks[number - 1]
        if look.refused is not None:
            continue
        for where, its_term, its_vote in (("raft.db", look.term, look.vote),
                                          ("high-water", look.mark_term, look.mark_vote)):
            if its_term < term:
                raise Failure("n%d promised term %d, %s has %d" % (number, term, where, its_term))
            if vote and its_term == term and its_vote != vote:
                raise Failure("n%d gave its vote of term %d to %d, %s has %d" %
                              (number, term, vote, where, its_vote))
        if look.counts() and look.term == term and look.end()[1] < match:
            raise Failure("n%d acknowledged entry %d in term %d, its log ends at %d" %
                          (number, match, term, look.end()[1]))
    return len(promises)


def judge_agreement(looks, told):
    for i, one in enumerate(looks):
        for j in range(i):
            other = looks[j]
            shared = [index for index in one.entries if index in other.entries]
            same = [index for index in shared
                    if one.entries[index][0] == other.entries[index][0]]
            if not same:
                continue
            last = max(same)
            for index in shared:
                if index <= last and one.entries[index][1] != other.entries[index][1]:
                    raise Failure("n%d and n%d differ at entry %d, and agree at %d" %
                                  (j + 1, i + 1, index, last))
                digests = {one.entries[index][2], other.entries[index][2]} - {"0" * 16}
                if index <= last and len(digests) > 1:
                    raise Failure("n%d and n%d differ in their states at %d" % (j + 1, i + 1, index))
            told["pairs of logs compared"] += 1


def judge_writes(looks, expected, told):
    electable = 0
    for number, look in enumerate(looks, 1):
        if not look.counts():
            continue
        votes = sum(1 for other in looks if other.counts() and other.end() <= look.end())
        if votes <= len(looks) // 2:
            continue
        electable += 1
        for key, what in expected.items():
            number_there = look.keys.get(key, 0)
            if not what.allows(number_there):
                raise Failure("n%d could lead, and %s is %d; acknowledged %d, open %s" %
                              (number, key, number_there, what.acknowledged, sorted(what.open)[-5:]))
        told["writes looked for"] += len(expected)
    told["nodes that could lead"] += electable
