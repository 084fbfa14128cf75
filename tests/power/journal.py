"""The journal that the shims write (journal.h), and what a disk may hold after a power cut.

A disk is modelled by what a file system promises: the bytes of a file are there once it was synced,
a name once its directory was. Of what was not synced any subset may be there: writes as a whole, or
in any order, or by sectors of 512 bytes, each with what it held at some time; names that came, went
or were changed, each for itself, a rename whole or not at all.
"""
import heapq
import mmap
import os
import struct

HEAD = struct.Struct("<QQQ8I")
RECORD = struct.Struct("<QQIHBBIIQII")
MAGIC = 0x706F776572637574
ALIGNMENT = 64
SECTOR = 512
OPEN, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR, SENT = range(1, 9)


class Journal:
    """The file, mapped; its size is room, not memory."""

    def __init__(self, path, size=2 << 30):
        self.path = path
        with open(path, "wb") as file:
            file.truncate(size)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), size)
        HEAD.pack_into(self.map, 0, ALIGNMENT, size, 0, *[0] * 8)

    def end(self):
        return struct.unpack_from("<Q", self.map, 0)[0]

    def halt(self, node, pause):
        """The node begins no call any more; those under way come back."""
        struct.pack_into("<Q", self.map, 16, 1 << node)
        while struct.unpack_from("<I", self.map, 24 + 4 * node)[0]:
            pause()

    def resume(self, node):
        struct.pack_into("<Q", self.map, 16, 0)
        struct.pack_into("<I", self.map, 24 + 4 * node, 0)

    def records(self):
        """Of all nodes, in their order."""
        at, end = ALIGNMENT, self.end()
        while at < end:
            fields = RECORD.unpack_from(self.map, at)
            if fields[0] != MAGIC:  # its writer was killed in the middle
                at += ALIGNMENT
                continue
            yield Record(self.map, at, fields)
            at += fields[2]

    def close(self):
        self.map.close()
        os.unlink(self.path)


class Record:
    __slots__ = ("at", "done", "op", "node", "failed", "handle", "flags", "offset", "name", "data")

    def __init__(self, buffer, at, fields):
        _, self.done, _, self.op, self.node, failed, self.handle, self.flags, self.offset, \
            name_size, data_size = fields
        body = at + RECORD.size
        self.at = at
        self.failed = failed and self.done
        self.name = buffer[body:body + name_size].decode() if name_size else ""
        self.data = buffer[body + name_size:body + name_size + data_size]

    def is_rare(self):
        """A name changes, or a vote is asked for or given."""
        return self.op in (RENAME, UNLINK, MKDIR) or (self.op == OPEN and self.flags & os.O_CREAT) or \
            (self.op == SENT and b'"vote_re' in self.data[:24])


class File:
    def __init__(self, durable=b""):
        self.durable = bytearray(durable)
        self.pending = []  # (place, offset, data); data None: the size becomes `offset`

    def write(self, place, offset, data):
        self.pending.append((place, offset, data))

    def commit(self, before):
        kept = []
        for change in self.pending:
            if change[0] < before:
                put(self.durable, change)
            else:
                kept.append(change)
        self.pending = kept

    def whole(self):
        image = bytearray(self.durable)
        for change in self.pending:
            put(image, change)
        return image

    def torn(self, chance, told):
        if not self.pending:
            return self.durable
        way = chance.random()
        count = len(self.pending)
        if way < 0.2:
            told["none of a file's writes"] += 1
            return self.durable
        if way < 0.35:
            return self.whole()
        if way < 0.5:
            kept = self.pending[:chance.randrange(count + 1)]
        elif way < 0.7:
            kept = [change for change in self.pending if chance.random() < 0.5]
            chance.shuffle(kept)
            told["writes dropped and in another order"] += 1
        else:
            told["writes torn by sectors"] += 1
            return self.sectors(chance)
        image = bytearray(self.durable)
        for change in kept:
            put(image, change)
        return image

    def sectors(self, chance):
        """Each sector holds what it held at one time or another since it was synced."""
        now = bytearray(self.durable)
        image = bytearray(self.durable)
        size = len(image)
        likely = chance.choice((0.1, 0.5, 0.9))
        for change in self.pending:
            put(now, change)
            if chance.random() < likely:
                size = len(now)
            _, offset, data = change
            if data is None:
                continue
            first = offset // SECTOR * SECTOR
            for sector in range(first, offset + len(data), SECTOR):
                if chance.random() < likely:
                    put(image, (0, sector, now[sector:sector + SECTOR]))
        put(image, (0, size, None))
        return image


def put(image, change):
    _, offset, data = change
    if data is None:
        if offset < len(image):
            del image[offset:]
        else:
            image.extend(bytes(offset - len(image)))
        return
    if offset > len(image):
        image.extend(bytes(offset - len(image)))
    image[offset:offset + len(data)] = data


class Directory:
    def __init__(self):
        self.durable = {}
        self.now = {}
        self.pending = []  # (place, what, name, other name, inode)

    def change(self, place, what, name, other, inode):
        step = (place, what, name, other, inode)
        rename(self.now, step)
        self.pending.append(step)

    def commit(self, before):
        kept = []
        for step in self.pending:
            if step[0] < before:
                rename(self.durable, step)
            else:
                kept.append(step)
        self.pending = kept

    def torn(self, chance, told):
        if not self.pending:
            return self.durable
        way = chance.random()
        if way < 0.25:
            kept = []
        elif way < 0.5:
            kept = self.pending
        elif way < 0.7:
            kept = self.pending[:chance.randrange(len(self.pending) + 1)]
        else:
            kept = [step for step in self.pending if chance.random() < 0.5]
        if len(kept) < len(self.pending):
            told["names not yet there, or still there"] += 1
        names = dict(self.durable)
        for step in kept:
            rename(names, step)
        return names


def rename(names, step):
    _, what, name, other, inode = step
    if what == "set":
        names[name] = inode
    elif what == "delete":
        if names.get(name) is inode:
            del names[name]
    else:
        if names.get(name) is inode:
            del names[name]
        names[other] = inode


class Disk:
    """What one node has on its disk, from the journal's beginning up to where advance() was told."""

    def __init__(self, image):
        self.root = read_image(image)
        self.handles = {}
        self.syncs = []  # (done, begun, inode), those that have not come back yet

    def advance_to(self, place):
        """What has come back by then is durable."""
        while self.syncs and self.syncs[0][0] <= place:
            _, begun, inode = heapq.heappop(self.syncs)
            inode.commit(begun)

    def take(self, record):
        self.advance_to(record.at)
        if record.failed or record.op == SENT:
            return
        if record.op == OPEN:
            self.open(record)
        elif record.op == SYNC:
            inode = self.handles[record.handle]
            if record.done:
                heapq.heappush(self.syncs, (record.done, record.at, inode))
        elif record.op in (WRITE, TRUNCATE):
            data = record.data if record.op == WRITE else None
            self.handles[record.handle].write(record.at, record.offset, data)
        else:
            self.change_name(record)

    def parent(self, name):
        directory = self.root
        *parts, last = name.split("/")
        for part in parts:
            directory = directory.now[part]
        return directory, last

    def open(self, record):
        if not record.name:
            self.handles[record.handle] = self.root
            return
        directory, name = self.parent(record.name)
        inode = directory.now.get(name)
        if inode is None:
            if not record.flags & os.O_CREAT:
                return  # it was asked for and not found
            inode = File()
            directory.change(record.at, "set", name, None, inode)
        elif record.flags & os.O_TRUNC:
            inode.write(record.at, 0, None)
        self.handles[record.handle] = inode

    def change_name(self, record):
        if record.op == RENAME:
            name, other = record.name.split("\0")
            directory, name = self.parent(name)
            target, other = self.parent(other)
            assert target is directory
            directory.change(record.at, "move", name, other, directory.now[name])
            return
        directory, name = self.parent(record.name)
        if record.op == MKDIR:
            directory.change(record.at, "set", name, None, Directory())
        else:
            directory.change(record.at, "delete", name, None, directory.now[name])

    def whole(self):
        """What the system's caches hold: after the end of a process alone."""
        return image_of(self.root, lambda directory: directory.now, File.whole)

    def torn(self, chance, told):
        """What a power cut may leave."""
        return image_of(self.root, lambda directory: directory.torn(chance, told),
                        lambda file: file.torn(chance, told))


def image_of(directory, names, data):
    """A directory as {name: bytes or another such}."""
    return {name: image_of(inode, names, data) if isinstance(inode, Directory)
            else bytes(data(inode)) for name, inode in names(directory).items()}


def read_image(image):
    directory = Directory()
    for name, inode in image.items():
        directory.durable[name] = read_image(inode) if isinstance(inode, dict) else File(inode)
    directory.now = dict(directory.durable)
    return directory


def write_image(path, image):
    os.mkdir(path, 0o700)
    for name, inode in image.items():
        below = os.path.join(path, name)
        if isinstance(inode, dict):
            write_image(below, inode)
        else:
            with open(os.open(below, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(inode)
