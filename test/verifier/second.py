#!/usr/bin/env python3
"""A second verifier of the record, written from docs/reference/ledger-format.md alone, for holding the first one against it.

It shares no code and no language with verifier/, is as simple as can be, keeps everything in memory and gives one word: good, bad or incomplete.
Standard input has one case a line, as JSON: {"keys": [...], "witness": [[lines of a file, base64], ...], "dump": base64, "archives": {name: base64}} or
{"keys": [...], "witness": [...] or null, "slice": base64}. Python 3.9 or later, nothing else.
"""
import base64
import calendar
import gzip
import hashlib
import heapq
import json
import re
import sys
from datetime import datetime

sys.set_int_max_str_digits(0) if hasattr(sys, "set_int_max_str_digits") else None
COMMON = "00000000-0000-0000-0000-000000000000"
HEADS = "ffffffff-ffff-ffff-ffff-ffffffffffff"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SAFE = 2**53 - 1


class Bad(Exception):
    """Something is wrong: the verdict is bad."""


def need(condition, why):
    if not condition:
        raise Bad(why)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(data):
    return sha(b"\x00", data)


def node_hash(left, right):
    return sha(b"\x01", left, right)


# ---- Ed25519 (RFC 8032, section 6), verifying only

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def add_points(a, b):
    x = (a[1] - a[0]) * (b[1] - b[0]) % P
    y = (a[1] + a[0]) * (b[1] + b[0]) % P
    z = 2 * a[3] * b[3] * D % P
    t = 2 * a[2] * b[2] % P
    e, f, g, h = y - x, t - z, t + z, y + x
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar > 0:
        if scalar & 1:
            result = add_points(result, point)
        point = add_points(point, point)
        scalar >>= 1
    return result


def recover(y, sign):
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * ROOT % P
    if (x * x - square) % P != 0:
        return None
    return P - x if (x & 1) != sign else x


def point_of(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = recover(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = recover(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def signed(public, message, signature):
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = point_of(public), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % Q
    left, right = multiply(s, BASE), add_points(r, multiply(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# ---- Text


def strict(text):
    """JSON in which every key stands once and every number is a plain integer."""

    def pairs(items):
        need(len({key for key, _ in items}) == len(items), "a key twice")
        return dict(items)

    def no(_):
        raise Bad("a number in another spelling")

    def integer(digits):
        need(digits != "-0", "a number in another spelling")
        return int(digits)

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_float=no, parse_constant=no, parse_int=integer)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except (ValueError, RecursionError) as cause:
        raise Bad(str(cause))


def lines_of(data, keeps_torn=True):
    """Lines of a file. A last one without its newline counts in a dump, and not in a witness."""
    pieces = data.split(b"\n")
    torn = pieces.pop()
    if keeps_torn and torn:
        pieces.append(torn)
    result = []
    for piece in pieces:
        try:
            result.append(piece.decode("utf-8"))
        except UnicodeDecodeError:
            result.append("\ufffd")
    return result


def b64(text, size):
    need(isinstance(text, str), "no text")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Bad("no base64")
    need(len(data) == size and base64.b64encode(data).decode() == text, "no canonical base64")
    return data


def hexadecimal(text, size):
    need(isinstance(text, str) and re.fullmatch("[0-9a-f]{%d}" % (2 * size), text) is not None, "no hexadecimal")
    return bytes.fromhex(text)


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool) and -SAFE <= value <= SAFE


def is_count(value):
    return is_int(value) and value >= 0


def is_uuid(value):
    return isinstance(value, str) and UUID.fullmatch(value) is not None


def array_text(values):
    """As JSON.stringify writes it."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


# ---- Merkle trees (RFC 6962)


def root_of(leaves):
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(root_of(leaves[:k]), root_of(leaves[k:]))


def root_by_path(leaf, index, size, path):
    """The root to which an audit path leads: from the definition of PATH, backwards."""
    need(0 <= index < size, "beyond the tree")
    sides = []
    while size > 1:
        k = 1
        while k * 2 < size:
            k *= 2
        sides.append(index >= k)
        index, size = (index - k, size - k) if index >= k else (index, k)
    need(len(sides) == len(path), "a path of another length")
    for is_right, sibling in zip(reversed(sides), path):
        leaf = node_hash(sibling, leaf) if is_right else node_hash(leaf, sibling)
    return leaf


class Growing:
    """A tree as its whole subtrees, largest first."""

    def __init__(self):
        self.parts = []
        self.size = 0

    def push(self, root, leaves):
        self.size += leaves
        self.parts.append((leaves, root))
        while len(self.parts) > 1 and self.parts[-1][0] == self.parts[-2][0]:
            count, right = self.parts.pop()
            _, left = self.parts.pop()
            self.parts.append((2 * count, node_hash(left, right)))

    def root(self):
        result = None
        for _, part in reversed(self.parts):
            result = part if result is None else node_hash(part, result)
        return sha(b"") if result is None else result


# ---- The map


def identity(tree):
    return bytes.fromhex(tree.replace("-", ""))


def map_leaf(tree, size, root, blind):
    return sha(b"\x00", b"cofferdam ledger tree/2\n", ("%s %d %s\n" % (tree, size, base64.b64encode(root).decode())).encode(), blind)


def map_root(secret, trees):
    placed = []
    for tree, (size, root) in trees.items():
        slot = int.from_bytes(sha(b"cofferdam ledger slot/2", secret, identity(tree))[:4], "big")
        blind = sha(b"cofferdam ledger blind/2", secret, identity(tree))
        placed.append((slot, map_leaf(tree, size, root, blind)))
    need(len({slot for slot, _ in placed}) == len(placed), "two trees in one slot")

    def node(level, prefix, below):
        if not below:
            return sha(b"cofferdam ledger empty/2", secret, bytes([level]), prefix.to_bytes(4, "big"))
        if level == 32:
            return below[0][1]
        bit = 31 - level
        left = [one for one in below if not one[0] >> bit & 1]
        right = [one for one in below if one[0] >> bit & 1]
        return node_hash(node(level + 1, 2 * prefix, left), node(level + 1, 2 * prefix + 1, right))

    return node(0, 0, placed)


# ---- Notes and the witness

KEY = re.compile(r"((?:[A-Za-z0-9._-]+/)*[A-Za-z0-9._-]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})(?:@(0|[1-9][0-9]{0,14}):(0|[1-9][0-9]{0,14}))?")
NOTE = re.compile(
    r"(([^\s+]+)\n(0|[1-9][0-9]{0,14})\n(\S+)\nera (0|[1-9][0-9]{0,14})\ntime (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\n)\n((?:\u2014 [^\s+]+ [A-Za-z0-9+/]+={0,2}\n){1,16})",
    re.ASCII,
)
known_signatures = {}


def parse_key(text):
    match = KEY.fullmatch(text)
    need(match is not None, "no key")
    name, key_id, encoded, era, size = match.groups()
    data = b64(encoded, 33)
    need(data[0] == 1 and sha(name.encode(), b"\n", data)[:4].hex() == key_id, "no key")
    return name, key_id, data[1:], None if era is None else (int(era), int(size))


def parse_note(text, keys):
    """(era, size, root, time) of a note that is to be believed."""
    need(isinstance(text, str), "no note")
    match = NOTE.fullmatch(text)
    need(match is not None, "no note")
    body, origin, size, root, era, time, lines = match.groups()
    root, size, era = b64(root, 32), int(size), int(era)
    try:
        moment = datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        raise Bad("no time")
    need(any(name == origin for name, _, _, _ in keys), "of another installation")
    good = False
    for line in lines.rstrip("\n").split("\n"):
        _, name, encoded = line.split(" ")
        try:
            data = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise Bad("no base64")
        need(base64.b64encode(data).decode() == encoded and len(data) >= 5, "no signature")
        for key_name, key_id, public, end in keys:
            if key_name != name or name != origin or key_id != data[:4].hex():
                continue
            question = (public, body, data[4:])
            if question not in known_signatures:
                known_signatures[question] = signed(public, body.encode(), data[4:])
            need(known_signatures[question], "a false signature")
            good = good or end is None or (era, size) <= end
            break
    need(good, "signed by nobody who counts")
    return era, size, root, moment


def read_witness(files, keys):
    """Checkpoints by (era, size), and those of them that were not abandoned, by size."""
    marks = {}
    for lines in files:
        before = None
        for line in lines_of(base64.b64decode(lines), keeps_torn=False):
            note = parse_note(strict(line), keys)
            era, size, root, time = note
            need(marks.setdefault((era, size), root) == root, "two roots of one era and size")
            if before is not None and (era, size) < before[:2]:
                need(time < before[3], "a step back")
            else:
                before = note
    eras = sorted({era for era, _ in marks}, reverse=True)
    limit, limits = None, {}
    for era in eras:
        limits[era] = limit
        first = min(size for one, size in marks if one == era)
        limit = first if limit is None else min(limit, first)
    accepted = [(size, root) for (era, size), root in marks.items() if limits[era] is None or size <= limits[era]]
    return marks, accepted, max(marks) if marks else None


def losses_of(files, keys):
    """Of each era that lost something: the size from which the next one went on, and the times between which."""
    notes = [parse_note(strict(line), keys) for lines in files for line in lines_of(base64.b64decode(lines), keeps_torn=False)]
    losses = []
    for era in {note[0] for note in notes}:
        limit = min((size for other, size, _, _ in notes if other > era), default=None)
        lost = [time for other, size, _, time in notes if other == era and limit is not None and size > limit]
        if not lost:
            continue
        kept = [(size, time) for other, size, _, time in notes if other == era and size <= limit]
        losses.append((limit, max(kept)[1] if kept else min(lost), max(lost)))
    return losses


# ---- Entries

KINDS = "u i i i w w u? u? u? w? w? u? u? i? i? w? w? w? w? i? w? w? w?".split()


def check_cells(values, kinds):
    need(len(values) == len(kinds), "too many fields or too few")
    for value, kind in zip(values, kinds):
        if value is None:
            need(kind.endswith("?"), "a field is absent")
        elif kind[0] == "i":
            need(is_int(value), "no integer")
        else:
            need(isinstance(value, str) and (kind[0] != "u" or is_uuid(value)), "no text, or no UUID")
    need(values[0] != HEADS and is_count(values[1]), "no place")


class Entry:
    def __init__(self, row):
        need(isinstance(row, list) and len(row) == 25, "no entry")
        cells = row[:23]
        check_cells(cells, KINDS)
        self.tree, self.position, self.number, self.at = cells[:4]
        self.kind, self.customer = cells[4], cells[6]
        need(self.number > 0, "no number")
        self.public, self.sensitive = cells[15], cells[22]
        salt, stored = hexadecimal(row[23], 32), hexadecimal(row[24], 32)
        shown = sha(salt[:16], array_text(["cofferdam ledger public/2"] + cells[:2] + cells[3:16]).encode())
        hidden = sha(salt[16:], array_text(["cofferdam ledger sensitive/2"] + [cells[2]] + cells[16:]).encode())
        self.leaf = leaf_hash(shown + hidden)
        need(self.leaf == stored, "the stored leaf is another")


HOUR = 3600 * 1000000
DAY = 24 * HOUR


def in_own_tree(tree, customer):
    return tree == COMMON if customer is None else tree == customer and tree != COMMON


def statement_of(entry):
    """What an entry of kind ledger.archived states."""
    texts = []
    for text in (entry.public, entry.sensitive):
        need(isinstance(text, str), "no statement")
        value = strict(text)
        need(isinstance(value, dict), "no statement")
        texts.append(value)
    shown, hidden = texts
    month, first, last, count = (shown.get(name) for name in ("month", "first", "last", "entries"))
    file, digest, total = (hidden.get(name) for name in ("file", "sha256", "total"))
    need(isinstance(month, str) and re.fullmatch(r"(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])", month) is not None, "no month")
    need(is_count(first) and is_count(last) and is_count(count) and is_count(total), "no numbers")
    need(isinstance(file, str) and file != "", "no file")
    hexadecimal(digest, 32)
    need(first <= last < entry.position and 1 <= count <= last - first + 1 and count <= total, "an impossible statement")
    return month, first, last, count, file, digest, total


# ---- The record

HEAD_LINE = re.compile(r"(\S{36}) ([1-9][0-9]{0,15}) (\S{44})")


def parse_lines(text):
    need(isinstance(text, str) and (text == "" or text.endswith("\n")), "no lines")
    result = {}
    last = ""
    for line in text[:-1].split("\n") if text else []:
        match = HEAD_LINE.fullmatch(line)
        need(match is not None and is_uuid(match[1]) and match[1] != HEADS and match[1] > last, "no line of a tree")
        last = match[1]
        size = int(match[2])
        need(is_count(size), "no size")
        result[match[1]] = (size, b64(match[3], 32))
    return result


def read_dump(data):
    """Heads, hashes of blocks and leaves, entries: in that order, or it is no dump."""
    parts = {"head": [], "block": [], "leaf": [], "entry": []}
    names = list(parts)
    at = 0
    for line in lines_of(data):
        if line == "":
            continue
        value = strict(line)
        need(isinstance(value, dict) and len(value) == 1, "no line of a dump")
        kind, row = next(iter(value.items()))
        need(kind in parts and isinstance(row, list), "no line of a dump")
        need(names.index(kind) >= at, "out of order")
        at = names.index(kind)
        parts[kind].append(row)
    return parts


def read_heads(rows, accepted):
    """Trees with all sizes and roots that heads named, and how far the witness proves them."""
    log, trees, secrets, secret, number, before_it = Growing(), {}, set(), None, 0, 0
    log_blocks = []
    grown = {}
    proven = {}
    due = {}
    for size, root in accepted:
        due.setdefault(size, []).append(root)

    def compare():
        for root in due.pop(log.size, []):
            need(root == log.root(), "not what the witness saw")
            proven.update({tree: size for tree, (size, _) in trees.items()})

    compare()
    for index, row in enumerate(rows):
        need(len(row) == 5, "no head")
        position, at, head_number, head_secret, lines = row
        need(is_count(position) and position == index and is_count(at) and is_count(head_number), "no head")
        need(at >= before_it, "a head that goes back in time")
        before_it = at
        head_secret = b64(head_secret, 32)
        begins = head_secret != secret
        if begins:
            need(head_secret not in secrets, "a secret that comes back")
            secrets.add(head_secret)
            secret = head_secret
        named = parse_lines(lines)
        need(begins or named, "a head for nothing")
        before = number
        for tree, (size, root) in named.items():
            old = trees.get(tree, (0, None))
            need(size > old[0] or (begins and (size, root) == old), "a tree that does not grow")
            if size > old[0]:
                grown.setdefault(tree, []).append((size, root, before, head_number, at))
                number += size - old[0]
            trees[tree] = (size, root)
        need(number == head_number, "its number")
        need(not begins or set(named) == set(trees), "an epoch that leaves out a tree")
        commitment = sha(b"cofferdam ledger number/2", secret, index.to_bytes(8, "big"), number.to_bytes(8, "big"))
        text = "cofferdam ledger head/2\n%d\n%d\n%s\n%s\n" % (
            position,
            at,
            base64.b64encode(map_root(secret, trees)).decode(),
            base64.b64encode(commitment).decode(),
        )
        log_blocks.append(leaf_hash(text.encode()))
        log.push(log_blocks[-1], 1)
        compare()
    need(not due, "behind the witness")
    return trees, grown, proven, number, log_blocks


def read_hashes(rows, trees):
    result = {}
    for row in rows:
        need(len(row) == 3 and isinstance(row[0], str) and is_count(row[1]), "no hash")
        of = result.setdefault(row[0], {})
        digest = hexadecimal(row[2], 32)
        need(row[0] in trees and (not of or row[1] > max(of)), "a hash twice, out of order, or of no tree")
        of[row[1]] = digest
    return result


def read_archives(files):
    result = []
    for name, data in sorted(files.items()):
        if re.fullmatch(r"ledger-[0-9]{4}-[0-9]{2}\.jsonl(\.gz)?", name) is None:
            continue
        data = base64.b64decode(data)
        text = data
        if name.endswith(".gz"):
            try:
                text = gzip.decompress(data)
            except (OSError, EOFError, ValueError) as cause:
                raise Bad(str(cause))
            except Exception as cause:  # zlib.error
                raise Bad(str(cause))
        entries = []
        for line in lines_of(text):
            if line == "":
                continue
            value = strict(line)
            need(isinstance(value, dict) and list(value) == ["entry"], "no line of an archive")
            entries.append(Entry(value["entry"]))
        check_order(entries)
        result.append((name, hashlib.sha256(data).hexdigest(), entries))
    return result


def check_order(entries):
    places = [(entry.tree, entry.position) for entry in entries]
    need(all(a < b for a, b in zip(places, places[1:])), "entries out of order")


def allowed(absent, statements):
    """Whether every absent position can be given to a statement, none with more than it counts."""
    waiting = sorted((list(one) for one in statements), reverse=True)
    begun = []
    for position in sorted(absent):
        while waiting and waiting[-1][0] <= position:
            _, last, count = waiting.pop()
            heapq.heappush(begun, [last, count])
        while begun and (begun[0][0] < position or begun[0][1] == 0):
            heapq.heappop(begun)
        if not begun:
            return False
        begun[0][1] -= 1
    return True


def positions_of(month, roots):
    """The first and the last position of a tree that can be of this month, by the times of the heads that sealed them."""
    year, number = map(int, month.split("-"))
    begin = calendar.timegm((year, number, 1, 0, 0, 0)) * 1000000
    end = calendar.timegm((year + number // 12, number % 12 + 1, 1, 0, 0, 0)) * 1000000
    low, high, start = SAFE, -1, 0
    for size, _, _, _, sealed in roots:
        if begin - 60 * DAY <= sealed + 2 * HOUR and sealed - 2 * HOUR <= end + 27 * DAY:
            low, high = min(low, start), size - 1
        start = size
    return low, high


def check_tree(tree, size, roots, entries, archived, hashes, proven):
    """Whether something of a tree was not read. `entries`: of the dump; `archived`: (digest, entries) of archives."""
    known = {}
    statements = set()
    for entry in entries + [one for _, some in archived for one in some]:
        need(entry.position < size, "an entry beyond its tree")
        need(known.setdefault(entry.position, entry).leaf == entry.leaf, "two entries for one place")
        need(in_own_tree(tree, entry.customer), "in the tree of somebody else")
    blocks, leaves = hashes
    covered = set()
    for start in range(0, size, 256):
        places = range(start, min(start + 256, size))
        if all(at not in known for at in places) or any(at not in known and at not in leaves for at in places):
            covered.add(start // 256)
    for entry in known.values():
        if entry.kind == "ledger.archived":
            statement = statement_of(entry)
            # One that only the hash of its block stands for, or that nobody witnessed, says nothing.
            if entry.position < proven and entry.position // 256 not in covered:
                statements.add(statement)
    vouched = set()
    rest = []
    named = {statement[5] for statement in statements}
    for month, first, last, count, _, digest, _ in statements:
        match = [some for one, some in archived if one == digest]
        for some in match:
            positions = [entry.position for entry in some]
            need(positions != [], "an archive that has nothing of this tree")
            need((len(positions), min(positions), max(positions)) == (count, first, last), "an archive that is not as stated")
            vouched.update(positions)
        if not match:
            # Only what can have been of that month: an entry's own time lies near its seal.
            low, high = positions_of(month, roots)
            if max(first, low) <= min(last, high):
                rest.append((max(first, low), min(last, high), count))
    in_dump = {entry.position for entry in entries}
    absent = [position for position in range(size) if position not in in_dump and position not in vouched]
    need(allowed(absent, rest), "an entry is missing")
    # The tree by its leaves, and by blocks where leaves are not known.
    need(not blocks or (max(blocks) + 1) * 256 <= size, "a block beyond its tree")
    growing = Growing()
    due = {one[0]: one[1] for one in roots}
    for start in range(0, size, 256):
        places = range(start, min(start + 256, size))
        of = [known[at].leaf if at in known else leaves.get(at) for at in places]
        block = blocks.get(start // 256)
        is_absent = block is not None and all(at not in known for at in places)
        if not is_absent and None not in of and block is not None:
            need(block == root_of(of), "a block that is not that of its entries")
        inner = Growing()
        inner.parts, inner.size = list(growing.parts), growing.size
        for leaf in [] if is_absent else of:
            if leaf is None:
                break
            inner.push(leaf, 1)
            if inner.size in due:
                need(inner.root() == due[inner.size], "a root that is not that of its entries")
        if is_absent or None in of:
            need(block is not None, "no hash stands for absent entries")
            need(not any(at in in_dump and at not in vouched for at in places), "entries that nothing proves")
            growing.push(block, 256)
            if growing.size in due:
                need(growing.root() == due[growing.size], "a root that is not that of its blocks")
        else:
            growing = inner
    # Numbers grow inside a tree, each among those of the head that sealed it.
    last = 0
    for position in sorted(known):
        low, high, sealed = next((one[2], one[3], one[4]) for one in roots if position < one[0])
        at = known[position].at
        need(sealed - 27 * DAY - 2 * HOUR <= at <= sealed + 60 * DAY + 2 * HOUR, "a time far from its seal")
        if known[position].kind == "ledger.archived":
            year, month = map(int, statement_of(known[position])[0].split("-"))
            # No instant of this format, which is at most 2^53 - 1 microseconds, lies in a later year.
            need(year < 2300, "a statement about a month that was still there")
            leaves = calendar.timegm((year + (month + 1) // 12, (month + 1) % 12 + 1, 1, 0, 0, 0)) * 1000000
            need(sealed + 2 * HOUR >= leaves, "a statement about a month that was still there")
        need(low < known[position].number <= high and known[position].number > last, "a number out of order")
        last = known[position].number
    return bool(absent), [entry.number for entry in known.values()], statements


def verify_record(case, keys):
    marks, accepted, newest = read_witness(case["witness"], keys)
    parts = read_dump(base64.b64decode(case["dump"]))
    trees, grown, proven, number, log_leaves = read_heads(parts["head"], accepted)
    blocks = read_hashes([row for row in parts["block"] if row[:1] != [HEADS]], trees)
    for row in parts["block"]:
        if row[:1] == [HEADS]:
            need(len(row) == 3 and is_count(row[1]), "no block")
            of = log_leaves[row[1] * 256 : row[1] * 256 + 256]
            need(len(of) == 256 and root_of(of) == hexadecimal(row[2], 32), "a block of the heads log")
    leaves = read_hashes(parts["leaf"], trees)
    entries = [Entry(row) for row in parts["entry"]]
    check_order(entries)
    archives = read_archives(case["archives"])
    for entry in entries + [entry for _, _, some in archives for entry in some]:
        need(entry.tree in trees, "an entry of no tree")
    incomplete = newest is None or newest[1] == 0
    numbers, totals, names = [], {}, set()
    for tree, (size, _) in trees.items():
        own = [entry for entry in entries if entry.tree == tree]
        archived = [(digest, [entry for entry in some if entry.tree == tree]) for _, digest, some in archives]
        hashes = (blocks.get(tree, {}), leaves.get(tree, {}))
        absent, some, statements = check_tree(tree, size, grown[tree], own, archived, hashes, proven.get(tree, 0))
        incomplete = incomplete or absent
        numbers += some
        for statement in statements:
            totals.setdefault(statement[5], set()).add(statement[6])
            names.add(statement[4])
    need(len(set(numbers)) == len(numbers), "a number twice")
    for name, digest, some in archives:
        if digest in totals:
            need(totals[digest] == {len(some)}, "an archive of another number of entries")
        else:
            need(name not in names, "not the archive that is stated")
    return "incomplete" if incomplete else "good"


# ---- A slice


def fields(value, names):
    need(isinstance(value, dict) and set(value) == set(names), "other fields")
    return [value[name] for name in names]


def hash_list(value):
    need(isinstance(value, list) and len(value) <= 64, "no list of hashes")
    return [b64(one, 32) for one in value]


def read_anchor(value, customer, keys, marks, accepted):
    note, head, tree = fields(value, ["checkpoint", "head", "tree"])
    position, text, proof = fields(head, ["position", "text", "proof"])
    size, root, blind, slot, path = fields(tree, ["size", "root", "blind", "slot", "path"])
    era, log_size, log_root, _ = parse_note(note, keys)
    if marks is not None:
        need(marks.get((era, log_size)) == log_root and (log_size, log_root) in accepted[era], "not in this witness")
    need(isinstance(text, str), "no head")
    match = re.fullmatch(r"cofferdam ledger head/2\n(0|[1-9][0-9]{0,15})\n(0|[1-9][0-9]{0,15})\n(\S{44})\n(\S{44})\n", text)
    need(match is not None and is_count(int(match[2])), "no head")
    need(is_count(position) and position == int(match[1]), "no head")
    b64(match[4], 32)
    need(root_by_path(leaf_hash(text.encode()), position, log_size, hash_list(proof)) == log_root, "not a head of this checkpoint")
    need(is_count(size) and size > 0 and is_count(slot) and slot < 2**32, "no tree")
    siblings = hash_list(path)
    need(len(siblings) == 32, "no way to the map's root")
    root = b64(root, 32)
    node = map_leaf(customer, size, root, b64(blind, 32))
    for level, sibling in enumerate(siblings):
        node = node_hash(sibling, node) if slot >> level & 1 else node_hash(node, sibling)
    need(node == b64(match[3], 32), "the head does not say so")
    return (era, log_size), position, size, root, log_root, int(match[2])


def verify_slice(case, keys):
    marks, by_era = None, {}
    if case["witness"] is not None:
        marks, accepted, _ = read_witness(case["witness"], keys)
        for era, size in marks:
            by_era.setdefault(era, set())
            if (size, marks[(era, size)]) in accepted:
                by_era[era].add((size, marks[(era, size)]))
        # What was accepted for one era only, by its own limit.
        firsts = {era: min(size for one, size in marks if one == era) for era, _ in marks}
        for era in by_era:
            limit = min((first for other, first in firsts.items() if other > era), default=None)
            by_era[era] = {(size, root) for (one, size), root in marks.items() if one == era and (limit is None or size <= limit)}
    lines = [strict(line) for line in lines_of(base64.b64decode(case["slice"])) if line != ""]
    need(lines, "empty")
    names = ["version", "customer", "begin", "end", "says", "subject", "from", "frontier", "to", "entries", "selected"]
    (header,) = fields(lines[0], ["slice"])
    version, customer, since, until, says, subject, first, frontier, last, count, selected = fields(header, names)
    need((since is None or is_count(since)) and is_count(until) and (since is None or since <= until), "no window")
    need(is_int(version) and version == 3 and is_uuid(customer) and says in ("affected", "not-affected"), "no slice")
    need(isinstance(subject, str) and is_count(count) and is_count(selected), "no slice")
    begin = None if first is None else read_anchor(first, customer, keys, marks, by_era)
    end = read_anchor(last, customer, keys, marks, by_era)
    need(end[5] >= until, "it ends within its window")
    tree, start = Growing(), 0
    roots = hash_list(frontier)
    if begin is not None:
        need(begin[0] <= end[0] and begin[1] <= end[1] and begin[2] <= end[2] and begin[5] <= end[5], "it begins behind its end")
        need(since is not None and begin[5] <= since, "it begins within its window")
        need(begin[0] != end[0] or begin[4] == end[4], "two truths")
        start = begin[2]
    bits = [1 << bit for bit in range(start.bit_length() - 1, -1, -1) if start >> bit & 1]
    need(len(bits) == len(roots), "another frontier")
    for leaves, root in zip(bits, roots):
        tree.push(root, leaves)
    need(begin is None or tree.root() == begin[3], "another frontier")
    marked = 0
    for line in lines[1:]:
        shown, salt, sensitive, is_selected = fields(line, ["shown", "salt", "sensitive", "selected"])
        need(isinstance(shown, list), "no entry")
        check_cells(shown, [kind for index, kind in enumerate(KINDS[:16]) if index != 2])
        need(shown[0] == customer and in_own_tree(customer, shown[5]) and shown[1] == tree.size, "not the next entry of this customer")
        need(isinstance(is_selected, bool), "no entry")
        marked += is_selected
        need(not is_selected or (since or 0) <= shown[2] < until, "selected, and outside of the window")
        public = sha(hexadecimal(salt, 16), array_text(["cofferdam ledger public/2"] + shown).encode())
        tree.push(leaf_hash(public + hexadecimal(sensitive, 32)), 1)
    need(tree.size == end[2] and tree.root() == end[3], "not complete")
    need(count == end[2] - start and selected == marked and (says == "affected") == (marked > 0), "it contradicts itself")
    micros = lambda moment: round((moment - datetime(1970, 1, 1)).total_seconds() * 1000) * 1000
    late = 60_000_000
    for size, kept, last in losses_of(case["witness"] or [], keys):
        before = since is not None and micros(last) + late < since
        if end[1] >= size and not before and micros(kept) - late < until:
            return "incomplete"
    return "good"


def verdict_of(case):
    try:
        keys = [parse_key(key) for key in case["keys"]]
        for name, key_id, _, end in keys:
            need(name == keys[0][0], "keys of several installations")
            need(all(end == other[3] for other in keys if other[1] == key_id), "a key with two ends")
        return verify_slice(case, keys) if "slice" in case else verify_record(case, keys)
    except Bad as cause:
        return "bad: %s" % cause


def main():
    for line in sys.stdin:
        print(json.dumps(verdict_of(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
