#!/usr/bin/env python3
"""What promote.merge_params and promote.merge_conflicts have to return: an oracle in another language.

Written from this project's own pages (doc/reference/compose.md, doc/reference/schema.md), not from its C. What is not
copyable, and what overrides are, it takes from compose.py beside it.

  merge.py SEED COUNT [FILE...]    groups of the files, each an object of schema, documents and overrides, and then that
                                   many of random schemas and documents; without an end for 0

Prints a line of JSON for each group:

  name, schema, documents, overrides
  cases        an array of: base, source, destination, overrides (positions in these), choice, expected, conflicts

"expected" is {"params": ...}, {"open": [the paths of conflicts]}, or {"problems": [the paths of arrays]}; "conflicts" an
array of the path and the three values, each of which is an array of one, or an empty one, null where there are problems.
"""

import itertools
import json
import re
import sys
from fractions import Fraction

import compose
from compose import ABSENT, Schema, copyable, dump, equal, holds_marked_element, is_number, kept, merge_patch

BASE, SOURCE, OWN = range(3)

# ---- which arrays have a key? ----


class KeyedSchema(Schema):
    def __init__(self, root):
        super().__init__(root)
        text = dump(root)
        self.has_marks = "copyable" in text
        self.has_keys = "key" in text
        self.known = {}
        self.lasting = {}

    def marks(self, document):
        """Those of documents that last are collected once."""
        if self.lasting.get(id(document), (None,))[0] is document:
            return self.lasting[id(document)][1]
        return super().marks(document)

    def owned(self, document, own):
        """The document with the destination's own where that or the document is not copyable."""
        return Overlay(self, document, own).whole if self.has_marks else document

    def keys(self, document):
        """The keys that a document's arrays have: sets of names by place."""
        found = {}
        if self.has_keys:
            self.collect_keys(document, self.root, (), found)
        return found

    def prepared(self, document, own):
        """That of two documents that last, with the keys that its arrays have."""
        pair = (id(document), id(own))
        if pair not in self.known:
            self.lasting.setdefault(id(own), (own, super().marks(own) if self.has_marks else set()))
            owned = self.owned(document, own)
            self.known[pair] = owned, self.keys(owned)
        return self.known[pair]

    def collect_keys(self, value, schema, place, found):
        if isinstance(schema, bool):
            return
        nested = schema.get("$md")
        for name in (schema.get("$md.key"), nested.get("key") if isinstance(nested, dict) else None):
            if isinstance(value, list) and name is not None:
                found.setdefault(place, set()).add(name)
        for one in self.schemas_here(value, schema):
            self.collect_keys(value, one, place, found)
        for key, member, one in self.schemas_below(value, schema):
            self.collect_keys(member, one, place + (key,), found)


class Overlay:
    """A document with the destination's own where either is not copyable, and elements with a key told apart by it."""

    def __init__(self, schema, document, own):
        self.marks = schema.marks(document), schema.marks(own)
        self.keys = schema.keys(document), schema.keys(own)
        self.whole = self.overlay(document, own, (), ())

    def overlay(self, source, own, place, own_place):
        for value, at, marked in ((source, place, self.marks[0]), (own, own_place, self.marks[1])):
            if value is not ABSENT and (at in marked or holds_marked_element(value, at, marked)):
                return own
        if source is ABSENT:
            return kept(own, own_place, self.marks[1])
        if isinstance(source, dict) and isinstance(own, dict):
            both = {key: self.overlay(source.get(key, ABSENT), own.get(key, ABSENT), place + (key,), own_place + (key,))
                    for key in {**source, **own}}
            return {key: value for key, value in both.items() if value is not ABSENT}
        if isinstance(source, list) and isinstance(own, list):
            same = self.same_elements(source, own, place, own_place)
            both = [self.overlay(item, ABSENT if same[i] is None else own[same[i]], place + (i,), own_place + (same[i],))
                    for i, item in enumerate(source)]
            return [value for value in both if value is not ABSENT]
        return copyable(source, place, self.marks[0])

    def same_elements(self, source, own, place, own_place):
        """The position in the destination's array of each element of the source's, None where there is none."""
        names = self.keys[0].get(place, set()) | self.keys[1].get(own_place, set())
        if len(names) == 1:
            orders = [[element_name(element, *names) for element in array] for array in (source, own)]
            if all(None not in order and len(set(order)) == len(order) for order in orders):
                return [orders[1].index(name) if name in orders[1] else None for name in orders[0]]
        return [i if i < len(own) else None for i in range(len(source))]


# ---- merging ----


def alike(a, b):
    return a is b or (a is not ABSENT and b is not ABSENT and equal(a, b))


def path_text(steps):
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += ("" if text else ".") + f"[{step}]"
        elif re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", step):
            text += "." + step
        else:
            text += ("" if text else ".") + "[" + json.dumps(step, ensure_ascii=False) + "]"
    return text or "."


def element_name(element, key):
    """What tells an element apart; None where nothing does."""
    name = element.get(key) if isinstance(element, dict) else None
    if name is None or isinstance(name, (list, dict)):
        return None
    if isinstance(name, bool):
        return ("boolean", name)
    return ("number", Fraction(name)) if is_number(name) else ("string", name)


class Merging:
    """One merge. Conflicts and problems are lists of (steps in what comes out, ...)."""

    def __init__(self, schema, base, source, own, overrides, choice):
        self.overrides, self.choice = overrides, choice
        self.problems = []
        documents, self.keys = zip(*(schema.prepared(one, own) for one in (base, source, own)))
        merged, self.conflicts = self.place(documents, ((), (), ()), ())
        self.params = merge_patch(merged, overrides)
        for _ in range(100 if schema.has_marks else 0):
            again = merge_patch(schema.owned(self.params, own), overrides)
            if equal(again, self.params):
                break
            self.params = again

    def side(self, values):
        """What stands in a conflict's place."""
        if self.choice == "source" or (self.choice is None and values[OWN] is ABSENT):
            return values[SOURCE]
        return values[OWN]

    def overridden(self, steps, values):
        at = self.overrides
        for step in steps:
            if not isinstance(at, dict):
                return True
            if step not in at:
                return False
            at = at[step]
        return not isinstance(at, dict) or not any(isinstance(values[i], dict) for i in (SOURCE, OWN))

    def place(self, values, places, steps):
        """What comes out at a place, and the conflicts there."""
        base, source, own = values
        if alike(source, own) or alike(base, source):
            return own, []
        if alike(base, own):
            return source, []
        for kind, merge in ((dict, self.members), (list, self.array)):
            if isinstance(source, kind) and isinstance(own, kind) and (base is ABSENT or isinstance(base, kind)):
                return merge(values, places, steps)
        return self.side(values), [(steps, values)]

    def members(self, values, places, steps):
        result, conflicts = {}, []
        objects = [{} if value is ABSENT else value for value in values]
        for name in sorted({**objects[SOURCE], **objects[OWN]}):
            value, more = self.place([one.get(name, ABSENT) for one in objects],
                                     [None if place is None else place + (name,) for place in places], steps + (name,))
            conflicts += more
            if value is not ABSENT:
                result[name] = value
        return result, conflicts

    def array(self, values, places, steps):
        names = set().union(*(keys.get(place, set()) for keys, place, value in zip(self.keys, places, values)
                              if value is not ABSENT))
        if not names or self.overridden(steps, values):
            return self.side(values), [(steps, values)]
        arrays = [[] if value is ABSENT else value for value in values]
        problems = [steps] if len(names) > 1 else [steps] * sum(self.without_name(one, *names) for one in arrays)
        if problems:
            self.problems += problems
            return self.side(values), []
        return self.elements(arrays, places, steps, *names)

    @staticmethod
    def without_name(array, key):
        """How many elements have no name of their own."""
        names = [element_name(element, key) for element in array]
        return len(names) - len(set(names) - {None})

    def elements(self, arrays, places, steps, key):
        orders = [[element_name(element, key) for element in array] for array in arrays]

        def values_of(name):
            return [array[order.index(name)] if name in order else ABSENT for array, order in zip(arrays, orders)]

        def places_of(name):
            return [place + (order.index(name),) if name in order else None for place, order in zip(places, orders)]

        def stays(name):
            value, conflicts = self.place(values_of(name), places_of(name), steps + (0,))
            return value is not ABSENT or bool(conflicts)

        before = len(self.problems)
        staying = {name for name in orders[SOURCE] + orders[OWN] if stays(name)}
        del self.problems[before:]
        both = [name for name in orders[OWN] if name in orders[BASE]]
        left = both != [name for name in orders[BASE] if name in both]
        leader, follower = (orders[OWN], orders[SOURCE]) if left else (orders[SOURCE], orders[OWN])
        order = [name for name in leader if name in staying]
        position = 0
        for name in follower:
            if name not in staying:
                continue
            if name in leader:
                position = order.index(name) + 1
            else:
                order.insert(position, name)
                position += 1
        result, conflicts = [], []
        for name in order:
            value, more = self.place(values_of(name), places_of(name), steps + (len(result),))
            conflicts += more
            if value is not ABSENT:
                result.append(value)
        return result, conflicts

    def expected(self):
        if self.problems:
            return {"problems": sorted(map(path_text, self.problems))}
        undecided = [path_text(steps) for steps, values in self.conflicts
                     if self.choice is None and not self.overridden(steps, values)]
        return {"open": sorted(undecided)} if undecided else {"params": self.params}

    def listed(self):
        return None if self.problems else sorted(
            ([path_text(steps)] + [[] if value is ABSENT else [value] for value in values]
             for steps, values in self.conflicts), key=dump)


# ---- output ----


def print_group(name, schema, documents, overrides, source):
    evaluator = KeyedSchema(schema)
    cases = []
    for triple in itertools.product(range(len(documents)), repeat=3):
        patch = source.choice([0, 0, 0, *range(len(overrides))])
        choice = source.choice([None, None, None, "source", "destination"])
        parts = [documents[i] for i in triple]
        merging = Merging(evaluator, *parts, overrides[patch], choice)
        plain = merging if patch == 0 and choice is None else Merging(evaluator, *parts, {}, None)
        cases.append({"base": triple[0], "source": triple[1], "destination": triple[2], "overrides": patch,
                      "choice": choice, "expected": merging.expected(), "conflicts": plain.listed()})
    print(dump({"name": name, "schema": schema, "documents": documents, "overrides": overrides, "cases": cases}),
          flush=True)


# ---- random schemas and documents ----

NAMES = ["x", "y", 1, compose.Decimal("1.0"), 2, True, "1", "z"]


class Random(compose.Random):
    def secret(self):
        return self.choice(["", "x "]) + f"s3cr3t-{self.randint(10, 99)}"

    def document(self, depth):
        if depth > 0 and self.chance(0.2):
            return self.named(depth)
        if self.chance(0.1):
            return self.secret()
        return super().document(depth)

    def element(self, depth, name):
        return {"id": name, **{key: self.document(depth - 2) for key in self.sample(["a", "b", "l"], self.randint(0, 2))}}

    def named(self, depth):
        """An array whose elements have names."""
        names = {element_name({"id": name}, "id"): name for name in self.sample(NAMES, self.randint(0, 4))}
        return [self.element(depth, name) for name in names.values()]

    def params(self):
        params = super().params()
        if self.chance(0.7):
            params["l"] = self.named(3)
        return params

    def edited(self, value, depth=3):
        """Another value that has much in common with this one."""
        if self.chance(0.06):
            return self.document(2)
        if isinstance(value, dict):
            result = {key: self.edited(member, depth - 1) if self.chance(0.5) else member
                      for key, member in value.items() if key == "id" or self.chance(0.93)}
            if self.chance(0.2):
                result[self.choice(compose.KEYS)] = self.document(max(depth - 1, 0))
            if "id" in value and self.chance(0.97):
                result["id"] = value["id"]
            return result
        if isinstance(value, list):
            return self.edited_list(value, depth)
        return self.document(0) if self.chance(0.3) else value

    def edited_list(self, value, depth):
        result = [self.edited(item, depth - 1) for item in value if self.chance(0.9)]
        if self.chance(0.3):
            name = self.choice(NAMES)
            known = [element_name(one, "id") for one in result]
            if element_name({"id": name}, "id") not in known or self.chance(0.15):
                result.insert(self.randint(0, len(result)), self.element(depth, name))
        if self.chance(0.2):
            self.shuffle(result)
        return result

    def add_arrays(self, schema, depth):
        super().add_arrays(schema, depth)
        self.add_key(schema, 0.5)

    def add_key(self, schema, share):
        if self.chance(share):
            name = self.choice(["id", "id", "id", "id", "id", "a"])
            schema.update(self.choice([{"$md.key": name}, {"$md": {"key": name}}]))

    def schema(self, depth, marks=0.1):
        schema = super().schema(depth, marks)
        if isinstance(schema, dict) and self.chance(0.08):
            schema["$md.sensitive"] = True
        return schema

    def root(self):
        root = super().root()
        lists = root["properties"].setdefault("l", {})
        if isinstance(lists, dict):
            self.add_key(lists, 0.7)
        if self.chance(0.3):
            root.setdefault("allOf", []).append({
                "if": self.condition(), "then": {"properties": {"l": {"$md.key": self.choice(["id", "id", "b"])}}},
                "else": {"properties": {self.choice(compose.KEYS): {compose.COPYABLE: False}}}})
        return root


def random_group(seed, number):
    source = Random(f"{seed}:{number}")
    schema = source.root()
    while compose.stays_in_place(schema):
        schema = source.root()
    documents = [source.params()]
    while len(documents) < 6:
        other = source.edited(source.choice(documents))
        documents.append(other if isinstance(other, dict) else {})
    print_group(f"random {seed}:{number}", schema, documents,
                [{}, source.overrides(documents[0]), source.overrides(documents[-1])], source)


def main(arguments):
    if len(arguments) < 2:
        sys.exit(__doc__)
    for file in arguments[2:]:
        kept = compose.read(file)
        print_group(file, kept["schema"], kept["documents"], kept["overrides"], Random(f"{arguments[0]}:{file}"))
    for number in range(int(arguments[1])) if arguments[1] != "0" else itertools.count():
        random_group(arguments[0], number)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BrokenPipeError:    # whoever listens has heard enough
        sys.stderr.close()
