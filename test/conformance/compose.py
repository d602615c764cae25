#!/usr/bin/env python3
"""What promote.compose_params has to return: an oracle in another language.

Written from JSON Schema draft-07, RFC 7396, RFC 6902 and this project's own pages (doc/reference/promotion.md, doc/reference/schema.md), not from its
C. Python's standard library is all it needs.

  compose.py random SEED COUNT     that many random schemas with documents
  compose.py bundles DIRECTORY     real schemas and presets, with marks added: these bundles have none

Prints a line of JSON for each schema:

  name         for people
  schema
  documents    an array of: document, valid, filtered (without what is not copyable), stored (a validity that
               somebody else found, where there is one)
  cases        an array of: source, destination (positions in documents), overrides, expected ("refused" where a
               JSON Patch does not fit)
"""

import copy
import json
import os
import random
import re
import sys
from decimal import Decimal
from fractions import Fraction

COPYABLE = "$md.copyable"

# ---- JSON: numbers keep all their digits ----


def parse(text):
    return json.loads(text, parse_float=Decimal)


def dump(value):
    if isinstance(value, dict):
        return "{" + ",".join(json.dumps(key) + ":" + dump(member) for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    if isinstance(value, Decimal):
        return str(value)
    return json.dumps(value)


def is_number(value):
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def type_names(value):
    """The names that "type" has for a value; a number without a fraction has two."""
    if value is None:
        return {"null"}
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, str):
        return {"string"}
    if isinstance(value, list):
        return {"array"}
    if isinstance(value, dict):
        return {"object"}
    return {"number", "integer"} if Fraction(value).denominator == 1 else {"number"}


def equal(a, b):
    """Python has True == 1; JSON has not."""
    if is_number(a) and is_number(b):
        return a == b
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return a == b


# ---- patterns: those of ECMA-262, as far as Python has the same ----


def python_pattern(source):
    result, position, in_class = "", 0, False
    while position < len(source):
        piece = source[position]
        if piece == "\\":
            piece = source[position:position + 2]
            if piece[1] in "pPkcAZu":
                raise ValueError("not in the oracle: " + piece)
        elif in_class:
            in_class = piece != "]"
            piece = "\\[" if piece == "[" else piece
        elif piece == "[":
            in_class = True
        elif piece == "$":
            piece = r"\Z"
        elif piece == ".":
            piece = "[^\n\r\u2028\u2029]"
        result += piece
        position += 2 if source[position] == "\\" else 1
    return re.compile(result, re.ASCII)


patterns = {}


def pattern_matches(source, text):
    if source not in patterns:
        patterns[source] = python_pattern(source)
    return patterns[source].search(text) is not None


# ---- draft-07: is a document valid? ----


class Schema:
    """A schema, its validity by draft-07 and its marks by doc/reference/schema.md."""

    def __init__(self, root):
        self.root = root

    def target(self, reference):
        if not reference.startswith("#"):
            raise ValueError("not in the oracle: $ref " + reference)
        place = self.root
        for step in reference[2:].split("/") if len(reference) > 1 else []:
            step = re.sub("%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), step).replace("~1", "/").replace("~0", "~")
            place = place[int(step)] if isinstance(place, list) else place[step]
        return place

    def valid(self, value, schema=None):
        schema = self.root if schema is None else schema
        if isinstance(schema, bool):
            return schema
        if "$ref" in schema:    # its siblings say nothing
            return self.valid(value, self.target(schema["$ref"]))
        return (self.generally_valid(value, schema) and self.logically_valid(value, schema)
                and (not is_number(value) or self.valid_number(value, schema))
                and (not isinstance(value, str) or self.valid_string(value, schema))
                and (not isinstance(value, list) or self.valid_array(value, schema))
                and (not isinstance(value, dict) or self.valid_object(value, schema)))

    def generally_valid(self, value, schema):
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        return ((not types or bool(type_names(value) & set(types)))
                and ("enum" not in schema or any(equal(value, one) for one in schema["enum"]))
                and ("const" not in schema or equal(value, schema["const"])))

    def logically_valid(self, value, schema):
        if "if" in schema:
            branch = "then" if self.valid(value, schema["if"]) else "else"
            if not self.valid(value, schema.get(branch, True)):
                return False
        return (all(self.valid(value, one) for one in schema.get("allOf", []))
                and ("anyOf" not in schema or any(self.valid(value, one) for one in schema["anyOf"]))
                and ("oneOf" not in schema or sum(self.valid(value, one) for one in schema["oneOf"]) == 1)
                and ("not" not in schema or not self.valid(value, schema["not"])))

    @staticmethod
    def valid_number(value, schema):
        return (("minimum" not in schema or value >= schema["minimum"])
                and ("maximum" not in schema or value <= schema["maximum"])
                and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
                and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
                and ("multipleOf" not in schema
                     or (Fraction(value) / Fraction(schema["multipleOf"])).denominator == 1))

    @staticmethod
    def valid_string(value, schema):
        return (schema.get("minLength", 0) <= len(value)
                and len(value) <= schema.get("maxLength", len(value))
                and ("pattern" not in schema or pattern_matches(schema["pattern"], value)))

    def valid_array(self, value, schema):
        return (schema.get("minItems", 0) <= len(value)
                and len(value) <= schema.get("maxItems", len(value))
                and (not schema.get("uniqueItems") or not any(
                    equal(value[i], value[j]) for i in range(len(value)) for j in range(i)))
                and ("contains" not in schema or any(self.valid(item, schema["contains"]) for item in value))
                and all(self.valid(item, one) for i, item in enumerate(value) for one in self.item_schemas(schema, i)))

    def valid_object(self, value, schema):
        for key, needed in schema.get("dependencies", {}).items():
            if key not in value:
                continue
            if isinstance(needed, list) and not all(name in value for name in needed):
                return False
            if not isinstance(needed, list) and not self.valid(value, needed):
                return False
        return (schema.get("minProperties", 0) <= len(value)
                and len(value) <= schema.get("maxProperties", len(value))
                and all(name in value for name in schema.get("required", []))
                and all(self.valid(key, schema.get("propertyNames", True)) for key in value)
                and all(self.valid(member, one) for key, member in value.items()
                        for one in self.property_schemas(schema, key)))

    @staticmethod
    def item_schemas(schema, position):
        """Those that apply to the item at a position."""
        items = schema.get("items", True)
        if not isinstance(items, list):
            return [items]
        return [items[position] if position < len(items) else schema.get("additionalItems", True)]

    @staticmethod
    def property_schemas(schema, key):
        """Those that apply to the property of a name."""
        found = [one for name, one in schema.get("properties", {}).items() if name == key]
        found += [one for source, one in schema.get("patternProperties", {}).items() if pattern_matches(source, key)]
        return found or [schema.get("additionalProperties", True)]

    # ---- which places are not copyable? ----

    def marks(self, document):
        """The places of a document that any subschema which applies there marks: a set of tuples of keys and positions."""
        found = set()
        self.collect(document, self.root, (), found)
        return found

    def collect(self, value, schema, place, found):
        if isinstance(schema, bool):
            return
        nested = schema.get("$md")
        if schema.get(COPYABLE) is False or (isinstance(nested, dict) and nested.get("copyable") is False):
            found.add(place)
        for one in self.schemas_here(value, schema):
            self.collect(value, one, place, found)
        for key, member, one in self.schemas_below(value, schema):
            self.collect(member, one, place + (key,), found)

    def schemas_here(self, value, schema):
        """The subschemas that apply to the same place: of branches the ones that match, or all if none does."""
        yield from [self.target(schema["$ref"])] if "$ref" in schema else []
        yield from schema.get("allOf", [])
        for keyword in ("anyOf", "oneOf"):
            branches = schema.get(keyword, [])
            yield from [one for one in branches if self.valid(value, one)] or branches
        if "if" in schema:
            matches = self.valid(value, schema["if"])
            yield from [schema["if"], schema.get("then", True)] if matches else [schema.get("else", True)]
        if isinstance(value, dict):
            for key, needed in schema.get("dependencies", {}).items():
                if key in value and not isinstance(needed, list):
                    yield needed

    def schemas_below(self, value, schema):
        """The subschemas that apply to members and items, with these and their keys."""
        if isinstance(value, dict):
            for key, member in value.items():
                for one in self.property_schemas(schema, key):
                    yield key, member, one
        if isinstance(value, list):
            for position, item in enumerate(value):
                for one in self.item_schemas(schema, position):
                    yield position, item, one
            if "contains" in schema:
                matching = [i for i, item in enumerate(value) if self.valid(item, schema["contains"])]
                for position in matching or range(len(value)):
                    yield position, value[position], schema["contains"]


# ---- what a promotion means ----

ABSENT = object()


def holds_marked_element(value, place, marked):
    return isinstance(value, list) and any(place + (i,) in marked for i in range(len(value)))


def overlay(source, own, place, marked):
    """The source's value, but the destination's own wherever the place is not copyable."""
    if place in marked or holds_marked_element(source, place, marked) or holds_marked_element(own, place, marked):
        return own
    if source is ABSENT:
        return kept(own, place, marked)
    if isinstance(source, dict) and isinstance(own, dict):
        both = {key: overlay(source.get(key, ABSENT), own.get(key, ABSENT), place + (key,), marked)
                for key in list(source) + [key for key in own if key not in source]}
        return {key: value for key, value in both.items() if value is not ABSENT}
    if isinstance(source, list) and isinstance(own, list):
        both = [overlay(item, own[i] if i < len(own) else ABSENT, place + (i,), marked) for i, item in enumerate(source)]
        return [value for value in both if value is not ABSENT]
    return copyable(source, place, marked)


def kept(own, place, marked):
    """What the destination keeps where the source has nothing. Half an element is no element."""
    if place in marked or holds_marked_element(own, place, marked):
        return own
    if isinstance(own, dict):
        members = {key: kept(member, place + (key,), marked) for key, member in own.items()}
        members = {key: member for key, member in members.items() if member is not ABSENT}
        return members or ABSENT
    return ABSENT


def copyable(value, place, marked):
    """The value without what is not copyable."""
    if isinstance(value, dict):
        return {key: copyable(member, place + (key,), marked) for key, member in value.items()
                if place + (key,) not in marked}
    if isinstance(value, list):
        return [copyable(item, place + (i,), marked) for i, item in enumerate(value) if place + (i,) not in marked]
    return value


def merge_patch(target, patch):
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


# ---- JSON Patch: RFC 6902 and 6901 ----


class Misfit(Exception):
    """An operation that does not fit the document."""


def tokens(pointer):
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def element(token, count):
    """The ordinal that a token has in an array of so many elements."""
    if token == "-":
        return count
    if not re.fullmatch("0|[1-9][0-9]*", token):
        raise Misfit(token)
    return int(token)


def child(value, token):
    if isinstance(value, dict) and token in value:
        return value[token]
    if isinstance(value, list) and element(token, len(value)) < len(value):
        return value[element(token, len(value))]
    raise Misfit(token)


def find(value, path):
    for token in path:
        value = child(value, token)
    return value


def has(value, path):
    try:
        find(value, path)
        return True
    except Misfit:
        return False


def changed(value, path, change):
    """The value with what the function makes of the container at the end of the path and the last token."""
    if len(path) == 1:
        return change(value, path[0])
    below = changed(child(value, path[0]), path[1:], change)
    if isinstance(value, dict):
        return {**value, path[0]: below}
    number = element(path[0], len(value))
    return value[:number] + [below] + value[number + 1:]


def added(value, path, new):
    def change(container, token):
        if isinstance(container, dict):
            return {**container, token: new}
        if not isinstance(container, list) or element(token, len(container)) > len(container):
            raise Misfit(token)
        number = element(token, len(container))
        return container[:number] + [new] + container[number:]

    return changed(value, path, change) if path else new


def removed(value, path):
    def change(container, token):
        child(container, token)
        if isinstance(container, dict):
            return {key: member for key, member in container.items() if key != token}
        number = element(token, len(container))
        return container[:number] + container[number + 1:]

    if not path:
        raise Misfit("the root")
    return changed(value, path, change)


def replaced(value, path, new):
    find(value, path)

    def change(container, token):
        if isinstance(container, dict):
            return {**container, token: new}
        number = element(token, len(container))
        return container[:number] + [new] + container[number + 1:]

    return changed(value, path, change) if path else new


def json_patch(document, operations):
    for operation in operations:
        path, kind = tokens(operation["path"]), operation["op"]
        if kind == "test":
            if not equal(find(document, path), operation["value"]):
                raise Misfit("test")
        elif kind == "add":
            document = added(document, path, operation["value"])
        elif kind == "remove":
            document = removed(document, path)
        elif kind == "replace":
            document = replaced(document, path, operation["value"])
        elif kind == "copy":
            document = added(document, path, find(document, tokens(operation["from"])))
        elif operation["from"] != operation["path"]:
            value = find(document, tokens(operation["from"]))
            if path[:len(tokens(operation["from"]))] == tokens(operation["from"]):
                raise Misfit("into itself")
            document = added(removed(document, tokens(operation["from"])), path, value)
        else:
            find(document, path)
    if not isinstance(document, dict):
        raise Misfit("no object")
    return document


def named(operations):
    """The places that operations set; where elements come and go, the array."""
    def place(path, moves):
        return path[:-1] if moves and path and re.fullmatch("-|0|[1-9][0-9]*", path[-1]) else path

    for operation in operations:
        if operation["op"] != "test":
            yield place(tokens(operation["path"]), operation["op"] != "replace")
        if operation["op"] == "move":
            yield place(tokens(operation["from"]), True)


def taken(document, other, path):
    """The document with one place as the other has it."""
    if has(other, path):
        return put(document, other, path)
    if not path or not has(document, path):
        return document
    above = find(document, path[:-1])
    if isinstance(above, list) and element(path[-1], len(above)) < len(above) - 1 and has(other, path[:-1]):
        return put(document, other, path[:-1])
    return removed(document, path)


def put(document, other, path):
    if not path:
        return copy.deepcopy(other)
    if isinstance(other, dict):
        own = document if isinstance(document, dict) else {}
        return {**own, path[0]: put(own.get(path[0]), other[path[0]], path[1:])}
    number = element(path[0], len(other))
    if not isinstance(document, list) or number > len(document):
        return copy.deepcopy(other)
    below = document[number] if number < len(document) else None
    return document[:number] + [put(below, other[number], path[1:])] + document[number + 1:]


def compose(schema, source, destination, overrides):
    own_marks = schema.marks(destination)

    def owned(document):
        return overlay(document, destination, (), schema.marks(document) | own_marks)

    def again_on(document, result):
        """The overrides' last word on what was made of their result."""
        if isinstance(overrides, dict):
            return merge_patch(document, overrides)
        for place in named(overrides):
            document = taken(document, result, place)
        return document

    if isinstance(overrides, dict):
        result = merge_patch(owned(source), overrides)
    else:
        try:
            result = json_patch(owned(source), overrides)
        except Misfit:
            return "refused"
    # What came out may be in a branch that neither document was in.
    for _ in range(100):
        again = again_on(owned(result), result)
        if equal(again, result):
            break
        result = again
    return result


# ---- output ----


def judged(schema, document, **more):
    marked = schema.marks(document)
    filtered = {} if () in marked else copyable(document, (), marked)
    return {"document": document, "valid": schema.valid(document), "filtered": filtered, **more}


def print_group(name, schema, documents, overrides):
    """Every ordered pair of the documents, with each of the overrides."""
    evaluator = Schema(schema)
    cases = [{"source": i, "destination": j, "overrides": patch,
              "expected": compose(evaluator, source["document"], own["document"], patch)}
             for i, source in enumerate(documents) for j, own in enumerate(documents) for patch in overrides]
    print(dump({"name": name, "schema": schema, "documents": documents, "cases": cases}))


# ---- random schemas and documents ----

KEYS = ["a", "b", "n", "o", "l", "type"]
SCALARS = [None, True, False, 0, 1, Decimal("1.0"), Decimal("2.5"), "", "x", "y", "\u00e4"]


class Random(random.Random):
    def chance(self, share):
        return self.random() < share

    def document(self, depth):
        kind = self.random()
        if depth > 0 and kind < 0.45:
            return {key: self.document(depth - 1) for key in self.sample(KEYS, self.randint(0, 4))}
        if depth > 0 and kind < 0.65:
            return [self.document(depth - 1) for _ in range(self.randint(0, 3))]
        return self.choice(SCALARS)

    def params(self):
        return {key: self.document(3) for key in self.sample(KEYS, self.randint(1, 5))}

    def varied(self, document):
        """Another document that has much in common with this one."""
        if self.chance(0.15):
            return self.document(2)
        if isinstance(document, dict):
            return {key: self.varied(member) for key, member in document.items() if self.chance(0.9)}
        if isinstance(document, list):
            return [self.varied(item) for item in document if self.chance(0.9)]
        return document

    def overrides(self, document):
        patch = {}
        for key in self.sample(KEYS, self.randint(1, 2)):
            below = document.get(key)
            if isinstance(below, dict) and self.chance(0.5):
                patch[key] = self.overrides(below)
            else:
                patch[key] = None if self.chance(0.3) else self.document(2)
        return patch

    def pointer(self, document):
        """A place of the document, mostly, or one beside it."""
        path, value = "", document
        while not path or self.chance(0.6):
            if isinstance(value, dict):
                key = self.choice(sorted(value)) if value and self.chance(0.8) else self.choice(KEYS)
                path, value = path + "/" + key, value.get(key)
            elif isinstance(value, list):
                number = self.randint(0, len(value))
                path += "/" + ("-" if number == len(value) and self.chance(0.5) else str(number))
                value = value[number] if number < len(value) else None
            else:
                break
        return path

    def patch(self, document):
        """A JSON Patch of which most operations fit the document."""
        operations, now = [], document
        for _ in range(self.randint(1, 4)):
            kind, path = self.choice(["add", "add", "remove", "replace", "replace", "move", "copy", "test"]), self.pointer(now)
            operation = {"op": kind, "path": path}
            if kind in ("move", "copy"):
                operation["from"] = self.pointer(now)
            if kind in ("add", "replace"):
                operation["value"] = self.document(2)
            if kind == "test":
                operation["value"] = find(now, tokens(path)) if has(now, tokens(path)) else 0
            try:
                now = json_patch(now, [operation])
            except Misfit:
                if self.chance(0.9):
                    continue
            operations.append(operation)
        return operations

    def condition(self):
        """A schema that some documents match and others do not."""
        key = self.choice(KEYS)
        schema = {"properties": {key: self.choice([{"const": self.choice(SCALARS)}, {"enum": self.sample(SCALARS, 3)},
                                                   {"type": self.choice(["string", "object", "number", "integer"])}])}}
        if self.chance(0.6):
            schema["required"] = [key]
        return schema

    def schema(self, depth, marks=0.15):
        if self.chance(0.04):
            return self.chance(0.8)
        schema = {}
        if self.chance(marks):
            schema.update(self.choice([{COPYABLE: False}, {"$md": {"copyable": False}}, {COPYABLE: True}]))
        if self.chance(0.08):
            schema["$ref"] = self.choice(["#", "#/definitions/one", "#/definitions/two", "#/definitions/a~1b"])
        if self.chance(0.15):
            schema["type"] = self.choice(["string", "object", "array", "number", "integer", ["null", "boolean"]])
        if depth > 0:
            for _ in range(self.choice([0, 1, 1, 2])):
                self.choice([self.add_objects, self.add_objects, self.add_arrays, self.add_branches, self.add_small])(schema, depth - 1)
        return schema

    def add_objects(self, schema, depth):
        schema["properties"] = {key: self.schema(depth) for key in self.sample(KEYS, self.randint(1, 4))}
        if self.chance(0.2):
            schema["patternProperties"] = {self.choice(["^[a-m]", "e$", "n|o"]): self.schema(depth)}
        if self.chance(0.25):
            schema["additionalProperties"] = self.schema(depth)
        if self.chance(0.2):
            schema["dependencies"] = {self.choice(KEYS): self.choice([self.sample(KEYS, 2), self.schema(depth)])}

    def add_arrays(self, schema, depth):
        if self.chance(0.6):
            schema["items"] = self.schema(depth, 0.05)
        else:
            schema["items"] = [self.schema(depth, 0.05) for _ in range(self.randint(1, 2))]
            schema["additionalItems"] = self.schema(depth, 0.05)
        if self.chance(0.2):
            schema["contains"] = self.choice([self.condition(), {"type": "string", COPYABLE: False}, {"type": "object"}])

    def add_branches(self, schema, depth):
        keyword = self.choice(["allOf", "anyOf", "oneOf", "if", "not"])
        if keyword == "if":
            schema["if"] = self.condition()
            schema["then"] = self.schema(depth)
            if self.chance(0.6):
                schema["else"] = self.schema(depth)
        elif keyword == "not":
            schema["not"] = {**self.condition(), COPYABLE: False}
        else:
            schema[keyword] = [self.branch(depth) for _ in range(self.randint(1, 3))]

    def branch(self, depth):
        schema, condition = self.schema(depth), self.condition()
        if isinstance(schema, bool) or "$ref" in schema:
            return schema
        schema.setdefault("properties", {}).update(condition["properties"])
        return {**condition, **schema}

    def add_small(self, schema, _depth):
        schema.update(self.choice([
            {"minimum": 1}, {"exclusiveMaximum": Decimal("2.50")}, {"multipleOf": Decimal("0.5")}, {"minLength": 1},
            {"maxLength": 0}, {"pattern": "^[x-z]$"}, {"minItems": 1}, {"maxItems": 2}, {"uniqueItems": True},
            {"minProperties": 2}, {"maxProperties": 3}, {"propertyNames": {"maxLength": 1}},
            {"required": [self.choice(KEYS)]}, {"enum": self.sample(SCALARS, 4)}]))

    def root(self):
        schema = {"properties": {key: self.schema(3) for key in self.sample(KEYS, 4)}}
        for _ in range(self.randint(0, 2)):
            self.add_branches(schema, 3)
        # Where a circle of references would stay at one place, the schema is refused: these lead downwards only.
        definitions = {name: self.schema(2) for name in ("one", "two", "a/b")}
        schema["definitions"] = without_references(definitions)
        return schema


def without_references(value):
    if isinstance(value, dict):
        return {key: without_references(member) for key, member in value.items() if key != "$ref"}
    if isinstance(value, list):
        return [without_references(item) for item in value]
    return value


def stays_in_place(schema):
    """Does a reference to the root stand where it would apply to the same place as the root?"""
    if not isinstance(schema, dict):
        return False
    here = [schema.get(keyword) for keyword in ("if", "then", "else", "not")]
    here += schema.get("allOf", []) + schema.get("anyOf", []) + schema.get("oneOf", [])
    here += schema.get("dependencies", {}).values()
    return schema.get("$ref") == "#" or any(map(stays_in_place, here))


def random_groups(seed, count):
    made = 0
    while made < count:
        source = Random(f"{seed}:{made}")
        schema = source.root()
        while stays_in_place(schema):
            schema = source.root()
        first = source.params()
        documents = [first] + [one if isinstance(one, dict) else {} for one in
                               (source.varied(first), source.varied(first), source.params())]
        evaluator = Schema(schema)
        print_group(f"random {seed}:{made}", schema, [judged(evaluator, one) for one in documents],
                    [{}, source.overrides(first), source.overrides(documents[-1]), source.patch(first),
                     source.patch(documents[1]), source.patch(documents[-1])])
        made += 1


# ---- bundles ----


def markable(schema, found):
    """All subschemas of properties, wherever they apply."""
    if isinstance(schema, dict):
        for key, below in schema.items():
            if key in ("properties", "patternProperties") and isinstance(below, dict):
                for one in below.values():
                    if isinstance(one, dict):
                        found.append(one)
                        markable(one, found)
            elif key == "items" and isinstance(below, dict):
                found.append(below)
                markable(below, found)
            elif key == "dependencies":
                for one in below.values():
                    markable(one, found)
            elif key in ("oneOf", "anyOf", "allOf"):
                for one in below:
                    markable(one, found)
            elif key in ("if", "then", "else", "definitions", "additionalProperties"):
                markable(below, found)
    return found


def marked_schema(schema, source):
    """The schema with a few of its properties not copyable."""
    schema = copy.deepcopy(schema)
    places = markable(schema, [])
    for place in source.sample(places, min(len(places), source.randint(1, 4))):
        place[COPYABLE] = False
    return schema


def bundle_overrides(schema, documents, source):
    """No override, one that removes and adds, one that changes values deep down, a JSON Patch."""
    keys = sorted({key for one in documents for key in one}) or ["a"]
    yield {}
    yield {source.choice(keys): None, "added": {"deep": [1, None], "gone": None}}
    key = source.choice(keys)
    values = [one[key] for one in documents if isinstance(one.get(key), dict)]
    inner = sorted({name for value in values for name in value})
    yield {key: {source.choice(inner): "overridden"}} if inner else {key: Decimal("1.50")}
    yield source.patch(source.choice(documents)) if documents else []


def refers_elsewhere(schema):
    return re.search(r'"\$ref":"(?!#)', dump(schema)) is not None


def read(path):
    with open(path, encoding="utf-8") as file:
        return parse(file.read())


def bundle_groups(directory):
    for bundle in sorted(os.listdir(directory)):
        presets = read(os.path.join(directory, bundle, "presets.json"))
        for form in ("params.schema.published.json", "params.schema.json"):
            schema = read(os.path.join(directory, bundle, form))
            if refers_elsewhere(schema):
                continue
            published = form == "params.schema.published.json"
            evaluator = Schema(schema)
            documents = [judged(evaluator, preset[params], **({"stored": preset[flag]} if published else {}))
                         for preset in presets for params, flag in (("params", "valid_as_written"),
                                                                    ("params_with_defaults", "valid_with_defaults"))]
            print_group(f"{bundle}, {form}", schema, documents, [{}])
            for turn in range(4):
                source = Random(f"{bundle} {turn}")
                marked = marked_schema(schema, source)
                evaluator = Schema(marked)
                again = [judged(evaluator, one["document"]) for one in documents]
                overrides = list(bundle_overrides(marked, [one["document"] for one in documents], source))
                print_group(f"{bundle}, {form}, marks {turn}", marked, again, overrides)


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "random":
        random_groups(arguments[1], int(arguments[2]))
    elif len(arguments) == 2 and arguments[0] == "bundles":
        bundle_groups(arguments[1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
