"""Damage on a node's disk, for the leader to heal: while it is healed power may fail as well."""
import os
import sqlite3


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def damage_snapshot(place, chance):
    """One bit of the newest snapshot; False: there is none."""
    directory = os.path.join(place, "snapshots")
    names = [name for name in os.listdir(directory) if name.endswith(".rks")]
    if not names:
        return False
    path = os.path.join(directory, max(names))
    flip(path, chance.randrange(os.path.getsize(path)))
    return True


def damage_entry(place, chance):
    """One bit of one entry of the log; False: the log is empty."""
    database = sqlite3.connect(os.path.join(place, "raft.db"))
    try:
        rows = database.execute("SELECT idx FROM log").fetchall()
        if not rows:
            return False
        index = chance.choice(rows)[0]
        frame = bytearray(database.execute("SELECT frame FROM log WHERE idx = ?", (index,)).fetchone()[0])
        frame[chance.randrange(len(frame))] ^= 1
        database.execute("UPDATE log SET frame = ? WHERE idx = ?", (bytes(frame), index))
        database.commit()
    finally:
        database.close()
    return True


def damage(place, chance, told):
    """True: something is damaged now."""
    for what, hurt in chance.sample((("a snapshot", damage_snapshot), ("an entry", damage_entry)), 2):
        if hurt(place, chance):
            told["damaged before a start: " + what] += 1
            return True
    return False


def read_tree(path):
    """What write_image() wrote, and what has become of it."""
    image = {}
    for entry in os.scandir(path):
        if entry.is_dir():
            image[entry.name] = read_tree(entry.path)
        elif entry.name not in ("LOCK", "ballast"):
            with open(entry.path, "rb") as file:
                image[entry.name] = file.read()
    return image
